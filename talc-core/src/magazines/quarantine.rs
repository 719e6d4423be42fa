//! Keeping freed blocks back, so that they are handed out again as late as possible.

use core::ptr::NonNull;

use crate::memory::chunk::{Chunk, CHUNK_UNIT, WORD};
use crate::memory::fill::{fill_block, LIMIT};
use crate::memory::quarantine::Overwritten;
use crate::memory::slab::{is_slot, Slab, Tag};
use crate::tier::QUARANTINES;
use crate::{Bins, Misuse, RawTalc};

impl<B> RawTalc<B> {
    /// Sets how many of the blocks that were freed last are kept back: the quarantine. 0, as at first, keeps back none.
    ///
    /// A double free, or a write to freed memory, is found as long as nobody else owns the memory: with a quarantine,
    /// that is so until as many more blocks have been freed. Blocks of more than 8 KiB are not kept back. Before an
    /// allocation fails, and before it asks anyone for memory, all of them are freed. [`trim`](RawTalc::trim) and
    /// [`truncate`](RawTalc::truncate) free them, too.
    ///
    /// If `blocks` is less than before, those that are too many stay until then.
    ///
    /// Does nothing in builds without the feature `hardened-full`.
    ///
    /// # Complexity
    /// O(1). A deallocation then frees another block instead of its own.
    pub fn set_quarantine(&mut self, blocks: usize) {
        self.quarantine.set_room(blocks);
    }

    /// Returns whether freed blocks are [kept back](Self::set_quarantine), or were and still are.
    pub fn has_quarantine(&self) -> bool {
        self.quarantine.is_open() || self.quarantine.count() != 0
    }
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
    /// Puts a block into the quarantine, and gives the oldest one there back if there are too many. Returns what
    /// [`deallocate`](Self::deallocate) does.
    ///
    /// # Safety
    /// `ptr` must be a slot in use (I12) or the payload of an allocated chunk (I2), and its owner gives it up.
    #[inline(never)]
    pub(crate) unsafe fn give_back_late(&mut self, ptr: *mut u8) -> Option<NonNull<u8>> {
        // The round trip through an address takes up the provenance that `claim` exposed.
        let block = ptr as usize as *mut u8;
        // SAFETY: required of the caller; what is in the quarantine is the allocator's (I16).
        let touched = unsafe {
            let size = Self::size_of_block(block);
            if size > LIMIT {
                self.give_back_now(block, true)
            } else {
                fill_block(block, size);
                if let Err(Overwritten(newest)) = self.quarantine.push(block) {
                    self.note(Misuse::Damaged, newest);
                }
                self.count_quarantined(block, true);
                if self.quarantine.is_over() {
                    self.release(true)
                } else {
                    None
                }
            }
        };
        self.reported(touched)
    }

    /// Gives what is in the quarantine back to slabs and gaps, until the top of a heap falls free. Returns the end of
    /// that heap; `None` if nothing is left in it.
    #[cold]
    pub(crate) fn empty_quarantine(&mut self) -> Option<NonNull<u8>> {
        while self.quarantine.count() != 0 {
            // SAFETY: what is in the quarantine is the allocator's, in heaps that it has (I16).
            let touched = unsafe { self.release(false) };
            if touched.is_some() {
                return touched;
            }
        }
        None
    }

    /// Gives the oldest block in the quarantine back, unless something is wrong with it: to its magazine if it
    /// `may_be_kept`. Returns what [`deallocate`](Self::deallocate) does.
    ///
    /// # Safety
    /// The heaps must still be readable.
    unsafe fn release(&mut self, may_be_kept: bool) -> Option<NonNull<u8>> {
        // SAFETY: required of the caller; a block that is found in the quarantine is the allocator's (I16).
        unsafe {
            match self.quarantine.pop() {
                Ok(block) => {
                    let block = block?.as_ptr();
                    if let Some(misuse) = self.damage_to(block) {
                        self.note(misuse, block as usize);
                        return None;
                    }
                    self.check_free(block, Self::size_of_block(block));
                    self.count_quarantined(block, false);
                    self.give_back_now(block, may_be_kept)
                }
                Err(Overwritten(oldest)) => {
                    self.note(Misuse::Damaged, oldest);
                    None
                }
            }
        }
    }

    /// Returns what is wrong with the words that say what a block is.
    ///
    /// # Safety
    /// It must have been a slot in use or the payload of an allocated chunk.
    unsafe fn damage_to(&self, block: *mut u8) -> Option<Misuse> {
        // SAFETY: a slot belongs to the slab at the multiple of `SLAB` below it (I12).
        unsafe {
            if SLAB == 0 || !is_slot(block) {
                // What is above may be a table that has just been placed, with nothing above it yet.
                let chunk = Chunk::of_payload(block);
                let header = chunk.header();
                let is_sound = !header.is_gap()
                    && header.size() >= CHUNK_UNIT
                    && self.is_within(chunk.addr(), header.size() + WORD)
                    && !chunk.above(header.size()).header().is_below_free();
                return (!is_sound).then_some(Misuse::Damaged);
            }
            let slab = Slab::of_slot(block, SLAB);
            let is_sound = Slab::tagged(slab) == Tag::Slab
                && usize::from((*slab).class) < CLASSES
                && Slab::has_slot(slab, SLAB, block);
            (!is_sound).then_some(Misuse::Damaged)
        }
    }

    /// Gives a block to its magazine, if it `may_be_kept` and there is room, and else to its slab or to the gaps.
    /// Returns what [`deallocate`](Self::deallocate) does.
    ///
    /// # Safety
    /// As for [`give_back_late`](Self::give_back_late), and there must be nothing wrong with it.
    unsafe fn give_back_now(&mut self, block: *mut u8, may_be_kept: bool) -> Option<NonNull<u8>> {
        // SAFETY: required of the caller.
        unsafe {
            if SLAB != 0 && is_slot(block) {
                let class = (*Slab::of_slot(block, SLAB)).class.into();
                if may_be_kept && Self::HAS_MAGAZINES && self.keep_slot(block, class) {
                    None
                } else {
                    self.free_slot(block)
                }
            } else if may_be_kept {
                self.keep_or_free_chunk(Chunk::of_payload(block), 0)
            } else {
                let chunk = Chunk::of_payload(block);
                self.uncount_small_chunk(chunk.header());
                self.free_chunk(chunk)
            }
        }
    }

    /// Returns how many bytes a block has.
    ///
    /// # Safety
    /// It must be a slot or the payload of an allocated chunk.
    pub(super) unsafe fn size_of_block(block: *mut u8) -> usize {
        // SAFETY: required of the caller.
        unsafe {
            if SLAB != 0 && is_slot(block) {
                Slab::size_of_slot(block, SLAB)
            } else {
                Chunk::of_payload(block).header().size() - WORD
            }
        }
    }

    /// Counts a block as available because it is in the quarantine, or no longer because of that.
    ///
    /// # Safety
    /// As for [`size_of_block`](Self::size_of_block).
    unsafe fn count_quarantined(&mut self, block: *mut u8, is_in: bool) {
        self.tally.record(|counters| {
            // SAFETY: required of the caller.
            let size = unsafe { Self::size_of_block(block) };
            match (SLAB != 0 && is_slot(block), is_in) {
                (true, true) => counters.slots_added(size),
                (true, false) => counters.slots_taken(size),
                (false, true) => counters.gap_added(size + WORD),
                (false, false) => counters.gap_removed(size + WORD),
            }
        });
    }

    /// Returns whether a block is in the quarantine.
    pub(crate) fn is_quarantined(&self, block: *mut u8) -> bool {
        let mut is_found = false;
        if QUARANTINES {
            self.quarantine.all(|other| {
                is_found = core::ptr::eq(other, block);
                !is_found
            });
        }
        is_found
    }
}
