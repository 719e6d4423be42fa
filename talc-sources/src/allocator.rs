//! Memory from an `Allocator`.
#![cfg(feature = "allocator-api2")]

use core::alloc::Layout;
use core::ptr::NonNull;

use allocator_api2::alloc::Allocator;

use crate::blocks::{block_source, Backing, Blocks, USUAL_BLOCK};

block_source! {
    /// # Example
    ///
    /// ```
    /// use allocator_api2::alloc::{Layout, System};
    /// use talc_sources::{AllocatorSource, Talc};
    ///
    /// let mut talc = Talc::<_>::new(AllocatorSource::new(System));
    /// assert!(talc.allocate(Layout::new::<[usize; 500]>()).is_some());
    /// ```
    AllocatorSource<A: Allocator>, Api
}

impl<A: Allocator> AllocatorSource<A> {
    /// Creates a source that takes blocks of 1 MiB or, for larger allocations, of a multiple of it.
    pub const fn new(allocator: A) -> Self {
        Self::with_block_size(allocator, USUAL_BLOCK)
    }

    /// Creates a source that takes blocks of a multiple of `block_size` bytes.
    ///
    /// # Panics
    /// Panics if `block_size` is not a power of two.
    pub const fn with_block_size(allocator: A, block_size: usize) -> Self {
        Self(Blocks::new(Api(allocator), block_size))
    }
}

#[derive(Debug)]
struct Api<A>(A);

// SAFETY: this is what `Allocator` promises.
unsafe impl<A: Allocator> Backing for Api<A> {
    fn allocate(&self, layout: Layout) -> Option<NonNull<u8>> {
        self.0.allocate(layout).ok().map(NonNull::cast)
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: required of the caller.
        unsafe { self.0.deallocate(block, layout) }
    }
}
