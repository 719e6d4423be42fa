//! Emptying all magazines, and looking for what is in them.

use core::ptr::NonNull;

use crate::memory::chunk::Chunk;
use crate::memory::magazine::Magazine;
use crate::memory::slab::{is_slot, Slab};
use crate::table::Table;
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
    /// Gives what is in the quarantine and in magazines back to slabs and gaps, until the top of a heap falls free. Returns the
    /// end of that heap; `None` if no block is left there.
    #[cold]
    pub(crate) fn empty_magazines(&mut self) -> Option<NonNull<u8>> {
        let touched = self.empty_quarantine();
        if touched.is_some() || !Self::HAS_MAGAZINES {
            return touched;
        }
        // SAFETY: what is in magazines is slots and chunks, and the allocator's (I15).
        unsafe {
            for class in 0..CLASSES {
                while let Some(slot) = self.pop_ready(class) {
                    let touched = self.free_slot(slot.as_ptr());
                    if touched.is_some() {
                        return touched;
                    }
                }
            }
        }
        self.empty_kept()
    }

    /// As [`empty_magazines`](Self::empty_magazines), for those of chunks.
    pub(super) fn empty_kept(&mut self) -> Option<NonNull<u8>> {
        // SAFETY: as there.
        unsafe {
            for index in 0..self.filled_count() {
                while let Some(chunk) = self.pop_kept(index) {
                    let header = chunk.header();
                    self.uncount_middling_chunk(header);
                    let touched = self.free(chunk, header);
                    if touched.is_some() {
                        return touched;
                    }
                }
            }
            if self.closing() != 0 {
                self.books_mut().roomy_bin_or_closing = 0;
            }
        }
        None
    }

    /// Gives all that is in magazines back.
    pub(crate) fn drain_magazines(&mut self) {
        while self.empty_magazines().is_some() {}
    }

    /// Calls `visitor` with each magazine: those of slots, then those of chunks, whose index it is given.
    pub(crate) fn for_each_magazine(&self, mut visitor: impl FnMut(&Magazine, Option<usize>)) {
        if !Self::HAS_MAGAZINES || !self.is_metadata_established() {
            return;
        }
        // SAFETY: the table exists, and has these magazines; nothing changes meanwhile.
        unsafe {
            for class in 0..CLASSES {
                let magazine = &*self.ready(class);
                if magazine.is_made() {
                    visitor(magazine, None);
                }
            }
            for index in 0..self.filled_count() {
                let magazine = &*Table::kept(self.table(), index);
                if magazine.is_made() {
                    visitor(magazine, Some(index));
                }
            }
        }
    }

    /// Calls `visitor` with the payload of each chunk in the magazine with that index, if there is one.
    pub(super) fn for_each_block_in_kept(&self, index: usize, visitor: impl FnMut(*mut u8)) {
        if index >= self.filled_count() {
            return;
        }
        // SAFETY: the table exists, and has this magazine; nothing changes meanwhile.
        let magazine = unsafe { &*Table::kept(self.table(), index) };
        if magazine.is_made() {
            magazine.all(self.while_within(visitor));
        }
    }

    /// Returns a function that calls `visitor` with a block, and returns `true`, if that lies between the bounds of the heaps.
    fn while_within<'a>(
        &'a self,
        mut visitor: impl FnMut(*mut u8) + 'a,
    ) -> impl FnMut(*mut u8) -> bool + 'a {
        move |block| {
            let is_block = self.is_within(block as usize, Magazine::MIN_BLOCK);
            if is_block {
                visitor(block);
            }
            is_block
        }
    }

    /// Calls `visitor` with each slot and each chunk's payload that is in a magazine or in the quarantine.
    fn for_each_free_block(&self, visitor: impl FnMut(*mut u8)) {
        let mut visit = self.while_within(visitor);
        self.for_each_magazine(|magazine, _| {
            magazine.all(&mut visit);
        });
        self.quarantine.all(&mut visit);
    }

    /// Returns whether a slot is in a magazine or in the quarantine.
    pub(crate) fn is_ready(&self, ptr: *mut u8) -> bool {
        let mut is_ready = false;
        self.for_each_free_block(|block| is_ready |= core::ptr::eq(block, ptr));
        is_ready
    }

    /// Returns how many slots of a slab are in magazines or in the quarantine.
    pub(crate) fn ready_slots_of(&self, slab: *mut Slab) -> usize {
        let mut count = 0;
        self.for_each_free_block(|block| {
            count += usize::from(is_slot(block) && Slab::of_slot(block, SLAB) == slab);
        });
        count
    }

    /// Returns the chunk directly below another one if it is in a magazine or in the quarantine, or is a slab of which
    /// all slots in use are.
    pub(crate) fn chunk_in_magazines_below(&self, chunk: Chunk) -> Option<Chunk> {
        let mut found = None;
        let mut slab = None;
        self.for_each_free_block(|block| {
            // SAFETY: these are slots, and payloads of chunks (I15, I16).
            unsafe {
                if !is_slot(block) {
                    let kept = Chunk::of_payload(block);
                    if kept.above(kept.header().size()) == chunk {
                        found = Some(kept);
                    }
                } else if Slab::chunk(Slab::of_slot(block, SLAB)).above(SLAB) == chunk {
                    slab = Some(Slab::of_slot(block, SLAB));
                }
            }
        });
        found.or_else(|| {
            let slab = slab?;
            // SAFETY: a slot in a magazine or in the quarantine belongs to a slab (I15, I16).
            unsafe {
                (Slab::in_use(slab, SLAB) == self.ready_slots_of(slab)).then(|| Slab::chunk(slab))
            }
        })
    }
}
