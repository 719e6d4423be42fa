//! Regions: which one is chosen, and that each block goes back to its own.
#![allow(clippy::undocumented_unsafe_blocks)] // Regions are local, frees of what was allocated.
#![cfg_attr(feature = "nightly", feature(allocator_api))]

mod common;

use std::alloc::{GlobalAlloc, Layout};
use std::ptr::NonNull;

use allocator_api2::alloc::Allocator;
use common::{fill, layout, panic_message, rounds, verify, Random};
use talc_sync::talc_sources::talc_core::{DefaultBinning, SmallBinning};
use talc_sync::{RawSpinlock, Region, Regions};

const FAST: u32 = 1;
const DMA: u32 = 2;

const SIZE: usize = 16 << 10;

type Three<B = DefaultBinning> = Regions<RawSpinlock, 3, B>;

/// Memory for three regions: fast; fast and for DMA; for DMA.
struct Memory([Vec<u128>; 3]);

impl Memory {
    fn new() -> Self {
        Self([(); 3].map(|()| vec![0; SIZE / 16]))
    }

    fn regions<B: talc_sync::talc_sources::Binning>(&mut self) -> Three<B> {
        let [first, second, third] = &mut self.0;
        let region = |memory: &mut Vec<u128>, attributes| unsafe {
            Region::new(memory.as_mut_ptr().cast(), SIZE, attributes)
        };
        Regions::new([region(first, FAST), region(second, FAST | DMA), region(third, DMA)])
    }
}

fn place<B: talc_sync::talc_sources::Binning>(regions: &Three<B>, block: *const u8) -> usize {
    let mut places = regions.regions().iter().enumerate();
    places.find(|(_, region)| region.contains(block)).expect("it is in a region").0
}

#[test]
fn the_first_one_with_room_is_taken() {
    let mut memory = Memory::new();
    let regions = memory.regions::<DefaultBinning>();
    let block = layout(1000, 8);
    let all = std::iter::from_fn(|| NonNull::new(unsafe { regions.alloc(block) }));
    let places: Vec<usize> = all.map(|block| place(&regions, block.as_ptr())).collect();
    assert!(places.windows(2).all(|pair| pair[0] <= pair[1]));
    for region in 0..3 {
        let count = places.iter().filter(|&&place| place == region).count();
        assert!(count >= 10, "{count} in region {region}");
    }
    assert!(format!("{regions:?}").contains("attributes: 3"));
}

#[test]
fn attributes_are_heeded() {
    let mut memory = Memory::new();
    let regions = memory.regions::<DefaultBinning>();
    let block = layout(1000, 8);
    for (attributes, expected) in [
        (0, vec![0, 1, 2]),
        (FAST, vec![0, 1]),
        (DMA, vec![1, 2]),
        (FAST | DMA, vec![1]),
        (4, vec![]),
    ] {
        let having = regions.having(attributes);
        let mut live = Vec::new();
        while let Ok(block) = having.allocate(block) {
            live.push(block.cast::<u8>());
        }
        let mut places: Vec<usize> =
            live.iter().map(|block| place(&regions, block.as_ptr())).collect();
        places.dedup();
        assert_eq!(places, expected, "with {attributes}");
        // Whoever frees it, each goes back to its own.
        for (index, freed) in live.into_iter().enumerate() {
            match index % 3 {
                0 => unsafe { having.deallocate(freed, block) },
                1 => unsafe { regions.dealloc(freed.as_ptr(), block) },
                _ => unsafe { regions.having(4).deallocate(freed, block) },
            }
        }
        for region in regions.regions() {
            assert!(region.talc().lock().largest_gap().map_or(true, |gap| gap > SIZE / 2));
            assert_eq!(region.talc().lock().audit(), Ok(()));
        }
    }
}

#[test]
fn what_grows_too_large_moves_to_another_one() {
    let mut memory = Memory::new();
    let regions = memory.regions::<DefaultBinning>();
    unsafe {
        let in_the_way = regions.alloc(layout(8000, 8));
        let block = regions.having(DMA).allocate(layout(1000, 8)).unwrap().cast::<u8>();
        assert_eq!(place(&regions, block.as_ptr()), 1);
        fill(block.as_ptr(), 1000, 5);
        let hem = regions.having(FAST | DMA).allocate(layout(9000, 8)).unwrap().cast::<u8>();
        // Neither its own region nor the fast one has room.
        let grown = regions.having(DMA).grow(block, layout(1000, 8), layout(9000, 8));
        let grown = grown.unwrap().cast::<u8>();
        assert_eq!(place(&regions, grown.as_ptr()), 2);
        verify(grown.as_ptr(), 1000, 5);
        // Where nobody has room, it stays as it was.
        let refused = regions.having(DMA).grow(grown, layout(9000, 8), layout(2 * SIZE, 8));
        assert!(refused.is_err());
        verify(grown.as_ptr(), 1000, 5);
        let shrunk = regions.realloc(grown.as_ptr(), layout(9000, 8), 100);
        assert_eq!(place(&regions, shrunk), 2);
        verify(shrunk, 100, 5);
        regions.dealloc(shrunk, layout(100, 8));
        regions.dealloc(hem.as_ptr(), layout(9000, 8));
        regions.dealloc(in_the_way, layout(8000, 8));
    }
}

#[test]
fn random_use_keeps_contents() {
    fn run<B: talc_sync::talc_sources::Binning>() {
        let mut memory = Memory::new();
        let regions = memory.regions::<B>();
        let mut random = Random(11);
        let mut live: Vec<(*mut u8, usize, usize)> = Vec::new();
        for seed in 0..rounds(20_000).max(150) {
            match random.below(3) {
                0 if !live.is_empty() => {
                    let (block, size, seed) = live.swap_remove(random.below(live.len()));
                    unsafe {
                        verify(block, size, seed);
                        regions.dealloc(block, layout(size, 8));
                    }
                }
                1 if !live.is_empty() => {
                    let index = random.below(live.len());
                    let (block, size, seed) = live[index];
                    let new = 1 + random.below(2000);
                    unsafe {
                        let moved = regions.realloc(block, layout(size, 8), new);
                        if !moved.is_null() {
                            verify(moved, size.min(new), seed);
                            fill(moved, new, seed);
                            live[index] = (moved, new, seed);
                        }
                    }
                }
                _ => {
                    let size = 1 + random.below(1000);
                    let block = unsafe { regions.alloc(layout(size, 8)) };
                    if !block.is_null() {
                        unsafe { fill(block, size, seed) };
                        live.push((block, size, seed));
                    }
                }
            }
        }
        for (block, size, seed) in live {
            unsafe {
                verify(block, size, seed);
                regions.dealloc(block, layout(size, 8));
            }
        }
        for region in regions.regions() {
            assert_eq!(region.talc().lock().audit(), Ok(()));
        }
    }
    run::<DefaultBinning>();
    run::<SmallBinning>();
}

#[test]
#[cfg_attr(panic = "abort", ignore = "panics do not unwind here")]
fn what_is_in_none_is_found() {
    let mut memory = Memory::new();
    let regions = memory.regions::<DefaultBinning>();
    let mut other = 0_u64;
    let foreign = NonNull::from(&mut other).cast::<u8>();
    let message = panic_message(|| unsafe {
        Allocator::deallocate(&regions, foreign, Layout::new::<u64>());
    });
    assert!(message.contains("none of the regions"), "{message}");
}

#[cfg(any(debug_assertions, feature = "hardened"))]
#[test]
#[cfg_attr(panic = "abort", ignore = "panics do not unwind here")]
fn a_region_given_twice_is_found() {
    let mut memory = vec![0_u128; SIZE / 16];
    let base = memory.as_mut_ptr().cast::<u8>();
    for offset in [0, 16, SIZE - 16] {
        // Nothing is allocated, so nothing is damaged.
        let regions = Regions::<RawSpinlock, 2>::new(unsafe {
            [Region::new(base, SIZE, 0), Region::new(base.add(offset), SIZE - offset, 0)]
        });
        let message = panic_message(|| regions.allocate(layout(8, 8)));
        assert!(message.contains("region 1 overlaps another one"), "{message}");
    }
}
