//! The memory below the wrappers of a model: an allocator for block sources, and regions.

use std::alloc::{alloc, dealloc, Layout};
use std::ops::Range;

use crate::Backing;

/// Bytes in a region.
pub(super) const REGION: usize = 64 << 10;
/// The number of regions.
pub(super) const REGIONS: usize = 4;

const MEMORY: Layout = match Layout::from_size_align(REGIONS * REGION, REGION) {
    Ok(layout) => layout,
    Err(_) => panic!(),
};

/// Where sources get memory: blocks from a [`Backing`], or regions.
#[derive(Debug)]
pub struct Ground {
    /// What block sources ask.
    pub backing: Backing,
    memory: *mut u8,
}

impl Ground {
    /// Allocates the regions.
    pub fn new(backing: Backing) -> Self {
        // SAFETY: the layout has a size.
        let memory = unsafe { alloc(MEMORY) };
        assert!(!memory.is_null());
        Self { backing, memory }
    }

    /// Returns where a region begins. The last 4 KiB of each belong to nobody.
    pub fn region(&self, index: usize) -> (*mut u8, usize) {
        assert!(index < REGIONS);
        (self.memory.wrapping_add(index * REGION), REGION - 4096)
    }

    /// Returns where allocations may be.
    pub fn memory(&self) -> Vec<Range<usize>> {
        let mut memory = self.backing.blocks();
        memory.extend((0..REGIONS).map(|index| {
            let (base, size) = self.region(index);
            base as usize..base as usize + size
        }));
        memory
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout; whoever owns this owns the regions.
        unsafe { dealloc(self.memory, MEMORY) };
    }
}
