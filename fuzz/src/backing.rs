//! An allocator for sources to take blocks from, which keeps books.

use alloc::alloc::{alloc, dealloc};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::alloc::{GlobalAlloc, Layout};
use core::cell::{Cell, RefCell};
use core::ops::Range;
use core::ptr::{null_mut, NonNull};

use allocator_api2::alloc::{AllocError, Allocator};

/// Memory of a backing that does not allocate from the global allocator.
const REGION: Layout = match Layout::from_size_align(1 << 20, 1 << 20) {
    Ok(layout) => layout,
    Err(_) => panic!(),
};

/// Allocates from the global allocator or from a region of its own, records what, checks that it is returned
/// with the layout it was allocated with, and fails when it is told to.
#[derive(Debug, Default)]
pub struct Backing {
    /// Where blocks come from, if not from the global allocator.
    region: Option<NonNull<u8>>,
    blocks: RefCell<BTreeMap<usize, Layout>>,
    calls: Cell<usize>,
    calls_left: Cell<Option<usize>>,
    panics: Cell<bool>,
}

impl Backing {
    /// Returns a backing that places each block at the lowest free address of a region.
    ///
    /// Where its blocks are follows from the calls alone, so that an input that breaks something does
    /// so in every program. Unlike those of the global allocator, its blocks touch each other, and neither
    /// sanitizers nor valgrind tell them apart.
    pub fn in_region() -> Self {
        // SAFETY: the size is not zero.
        let region = NonNull::new(unsafe { alloc(REGION) });
        let mut backing = Self::default();
        backing.region = Some(region.expect("memory for the region"));
        backing
    }

    /// Returns where the blocks are that have not been returned.
    pub fn blocks(&self) -> Vec<Range<usize>> {
        let blocks = self.blocks.borrow();
        blocks.iter().map(|(&addr, layout)| addr..addr + layout.size()).collect()
    }

    /// Returns how many times anything was allocated or returned.
    pub fn calls(&self) -> usize {
        self.calls.get()
    }

    /// Fails each allocation after `calls` further ones; with `None`, none.
    pub fn fail_after(&self, calls: Option<usize>) {
        self.calls_left.set(calls);
        self.panics.set(false);
    }

    /// Panics at each allocation after `calls` further ones, until [`fail_after`](Self::fail_after) is called.
    pub fn panic_after(&self, calls: usize) {
        self.calls_left.set(Some(calls));
        self.panics.set(true);
    }

    fn take(&self, layout: Layout) -> *mut u8 {
        self.calls.set(self.calls.get() + 1);
        assert_ne!(layout.size(), 0, "a source must not ask for nothing");
        match self.calls_left.get() {
            Some(0) if self.panics.get() => panic!("the backing panics"),
            Some(0) => return null_mut(),
            Some(calls) => self.calls_left.set(Some(calls - 1)),
            None => {}
        }
        // The shadow fills each allocation: larger ones would take most of the time, where addresses have 32 bits.
        if layout.size() > 1 << 24 {
            return null_mut();
        }
        let block = match self.region {
            Some(region) => self.lowest(region, layout),
            // SAFETY: the size is not zero.
            None => unsafe { alloc(layout) },
        };
        if !block.is_null() {
            self.blocks.borrow_mut().insert(block as usize, layout);
        }
        block
    }

    /// Returns the lowest address in the region at which such a block fits, or null.
    fn lowest(&self, region: NonNull<u8>, layout: Layout) -> *mut u8 {
        if layout.align() > REGION.align() {
            return null_mut();
        }
        let base = region.as_ptr() as usize;
        let mut start = base;
        for block in self.blocks() {
            if start + layout.size() <= block.start {
                break;
            }
            start = block.end.next_multiple_of(layout.align());
        }
        if start + layout.size() > base + REGION.size() {
            return null_mut();
        }
        // SAFETY: from the base up to the end at most.
        unsafe { region.as_ptr().add(start - base) }
    }

    /// # Safety
    /// Nothing may use the block any more.
    unsafe fn give_back(&self, block: *mut u8, layout: Layout) {
        self.calls.set(self.calls.get() + 1);
        let noted = self.blocks.borrow_mut().remove(&(block as usize));
        assert_eq!(noted, Some(layout), "a block comes back once, with its layout");
        if self.region.is_none() {
            // SAFETY: allocated by `take` with this layout.
            unsafe { dealloc(block, layout) };
        }
    }
}

impl Drop for Backing {
    fn drop(&mut self) {
        if let Some(region) = self.region {
            // SAFETY: allocated with this layout; whoever owns this owns its blocks.
            unsafe { dealloc(region.as_ptr(), REGION) };
        }
    }
}

// SAFETY: the memory is the global allocator's; no part of it is handed out twice.
unsafe impl GlobalAlloc for &'static Backing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.take(layout)
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: required of the caller.
        unsafe { self.give_back(block, layout) }
    }
}

// SAFETY: the memory is the global allocator's; no part of it is handed out twice.
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
