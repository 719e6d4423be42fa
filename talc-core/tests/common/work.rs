//! Allocations of any size, of which only both ends are touched.

use std::alloc::Layout;
use std::ops::Range;

use talc_core::RawTalc;
use talc_sources::{Binning, RawTalcExt};

use super::Random;

/// Live allocations, each with a byte of its own at both ends.
#[derive(Default)]
pub struct Work {
    blocks: Vec<Block>,
    marks: u8,
}

struct Block {
    ptr: *mut u8,
    layout: Layout,
    mark: u8,
}

impl Block {
    fn range(&self) -> Range<usize> {
        self.ptr as usize..self.ptr as usize + self.layout.size()
    }

    /// The last byte.
    fn last(&self) -> *mut u8 {
        self.ptr.wrapping_add(self.layout.size() - 1)
    }

    fn write(&self) {
        // SAFETY: the allocation is live, and has a byte.
        unsafe {
            self.ptr.write(self.mark);
            self.last().write(self.mark);
        }
    }

    fn check(&self) {
        // SAFETY: as above.
        let found = unsafe { [self.ptr.read(), self.last().read()] };
        assert_eq!(found, [self.mark; 2], "{:p} of {:?} was overwritten", self.ptr, self.layout);
    }
}

impl Work {
    pub fn len(&self) -> usize {
        self.blocks.len()
    }

    pub fn ranges(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        self.blocks.iter().map(Block::range)
    }

    /// Allocates. Returns whether there was room, in which case it must be `inside`.
    pub fn allocate<B: Binning>(
        &mut self,
        talc: &mut RawTalc<B>,
        layout: Layout,
        inside: &Range<usize>,
    ) -> bool {
        let ptr = match talc.try_allocate(layout) {
            Some(ptr) => ptr,
            None => return false,
        };
        self.marks = self.marks.wrapping_add(37);
        let block = Block { ptr: ptr.as_ptr(), layout, mark: self.marks };
        let range = block.range();
        assert_eq!(range.start % layout.align(), 0, "{layout:?}");
        assert!(inside.start <= range.start && range.end <= inside.end, "{layout:?}");
        block.write();
        self.blocks.push(block);
        true
    }

    /// Frees the allocation at `index`.
    pub fn free<B: Binning>(&mut self, talc: &mut RawTalc<B>, index: usize) {
        let block = self.blocks.swap_remove(index);
        block.check();
        // SAFETY: live until here.
        unsafe { talc.deallocate(block.ptr, block.layout) };
    }

    /// Resizes the allocation at `index` in place. Returns whether there was room.
    pub fn resize<B: Binning>(
        &mut self,
        talc: &mut RawTalc<B>,
        index: usize,
        new_size: usize,
    ) -> bool {
        let block = &mut self.blocks[index];
        block.check();
        // SAFETY: live.
        if unsafe { talc.try_realloc_in_place(block.ptr, block.layout, new_size) }.is_err() {
            return false;
        }
        block.layout = Layout::from_size_align(new_size, block.layout.align()).unwrap();
        block.write();
        true
    }

    /// Allocates, resizes and frees at random, in heaps that are `inside`, sizes up to `1 << doublings`.
    pub fn random<B: Binning>(
        &mut self,
        talc: &mut RawTalc<B>,
        steps: usize,
        doublings: usize,
        inside: &Range<usize>,
    ) {
        let mut random = Random(0x7A1C);
        for step in 0..steps {
            let size = random.size(doublings);
            let index = random.below(self.len().max(1));
            match random.below(8) {
                _ if self.blocks.is_empty() => {
                    self.allocate(talc, Layout::from_size_align(size, 8).unwrap(), inside);
                }
                0..=3 => {
                    let align = 1 << random.below(doublings.min(16));
                    self.allocate(talc, Layout::from_size_align(size, align).unwrap(), inside);
                }
                4..=5 => {
                    self.resize(talc, index, size);
                }
                _ => self.free(talc, index),
            }
            if step % 64 == 0 {
                self.check(talc);
            }
        }
        self.check(talc);
    }

    /// Checks the allocator, the contents of all allocations, and that no two overlap.
    pub fn check<B: Binning>(&self, talc: &RawTalc<B>) {
        assert_eq!(talc.audit(), Ok(()));
        self.blocks.iter().for_each(Block::check);
        let mut ranges: Vec<_> = self.ranges().collect();
        ranges.sort_by_key(|range| range.start);
        assert!(ranges.windows(2).all(|pair| pair[0].end <= pair[1].start));
    }

    /// Frees everything.
    pub fn finish<B: Binning>(&mut self, talc: &mut RawTalc<B>) {
        while !self.blocks.is_empty() {
            self.free(talc, self.len() / 2);
        }
        while talc.trim().is_some() {}
        assert_eq!(talc.audit(), Ok(()));
    }
}
