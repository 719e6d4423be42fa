//! Memory from a `GlobalAlloc`.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::NonNull;

use talc_core::RawTalc;

use crate::blocks::{Backing, Blocks};
use crate::{Binning, OutOfMemory, Source};

/// Brings memory in blocks from a [`GlobalAlloc`], and gives blocks back that have fallen empty:
/// all but one of the usual size, and all of them when it is dropped.
///
/// The block of the first heap, which holds the table, is kept until then.
///
/// Memory that `G` hands out must stay valid when the value of type `G` is moved: an allocator with
/// its memory inside of itself must be given by reference.
///
/// Heaps must not be managed by hand: [`MANUAL_HEAPS`](Source::MANUAL_HEAPS) is `false`.
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
#[derive(Debug)]
pub struct GlobalAllocSource<G: GlobalAlloc>(Blocks<Global<G>>);

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

impl<G: GlobalAlloc> GlobalAllocSource<G> {
    /// Takes blocks of 1 MiB or, for larger allocations, of a multiple of it.
    pub const fn new(allocator: G) -> Self {
        Self::with_block_size(allocator, 1 << 20)
    }

    /// Takes blocks of a multiple of `block_size` bytes.
    ///
    /// # Panics
    /// If `block_size` is not a power of two.
    pub const fn with_block_size(allocator: G, block_size: usize) -> Self {
        Self(Blocks::new(Global(allocator), block_size))
    }
}

// SAFETY: the blocks are new and belong to the source, which gives them back when they are empty.
unsafe impl<G: GlobalAlloc, B: Binning> Source<B> for GlobalAllocSource<G> {
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
