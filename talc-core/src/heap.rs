//! Heaps: claiming them, moving their ends, and asking what of them is in use.

use core::mem;
use core::ptr::{null_mut, NonNull};

use crate::bins::Binning;
use crate::chunk::{place_heap, Chunk, HeapBase, HeapEnd, CHUNK_UNIT, GRAIN};
use crate::damage::CHECKS;
use crate::header::Header;
use crate::{Counters, Misuse, RawTalc};

/// What of a heap is in use; the answer of [`RawTalc::reserved`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reserved {
    /// Where the reserved part of the heap ends: the lowest heap end that
    /// [`truncate`](RawTalc::truncate) can reach.
    pub up_to: NonNull<u8>,
    /// Whether any of the heap is reserved. If not, a truncation down to `up_to` deletes the heap.
    pub any: bool,
}

impl<B: Binning> RawTalc<B> {
    /// Establishes a heap in a region of memory, and answers the heap end.
    ///
    /// The heap may be a few bytes smaller than the region on both sides, because of alignment;
    /// memory above the heap end stays the caller's. Regions next to each other become heaps of
    /// their own: [`extend`](Self::extend) is what makes a heap larger. A region that would reach
    /// beyond the address space is cut off there, and address 0 is never handed out.
    ///
    /// `None` if the region is too small; it is then left untouched. With [`Bins`](crate::Bins),
    /// the first heap also holds the table: [`min_first_heap_size`](crate::min_first_heap_size) bytes suffice for it, and
    /// [`claim_size`](Self::claim_size) says how much a layout needs.
    ///
    /// # Complexity
    /// O(1); for the first heap O(bins), if it holds the table.
    ///
    /// # Safety
    /// - The region must be valid for reads and writes, and used by nothing else, until it is
    ///   truncated away or this `RawTalc` is no longer used. What is allocated is the owner's for
    ///   as long as it is allocated.
    #[must_use = "the heap end is needed to extend or truncate the heap; `None`: there is no heap"]
    pub unsafe fn claim(&mut self, base: *mut u8, size: usize) -> Option<NonNull<u8>> {
        let is_first = !self.is_metadata_established();
        let least = if is_first { B::TABLE_CHUNK } else { CHUNK_UNIT };
        let (first, end) = place_heap(base, size, least)?;
        let heap = HeapBase::of_first_chunk(first);
        // SAFETY: `place_heap` puts everything from the base to the end into the caller's region,
        // with room for the table where that is needed. Whatever is written is outside of
        // payloads, as there are none yet.
        unsafe {
            let base = Header::allocated(0).with_base();
            let free = end.sentinel().addr() - first.addr() - least;
            if !is_first {
                self.list_heap(heap);
                self.add_space(first, end, base);
            } else {
                self.bins.place(first.payload().cast());
                self.list_heap(heap);
                // A hole beside the table that no gap fits is the table chunk's.
                let hole = if free < CHUNK_UNIT { free } else { 0 };
                first.set_header(Header::allocated(least + hole).with_lower_flags_of(base));
                end.sentinel().set_header(Header::SENTINEL);
                if hole == 0 && free != 0 {
                    self.add_space(first.above(least), end, Header::allocated(0));
                }
            }
        }
        self.tally.record(Counters::heap_added);
        // SAFETY: there is a heap, and so a table (I10).
        unsafe { self.grown(heap as usize, end, end.addr() - heap as usize) };
        self.report();
        Some(end.public())
    }

    /// Moves the end of a heap up to `new_end`, and answers where it is now: below `new_end` by
    /// less than 16 bytes, or where it was, if `new_end` is not higher by [`CHUNK_UNIT`] or more.
    ///
    /// # Complexity
    /// O(1).
    ///
    /// # Safety
    /// - `end` must be the current end of a heap of this `RawTalc`.
    /// - The memory from `end` to `new_end` must be in the same allocated object as the heap, in
    ///   the sense of pointer arithmetic, and fulfil what [`claim`](Self::claim) requires of its
    ///   region.
    #[must_use = "the heap end may have moved"]
    pub unsafe fn extend(&mut self, end: NonNull<u8>, new_end: *mut u8) -> NonNull<u8> {
        let old = HeapEnd::from_public(end);
        let new = old.at(new_end as usize & !(GRAIN - 1));
        // SAFETY: the old sentinel becomes the header of a chunk (I1); the bytes up to the new end
        // are the caller's gift. There is a heap, and so a table (I10).
        unsafe {
            if self.is_misused_end(end) || new.addr().saturating_sub(old.addr()) < CHUNK_UNIT {
                self.report();
                return end;
            }
            self.add_space(old.sentinel(), new, old.sentinel().header());
            self.grown(old.addr(), new, new.addr() - old.addr());
        }
        self.report();
        new.public()
    }

    /// Extends the heap that ends at `end`, if the region begins there; else makes the region a heap
    /// of its own. Returns the end of the heap that the region is now part of.
    ///
    /// This is [`extend`](Self::extend) and [`claim`](Self::claim) in less code, for sources whose
    /// memory is brought by something that others use as well, as `memory.grow` or `sbrk`.
    ///
    /// # Complexity
    /// That of [`claim`](Self::claim).
    ///
    /// # Safety
    /// - What [`claim`](Self::claim) requires of its region.
    /// - `base` must be a multiple of 16, and `size` suffice for a heap:
    ///   [`min_first_heap_size`](crate::min_first_heap_size) bytes do.
    /// - `end`, if there is one, must be the current end of a heap of this `RawTalc`; and if the region
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
            if base as usize % GRAIN != 0 || size < crate::min_first_heap_size::<B>() {
                self.diagnosis.note(Misuse::UnsuitableRegion);
            }
            if is_misused || self.has_report() {
                self.report();
                return end.unwrap_or(NonNull::dangling());
            }
        }
        // SAFETY: the region is large enough, as required of the caller; the old sentinel becomes the
        // header of a chunk (I1).
        unsafe {
            if !self.is_metadata_established() {
                return self.claim(base, size).unwrap_unchecked();
            }
            let new = HeapEnd::of_region(base, size);
            let (chunk, lower, grown);
            match end {
                Some(end) if end.as_ptr() == base => {
                    chunk = HeapEnd::from_public(end).sentinel();
                    lower = chunk.header();
                    grown = new.addr() - base as usize;
                }
                _ => {
                    let heap = HeapBase::of_region(base);
                    chunk = HeapBase::first_chunk(heap);
                    lower = Header::allocated(0).with_base();
                    self.list_heap(heap);
                    self.tally.record(Counters::heap_added);
                    grown = new.addr() - heap as usize;
                }
            }
            self.add_space(chunk, new, lower);
            self.grown(base as usize, new, grown);
            self.report();
            new.public()
        }
    }

    /// Moves the end of a heap down to `new_end`, or as far down as nothing is
    /// [reserved](Self::reserved), and answers where it is now; `None` if nothing was reserved and
    /// not even the smallest chunk is left, and the heap is gone.
    ///
    /// The answer may be below `new_end` by less than [`CHUNK_UNIT`]` + 16` bytes. A `new_end` that
    /// is not below `end` does nothing. Null truncates as far as possible.
    ///
    /// Memory from the answer up to `end` is the caller's again; all of the region if the heap is
    /// gone. A heap that holds the table is never gone: the table reserves it.
    ///
    /// # Complexity
    /// O(1); O(classes) for each empty slab that was kept above `new_end`.
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

    /// [`truncate`](Self::truncate).
    ///
    /// # Safety
    /// As for that.
    unsafe fn truncate_heap(&mut self, end: NonNull<u8>, new_end: *mut u8) -> Option<NonNull<u8>> {
        let old = HeapEnd::from_public(end);
        // SAFETY: a sentinel is below the end (I1), a gap below it has a footer (I5). There is a
        // heap, and so a table (I10).
        unsafe {
            if self.is_misused_end(end) || new_end as usize >= old.addr() {
                return Some(end);
            }
            // A heap end moves by nothing or by a whole chunk unit (see `CHUNK_UNIT`).
            let new_addr = (new_end as usize & !(GRAIN - 1)).min(old.addr() - CHUNK_UNIT);
            self.close_slabs_above(old, new_addr);
            let gap = match self.gap_below(old.sentinel()) {
                Some(gap) => gap,
                None => return Some(end),
            };
            let header = gap.header();
            self.remove_gap(gap, header.size());

            let lowest = HeapEnd::of_sentinel(gap);
            let mut new = Some(lowest);
            let mut released = old.addr() - lowest.addr();
            if new_addr >= lowest.addr() + CHUNK_UNIT {
                new = Some(old.at(new_addr));
                released = old.addr() - new_addr;
                self.add_space(gap, old.at(new_addr), header);
            } else if header.is_base() {
                let heap = HeapBase::of_first_chunk(gap);
                new = None;
                released = old.addr() - heap as usize;
                self.unlist_heap(heap);
                self.tally.record(Counters::heap_removed);
            } else {
                gap.set_header(Header::SENTINEL);
            }
            self.resized_by(released, 0);
            new.map(HeapEnd::public)
        }
    }

    /// [Extends](Self::extend) or [truncates](Self::truncate) a heap, whichever leads from `end`
    /// to `new_end`.
    ///
    /// # Complexity
    /// O(1).
    ///
    /// # Safety
    /// As for the one of the two that is called.
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

    /// Whether `end` is not the end of a heap, looked for in debug builds only; or what is below it
    /// is damaged. If so, notes it.
    ///
    /// # Safety
    /// What is below `end` must be readable, if it lies between the heaps' lowest base and highest
    /// end.
    #[inline]
    unsafe fn is_misused_end(&mut self, end: NonNull<u8>) -> bool {
        if CHECKS {
            // SAFETY: required of the caller.
            if let Some(misuse) = unsafe { self.misuse_of_end(end) } {
                self.diagnosis.note(misuse);
                return true;
            }
        }
        false
    }

    /// Notes that a heap is larger by `bytes`, and reaches from `base` or lower to `end`.
    ///
    /// # Safety
    /// The table must exist.
    unsafe fn grown(&mut self, base: usize, end: HeapEnd, bytes: usize) {
        if Self::KNOWS_BOUNDS {
            // SAFETY: required of the caller.
            let books = unsafe { self.books_mut() };
            if books.highest == 0 || base < books.lowest {
                books.lowest = base;
            }
            books.highest = books.highest.max(end.addr());
        }
        // SAFETY: required of the caller.
        unsafe { self.resized_by(0, bytes) };
    }

    /// Notes that the heaps are smaller by `released` bytes, or larger by `claimed`.
    ///
    /// # Safety
    /// The table must exist.
    unsafe fn resized_by(&mut self, released: usize, claimed: usize) {
        if B::SLAB != 0 && !B::IS_COMPACT {
            // SAFETY: required of the caller.
            let bytes = unsafe { &mut self.books_mut().heap_bytes };
            *bytes = bytes.wrapping_sub(released).wrapping_add(claimed);
        }
        self.tally.record(|counters| {
            counters.claimed(claimed);
            counters.released(released);
        });
    }

    /// Makes everything from `chunk` to a new sentinel at `end` free, with what is free below it if
    /// the lower flags of `lower` say so.
    ///
    /// # Safety
    /// These bytes must be the allocator's, and in no list.
    unsafe fn add_space(&mut self, chunk: Chunk, end: HeapEnd, lower: Header) {
        // SAFETY: required of the caller.
        unsafe {
            let size = end.sentinel().addr() - chunk.addr();
            end.sentinel().set_header(Header::SENTINEL);
            self.free(chunk, Header::allocated(size).with_lower_flags_of(lower));
        }
    }

    /// Puts a heap at the front of the list of heaps (I10).
    ///
    /// # Safety
    /// `heap` must be writable, and in no list; the table must exist.
    unsafe fn list_heap(&mut self, heap: *mut HeapBase) {
        // SAFETY: the bases in the list are valid for writes (I10).
        unsafe {
            let next = mem::replace(&mut self.books_mut().heaps, heap);
            heap.write(HeapBase { next, back: null_mut() });
            if !next.is_null() {
                (*next).back = heap;
            }
        }
    }

    /// Takes a heap out of the list of heaps.
    ///
    /// # Safety
    /// `heap` must be in the list.
    unsafe fn unlist_heap(&mut self, heap: *mut HeapBase) {
        // SAFETY: both neighbours in the list are valid for writes (I10).
        unsafe {
            let HeapBase { next, back } = heap.read();
            if back.is_null() {
                self.books_mut().heaps = next;
            } else {
                (*back).next = next;
            }
            if !next.is_null() {
                (*next).back = back;
            }
        }
    }
}
