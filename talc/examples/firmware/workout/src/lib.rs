//! What the firmware examples do with their heaps: they fill, fragment and exhaust them, and go on, while a
//! handler that interrupts them allocates from the same heap.
//!
//! A firmware of your own needs nothing of this; look at the `main.rs` of the examples.

#![no_std]

extern crate alloc;

mod picture;

use alloc::vec::Vec;
use core::fmt::{self, Write};

use talc::base::binning::Binning;
use talc::lock_api::RawMutex;
use talc::source::Source;
use talc::sync::TalcLock;

use crate::picture::Picture;

/// What a handler has: a few blocks, of which each tick replaces one.
pub struct Handler {
    blocks: [Option<Block>; 4],
    /// How often it was called.
    pub ticks: usize,
    /// How often it got no memory.
    pub refusals: usize,
}

impl Handler {
    /// Creates one without blocks.
    pub const fn new() -> Self {
        Self { blocks: [const { None }; 4], ticks: 0, refusals: 0 }
    }

    /// Checks the block that was allocated first, frees it, and allocates another one.
    ///
    /// # Panics
    /// If a block has changed.
    pub fn tick(&mut self) {
        let block = &mut self.blocks[self.ticks % 4];
        *block = None;
        *block = Block::new(1 + self.ticks * 13 % 90, self.ticks);
        self.refusals += usize::from(block.is_none());
        self.ticks += 1;
    }
}

impl Default for Handler {
    fn default() -> Self {
        Self::new()
    }
}

/// Memory that knows what must be in it, and looks when it is dropped.
pub struct Block(Vec<u8>);

impl Block {
    /// Allocates `size` bytes, at least one. Returns `None` if there is no memory.
    pub fn new(size: usize, seed: usize) -> Option<Self> {
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(size).ok()?;
        bytes.extend((0..size).map(|n| (n ^ seed) as u8));
        Some(Self(bytes))
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        let seed = usize::from(self.0[0]);
        let is_whole = self.0.iter().enumerate().all(|(n, &byte)| byte == (n ^ seed) as u8);
        assert!(is_whole, "a block of {} bytes has changed", self.0.len());
    }
}

/// Fills the heap, fragments it and frees everything, until `ticks`, which says how often a handler has
/// interrupted this, returns `enough`. Writes to `out` what happened.
///
/// # Errors
/// Those of `out`.
///
/// # Panics
/// If anything is not as it should be.
pub fn run<R: RawMutex, S: Source<B>, B: Binning>(
    talc: &TalcLock<R, S, B>,
    heap_size: usize,
    ticks: impl Fn() -> usize,
    enough: usize,
    out: &mut impl Write,
) -> fmt::Result {
    let mut rounds = 0;
    let mut random = 1_u32;
    while rounds < 3 || ticks() < enough {
        let is_shown = rounds == 0;
        let mut blocks: Vec<Option<Block>> = Vec::new();
        blocks.try_reserve_exact(heap_size / 64).expect("the heap is empty");

        // Until nothing fits any more. A handler takes and gives back memory meanwhile.
        while blocks.len() < blocks.capacity() {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            match Block::new(16 + (random >> 8) as usize % 200, rounds) {
                Some(block) => blocks.push(Some(block)),
                None => break,
            }
        }
        assert!(blocks.len() > heap_size / 256, "{} blocks only", blocks.len());
        if is_shown {
            show("full", talc, out)?;
        }

        for block in blocks.iter_mut().step_by(2) {
            *block = None;
        }
        if is_shown {
            show("every other block freed", talc, out)?;
        }
        // There is more than enough memory in all, but nowhere in one piece.
        assert!(Block::new(heap_size / 2, rounds).is_none());
        assert!(Block::new(100, rounds).is_some());

        drop(blocks);
        if is_shown {
            show("all freed", talc, out)?;
        }
        // The gaps are one again, but for the few blocks that the handler has, wherever they are.
        assert!(Block::new(heap_size / 8, rounds).is_some());
        rounds += 1;
    }
    writeln!(out, "{rounds} rounds, {} interrupts", ticks())
}

/// Writes the counters and a picture of the heap.
fn show<R: RawMutex, S: Source<B>, B: Binning>(
    title: &str,
    talc: &TalcLock<R, S, B>,
    out: &mut impl Write,
) -> fmt::Result {
    let mut picture = Picture::new();
    // What is written later may take long, and so is not written while the allocator is locked.
    let (counters, largest, scattered) = {
        let guard = talc.lock();
        guard.visit(|part| picture.add(part));
        (*guard.counters(), guard.largest_gap().unwrap_or(0), guard.fragmentation())
    };
    writeln!(
        out,
        "{title}: {} bytes in {} allocations; {} bytes free in {} gaps, the largest {largest}, {}.{}% elsewhere\n\
         {picture}",
        counters.allocated_bytes,
        counters.allocation_count,
        counters.available_bytes,
        counters.fragment_count,
        scattered / 10,
        scattered % 10,
    )
}
