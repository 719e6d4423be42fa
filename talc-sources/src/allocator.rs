//! Memory from an `Allocator`.
#![cfg(feature = "allocator-api2")]

use core::alloc::Layout;
use core::ptr::NonNull;

use allocator_api2::alloc::Allocator;

use crate::blocks::{block_source, Backing};

block_source! {
    /// # Example
    ///
    /// ```
    /// use allocator_api2::alloc::{Layout, System};
    /// use talc_sources::{AllocatorSource, Talc};
    ///
    /// let mut talc = Talc::<_>::new(AllocatorSource::new(System));
    /// assert!(unsafe { talc.allocate(Layout::new::<[usize; 500]>()) }.is_some());
    /// ```
    AllocatorSource<A: Allocator>, Api
}

#[derive(Debug)]
struct Api<A>(A);

impl<A: Allocator> Backing for Api<A> {
    fn allocate(&self, layout: Layout) -> Option<NonNull<u8>> {
        self.0.allocate(layout).ok().map(NonNull::cast)
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: required of the caller.
        unsafe { self.0.deallocate(block, layout) }
    }
}
