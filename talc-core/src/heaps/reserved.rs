//! How much of a heap is in use, and being told when nothing is.

use core::ptr::{null_mut, NonNull};

use crate::memory::heap::HeapEnd;
use crate::slots::vacancy::Top;
use crate::{Bins, RawTalc};

/// How much of a heap is in use. Returned by [`RawTalc::reserved`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reserved {
    /// The end of the reserved part of the heap, which is the lowest end that
    /// [`truncate`](RawTalc::truncate) can give it.
    pub up_to: NonNull<u8>,
    /// Whether any part of the heap is reserved. If not, a truncation down to `up_to` removes the
    /// heap.
    pub any: bool,
}

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
    /// Returns how much of a heap is in use, and so how far down it can be truncated.
    ///
    /// Slabs that are empty but kept for the next allocation are not in use, nor is what is in a magazine.
    ///
    /// # Complexity
    /// O(1); and O(classes) for each such slab, and O(magazines) for each chunk in one, at the top of the
    /// heap.
    ///
    /// # Safety
    /// `end` must be the current end of a heap of this `RawTalc`.
    pub unsafe fn reserved(&self, end: NonNull<u8>) -> Reserved {
        // SAFETY: required of the caller.
        unsafe { self.reserved_below(&self.top(HeapEnd::from_public(end))) }
    }

    /// Returns what [`reserved`](Self::reserved) does, and makes sure that the deallocation that
    /// leaves nothing in use in this heap returns its end.
    ///
    /// The driver of `talc-sources` calls it before it tells a source that the top of a heap is
    /// free. A source calls it for a heap that was free and is kept. In WebAssembly, it makes sure
    /// of nothing with [`CompactBins`](crate::CompactBins).
    ///
    /// # Complexity
    /// As for [`reserved`](Self::reserved).
    ///
    /// # Safety
    /// `end` must be the current end of a heap of this `RawTalc`.
    pub unsafe fn watch(&mut self, end: NonNull<u8>) -> Reserved {
        // SAFETY: required of the caller.
        unsafe {
            let top = self.top(HeapEnd::from_public(end));
            Self::watch_slab(&top);
            self.reserved_below(&top)
        }
    }

    /// Makes every deallocation that empties a slab, or leaves a gap of at least `room` bytes, return `end`,
    /// unless it has another heap end to return. A gap of half of `room` may do. `None` ends this.
    ///
    /// This is for sources that keep a free heap until there is room elsewhere: as long as
    /// something is in use at the top of each other heap, nothing else tells them. Gaps of less than four
    /// slabs may go unnoticed. It does nothing without slabs, nor with [`CompactBins`](crate::CompactBins) in WebAssembly.
    ///
    /// # Complexity
    /// O(1).
    ///
    /// # Safety
    /// - There must be a heap.
    /// - `end`, if it is given, must be the current end of a heap of this `RawTalc`. This method
    ///   must be called again before that changes.
    pub unsafe fn remind(&mut self, end: Option<NonNull<u8>>, room: usize) {
        if Self::WATCHES && self.has_slab_books() {
            // SAFETY: there are books of slabs.
            let books = unsafe { self.slab_books_mut() };
            books.reminder = end.map_or(null_mut(), NonNull::as_ptr);
            books.reminder_log2 = (usize::BITS - 1 - (room | 1).leading_zeros()) as u16;
        }
    }

    /// Returns what is reserved below the top of a heap. If the table is directly below, it counts
    /// as moved down as far as it can be.
    ///
    /// # Safety
    /// `top` must be what is free at the top of a heap.
    unsafe fn reserved_below(&self, top: &Top) -> Reserved {
        let mut up_to = top.lowest;
        if !Self::IS_TABLE_INSIDE {
            // SAFETY: there is a heap, and so a table (I10).
            unsafe {
                let table = Self::chunk_of_table(self.table());
                let size = table.header().size();
                if table.above(size) == up_to {
                    up_to = self.free_below_chunk(table).lowest.above(size);
                }
            }
        }
        Reserved { up_to: HeapEnd::of_sentinel(up_to).public(), any: !top.is_all }
    }

    /// Returns what is free at the top of a heap.
    ///
    /// # Safety
    /// `end` must be the current end of a heap.
    unsafe fn top(&self, end: HeapEnd) -> Top {
        // SAFETY: a sentinel is below the end (I1).
        unsafe {
            let sentinel = end.sentinel();
            if self.is_heap_end(end.public()) {
                self.free_below_chunk(sentinel)
            } else {
                Top { lowest: sentinel, is_all: false, slab: None }
            }
        }
    }
}
