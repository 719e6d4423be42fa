//! What block sources hold in the end: one block, whatever was done before, in whatever order it is freed.
#![allow(clippy::undocumented_unsafe_blocks)] // Blocks are freed once, with their layout.

mod common;

use std::alloc::Layout;

use common::{bytes, rounds, Backing, BlockSource, Random};
use talc_sources::Talc;

/// Large enough for slabs and magazines.
const USUAL: usize = 1 << 20;

common::for_each_block_source! {
    one_block_is_held_in_the_end,
}

fn one_block_is_held_in_the_end<K: BlockSource>() {
    let mut random = Random(0x1234_5678_9ABC);
    for _ in 0..rounds(100) {
        let backing = Backing::new();
        let mut talc = Talc::<K::Source<'_>>::new(K::over(&backing, USUAL));
        let mut live = Vec::new();
        let doublings = 8 + random.below(11);
        let few = 1 << random.below(12);
        for _ in 0..6000 {
            if live.len() < random.below(few) || random.below(3) == 0 {
                let layout = bytes(random.size(doublings));
                live.push((talc.allocate(layout).unwrap().as_ptr(), layout));
            } else if !live.is_empty() {
                let (block, layout): (*mut u8, Layout) = live.swap_remove(random.below(live.len()));
                unsafe { talc.deallocate(block, layout) };
            }
        }
        match random.below(3) {
            0 => live.reverse(),
            1 => live.sort_by_key(|&(block, _)| block),
            _ => {}
        }
        for (block, layout) in live {
            unsafe { talc.deallocate(block, layout) };
        }
        assert_eq!(backing.blocks(), 1);
    }
}
