//! Where misuse happens: a block between two neighbours, and what a program does before and afterwards.

use crate::ledger::Ledger;
use crate::memory::REGION;
use crate::steps::{self, say};
use crate::subject::{self, Subject};
use std::alloc::Layout;

/// Blocks of the same size, of which three are chosen.
const BLOCKS: usize = 64;

/// Sizes of other allocations.
const OTHERS: [usize; 8] = [16, 24, 100, 200, 1000, 2500, 9000, 20_000];

/// How many times a block is allocated until one comes that was freed: larger ones fill a region with that.
pub const TRIES: usize = 4000;

/// An allocation of which few fill a region.
const LARGE: Layout = Layout::new::<[u8; 1 << 20]>();

/// What is written where nothing may be written: no size, no flags and no address.
pub const GARBAGE: u64 = 0x4141_4141_4141_4141;

/// Memory of the program, more than one page and a block.
#[repr(align(4096))]
pub struct Own {
    _bytes: [u8; 4 * 4096],
}

impl Own {
    pub const ZERO: Self = Self { _bytes: [0; 4 * 4096] };
}

/// A block between two neighbours.
pub struct Scene {
    name: String,
    pub subject: &'static dyn Subject,
    pub layout: Layout,
    pub ledger: Ledger,
    pub below: *mut u8,
    pub block: *mut u8,
    pub above: *mut u8,
    /// The highest of all blocks of this size.
    pub highest: *mut u8,
    /// Some of the stack.
    pub stack: *mut Own,
}

impl Scene {
    /// Allocates blocks of `layout` until three of them are neighbours.
    pub fn new(name: &str, subject: &'static dyn Subject, layout: Layout, stack: *mut Own) -> Self {
        let none = std::ptr::null_mut();
        let mut scene = Self {
            name: name.to_owned(),
            subject,
            layout,
            ledger: Ledger::new(),
            below: none,
            block: none,
            above: none,
            highest: none,
            stack,
        };
        let mut blocks: Vec<*mut u8> =
            (0..BLOCKS).map(|_| scene.allocate(layout).expect("there is room")).collect();
        blocks.sort_unstable();
        let gap = |pair: &[*mut u8]| pair[1] as usize - pair[0] as usize;
        let least = blocks.windows(2).map(gap).min().expect("there are two");
        // Not the first ones, so that there are more of them on both sides.
        let three =
            blocks[4..].windows(3).find(|three| three.windows(2).all(|two| gap(two) == least));
        let three = three.expect("three are neighbours");
        (scene.below, scene.block, scene.above) = (three[0], three[1], three[2]);
        scene.highest = blocks[BLOCKS - 1];
        scene
    }

    /// Returns another allocator of the same kind, with a heap of its own.
    pub fn other_heap(&self) -> Option<&'static dyn Subject> {
        subject::named(&self.name, 1)
    }

    /// Breaks a rule.
    pub fn misuse(&mut self, act: impl FnOnce(&mut Self)) {
        say(steps::MISUSE);
        act(self);
        say(steps::AFTER);
    }

    /// Frees what must not be freed.
    pub fn free_wrongly(&mut self, ptr: *mut u8, layout: Layout) {
        // SAFETY: none: that is what this is for.
        self.misuse(|scene| unsafe { scene.subject.dealloc(ptr, layout) });
    }

    /// Writes where nothing may be written. What that damages of live contents is restored.
    pub fn write_wrongly(&mut self, at: *mut u8, bytes: &[u8]) {
        self.misuse(|scene| {
            // SAFETY: readable and writable; whose it is, is another question.
            unsafe { at.copy_from(bytes.as_ptr(), bytes.len()) };
            scene.ledger.write_again();
        });
    }

    /// Allocates.
    pub fn allocate(&mut self, layout: Layout) -> Option<*mut u8> {
        // SAFETY: the size is not zero.
        let ptr = unsafe { self.subject.alloc(layout) };
        if ptr.is_null() {
            return None;
        }
        self.ledger.enter(ptr, layout);
        Some(ptr)
    }

    /// Allocates `layout` until the allocation covers where the block begins. Everything else is freed again.
    pub fn allocate_over_block(&mut self, layout: Layout) -> Option<*mut u8> {
        let mut others = Vec::with_capacity(TRIES);
        let mut found = None;
        while found.is_none() && others.len() < TRIES {
            let ptr = match self.allocate(layout) {
                Some(ptr) => ptr,
                None => break,
            };
            let offset = (self.block as usize).wrapping_sub(ptr as usize);
            if offset < layout.size() {
                found = Some(ptr);
            } else {
                others.push(ptr);
            }
        }
        others.into_iter().for_each(|other| self.free(other));
        found
    }

    /// Frees an allocation, if it is in use.
    pub fn free(&mut self, ptr: *mut u8) {
        if let Some(layout) = self.ledger.strike(ptr) {
            // SAFETY: in use until now, with this layout.
            unsafe { self.subject.dealloc(ptr, layout) };
        }
    }

    /// Resizes an allocation, if it is in use.
    pub fn resize(&mut self, ptr: *mut u8, new_size: usize) {
        if let Some(layout) = self.ledger.strike(ptr) {
            // SAFETY: in use until now, with this layout.
            let moved = unsafe { self.subject.realloc(ptr, layout, new_size) };
            match Layout::from_size_align(new_size, layout.align()) {
                Ok(new_layout) if !moved.is_null() => self.ledger.enter(moved, new_layout),
                _ => self.ledger.enter(ptr, layout),
            }
        }
    }

    /// Allocates and frees other sizes than that of the block: `count` operations.
    pub fn do_other_things(&mut self, count: usize) {
        let sizes = OTHERS.iter().cycle().take(count / 2);
        let blocks: Vec<_> =
            sizes.flat_map(|&size| self.allocate(Layout::from_size_align(size, 8).ok()?)).collect();
        blocks.into_iter().for_each(|block| self.free(block));
    }

    /// Allocates whatever there is, or as much as a region has, and frees it again.
    fn fill(&mut self) {
        let mut blocks = Vec::with_capacity(REGION / LARGE.size());
        blocks.extend((0..REGION / LARGE.size()).map_while(|_| self.allocate(LARGE)));
        self.ledger.check();
        blocks.into_iter().for_each(|block| self.free(block));
    }

    /// Goes on as a program would that does not know what it has done: allocates the same size again, frees the
    /// neighbours, allocates other sizes, resizes, and frees everything.
    pub fn go_on(&mut self) {
        let again: Vec<_> = (0..24).flat_map(|_| self.allocate(self.layout)).collect();
        self.ledger.check();
        for ptr in [self.below, self.above, self.block] {
            self.free(ptr);
        }
        self.do_other_things(64);
        let more: Vec<_> = (0..24).flat_map(|_| self.allocate(self.layout)).collect();
        self.ledger.check();
        for &ptr in &again[..again.len() / 2] {
            self.resize(ptr, self.layout.size() * 2);
        }
        self.ledger.check();
        self.fill();
        for ptr in again.into_iter().chain(more) {
            self.free(ptr);
        }
        self.do_other_things(64);
        self.fill();
    }
}
