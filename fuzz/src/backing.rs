//! An allocator for sources to take blocks from, which keeps books.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ops::Range;
use std::ptr::{null_mut, NonNull};

use allocator_api2::alloc::{AllocError, Allocator};

/// Allocates from the system, notes what, insists on getting it back with the layout it was
/// allocated with, and fails when it is told to.
#[derive(Debug, Default)]
pub struct Backing {
    blocks: RefCell<BTreeMap<usize, Layout>>,
    calls: Cell<usize>,
    calls_left: Cell<Option<usize>>,
}

impl Backing {
    /// Where the blocks are that have not been given back.
    pub fn blocks(&self) -> Vec<Range<usize>> {
        let blocks = self.blocks.borrow();
        blocks.iter().map(|(&addr, layout)| addr..addr + layout.size()).collect()
    }

    /// How many times anything was allocated or given back.
    pub fn calls(&self) -> usize {
        self.calls.get()
    }

    /// Fails each allocation after `calls` further ones; with `None`, none.
    pub fn fail_after(&self, calls: Option<usize>) {
        self.calls_left.set(calls);
    }

    fn take(&self, layout: Layout) -> *mut u8 {
        self.calls.set(self.calls.get() + 1);
        assert_ne!(layout.size(), 0, "a source must not ask for nothing");
        match self.calls_left.get() {
            Some(0) => return null_mut(),
            Some(calls) => self.calls_left.set(Some(calls - 1)),
            None => {}
        }
        if layout.size() > 1 << 28 {
            return null_mut();
        }
        // SAFETY: the size is not zero.
        let block = unsafe { System.alloc(layout) };
        if !block.is_null() {
            self.blocks.borrow_mut().insert(block as usize, layout);
        }
        block
    }

    /// # Safety
    /// Nothing may use the block any more.
    unsafe fn give_back(&self, block: *mut u8, layout: Layout) {
        self.calls.set(self.calls.get() + 1);
        let noted = self.blocks.borrow_mut().remove(&(block as usize));
        assert_eq!(noted, Some(layout), "a block comes back once, with its layout");
        // SAFETY: allocated by `take` with this layout.
        unsafe { System.dealloc(block, layout) };
    }
}

// SAFETY: the memory is the system allocator's.
unsafe impl GlobalAlloc for &'static Backing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.take(layout)
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: required of the caller.
        unsafe { self.give_back(block, layout) }
    }
}

// SAFETY: the memory is the system allocator's.
unsafe impl Allocator for Backing {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        let block = NonNull::new(self.take(layout)).ok_or(AllocError)?;
        Ok(NonNull::slice_from_raw_parts(block, layout.size()))
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: required of the caller.
        unsafe { self.give_back(block.as_ptr(), layout) }
    }
}
