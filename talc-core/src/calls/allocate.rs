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
        const KEPT: usize,
        const INSIDE: usize,
    > RawTalc<Bins<LINEAR, PER_DOUBLING, WORDS, SLAB, CLASSES, KEPT, INSIDE>>
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
    /// All magazines and the [quarantine](Self::set_quarantine) are emptied before it returns `None`.
    ///
    /// With [`CompactBins`](crate::CompactBins), it inspects
    /// [`COMPACT_SEARCH_LIMIT`](crate::COMPACT_SEARCH_LIMIT) gaps of the bin of its size and one of each larger one; if it
    /// is over-aligned, one of each.
    #[inline]
    pub fn try_allocate(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        match self.try_allocate_ready(layout) {
            // Called last, so that this function needs no stack.
            None => self.try_allocate_anew(layout),
            block => block,
        }
    }

    /// Allocates memory for `layout` if it is in a magazine, ready to be handed out. Returns `None` if it is
    /// not; [`try_allocate`](Self::try_allocate) may find memory then.
    ///
    /// This is the short way, for callers that want it inline.
    ///
    /// # Complexity
    /// O(1).
    #[inline]
    pub fn try_allocate_ready(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        if !Self::HAS_MAGAZINES {
            return None;
        }
        let class = Self::class_of(layout);
        if class >= CLASSES {
            return None;
        }
        // SAFETY: the class is one.
        unsafe { self.pop_slot(class, layout) }
    }

    /// Allocates memory for `layout` of which none is [ready](Self::try_allocate_ready). Otherwise it is
    /// [`try_allocate`](Self::try_allocate).
    ///
    /// # Complexity
    /// As for [`try_allocate`](Self::try_allocate).
    #[inline]
    pub fn try_allocate_anew(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        let class = Self::class_of(layout);
        let block = if class < CLASSES {
            // SAFETY: the class is one.
            unsafe { self.allocate_small(class, layout) }
        } else {
            match self.pop_chunk(layout) {
                None => self.allocate_chunk(layout),
                block => block,
            }
        };
        self.reported(block)
    }
}
