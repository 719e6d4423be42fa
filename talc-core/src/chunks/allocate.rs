//! Allocating a chunk.

use core::alloc::Layout;
use core::ptr::NonNull;

use super::search::Gap;
use crate::memory::chunk::{checked_chunk_size, Chunk, CHUNK_UNIT, GRAIN};
use crate::table::Table;
use crate::tier::{CHECKS, QUARANTINES};
use crate::tuning::LARGE;
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
    /// Allocates a chunk out of a gap.
    pub(crate) fn allocate_chunk(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        let need = checked_chunk_size(layout.size())?;
        if Self::SEARCHES_LISTS && layout.align() <= GRAIN && need < LARGE {
            // SAFETY: where a bit is set, there is a table; the bin that is found is not empty (I8),
            // and all its gaps are large enough.
            unsafe {
                if let Some(bin) = Table::first_from(self.table(), Self::bin_above(need)) {
                    return self.allocate_first(bin, layout, need);
                }
            }
        }
        // Out of line and called last, so that this function needs no stack.
        self.allocate_with_search(layout, need)
    }

    /// Allocates a chunk out of the first gap of a bin. Returns `None` if it is damaged.
    ///
    /// # Safety
    /// As for [`take_first`](Self::take_first). `need` must be the size of a chunk for `layout`, which must not be
    /// over-aligned.
    #[inline]
    pub(crate) unsafe fn allocate_first(
        &mut self,
        bin: usize,
        layout: Layout,
        need: usize,
    ) -> Option<NonNull<u8>> {
        // SAFETY: required of the caller.
        unsafe {
            if CHECKS && !self.first_is_sound(bin) {
                return None;
            }
            self.tally.record(|counters| counters.allocated(layout.size()));
            Some(self.take_first(bin, need).allocation(layout.size()))
        }
    }

    /// Allocates a chunk by a search: for large and over-aligned layouts, for small ones if no gap
    /// is surely large enough, and with compact bins for all, to have one way only.
    #[cold]
    fn allocate_with_search(&mut self, layout: Layout, need: usize) -> Option<NonNull<u8>> {
        let align = layout.align();
        if need >= LARGE {
            self.shut_if_tight_without(need);
            if self.closing() != 0 {
                self.close_some();
            }
        }
        let mut chunk = self.find_chunk(need, align);
        if (Self::HAS_MAGAZINES || QUARANTINES) && chunk.is_none() {
            self.drain_magazines();
            chunk = self.find_chunk(need, align);
        }
        let chunk = chunk?;
        self.tally.record(|counters| counters.allocated(layout.size()));
        // SAFETY: it has been taken out of a gap.
        Some(unsafe { chunk.allocation(layout.size()) })
    }

    /// Takes an aligned chunk out of a gap that a search finds.
    fn find_chunk(&mut self, need: usize, align: usize) -> Option<Chunk> {
        if Self::SEARCHES_LISTS {
            let gap = self.search_lists_for(need, align)?;
            // SAFETY: the search finds gaps that are large enough.
            Some(unsafe { self.take(gap, gap.chunk.front_for(align), need) })
        } else if SLAB == 0 {
            // The only caller, so it has the code itself: 24 bytes less on Cortex-M3.
            self.take_from_heads_here(need, align, false)
        } else {
            self.take_from_heads(need, align, false)
        }
    }

    /// Takes a chunk of exactly the size of a slab, aligned to it, that leaves a gap or nothing on
    /// both sides.
    pub(crate) fn take_slab(&mut self) -> Option<Chunk> {
        if !Self::SEARCHES_LISTS {
            return self.take_from_heads(SLAB, SLAB, true);
        }
        let (gap, front) = self.search_lists_for_slab()?;
        // SAFETY: the gap is large enough, and the front such that there is no hole.
        unsafe { Some(self.take(gap, front, SLAB)) }
    }

    /// Takes an aligned chunk from the first gap of a bin, and nothing more than `need` if it
    /// `is_exact`. Out of line, so that all callers share the code.
    #[inline(never)]
    fn take_from_heads(&mut self, need: usize, align: usize, is_exact: bool) -> Option<Chunk> {
        self.take_from_heads_here(need, align, is_exact)
    }

    /// As [`take_from_heads`](Self::take_from_heads).
    #[inline]
    fn take_from_heads_here(&mut self, need: usize, align: usize, is_exact: bool) -> Option<Chunk> {
        let gap = self.search_heads(need, align, is_exact)?;
        // SAFETY: the search finds gaps that are large enough.
        unsafe { Some(self.take(gap, gap.chunk.front_for(align), need)) }
    }

    /// Finds a gap that holds a slab. Returns it with the number of its bytes below the slab, which are as many
    /// as possible.
    fn search_lists_for_slab(&mut self) -> Option<(Gap, usize)> {
        let front = |gap: Gap| Some((gap, gap.chunk.front_for_slab(gap.size, SLAB)?));
        // A gap of about a slab's size was often a slab before.
        let gap = self.search(Self::bin_of(SLAB), 1, 1, |_| true)?;
        front(gap).or_else(|| {
            // One of twice the size holds a slab wherever it begins.
            front(self.search(Self::bin_above(2 * SLAB + CHUNK_UNIT), 1, 1, |_| true)?)
        })
    }
}
