//! dlmalloc: Doug Lea's allocator, with the arena as its system.

use super::{Contender, Kind};
use crate::arena::Region;
use std::alloc::Layout;
use std::cell::Cell;

/// Lends the arena to dlmalloc from the bottom up, so that its segments are adjacent and merge.
///
/// Each call returns everything that is left: of a fixed arena that is one segment, of a growing
/// one the step that was just added.
struct Lender {
    base: *mut u8,
    lent: Cell<usize>,
    size: usize,
}

// SAFETY: each replay happens on one thread; the trait asks for `Send` because its usual
// implementor is the operating system.
unsafe impl Send for Lender {}

// SAFETY: the ranges returned are disjoint parts of the arena, which outlives the allocator.
unsafe impl dlmalloc::Allocator for Lender {
    fn alloc(&self, size: usize) -> (*mut u8, usize, u32) {
        let start = self.lent.get();
        let left = self.size - start;
        if size > left {
            return (std::ptr::null_mut(), 0, 0);
        }
        self.lent.set(self.size);
        (self.base.wrapping_add(start), left, 0)
    }

    fn remap(&self, _: *mut u8, _: usize, _: usize, _: bool) -> *mut u8 {
        std::ptr::null_mut()
    }

    fn free_part(&self, _: *mut u8, _: usize, _: usize) -> bool {
        false
    }

    fn free(&self, _: *mut u8, _: usize) -> bool {
        false
    }

    fn can_release_part(&self, _: u32) -> bool {
        false
    }

    fn allocates_zeros(&self) -> bool {
        false
    }

    fn page_size(&self) -> usize {
        4096
    }
}

/// dlmalloc over the arena.
pub struct Dl(dlmalloc::Dlmalloc<Lender>);

impl Contender for Dl {
    const NAME: &'static str = "dlmalloc";
    const KIND: Kind = Kind::Peer;
    const GROWS: bool = true;

    unsafe fn over(arena: Region) -> Option<Self> {
        let lender = Lender { base: arena.base, lent: Cell::new(0), size: arena.size };
        let mut inner = dlmalloc::Dlmalloc::new_with_allocator(lender);
        // The smallest step: it may use any arena, however small, to the last bytes.
        inner.set_granularity(2 * size_of::<usize>()).then_some(Self(inner))
    }

    #[inline]
    unsafe fn alloc(&mut self, layout: Layout) -> *mut u8 {
        // SAFETY: the size is not zero.
        unsafe { self.0.malloc(layout.size(), layout.align()) }
    }

    #[inline]
    unsafe fn dealloc(&mut self, ptr: *mut u8, layout: Layout) {
        // SAFETY: `ptr` is live and has this layout.
        unsafe { self.0.free(ptr, layout.size(), layout.align()) };
    }

    #[inline]
    unsafe fn realloc(&mut self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: `ptr` is live and has this layout.
        unsafe { self.0.realloc(ptr, layout.size(), layout.align(), new_size) }
    }

    unsafe fn extend(&mut self, new_end: *mut u8) -> bool {
        let lender = self.0.allocator_mut();
        lender.size = new_end as usize - lender.base as usize;
        true
    }
}
