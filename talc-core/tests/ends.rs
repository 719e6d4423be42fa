//! Heaps at both ends of the address space, in memory that is really there: as low and as high as the system has
//! any for this process.
// Miri has no such memory.
#![cfg(all(target_os = "linux", not(miri)))]

mod common;

use std::alloc::Layout;
use std::ptr::null_mut;

use common::mapping::Mapping;
use common::rounds;
use common::work::Work;
use talc_core::{CompactBins, DefaultBinning, RawTalc, SmallBinning, SEAL};
use talc_sources::{Binning, RawTalcExt};

const SIZE: usize = 64 << 10;

/// Uses a heap in the [`SIZE`] bytes at `start`.
fn use_heap<B: Binning>(start: usize) {
    let mut talc = RawTalc::<B>::new();
    // Address 0 is never part of a heap.
    let inside = start.max(1)..start + SIZE;
    // SAFETY: nothing else uses the memory.
    let end = unsafe { talc.claim(start as *mut u8, SIZE) }.expect("a heap");
    assert_eq!(end.as_ptr() as usize, inside.end);
    let mut work = Work::default();
    work.random(&mut talc, rounds(4000), 14, &inside);
    work.finish(&mut talc);
    // All of it, to both ends. So much alignment means no slab.
    let layout = Layout::new::<[u128; 2]>().align_to(16).unwrap();
    while work.allocate(&mut talc, layout, &inside) {}
    let lowest = work.ranges().map(|range| range.start).min().unwrap();
    let highest = work.ranges().map(|range| range.end).max().unwrap();
    assert!(lowest < start + 4096 && highest > inside.end - 128, "{lowest:#x} {highest:#x}");
    work.check(&talc);
    work.finish(&mut talc);
    // SAFETY: the end is current.
    unsafe {
        let lower = talc.truncate(end, (start + SIZE / 2) as *mut u8).unwrap();
        assert_eq!(talc.extend(lower, end.as_ptr()), end);
        assert_eq!(talc.audit(), Ok(()));
        talc.truncate(end, null_mut());
    }
    assert_eq!(talc.audit(), Ok(()));
}

/// Uses heaps in the first of these places, given by their starts, in which the system has memory.
fn use_first(mut starts: impl Iterator<Item = usize>) {
    let found = starts.find_map(|start| Some((start, Mapping::at(start, SIZE).ok()?)));
    match found {
        Some((start, _mapping)) => {
            println!("from {start:#x} on");
            use_heap::<DefaultBinning>(start);
            use_heap::<SmallBinning>(start);
            use_heap::<CompactBins<8, 4, 4096, 16>>(start);
        }
        None => println!("skipped: there is no memory"),
    }
}

/// Linux has none below `/proc/sys/vm/mmap_min_addr`, which usually is 64 KiB.
#[test]
fn the_lowest_addresses() {
    // Memory is filled with what the C library has for it. That of glibc 2.36 for AVX-512 never ends where 512 bytes
    // below the end of what it fills there is no address.
    let lowest = if SEAL == 0 { 0 } else { 4096 };
    use_first([lowest, 4096, 64 << 10, 1 << 20, 16 << 20].into_iter());
}

/// QEMU has all pages but the last one for a program of 32 bits; Linux keeps half of the addresses to itself, or the
/// last quarter. What would reach beyond the last address is tested in `memory/heap.rs` and in WebAssembly.
#[test]
fn the_highest_addresses() {
    let halves = (1..64).map(|halvings| usize::MAX.checked_shr(halvings).unwrap_or(0));
    let tops = [usize::MAX, usize::MAX / 4 * 3].into_iter().chain(halves);
    // The last page of a range is often left free.
    use_first(tops.filter(|&top| top > 16 << 20).map(|top| (top & !0xfff) - SIZE));
}
