//! Heaps at both ends of the address space, in memory that is really there: as low and as high as the system
//! has any for this process.
// Miri has no such memory.
#![cfg(all(target_os = "linux", not(miri)))]

mod common;

use std::alloc::Layout;
use std::ptr::null_mut;

use common::mapping::Mapping;
use common::rounds;
use common::work::Work;
use talc_core::{CompactBins, DefaultBinning, RawTalc, SmallBinning};
use talc_sources::{Binning, RawTalcExt};

const SIZE: usize = 64 << 10;

/// Uses a heap in the [`SIZE`] bytes at `start` and, what is claimed of them, `beyond` its end.
fn use_heap<B: Binning>(start: usize, beyond: usize) {
    let mut talc = RawTalc::<B>::new();
    // Neither address 0 nor the last grain is part of a heap.
    let inside = start.max(1)..start.saturating_add(SIZE) & !15;
    // SAFETY: nothing else uses the memory; what is beyond is cut off.
    let end = unsafe { talc.claim(start as *mut u8, SIZE + beyond) }.expect("a heap");
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

fn use_each_heap(start: usize, beyond: usize) {
    use_heap::<DefaultBinning>(start, beyond);
    use_heap::<SmallBinning>(start, beyond);
    use_heap::<CompactBins<8, 4, 4096, 16>>(start, beyond);
}

/// Linux has none below `/proc/sys/vm/mmap_min_addr`, which usually is 64 KiB.
#[test]
fn the_lowest_addresses() {
    let lowest = [0, 4096, 64 << 10, 1 << 20, 16 << 20]
        .into_iter()
        .find_map(|start| Some((start, Mapping::at(start, SIZE).ok()?)));
    match lowest {
        Some((start, _mapping)) => {
            println!("from {start:#x} on");
            use_each_heap(start, 0);
        }
        None => println!("skipped: no memory below 16 MiB"),
    }
}

/// Linux has none there, but emulators of it do.
#[test]
fn the_highest_addresses() {
    let start = 0_usize.wrapping_sub(SIZE);
    match Mapping::at(start, SIZE) {
        Ok(_mapping) => {
            for beyond in [0, 1, SIZE, usize::MAX - SIZE] {
                use_each_heap(start, beyond);
            }
        }
        Err(error) => println!("skipped: no memory from {start:#x} on: {error}"),
    }
}
