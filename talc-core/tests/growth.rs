//! Blocks that double: where they are put, so that they can grow on.

mod common;

use std::alloc::Layout;

use common::Random;
use talc_core::{CompactBins, RawTalc};
use talc_sources::{Binning, RawTalcExt};

const SIZE: usize = 16 << 20;

fn memory() -> Vec<u128> {
    vec![0; SIZE / 16]
}

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 8).unwrap()
}

/// An allocator with a gap of about 4,096 bytes between two blocks.
fn with_a_gap<B: Binning>(memory: &mut [u128]) -> RawTalc<B> {
    let mut talc = RawTalc::<B>::new();
    // SAFETY: nothing else uses the memory; the block is freed with its layout.
    unsafe {
        talc.claim(memory.as_mut_ptr().cast(), SIZE).unwrap();
        let [_, block, _] = [(); 3].map(|()| talc.try_allocate(layout(4096)).unwrap());
        talc.deallocate(block.as_ptr(), layout(4096));
    }
    talc
}

#[test]
fn a_block_that_doubles_can_double_again() {
    let mut memory = memory();
    let mut talc: RawTalc = with_a_gap(&mut memory);
    let block = talc.try_allocate_to_grow(2048, layout(4096)).unwrap().as_ptr();
    // The gap is for others.
    let other = talc.try_allocate(layout(3072)).unwrap().as_ptr();
    assert!(other < block);
    for doublings in 0..3 {
        let size = 4096 << doublings;
        // SAFETY: the block is live, and has this layout.
        let has_grown = unsafe { talc.try_grow_in_place(block, layout(size), 2 * size) };
        assert!(has_grown, "to {}", 2 * size);
    }
    assert_eq!(talc.audit(), Ok(()));
}

#[test]
fn what_may_not_grow_again_gets_nothing() {
    let mut memory = memory();
    let mut talc: RawTalc = with_a_gap(&mut memory);
    for (size, new) in [
        (8, 16),
        (64, 128),
        (511, 1022),
        (2048, 4097),
        (2048, 4095),
        (4096, 4096),
        (8192, 4096),
        (0, 4096),
    ] {
        assert_eq!(talc.try_allocate_to_grow(size, layout(new)), None, "{size} to {new}");
    }
    assert!(talc.try_allocate_to_grow(512, layout(1024)).is_some());
    let aligned = Layout::from_size_align(4096, 64).unwrap();
    assert_eq!(talc.try_allocate_to_grow(2048, aligned), None, "over-aligned");
    let huge = layout(isize::MAX as usize / 4 * 2);
    assert_eq!(talc.try_allocate_to_grow(huge.size() / 2, huge), None);
    // No gap has that much room above it.
    assert_eq!(talc.try_allocate_to_grow(SIZE / 16, layout(SIZE / 8)), None);
    assert_eq!(talc.audit(), Ok(()));
}

#[test]
fn tight_heaps_have_no_room_to_give_away() {
    let mut memory = memory();
    let mut talc: RawTalc = with_a_gap(&mut memory);
    assert!(talc.try_allocate(layout(SIZE / 2)).is_some());
    // It is noticed when something large is allocated.
    assert!(talc.try_allocate(layout(SIZE / 8)).is_some());
    assert_eq!(talc.try_allocate_to_grow(2048, layout(4096)), None);
}

#[test]
fn compact_bins_and_no_heap_have_no_room() {
    let mut memory = memory();
    let mut talc = with_a_gap::<CompactBins<8, 4, 4096, 16, 112>>(&mut memory);
    assert_eq!(talc.try_allocate_to_grow(2048, layout(4096)), None);
    let mut talc: RawTalc = RawTalc::new();
    assert_eq!(talc.try_allocate_to_grow(2048, layout(4096)), None, "no heap");
}

/// Vectors are filled one after another and dropped at random, beside other blocks. Returns how many bytes were moved.
fn moved_by_vectors(gives_room: bool) -> usize {
    let mut memory = memory();
    let mut talc: RawTalc = with_a_gap(&mut memory);
    let mut random = Random(7);
    let mut moved = 0;
    let mut blocks = Vec::new();
    // SAFETY: blocks are resized, moved and freed with the layouts that they have.
    unsafe {
        for _ in 0..2000 {
            if blocks.len() == 100 {
                let (block, size) = blocks.swap_remove(random.below(100));
                talc.deallocate(block, layout(size));
            }
            let mut size = 600 + random.below(200);
            let mut block = talc.try_allocate(layout(size)).unwrap().as_ptr();
            for _ in 0..random.below(8) {
                if !talc.try_grow_in_place(block, layout(size), 2 * size) {
                    let new = layout(2 * size);
                    let room = if gives_room { talc.try_allocate_to_grow(size, new) } else { None };
                    let new = room.or_else(|| talc.try_allocate(new)).unwrap().as_ptr();
                    new.copy_from_nonoverlapping(block, size);
                    talc.deallocate(block, layout(size));
                    moved += size;
                    block = new;
                }
                size *= 2;
            }
            blocks.push((block, size));
        }
    }
    assert_eq!(talc.audit(), Ok(()));
    moved
}

#[test]
fn vectors_are_moved_less() {
    let (with, without) = (moved_by_vectors(true), moved_by_vectors(false));
    assert!(2 * with < without, "{with} bytes instead of {without}");
}
