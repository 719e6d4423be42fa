//! Allocating: a slot if the layout fits one, else a chunk.

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::{Bins, RawTalc};

impl<
        const L: usize,
        const P: usize,
        const W: usize,
        const S: usize,
        const C: usize,
        const I: usize,
    > RawTalc<Bins<L, P, W, S, C, I>>
{
    /// Allocates memory for `layout`. Returns `None` and changes nothing if it does not fit.
    ///
    /// A layout of size zero gets memory of its own, too. After `None`, [`trim`](Self::trim) may
    /// make room.
    ///
    /// # Complexity
    /// O(1): the first gap of the first bin all of whose gaps fit; for requests of 32 KiB and more,
    /// and over-aligned ones, after a look at the first few gaps that may fit.
    ///
    /// Before it returns `None` it also inspects gaps that may fit: up to
    /// [`SEARCH_LIMIT`](crate::SEARCH_LIMIT), and for an over-aligned layout the first one of each bin. So
    /// `None` can mean that a gap would have fitted among more than `SEARCH_LIMIT` of almost its size, or
    /// of up to its size and alignment.
    ///
    /// With [`CompactBins`](crate::CompactBins) it only ever inspects the first gap of each bin.
    #[inline]
    pub fn try_allocate(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        let class = Self::class_of(layout);
        let block = if class < Self::CLASSES {
            // SAFETY: the class is one.
            unsafe { self.allocate_small(class, layout) }
        } else {
            self.allocate_chunk(layout)
        };
        self.report();
        block
    }
}
