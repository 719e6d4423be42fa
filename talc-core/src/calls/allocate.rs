//! Allocating: a slot if the layout fits one, else a chunk.

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::{Bins, RawTalc};

impl<
        const LINEAR: usize,
        const PER_DOUBLING: usize,
        const WORDS: usize,
        const SLAB: usize,
        const CLASSES: usize,
        const INSIDE: usize,
    > RawTalc<Bins<LINEAR, PER_DOUBLING, WORDS, SLAB, CLASSES, INSIDE>>
{
    /// Allocates memory for `layout`. Returns `None`, and changes nothing, if it does not fit.
    ///
    /// A layout of size zero gets memory of its own, too. After `None`, [`trim`](Self::trim) may
    /// make room.
    ///
    /// # Complexity
    /// O(1). It takes the first gap of the first bin all of whose gaps fit. For requests of 32 KiB
    /// and more, and over-aligned ones, it first inspects a few gaps that may fit.
    ///
    /// Before it returns `None`, it inspects more gaps that may fit: up to
    /// [`SEARCH_LIMIT`](crate::SEARCH_LIMIT), and for an over-aligned layout the first one of each
    /// bin. So `None` does not prove that nothing fits: there may be a gap that does, behind
    /// `SEARCH_LIMIT` others of almost the size, or of up to the size plus the alignment.
    ///
    /// With [`CompactBins`](crate::CompactBins), it inspects only the first gap of each bin.
    pub fn try_allocate(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        let class = Self::class_of(layout);
        let block = if class < CLASSES {
            // SAFETY: the class is one.
            unsafe { self.allocate_small(class, layout) }
        } else {
            self.allocate_chunk(layout)
        };
        self.report();
        block
    }
}
