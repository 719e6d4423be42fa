//! Memory from a `GlobalAlloc`.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::NonNull;

use crate::blocks::{block_source, Backing};

block_source! {
    /// Memory that `G` hands out must stay valid when the value of type `G` is moved: an allocator
    /// with its memory inside of itself must be given by reference.
    ///
    /// # Example
    ///
    /// ```
    /// use std::alloc::{Layout, System};
    /// use talc_sources::{GlobalAllocSource, Talc};
    ///
    /// let mut talc = Talc::<_>::new(GlobalAllocSource::new(System));
    /// assert!(unsafe { talc.allocate(Layout::new::<[usize; 500]>()) }.is_some());
    /// ```
    GlobalAllocSource<G: GlobalAlloc>, Global
}

#[derive(Debug)]
struct Global<G>(G);

impl<G: GlobalAlloc> Backing for Global<G> {
    fn allocate(&self, layout: Layout) -> Option<NonNull<u8>> {
        // SAFETY: the size of a block is not zero.
        NonNull::new(unsafe { self.0.alloc(layout) })
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: required of the caller.
        unsafe { self.0.dealloc(block.as_ptr(), layout) }
    }
}
