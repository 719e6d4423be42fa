//! The books that a model keeps beside the allocator.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::alloc::Layout;
use core::ops::Range;

use crate::action::Pick;
use crate::fence::{hide, show};

/// A map of all live allocations, each filled with a pattern of its own.
///
/// Under valgrind, the allocator must not even read from them, other than from one that it gets: see `fence`.
#[derive(Debug, Default)]
pub struct Shadow {
    blocks: BTreeMap<usize, Block>,
    next_seed: u8,
    bytes: usize,
}

#[derive(Debug, Clone, Copy)]
struct Block {
    ptr: *mut u8,
    layout: Layout,
    seed: u8,
}

impl Shadow {
    /// Returns the number of live allocations.
    pub fn len(&self) -> usize {
        self.blocks.len()
    }

    /// Returns whether nothing is allocated.
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// Returns the number of live allocations in a range of addresses.
    pub fn count(&self, range: Range<usize>) -> usize {
        self.blocks.range(range).count()
    }

    /// Returns the sum of the sizes of all live allocations.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns one of the live allocations, to be given to the allocator.
    pub fn pick(&self, pick: Pick) -> Option<(*mut u8, Layout)> {
        let index = pick.of(self.blocks.len())?;
        let block = self.blocks.values().nth(index)?;
        show(block.ptr, block.layout.size());
        Some((block.ptr, block.layout))
    }

    /// Notes a new allocation, checks where it is, and fills it. `heaps` are where it may be.
    pub fn add(&mut self, ptr: *mut u8, layout: Layout, heaps: &[Range<usize>]) {
        let addr = ptr as usize;
        assert_eq!(addr % layout.align(), 0, "{ptr:p} is not aligned for {layout:?}");
        let end = addr.checked_add(layout.size()).expect("no block wraps around");
        assert!(
            heaps.iter().any(|heap| heap.start <= addr && end <= heap.end),
            "{ptr:p} of {layout:?} is not inside of a heap"
        );
        if let Some((_, below)) = self.blocks.range(..=addr).next_back() {
            let below_end = below.ptr as usize + below.layout.size();
            assert!(below_end <= addr, "{ptr:p} overlaps the block below it");
            assert!((below.ptr as usize) < addr, "{ptr:p} is allocated twice");
        }
        if let Some((&above, _)) = self.blocks.range(addr + 1..).next() {
            assert!(end <= above, "{ptr:p} of {layout:?} overlaps the block above it");
        }
        self.next_seed = self.next_seed.wrapping_add(37);
        let block = Block { ptr, layout, seed: self.next_seed };
        show(ptr, layout.size());
        block.fill();
        hide(ptr, layout.size());
        self.bytes += layout.size();
        self.blocks.insert(addr, block);
    }

    /// Verifies an allocation and forgets it.
    pub fn remove(&mut self, ptr: *mut u8) -> Layout {
        let block = self.blocks.remove(&(ptr as usize)).expect("the model frees what is live");
        block.verify(block.layout.size());
        show(ptr, block.layout.size());
        self.bytes -= block.layout.size();
        block.layout
    }

    /// Notes that an allocation was resized in place; verifies it and fills what is new.
    pub fn resize(&mut self, ptr: *mut u8, new_size: usize, heaps: &[Range<usize>]) {
        let block = self.blocks[&(ptr as usize)];
        block.verify(block.layout.size().min(new_size));
        self.bytes -= block.layout.size();
        self.blocks.remove(&(ptr as usize));
        let align = block.layout.align();
        let layout = Layout::from_size_align(new_size, align).expect("the model checked it");
        self.add(ptr, layout, heaps);
    }

    /// Checks that a block that was moved has its old contents, and notes the move.
    pub fn moved(
        &mut self,
        old: *mut u8,
        new: *mut u8,
        new_layout: Layout,
        heaps: &[Range<usize>],
    ) {
        let block = self.blocks.remove(&(old as usize)).expect("the model moves what is live");
        self.bytes -= block.layout.size();
        let kept = block.layout.size().min(new_layout.size());
        Block { ptr: new, ..block }.verify(kept);
        self.add(new, new_layout, heaps);
    }

    /// Forgets an allocation that was moved to where nothing of it is left.
    pub fn remove_moved(&mut self, ptr: *mut u8) {
        let block = self.blocks.remove(&(ptr as usize)).expect("the model moves what is live");
        self.bytes -= block.layout.size();
    }

    /// Verifies all allocations.
    pub fn verify(&self) {
        for block in self.blocks.values() {
            block.verify(block.layout.size());
        }
    }

    /// Takes out each allocation, verified.
    pub fn drain(&mut self) -> Vec<(*mut u8, Layout)> {
        self.verify();
        self.bytes = 0;
        core::mem::take(&mut self.blocks)
            .into_values()
            .map(|block| {
                show(block.ptr, block.layout.size());
                (block.ptr, block.layout)
            })
            .collect()
    }
}

impl Drop for Shadow {
    fn drop(&mut self) {
        for block in self.blocks.values() {
            show(block.ptr, block.layout.size());
        }
    }
}

/// What blocks are filled with, from an offset on that is their own; twice, so that as much can be compared from
/// anywhere.
static PATTERN: [u8; 2 * PERIOD] = {
    let mut pattern = [0; 2 * PERIOD];
    let mut at = 0;
    while at < pattern.len() {
        pattern[at] = (at * 13 % PERIOD) as u8;
        at += 1;
    }
    pattern
};
const PERIOD: usize = 256;

impl Block {
    /// So much of a payload is looked at, at its start and at its end; of a large one, not the middle.
    const CHECKED: usize = 96;

    /// What is to be there, from `at` on, for at least [`PERIOD`] bytes.
    fn expected(self, at: usize) -> &'static [u8] {
        &PATTERN[(at + usize::from(self.seed)) % PERIOD..]
    }

    fn fill(self) {
        for at in (0..self.layout.size()).step_by(PERIOD) {
            let part = &self.expected(at)[..PERIOD.min(self.layout.size() - at)];
            // SAFETY: inside of a live allocation.
            unsafe { self.ptr.add(at).copy_from_nonoverlapping(part.as_ptr(), part.len()) };
        }
    }

    /// Checks the contents up to `size`, and hides the allocation.
    fn verify(self, size: usize) {
        show(self.ptr, size);
        let checked = size.min(Self::CHECKED);
        for start in [0, size - checked] {
            // SAFETY: inside of a live allocation, and written when it was made.
            let found = unsafe { core::slice::from_raw_parts(self.ptr.add(start), checked) };
            let expected = &self.expected(start)[..checked];
            if found != expected {
                let differs = found.iter().zip(expected).position(|(found, right)| found != right);
                panic!("{:p} + {} was overwritten", self.ptr, start + differs.unwrap());
            }
        }
        hide(self.ptr, size);
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use std::panic::catch_unwind;

    /// One byte at each place near the ends of blocks that are smaller and larger than what is looked at.
    #[test]
    fn what_is_overwritten_is_noticed() {
        for size in [1, 95, 96, 97, 150, 192, 1000] {
            let mut memory = std::vec![0_u8; size];
            let ptr = memory.as_mut_ptr();
            let heap = ptr as usize..ptr as usize + size;
            for at in (0..size).filter(|at| at + 96 >= size || *at < 96) {
                let mut shadow = Shadow::default();
                shadow.add(
                    ptr,
                    Layout::from_size_align(size, 1).unwrap(),
                    core::slice::from_ref(&heap),
                );
                shadow.verify();
                show(ptr, size);
                // SAFETY: inside of the memory.
                unsafe { *ptr.add(at) ^= 1 };
                let shadow = std::panic::AssertUnwindSafe(&shadow);
                let message = catch_unwind(|| shadow.verify()).unwrap_err();
                let message = message.downcast::<std::string::String>().unwrap();
                assert!(message.ends_with(&std::format!("+ {at} was overwritten")), "{message}");
            }
        }
    }
}
