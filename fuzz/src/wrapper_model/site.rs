//! A wrapper and the memory below it, as one value.

use std::ops::Range;

use talc_core::Part;

use super::config::{self, Config};
use super::ground::Ground;
use super::tested::Tested;
use crate::Backing;

/// An allocator of some kind, with the memory that it takes.
pub struct Site {
    config: Config,
    /// Taken when it is dropped.
    talc: Option<Box<dyn Tested>>,
    /// From a box, which `drop` takes back.
    ground: *mut Ground,
}

impl Site {
    /// Makes an allocator without a heap. Block sources take at least `block_size` bytes at a time.
    pub fn new(config: Config, backing: Backing, block_size: usize) -> Self {
        config::reset_hints();
        let ground = Box::into_raw(Box::new(Ground::new(backing)));
        // SAFETY: lives as long as the allocator, for which it is `'static`.
        let talc = Some(config.make(unsafe { &*ground }, block_size));
        Self { config, talc, ground }
    }

    /// Returns which one it is.
    pub fn config(&self) -> Config {
        self.config
    }

    /// Returns the allocator.
    pub fn talc(&self) -> &(dyn Tested + 'static) {
        self.talc.as_deref().expect("there is one until this is dropped")
    }

    /// Returns the memory.
    pub fn ground(&self) -> &Ground {
        // SAFETY: lives as long as `self`.
        unsafe { &*self.ground }
    }

    /// Returns where allocations may be.
    pub fn memory(&self) -> Vec<Range<usize>> {
        let mut memory = self.ground().memory();
        memory.push(self.talc().own_memory());
        memory
    }

    /// Checks, once everything is freed, that nothing is lost: blocks are back without a call of `trim`;
    /// after it, each heap is one gap.
    ///
    /// # Panics
    /// Panics if it is not so.
    pub fn check_all_is_free(&self) {
        if self.config.uses_backing() {
            // Only the block with the table is left, or one that is kept if none has the table.
            let blocks = self.ground().backing.blocks();
            assert!(blocks.len() <= 1, "free blocks must go back: {blocks:?}");
        }
        self.talc().trim();
        #[cfg(feature = "audit")]
        self.talc().check();
        #[cfg(feature = "counters")]
        assert_eq!(self.talc().count(), 0);
        let (mut heaps, mut gaps, mut tables) = (0, 0, 0);
        self.talc().visit(&mut |part| match part {
            Part::Base(_) => heaps += 1,
            Part::Gap { .. } => gaps += 1,
            // One can lie between two gaps.
            Part::Table { .. } => tables += 1,
            Part::End(_) => {}
            other => panic!("{other:?} is left"),
        });
        assert!(gaps <= heaps + tables, "{gaps} gaps in {heaps} heaps");
    }

    /// Drops the allocator, and checks that all blocks go back.
    ///
    /// # Panics
    /// Panics if they do not.
    pub fn finish(mut self) {
        self.talc = None;
        assert_eq!(self.ground().backing.blocks(), [], "blocks are leaked");
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        config::take_reserve();
        self.talc = None;
        // SAFETY: from a box, and the allocator that used it is dropped.
        drop(unsafe { Box::from_raw(self.ground) });
    }
}
