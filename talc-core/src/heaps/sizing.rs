//! How many bytes are enough. The only other size formulas are those of the table.

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::memory::chunk::{checked_chunk_size, max_front, CHUNK_UNIT};
use crate::memory::heap::{HeapEnd, ALIGNED_HEAP_OVERHEAD, HEAP_OVERHEAD};
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
    /// Returns how many bytes, [claimed](Self::claim) anywhere, make the next allocation succeed if
    /// it is of `layout`; `None` if no number does.
    ///
    /// # Complexity
    /// O(1).
    pub fn claim_size(&self, layout: Layout) -> Option<usize> {
        let size = gap_for(layout)?.checked_add(HEAP_OVERHEAD)?;
        size.checked_add(self.table_room(size))
    }

    /// Returns by how many bytes, at least [`CHUNK_UNIT`], a heap must be [extended](Self::extend)
    /// from `end` to make the next allocation succeed if it is of `layout`; `None` if no number
    /// does.
    ///
    /// Bytes that are free directly below the end count.
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
        let need = gap.front_for(layout.align()).checked_add(size)?;
        // Even if the gap is large enough: moving the end makes it the first one of its bin.
        let mut more = need.saturating_sub(free).max(CHUNK_UNIT);
        let heap_bytes = self.books().heap_bytes;
        if !self.suits(heap_bytes.saturating_add(more)) {
            // The table may take the start of the gap.
            let need = gap_for(layout)?;
            let room = self.table_room(heap_bytes.saturating_add(need));
            more = need.checked_add(room)?.saturating_sub(free).max(more);
        }
        (end.as_ptr() as usize).checked_add(more).map(|_| more)
    }

    /// Returns how many bytes [`claim_or_extend`](Self::claim_or_extend) must be given to make the
    /// next allocation succeed if it is of `layout`, and if the region begins at `end` or there is
    /// no `end`; `None` if no number does.
    ///
    /// Bytes that are free directly below the end count. So with an `end`, the result may be 0, or
    /// less than `claim_or_extend` needs for a region that does not begin there; sources bring
    /// whole pages, which are more. Without an `end`, it is at least
    /// [`MIN_FIRST_HEAP_SIZE`](crate::Bins::MIN_FIRST_HEAP_SIZE).
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
            Some(end) => {
                let room = self.table_room(self.books().heap_bytes.saturating_add(gap));
                // SAFETY: required of the caller.
                Some(gap.checked_add(room)?.saturating_sub(unsafe { self.free_below(end) }))
            }
            None => {
                let least =
                    Bins::<LINEAR, PER_DOUBLING, WORDS, SLAB, CLASSES, KEPT, INSIDE>::MIN_FIRST_HEAP_SIZE;
                let size = gap.checked_add(ALIGNED_HEAP_OVERHEAD)?;
                Some(size.checked_add(self.table_room(size))?.max(least))
            }
        }
    }

    /// Returns how many bytes are free directly below the end of a heap.
    ///
    /// # Safety
    /// `end` must be the current end of a heap of this `RawTalc`.
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
}

/// Returns the size of a gap that holds `layout`, wherever it is.
pub(crate) fn gap_for(layout: Layout) -> Option<usize> {
    checked_chunk_size(layout.size())?.checked_add(max_front(layout.align()))
}
