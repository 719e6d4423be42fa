//! Allocating: a slot if the layout fits one, else a chunk.

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::memory::chunk::{checked_chunk_size, GRAIN};
use crate::table::Table;
use crate::tuning::{GROWS_FROM, LARGE, ROOM_TO_GROW};
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
        if Self::KEEPS_SMALL_CHUNKS && layout.align() > GRAIN / 2 {
            return self.allocate_aligned(layout);
        }
        let class = Self::class_of(layout);
        let block = if class < Self::SMALL_CLASSES {
            // SAFETY: the class is one.
            unsafe { self.allocate_small(class, layout) }
        } else {
            match self.pop_chunk(layout) {
                // SAFETY: the class is one.
                None if class < CLASSES => unsafe { self.allocate_middling(class, layout) },
                None => self.allocate_chunk(layout),
                block => block,
            }
        };
        self.reported(block)
    }

    /// As [`try_allocate_anew`](Self::try_allocate_anew), for a layout that no slot is aligned for.
    #[inline(never)]
    fn allocate_aligned(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        if layout.align() <= GRAIN {
            let block = self.pop_small_chunk(layout, false);
            if block.is_some() {
                return self.reported(block);
            }
        }
        // Called last, so that this function needs no stack.
        let block = self.allocate_chunk(layout);
        self.reported(block)
    }

    /// Allocates memory for a block of `size` bytes that has to move because it grows: with room above it, if it may well
    /// grow again. Returns `None` if it may not, if there is no such memory, or if others would miss it;
    /// [`try_allocate`](Self::try_allocate) may find some then.
    ///
    /// Where gaps are reused by their size, there is no room to grow, and each growth is a move. So, as long as there is
    /// a gap that is large beside the heaps, this takes the start of a gap of at least eight times the size. It does so for
    /// blocks of 1 KiB and more whose size is doubled, which is how vectors grow. What else grows is as likely to shrink, and
    /// better off in memory that was in use a moment ago. [`CompactBins`](crate::CompactBins) and allocators without
    /// [magazines](Self::has_magazines) always return `None`.
    ///
    /// # Complexity
    /// O(1).
    #[inline]
    pub fn try_allocate_to_grow(&mut self, size: usize, layout: Layout) -> Option<NonNull<u8>> {
        // Most of what grows is smaller, and is told so at once.
        if !Self::GATES_KEPT || layout.size() < GROWS_FROM {
            return None;
        }
        self.allocate_with_room(size, layout)
    }

    /// As [`try_allocate_to_grow`](Self::try_allocate_to_grow), for what is not small.
    #[inline(never)]
    fn allocate_with_room(&mut self, size: usize, layout: Layout) -> Option<NonNull<u8>> {
        if layout.size() != size.wrapping_mul(2)
            || !self.is_roomy()
            || Self::class_of(layout) < CLASSES
            || layout.align() > GRAIN
        {
            return None;
        }
        let need = checked_chunk_size(layout.size())?;
        let room = need.checked_mul(ROOM_TO_GROW)?;
        if need >= LARGE {
            self.shut_if_tight_without(need);
            if !self.is_roomy() {
                return None;
            }
        }
        // SAFETY: heaps that are roomy have a table; the bin that is found is not empty (I8), and all its gaps are large
        // enough.
        let block = unsafe {
            let bin = Table::first_from(self.table(), Self::bin_above(room))?;
            self.allocate_first(bin, layout, need)
        };
        self.reported(block)
    }
}
