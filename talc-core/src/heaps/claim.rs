//! Adding memory: new heaps, and moving the end of a heap up.

use core::ptr::NonNull;

use crate::memory::chunk::{Chunk, CHUNK_UNIT, GRAIN};
use crate::memory::header::Below;
use crate::memory::heap::{place_heap, HeapBase, HeapEnd};
use crate::memory::key::choose_key;
use crate::tier::CHECKS;
use crate::{Bins, Counters, Misuse, RawTalc};

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
    /// Establishes a heap in a region of memory. Returns the heap end; `None` if the region is too
    /// small, which then is left untouched.
    ///
    /// Builds with [checks](crate::CHECKS) report a region that overlaps a heap, for example one that is claimed twice, as
    /// [`Misuse::Overlap`], and leave it untouched.
    ///
    /// The heap may be a few bytes smaller than the region on both sides, because of alignment;
    /// memory above the heap end stays the caller's. Adjacent regions become separate heaps: use
    /// [`extend`](Self::extend) to make a heap larger. A region that would reach beyond the address
    /// space is cut off there, and address 0 is never allocated. [`claim_size`](Self::claim_size)
    /// returns how many bytes suffice for a layout.
    ///
    /// # The table
    /// Unless it is [part of this value](crate::CompactBins), the table lies in a heap, in a chunk
    /// that is never freed. The first heap needs
    /// [`MIN_FIRST_HEAP_SIZE`](crate::Bins::MIN_FIRST_HEAP_SIZE) bytes for it. The table has room
    /// for the gaps of heaps up to the size of that one. If a larger heap is claimed, or a heap is
    /// extended beyond that size, a larger table takes its place: in a gap that is large enough, or
    /// else in the new memory.
    ///
    /// # Complexity
    /// O(1), unless the table is placed or moved: then O(bins), and O(classes) for each empty slab
    /// that is kept directly below the old table. A move copies at most the heads that there are,
    /// up to 2.6 KB with the default binning. Each move doubles the size of heap that the table is
    /// for: there is one for each doubling of the largest heap, or of all heaps together if they
    /// are extended. If there is no room for that, because heaps grow by less than the table takes,
    /// a move adds at least one bin. A complete table need not move.
    ///
    /// Builds with [checks](crate::CHECKS) also look at each heap and, if the region is not above all of them,
    /// debug builds and those with `hardened-full` at the chunks of the heap below it.
    ///
    /// # Safety
    /// - The region must be valid for reads and writes, and not be used by anything else, until it
    ///   is truncated away or this `RawTalc` is no longer used. Allocations belong to their owners
    ///   until they are freed.
    #[must_use = "the heap end is needed to extend or truncate the heap; `None`: there is no heap"]
    pub unsafe fn claim(&mut self, base: *mut u8, size: usize) -> Option<NonNull<u8>> {
        let (first, end) = place_heap(base, size, CHUNK_UNIT)?;
        // SAFETY: `place_heap` puts everything from the base to the end into the caller's region.
        let is_claimed = unsafe { self.grow(first, end, Below::BASE) };
        self.report();
        is_claimed.then(|| end.public())
    }

    /// Makes everything from `chunk` to `end` a heap of its own if the base is below it, else a
    /// part of the heap whose sentinel is `chunk`. Returns `false`, and changes nothing, if there
    /// is no room for the table; or if a heap has some of it already, which is noted.
    ///
    /// # Safety
    /// These bytes must be the allocator's, and so must the base in front of the first chunk of a
    /// new heap; `below` must be what stands below them.
    unsafe fn grow(&mut self, chunk: Chunk, end: HeapEnd, below: Below) -> bool {
        choose_key();
        let heap = HeapBase::of_first_chunk(chunk);
        let base = if below.is_base() { heap as usize } else { HeapEnd::of_sentinel(chunk).addr() };
        let more = end.addr() - base;
        // SAFETY: heaps are readable until they are truncated away (I9).
        if CHECKS && unsafe { self.is_in_heap(base, end.addr(), below.is_base()) } {
            self.note(Misuse::Overlap, base);
            return false;
        }
        // The size of a heap that grows is not known; all heaps together are no smaller.
        let others = if below.is_base() { 0 } else { self.books().heap_bytes };
        // SAFETY: required of the caller; once there is space, there is a table (I10).
        unsafe {
            match self.provide_table(chunk, end, below, others.wrapping_add(more)) {
                Some((chunk, below)) => self.add_space(chunk, end, below),
                None => return false,
            }
            if below.is_base() {
                self.list_heap(heap);
                self.tally.record(Counters::heap_added);
            }
            self.note_growth(base, end, more);
            self.adjust_magazines();
        }
        true
    }

    /// Moves the end of a heap up to `new_end`. Returns the new end, which is at most 15 bytes
    /// below `new_end`.
    ///
    /// Returns `end`, and changes nothing, if `new_end` is less than [`CHUNK_UNIT`] bytes above it,
    /// or if the heap needs a larger table, as [`claim`](Self::claim) explains, and there is no
    /// room for one. [`extend_size`](Self::extend_size) returns how many bytes suffice for a
    /// layout.
    ///
    /// # Complexity
    /// As for [`claim`](Self::claim).
    ///
    /// # Safety
    /// - `end` must be the current end of a heap of this `RawTalc`.
    /// - The memory from `end` to `new_end` must be in the same allocated object as the heap, in
    ///   the sense of pointer arithmetic, and must fulfil what [`claim`](Self::claim) requires of
    ///   its region.
    #[must_use = "the heap end may have moved"]
    pub unsafe fn extend(&mut self, end: NonNull<u8>, new_end: *mut u8) -> NonNull<u8> {
        let old = HeapEnd::from_public(end);
        let new = old.at(new_end as usize & !(GRAIN - 1));
        // SAFETY: required of the caller; the old sentinel becomes the header of a chunk (I1).
        let is_extended = unsafe {
            !self.is_misused_end(end)
                && new.addr().saturating_sub(old.addr()) >= CHUNK_UNIT
                && self.grow(old.sentinel(), new, old.sentinel().header().below())
        };
        self.report();
        if is_extended {
            new.public()
        } else {
            end
        }
    }

    /// Extends the heap that ends at `end`, if the region begins there; else makes the region a heap
    /// of its own. Returns the end of the heap that the region is now part of.
    ///
    /// This is [`extend`](Self::extend) and [`claim`](Self::claim) in less code, for sources over
    /// something that others use as well, such as `memory.grow` or `sbrk`.
    ///
    /// # Complexity
    /// As for [`claim`](Self::claim).
    ///
    /// # Safety
    /// - The region must fulfil what [`claim`](Self::claim) requires.
    /// - `base` must be a multiple of 16, and `size` must suffice for a heap:
    ///   [`MIN_FIRST_HEAP_SIZE`](crate::Bins::MIN_FIRST_HEAP_SIZE) bytes do.
    /// - `end`, if there is one, must be the current end of a heap of this `RawTalc`. If the region
    ///   begins there, it must be in the same allocated object as the heap, in the sense of pointer
    ///   arithmetic.
    #[must_use = "the heap end is needed to extend the heap once more"]
    pub unsafe fn claim_or_extend(
        &mut self,
        end: Option<NonNull<u8>>,
        base: *mut u8,
        size: usize,
    ) -> NonNull<u8> {
        if CHECKS {
            // SAFETY: required of the caller.
            let is_misused = end.map_or(false, |end| unsafe { self.is_misused_end(end) });
            if base as usize % GRAIN != 0 || size < Bins::<LINEAR, PER_DOUBLING, WORDS, SLAB, CLASSES, KEPT, INSIDE>::MIN_FIRST_HEAP_SIZE {
                self.note(Misuse::UnsuitableRegion, base as usize);
            }
            if is_misused || self.has_report() {
                self.report();
                return end.unwrap_or(NonNull::dangling());
            }
        }
        let new = HeapEnd::of_region(base, size);
        // SAFETY: required of the caller; the region is large enough for a heap, also for one that holds
        // the table.
        unsafe {
            let own = HeapBase::first_chunk(HeapBase::of_region(base));
            let (chunk, below) = match end {
                Some(end) if end.as_ptr() == base => {
                    let sentinel = HeapEnd::from_public(end).sentinel();
                    (sentinel, sentinel.header().below())
                }
                _ => (own, Below::BASE),
            };
            if !self.grow(chunk, new, below) && !Self::IS_TABLE_INSIDE && !self.has_report() {
                // The heap below needs a larger table, for which there is no room.
                self.grow(own, new, Below::BASE);
            }
        }
        if self.has_report() {
            self.report();
            return end.unwrap_or(NonNull::dangling());
        }
        new.public()
    }
}
