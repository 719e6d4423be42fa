//! Giving memory back: moving the end of a heap down.

use core::ptr::NonNull;

use crate::memory::chunk::{CHUNK_UNIT, GRAIN};
use crate::memory::header::Header;
use crate::memory::heap::{HeapBase, HeapEnd};
use crate::{Bins, Counters, RawTalc};

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
    /// Moves the end of a heap down to `new_end`, or to the end of what is
    /// [reserved](Self::reserved) if that is higher. Returns the new end; `None` if the heap is
    /// gone, because nothing is reserved and not even the smallest chunk would be left.
    ///
    /// The new end may be less than [`CHUNK_UNIT`]` + 16` bytes below `new_end`. A `new_end` that
    /// is not below `end` does nothing. Null truncates as far as possible.
    ///
    /// The memory from the new end up to `end` is the caller's again; if the heap is gone, all of
    /// its region. The heap that holds the table is never gone: the table is reserved, but is moved
    /// down if there is room for it below.
    ///
    /// # Complexity
    /// O(1), and O(classes) for each empty slab that was kept above `new_end`; O(bins) if the table
    /// is moved. All magazines are emptied first.
    ///
    /// # Safety
    /// `end` must be the current end of a heap of this `RawTalc`.
    #[must_use = "the heap end may have moved, and the heap may be gone"]
    pub unsafe fn truncate(&mut self, end: NonNull<u8>, new_end: *mut u8) -> Option<NonNull<u8>> {
        // SAFETY: required of the caller.
        let new_end = unsafe { self.truncate_heap(end, new_end) };
        self.report();
        new_end
    }

    /// As [`truncate`](Self::truncate), without reporting.
    ///
    /// # Safety
    /// As for [`truncate`](Self::truncate).
    unsafe fn truncate_heap(&mut self, end: NonNull<u8>, new_end: *mut u8) -> Option<NonNull<u8>> {
        let old = HeapEnd::from_public(end);
        // SAFETY: a sentinel is below the end (I1), a gap below it has a footer (I5). There is a
        // heap, and so a table (I10).
        unsafe {
            if self.is_misused_end(end) || new_end as usize >= old.addr() {
                return Some(end);
            }
            // A heap end moves by nothing or by at least `CHUNK_UNIT`.
            let target = (new_end as usize & !(GRAIN - 1)).min(old.addr() - CHUNK_UNIT);
            self.drain_magazines();
            self.close_slabs_below(old.sentinel(), target);
            self.lower_table(old.sentinel(), target);
            let gap = match self.gap_below(old.sentinel()) {
                Some(gap) => gap,
                None => return Some(end),
            };
            let header = gap.header();
            self.remove_gap(gap, header.size());

            let lowest = HeapEnd::of_sentinel(gap);
            let kept = target.saturating_sub(lowest.addr());
            if kept < CHUNK_UNIT && header.is_base() {
                let heap = HeapBase::of_first_chunk(gap);
                self.unlist_heap(heap);
                self.note_release(old.addr() - heap as usize);
                self.tally.record(Counters::heap_removed);
                self.adjust_magazines();
                return None;
            }
            let new = if kept < CHUNK_UNIT { lowest } else { old.at(target) };
            new.sentinel().set_header(Header::SENTINEL);
            if kept >= CHUNK_UNIT {
                self.free(gap, Header::allocated(kept, header.below()));
            }
            self.note_release(old.addr() - new.addr());
            self.adjust_magazines();
            Some(new.public())
        }
    }

    /// [Extends](Self::extend) or [truncates](Self::truncate) a heap, depending on whether
    /// `new_end` is above or below `end`.
    ///
    /// # Complexity
    /// As for the method that is called.
    ///
    /// # Safety
    /// As for the method that is called.
    #[must_use = "the heap end may have moved, and the heap may be gone"]
    pub unsafe fn resize(&mut self, end: NonNull<u8>, new_end: *mut u8) -> Option<NonNull<u8>> {
        // SAFETY: required of the caller.
        unsafe {
            if new_end < end.as_ptr() {
                self.truncate(end, new_end)
            } else {
                Some(self.extend(end, new_end))
            }
        }
    }
}
