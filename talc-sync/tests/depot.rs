//! The depot of `TalcSharded`: blocks that go from one shard to another.
#![cfg(not(feature = "cache-aligned-allocations"))] // Nothing goes to a shard.
#![allow(clippy::undocumented_unsafe_blocks)] // Blocks are freed once, with their layouts.
#![cfg_attr(feature = "nightly", feature(allocator_api))]

mod common;

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;

#[cfg(any(debug_assertions, feature = "hardened"))]
use common::panic_message;
use common::{allocations_of, arena, layout, rounds, Counted};
use talc_sync::sharded::ShardHint;
use talc_sync::talc_sources::{Claim, GlobalAllocSource};
use talc_sync::{RawSpinlock, TalcSharded};

/// The shard that a test says.
struct Chosen;

thread_local! {
    static CHOSEN: Cell<usize> = const { Cell::new(0) };
}

impl ShardHint for Chosen {
    fn hint() -> usize {
        CHOSEN.with(Cell::get)
    }
}

fn choose(shard: usize) {
    CHOSEN.with(|chosen| chosen.set(shard));
}

/// What one shard has too many of goes to another one that has none, and not by way of the shared heap.
#[test]
fn full_magazines_go_from_shard_to_shard() {
    // Room for eight blocks in a magazine, and for two magazines in a shard and in the depot.
    const ROOM: usize = 8;
    let size = layout(64, 8);
    let (_memory, claim) = arena(2048 * ROOM * size.size() + 100_000);
    let talc = TalcSharded::<RawSpinlock, Claim, Chosen, 2>::new(claim);
    let take =
        |count: usize| -> Vec<_> { (0..count).map(|_| unsafe { talc.alloc(size) }).collect() };
    let free = |blocks: &[*mut u8]| {
        for &block in blocks {
            unsafe { talc.dealloc(block, size) };
        }
    };
    for _ in 0..rounds(10) {
        choose(0);
        let blocks = take(10 * ROOM);
        choose(1);
        free(&blocks);
        assert_eq!(talc.audit(), Ok(()));
        choose(0);
        let mut passed_on = take(2 * ROOM);
        let mut expected: Vec<_> = blocks[..2 * ROOM].to_vec();
        passed_on.sort();
        expected.sort();
        assert_eq!(passed_on, expected);
        // The depot is empty, and what the other shard has is its own.
        let others = take(ROOM);
        assert!(others.iter().all(|block| !blocks[8 * ROOM..].contains(block)));
        choose(1);
        free(&passed_on);
        free(&others);
        talc.trim();
    }
    assert_eq!(allocations_of(&mut talc.into_inner()), 0);
}

#[cfg(any(debug_assertions, feature = "hardened"))]
#[test]
fn a_double_free_of_what_was_passed_on_is_found() {
    let (_memory, claim) = arena(1 << 20);
    let talc = TalcSharded::<RawSpinlock, Claim, Chosen, 2>::new(claim);
    let size = layout(64, 8);
    let blocks = [(); 100]
        .map(|()| allocator_api2::alloc::Allocator::allocate(&talc, size).unwrap().cast::<u8>());
    let free = |block| unsafe {
        allocator_api2::alloc::Allocator::deallocate(&talc, block, size);
    };
    blocks.iter().copied().for_each(free);
    for block in blocks {
        let message = panic_message(|| free(block));
        assert!(message.contains("free already"), "{message}");
    }
    assert_eq!(talc.audit(), Ok(()));
}

#[cfg(feature = "counters")]
#[test]
fn what_is_passed_on_is_counted_once() {
    let (_memory, claim) = arena(1 << 20);
    let talc = TalcSharded::<RawSpinlock, Claim, Chosen, 3>::new(claim);
    let size = layout(40, 8);
    let mut made = 0;
    for round in 0..rounds(30) {
        let count = 1 + round * 37 % 200;
        choose(round);
        let blocks: Vec<_> = (0..count).map(|_| unsafe { talc.alloc(size) }).collect();
        made += count as u64;
        for (freed, block) in blocks.into_iter().enumerate() {
            let counters = talc.counters();
            assert_eq!(counters.allocation_count, count - freed);
            assert_eq!(counters.allocated_bytes, size.size() * (count - freed));
            assert_eq!(counters.total_allocation_count, made);
            choose(round + 1 + freed / 90);
            unsafe { talc.dealloc(block, size) };
        }
    }
}

/// With a source that takes memory back, what is in the depot does not keep it for long: of 60 sizes, the blocks of 20 are
/// freed, and most of their memory goes back, though the depot gets the first ones of each size.
#[test]
fn memory_comes_back_from_the_depot() {
    let source = GlobalAllocSource::with_block_size(Counted::<0>, 1 << 15);
    let talc = TalcSharded::<RawSpinlock, _, Chosen, 2>::new(source);
    let mut classes: Vec<(Layout, Vec<*mut u8>)> = (0..60)
        .map(|class| {
            let layout = layout(100 + 8 * class, 8);
            (
                layout,
                (0..(1 << 16) / layout.size()).map(|_| unsafe { talc.alloc(layout) }).collect(),
            )
        })
        .collect();
    let before = Counted::<0>::held();
    choose(1);
    let mut freed = 0;
    for (layout, blocks) in classes.iter_mut().skip(10).take(20) {
        for block in blocks.drain(..) {
            unsafe { talc.dealloc(block, *layout) };
            freed += layout.size();
        }
    }
    let back = before - Counted::<0>::held();
    assert!(back > freed / 4 * 3, "{back} of {freed} bytes came back");
    for (layout, blocks) in classes {
        blocks.into_iter().for_each(|block| unsafe { talc.dealloc(block, layout) });
    }
    drop(talc);
    assert_eq!(Counted::<0>::held(), 0);
}
