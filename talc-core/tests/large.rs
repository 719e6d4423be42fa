//! Gaps and allocations of up to 64 GiB, or 512 MiB where words have 32 bits, in address space that is hardly
//! touched.
// Miri has no such memory.
#![cfg(all(target_os = "linux", not(miri)))]

mod common;

use std::alloc::Layout;
use std::ops::Range;
use std::ptr::null_mut;

use common::mapping::Mapping;
use common::work::Work;
use common::{rounds, Random};
#[cfg(target_pointer_width = "32")]
use talc_core::SEAL;
use talc_core::{Bins, CompactBins, DefaultBinning, RawTalc, SmallBinning};
use talc_sources::{min_first_heap_size, Binning, RawTalcExt};

/// The binary logarithm of [`SIZE`].
const DOUBLINGS: usize = if usize::BITS == 64 { 36 } else { 29 };
const SIZE: usize = 1 << DOUBLINGS;
/// More than is lost around an allocation: the heap's words, the largest table, a chunk's header and rounding.
const AROUND: usize = 4608;

fn reserved() -> Mapping {
    Mapping::new(SIZE).expect("address space is free")
}

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

fn range(mapping: &Mapping) -> Range<usize> {
    mapping.base as usize..mapping.base as usize + mapping.size
}

/// Calls `f` with sizes at and around each power of two of at least 1 MiB of which two fit.
fn for_each_size(mut f: impl FnMut(usize)) {
    for bits in 20..DOUBLINGS - 1 {
        for offset in [-33, -16, -8, -1, 0, 1, 8, 16, 33] {
            f((1_usize << bits).wrapping_add(offset as usize));
        }
    }
}

macro_rules! with_binnings {
    ($($name:ident: $binning:ty,)*) => {$(
        mod $name {
            use super::*;

            #[test]
            fn allocations_grow_and_shrink() {
                grow_and_shrink::<$binning>();
            }

            #[test]
            fn the_largest_gap_can_be_had() {
                the_largest_gap::<$binning>();
            }

            #[test]
            fn what_is_asked_for_is_enough() {
                sizes::<$binning>();
            }

            #[test]
            fn a_heap_that_grows_stays_small() {
                growth::<$binning>();
            }

            #[test]
            fn random_use() {
                random::<$binning>();
            }
        }
    )*};
}
/// A name by which valgrind's run leaves them out.
mod in_reserved_memory {
    use super::*;

    with_binnings! {
        default_binning: DefaultBinning,
        small_binning: SmallBinning,
        coarse_binning: Bins<1, 1, 1>,
        table_inside: CompactBins<8, 4, 4096, 16>,
    }
}

fn grow_and_shrink<B: Binning>() {
    let mapping = reserved();
    let inside = range(&mapping);
    let mut talc = RawTalc::<B>::new();
    // SAFETY: nothing else uses the mapping.
    unsafe { talc.claim(mapping.base, SIZE) }.expect("a heap");
    let largest = talc.largest_gap();
    let mut work = Work::default();
    for_each_size(|size| {
        for align in [1, 4096, size.next_power_of_two() / 2] {
            assert!(work.allocate(&mut talc, layout(size, align), &inside), "{size} {align}");
            for new_size in [size + 1, size + size / 2, size / 3, size] {
                assert!(work.resize(&mut talc, 0, new_size), "{size} {align} {new_size}");
                work.check(&talc);
            }
            work.finish(&mut talc);
            assert_eq!(talc.largest_gap(), largest);
        }
    });
}

fn the_largest_gap<B: Binning>() {
    let mapping = reserved();
    let inside = range(&mapping);
    let mut talc = RawTalc::<B>::new();
    // SAFETY: nothing else uses the mapping.
    unsafe { talc.claim(mapping.base, SIZE) }.expect("a heap");
    let largest = talc.largest_gap().unwrap();
    assert!(largest < SIZE && largest > SIZE - AROUND, "{largest}");
    let mut work = Work::default();
    for too_large in [largest + 1, SIZE, isize::MAX as usize] {
        assert!(!work.allocate(&mut talc, layout(too_large, 1), &inside), "{too_large}");
    }
    assert!(work.allocate(&mut talc, layout(largest, 1), &inside));
    assert_eq!(talc.largest_gap(), None);
    for too_large in [largest + 1, SIZE, isize::MAX as usize] {
        assert!(!work.resize(&mut talc, 0, too_large), "{too_large}");
    }
    work.check(&talc);
    work.finish(&mut talc);
    assert_eq!(talc.largest_gap(), Some(largest));
}

/// The sizing law: what is asked for makes the layout fit, and little more than that is asked for.
fn sizes<B: Binning>() {
    let mapping = reserved();
    let inside = range(&mapping);
    for_each_size(|size| {
        for align in [8, 1 << 20, size.next_power_of_two()] {
            let layout = layout(size, align);
            let most = size + align + AROUND;
            for offset in [0, 1, 24] {
                let mut talc = RawTalc::<B>::new();
                let asked = talc.claim_size(layout).unwrap();
                assert!(asked < most, "{asked} for {layout:?}");
                // SAFETY: nothing else uses the mapping.
                unsafe { talc.claim(mapping.base.wrapping_add(offset), asked) }.expect("a heap");
                let mut work = Work::default();
                assert!(work.allocate(&mut talc, layout, &inside), "{asked} for {layout:?}");
                work.check(&talc);
            }
            for joins in [false, true] {
                let mut talc = RawTalc::<B>::new();
                // SAFETY: nothing else uses the mapping; the end is current.
                let end = unsafe {
                    let end = talc.claim(mapping.base, min_first_heap_size::<B>() + 16).unwrap();
                    let asked = if joins {
                        talc.claim_or_extend_size(Some(end), layout)
                    } else {
                        talc.extend_size(end, layout)
                    };
                    let asked = asked.unwrap();
                    assert!(asked < most, "{asked} for {layout:?}");
                    if joins {
                        talc.claim_or_extend(Some(end), end.as_ptr(), asked)
                    } else {
                        talc.extend(end, end.as_ptr().wrapping_add(asked))
                    }
                };
                let mut work = Work::default();
                assert!(work.allocate(&mut talc, layout, &inside), "{layout:?}, joins: {joins}");
                work.check(&talc);
                work.finish(&mut talc);
                // SAFETY: the end is current.
                let left = unsafe { talc.truncate(end, null_mut()) };
                let bytes = left.map_or(0, |end| end.as_ptr() as usize - inside.start);
                assert!(bytes < AROUND && talc.heap_bytes() <= bytes, "{bytes} are left");
            }
        }
    });
}

/// Twenty live blocks that are all beyond the range of 64 bins and are replaced at random, in a heap that grows when one
/// does not fit.
fn growth<B: Binning>() {
    const LIVE: usize = 20;
    const MIB: usize = 1 << 20;
    let mapping = reserved();
    let mut talc = RawTalc::<B>::new();
    let mut random = Random(3);
    let mut live: Vec<(*mut u8, Layout)> = Vec::new();
    let (mut bytes, mut most) = (0, 0);
    // SAFETY: nothing else uses the mapping; the end is current, and what is freed is live.
    unsafe {
        let mut end = talc.claim(mapping.base, min_first_heap_size::<B>() + 16).unwrap();
        for _ in 0..rounds(3000) {
            if live.len() == LIVE {
                let (block, layout) = live.swap_remove(random.below(LIVE));
                talc.deallocate(block, layout);
                bytes -= layout.size();
            }
            let layout = layout(5 * MIB / 2 + random.below(10 * MIB), 8);
            let block = talc.try_allocate(layout).unwrap_or_else(|| {
                let more = talc.extend_size(end, layout).unwrap();
                end = talc.extend(end, end.as_ptr().wrapping_add(more));
                talc.try_allocate(layout).expect("there is room now")
            });
            live.push((block.as_ptr(), layout));
            bytes += layout.size();
            most = most.max(bytes);
        }
        let size = end.as_ptr() as usize - mapping.base as usize;
        assert!(size < most * 3 / 2, "{size} bytes for {most}");
    }
}

fn random<B: Binning>() {
    let mapping = reserved();
    let mut talc = RawTalc::<B>::new();
    // SAFETY: nothing else uses the mapping.
    unsafe { talc.claim(mapping.base, SIZE) }.expect("a heap");
    let largest = talc.largest_gap();
    let mut work = Work::default();
    work.random(&mut talc, rounds(4000), DOUBLINGS - 2, &range(&mapping));
    work.finish(&mut talc);
    assert_eq!(talc.largest_gap(), largest);
}

/// No allocation is larger than half of the address space, less a few bytes.
#[test]
#[cfg(target_pointer_width = "32")]
fn half_of_the_address_space() {
    let size = (1 << 31) + (16 << 20);
    let mapping = match Mapping::new(size) {
        Ok(mapping) => mapping,
        Err(error) => return println!("skipped: {size} bytes of address space: {error}"),
    };
    let inside = range(&mapping);
    let mut talc = RawTalc::<DefaultBinning>::new();
    // SAFETY: nothing else uses the mapping.
    unsafe { talc.claim(mapping.base, size) }.expect("a heap");
    let largest = (isize::MAX as usize & !15) - std::mem::size_of::<usize>() - SEAL;
    let mut work = Work::default();
    assert!(!work.allocate(&mut talc, layout(largest + 1, 1), &inside));
    assert!(work.allocate(&mut talc, layout(largest, 1), &inside));
    assert!(!work.resize(&mut talc, 0, largest + 1));
    work.check(&talc);
    work.finish(&mut talc);
}
