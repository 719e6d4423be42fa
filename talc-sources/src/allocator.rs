//! Memory from an `Allocator`.
#![cfg(feature = "allocator-api2")]

use core::alloc::Layout;
use core::ptr::NonNull;

use allocator_api2::alloc::Allocator;
use talc_core::RawTalc;

use crate::blocks::{Backing, Blocks};
use crate::{Binning, OutOfMemory, Source};

/// Brings memory in blocks from an [`Allocator`], and gives blocks back that have fallen empty:
/// all but one of the usual size, and all of them when it is dropped.
///
/// The block of the first heap, which holds the table, is kept until then.
///
/// Heaps must not be managed by hand: [`MANUAL_HEAPS`](Source::MANUAL_HEAPS) is `false`.
///
/// # Example
///
/// ```
/// use allocator_api2::alloc::{Layout, System};
/// use talc_sources::{AllocatorSource, Talc};
///
/// let mut talc = Talc::<_>::new(AllocatorSource::new(System));
/// assert!(unsafe { talc.allocate(Layout::new::<[usize; 500]>()) }.is_some());
/// ```
#[derive(Debug)]
pub struct AllocatorSource<A: Allocator>(Blocks<Api<A>>);

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

impl<A: Allocator> AllocatorSource<A> {
    /// Takes blocks of 1 MiB or, for larger allocations, of a multiple of it.
    pub const fn new(allocator: A) -> Self {
        Self::with_block_size(allocator, 1 << 20)
    }

    /// Takes blocks of a multiple of `block_size` bytes.
    ///
    /// # Panics
    /// If `block_size` is not a power of two.
    pub const fn with_block_size(allocator: A, block_size: usize) -> Self {
        Self(Blocks::new(Api(allocator), block_size))
    }
}

// SAFETY: the blocks are new and belong to the source, which gives them back when they are empty.
unsafe impl<A: Allocator, B: Binning> Source<B> for AllocatorSource<A> {
    const MANUAL_HEAPS: bool = false;

    unsafe fn acquire(&mut self, talc: &mut RawTalc<B>, layout: Layout) -> Result<(), OutOfMemory> {
        self.0.acquire(talc, layout)
    }

    #[inline]
    unsafe fn release(&mut self, talc: &mut RawTalc<B>, end: NonNull<u8>) {
        // SAFETY: all heaps are this source's, as they must not be managed by hand.
        unsafe { self.0.release(talc, end) }
    }
}
