//! How many bytes are enough: the only size formulas there are.

use core::alloc::Layout;
use core::mem::size_of;
use core::ptr::NonNull;

use crate::bins::Binning;
use crate::chunk::{
    chunk_size, max_front, HeapEnd, CHUNK_UNIT, GRAIN, HEAP_OVERHEAD, MAX_REQUEST, WORD,
};
use crate::RawTalc;

/// How many bytes suffice for the first heap, wherever the region begins.
///
/// With exactly that many, all of the heap is the table, and nothing can be allocated yet.
///
/// ```
/// use talc_core::{min_first_heap_size, DefaultBinning};
///
/// static mut HEAP: [u8; min_first_heap_size::<DefaultBinning>() + 10_000] =
///     [0; min_first_heap_size::<DefaultBinning>() + 10_000];
/// ```
pub const fn min_first_heap_size<B>() -> usize {
    HEAP_OVERHEAD + chunk_size(size_of::<B>())
}

/// A layout that suffices for the first heap.
///
/// It is smaller than [`min_first_heap_size`], which has to allow for any alignment.
pub const fn min_first_heap_layout<B>() -> Layout {
    let size = min_first_heap_size::<B>() & !(GRAIN - 1);
    // SAFETY: `GRAIN` is a power of two, and `size`, that of a type and a bit more, is far from
    // the limit.
    unsafe { Layout::from_size_align_unchecked(size, GRAIN) }
}

impl<B: Binning> RawTalc<B> {
    /// How many bytes, [claimed](Self::claim) anywhere, make an allocation of `layout` succeed
    /// next; `None` if no number does.
    ///
    /// # Complexity
    /// O(1).
    pub fn claim_size(&self, layout: Layout) -> Option<usize> {
        let table = if self.is_metadata_established() { 0 } else { B::TABLE_CHUNK };
        gap_for(layout)?.checked_add(HEAP_OVERHEAD + table)
    }

    /// By how many bytes a heap must be [extended](Self::extend) from `end` to make an allocation
    /// of `layout` succeed next, which is at least [`CHUNK_UNIT`]; `None` if no number does. What
    /// is free just below the end is made use of.
    ///
    /// # Complexity
    /// O(1).
    ///
    /// # Safety
    /// `end` must be the current end of a heap of this `RawTalc`.
    pub unsafe fn extend_size(&self, end: NonNull<u8>, layout: Layout) -> Option<usize> {
        let sentinel = HeapEnd::from_public(end).sentinel();
        // SAFETY: a sentinel is below the end (I1), a gap below it has a footer (I5).
        let free = unsafe {
            if sentinel.header().is_below_free() {
                sentinel.size_below()
            } else {
                0
            }
        };
        if layout.size() > MAX_REQUEST {
            return None;
        }
        let gap = sentinel.below(free);
        let front = if layout.align() <= GRAIN { 0 } else { gap.front_for(layout.align()) };
        let more = front.checked_add(chunk_size(layout.size()))?.saturating_sub(free);
        // Even if the gap is large enough, moving the end makes it the first one of its bin.
        let more = more.max(CHUNK_UNIT);
        (end.as_ptr() as usize).checked_add(more).map(|_| more)
    }

    /// The size in bytes of the largest layout, of no special alignment, that fits into a gap;
    /// `None` if there is no gap.
    ///
    /// # Complexity
    /// O(n) in the gaps of one bin, the one of the largest gaps.
    pub fn largest_gap(&self) -> Option<usize> {
        if !self.is_metadata_established() {
            return None;
        }
        // SAFETY: the table exists; gaps come from the list of the bin (I7).
        unsafe {
            let bin = B::last(self.table())?;
            let mut gap = None;
            let mut largest = 0;
            while let Some(next) = B::next_gap(self.table(), bin, gap) {
                largest = largest.max(next.header().size());
                gap = Some(next);
            }
            Some(largest - WORD)
        }
    }
}

/// The size of a gap in which `layout` fits, wherever the gap is.
fn gap_for(layout: Layout) -> Option<usize> {
    if layout.size() > MAX_REQUEST {
        return None;
    }
    chunk_size(layout.size()).checked_add(max_front(layout.align()))
}
