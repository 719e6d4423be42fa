//! How many bytes are enough: the only size formulas there are.

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::bins::Binning;
use crate::chunk::{
    checked_chunk_size, max_front, Chunk, HeapEnd, ALIGNED_HEAP_OVERHEAD, CHUNK_UNIT, GRAIN,
    HEAP_OVERHEAD, WORD,
};
use crate::RawTalc;

/// How many bytes suffice for the first heap, wherever the region begins.
///
/// With exactly that many, all of the heap may be the table, and nothing can be allocated yet. With
/// [`CompactBins`](crate::CompactBins), whose table is not in the heap, it is one chunk.
///
/// ```
/// use talc_core::{min_first_heap_size, DefaultBinning};
///
/// static mut HEAP: [u8; min_first_heap_size::<DefaultBinning>() + 10_000] =
///     [0; min_first_heap_size::<DefaultBinning>() + 10_000];
/// ```
pub const fn min_first_heap_size<B: Binning>() -> usize {
    HEAP_OVERHEAD + if B::TABLE_CHUNK == 0 { CHUNK_UNIT } else { B::TABLE_CHUNK }
}

/// A layout that suffices for the first heap.
///
/// It is smaller than [`min_first_heap_size`], which has to allow for any alignment.
pub const fn min_first_heap_layout<B: Binning>() -> Layout {
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
        gap_for(layout)?.checked_add(HEAP_OVERHEAD + self.missing_table())
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
        let size = checked_chunk_size(layout.size())?;
        // SAFETY: required of the caller; what is free below the sentinel lies in the heap.
        let (free, gap) = unsafe {
            let free = self.free_below(end);
            (free, HeapEnd::from_public(end).sentinel().below(free))
        };
        let front = gap.front_for(layout.align());
        let more = front.checked_add(size)?.saturating_sub(free);
        // Even if the gap is large enough, moving the end makes it the first one of its bin.
        let more = more.max(CHUNK_UNIT);
        (end.as_ptr() as usize).checked_add(more).map(|_| more)
    }

    /// How many bytes [`claim_or_extend`](Self::claim_or_extend) must be given to make an allocation
    /// of `layout` succeed next, if the region begins at `end`, or there is no `end`; `None` if no
    /// number does. What is free just below the end is made use of.
    ///
    /// With an `end`, it may be 0, or less than a heap of its own needs, which is what the region
    /// becomes if it does not begin at `end`: sources bring more than that, whole pages. Without, it
    /// is at least [`min_first_heap_size`].
    ///
    /// # Complexity
    /// O(1).
    ///
    /// # Safety
    /// `end`, if there is one, must be the current end of a heap of this `RawTalc`.
    pub unsafe fn claim_or_extend_size(
        &self,
        end: Option<NonNull<u8>>,
        layout: Layout,
    ) -> Option<usize> {
        let gap = gap_for(layout)?;
        match end {
            // SAFETY: required of the caller.
            Some(end) => Some(gap.saturating_sub(unsafe { self.free_below(end) })),
            None => gap
                .checked_add(ALIGNED_HEAP_OVERHEAD + self.missing_table())
                .map(|size| size.max(min_first_heap_size::<B>())),
        }
    }

    /// How many bytes the next heap needs for the table.
    fn missing_table(&self) -> usize {
        if self.is_metadata_established() {
            0
        } else {
            B::TABLE_CHUNK
        }
    }

    /// How many bytes are free just below the end of a heap.
    ///
    /// # Safety
    /// `end` must be the current end of a heap of this `RawTalc`.
    #[inline]
    unsafe fn free_below(&self, end: NonNull<u8>) -> usize {
        // SAFETY: a sentinel is below the end (I1), a gap below it has a footer (I5).
        unsafe {
            let sentinel = HeapEnd::from_public(end).sentinel();
            if self.is_heap_end(end) && sentinel.header().is_below_free() {
                sentinel.size_below()
            } else {
                0
            }
        }
    }

    /// Whether a gap surely holds `layout`, other than those from `beside.0` up to `beside.1`, if they
    /// are given. `false` is no proof that nothing does: an allocation also looks at gaps that may fit,
    /// and this only at the first few ones.
    ///
    /// # Complexity
    /// O(1).
    pub fn has_gap_for(
        &mut self,
        layout: Layout,
        beside: Option<(NonNull<u8>, NonNull<u8>)>,
    ) -> bool {
        let bin = match gap_for(layout) {
            Some(size) => B::bin_above(size),
            None => return false,
        };
        let (start, end) =
            beside.map_or((0, 0), |(start, end)| (start.as_ptr() as usize, end.as_ptr() as usize));
        let is_elsewhere = |gap: Chunk, _| gap.addr() < start || gap.addr() >= end;
        self.search(bin, GAPS, usize::MAX, is_elsewhere).is_some()
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

/// How many gaps [`RawTalc::has_gap_for`] looks at.
const GAPS: usize = 8;

/// The size of a gap in which `layout` fits, wherever the gap is.
fn gap_for(layout: Layout) -> Option<usize> {
    checked_chunk_size(layout.size())?.checked_add(max_front(layout.align()))
}
