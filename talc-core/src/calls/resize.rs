//! Resizing an allocation in place, or downwards.

use core::alloc::Layout;
use core::cmp::Ordering;
use core::fmt;
use core::ptr::{copy, NonNull};

use crate::memory::chunk::{chunk_size, Chunk, CHUNK_UNIT, MAX_REQUEST};
use crate::memory::fill::{seal, SEAL};
use crate::memory::header::{Below, Header};
use crate::memory::slab::{is_slot, Slab};
use crate::tier::CHECKS;
use crate::tuning::LARGE;
use crate::{Bins, Misuse, RawTalc};

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
    /// Returns whether something is wrong with resizing an allocation in one direction, and notes
    /// it. Always `false` in release builds.
    ///
    /// # Safety
    /// As for [`misuse`](Self::misuse).
    unsafe fn is_misused_to(
        &mut self,
        direction: Ordering,
        ptr: *mut u8,
        layout: Layout,
        new_size: usize,
    ) -> bool {
        if CHECKS && new_size.cmp(&layout.size()) == direction.reverse() {
            self.note(Misuse::WrongDirection, ptr as usize);
            return true;
        }
        // SAFETY: required of the caller.
        unsafe { self.is_misused(ptr, layout) }
    }

    /// Grows an allocation without moving it, if there is room above it.
    ///
    /// Returns whether it did. If so, `new_size` is the size of the allocation's layout from then
    /// on; if not, nothing has changed.
    ///
    /// # Complexity
    /// O(1).
    ///
    /// # Safety
    /// - `ptr` must be a live allocation of this `RawTalc`, and `layout` its current layout.
    /// - `new_size >= layout.size()`.
    #[inline]
    pub unsafe fn try_grow_in_place(
        &mut self,
        ptr: *mut u8,
        layout: Layout,
        new_size: usize,
    ) -> bool {
        // SAFETY: required of the caller.
        unsafe {
            if self.is_misused_to(Ordering::Greater, ptr, layout, new_size) {
                self.report();
                false
            } else if SLAB != 0 && is_slot(ptr) {
                self.try_grow_slot(ptr, layout, new_size)
            } else if Self::IS_TABLE_INSIDE {
                // Its only caller, for the fewest bytes.
                self.try_grow_chunk_here(ptr, layout, new_size)
            } else {
                self.try_grow_chunk(ptr, layout, new_size)
            }
        }
    }

    /// As [`try_grow_in_place`](Self::try_grow_in_place), for a slot. Most of what grows are slots, and most of these do
    /// not have the room: with this inline, programs that grow vectors take up to 18% fewer instructions.
    ///
    /// # Safety
    /// As there.
    #[inline]
    unsafe fn try_grow_slot(&mut self, ptr: *mut u8, layout: Layout, new_size: usize) -> bool {
        // SAFETY: a slot in use belongs to the slab at the multiple of `SLAB` below it (I12).
        let class = unsafe { (*Slab::of_slot(ptr, SLAB)).class };
        let fits = new_size <= Slab::slot_size(class.into()) - SEAL;
        if fits {
            // SAFETY: as said.
            unsafe { seal(ptr, new_size) };
            self.tally.record(|counters| counters.grew(new_size - layout.size()));
        }
        fits
    }

    /// As [`try_grow_in_place`](Self::try_grow_in_place), for the payload of a chunk.
    ///
    /// # Safety
    /// As there.
    #[inline(never)]
    unsafe fn try_grow_chunk(&mut self, ptr: *mut u8, layout: Layout, new_size: usize) -> bool {
        // SAFETY: required of the caller.
        unsafe { self.try_grow_chunk_here(ptr, layout, new_size) }
    }

    /// As [`try_grow_chunk`](Self::try_grow_chunk), inline.
    ///
    /// # Safety
    /// As there.
    #[inline]
    unsafe fn try_grow_chunk_here(
        &mut self,
        ptr: *mut u8,
        layout: Layout,
        new_size: usize,
    ) -> bool {
        if new_size > MAX_REQUEST {
            return false;
        }
        let need = chunk_size(new_size);
        // SAFETY: an allocation is the payload of an allocated chunk, above which stands a chunk
        // or the sentinel (I2). A gap there, once removed, is the allocator's to cut up.
        unsafe {
            let chunk = Chunk::of_payload(ptr);
            Self::prefetch_above(chunk, layout.size());
            let header = chunk.header();
            let size = header.size();
            if need > size {
                let above = chunk.above(size).header();
                if !above.is_gap() || size + above.size() < need {
                    return false;
                }
                self.uncount_small_chunk(header);
                self.remove_gap(chunk.above(size), above.size());
                self.check_gap(chunk.above(size), above, chunk.addr() + need);
                let is_filled = above.is_filled();
                self.occupy(chunk, size + above.size(), need, header.below(), is_filled);
                if need >= LARGE {
                    self.shut_if_tight();
                }
            }
            chunk.set_layout_size(new_size);
        }
        self.tally.record(|counters| counters.grew(new_size - layout.size()));
        true
    }

    /// Grows an allocation into the gaps below and above it, and moves its contents down.
    ///
    /// This is for when there is no room for both the old and the new allocation, or to leave no
    /// hole behind.
    ///
    /// Returns the new address of the allocation, whose layout then has `new_size`; `None`, and
    /// changes nothing, if there is no gap below it, or too little room.
    /// [`CompactBins`](crate::CompactBins) always return `None`.
    ///
    /// # Complexity
    /// O(1), and copying `layout.size()` bytes.
    ///
    /// # Safety
    /// As for [`try_grow_in_place`](Self::try_grow_in_place). If it returns `Some`, `ptr` is no
    /// longer an allocation.
    #[inline]
    pub unsafe fn try_grow_downwards(
        &mut self,
        ptr: *mut u8,
        layout: Layout,
        new_size: usize,
    ) -> Option<NonNull<u8>> {
        // SAFETY: required of the caller.
        if unsafe { self.is_misused_to(Ordering::Greater, ptr, layout, new_size) } {
            self.report();
            return None;
        }
        if !Self::GROWS_DOWNWARDS || (SLAB != 0 && is_slot(ptr)) {
            return None;
        }
        // SAFETY: required of the caller.
        unsafe { self.try_grow_chunk_downwards(ptr, layout, new_size) }
    }

    /// As [`try_grow_downwards`](Self::try_grow_downwards), for the payload of a chunk.
    ///
    /// # Safety
    /// As there.
    #[inline(never)]
    unsafe fn try_grow_chunk_downwards(
        &mut self,
        ptr: *mut u8,
        layout: Layout,
        new_size: usize,
    ) -> Option<NonNull<u8>> {
        // SAFETY: an allocation is the payload of an allocated chunk, above which stands a chunk
        // or the sentinel (I2); a gap below has a footer (I5). Gaps, once removed, are the
        // allocator's to cut up, and so is the old chunk once its contents have been moved.
        unsafe {
            let old = Chunk::of_payload(ptr);
            let header = old.header();
            if !header.is_below_free() || new_size > MAX_REQUEST {
                return None;
            }
            let need = chunk_size(new_size);
            let size_below = old.size_below();
            let chunk = old.below(size_below);
            let above = old.above(header.size());
            let above_header = above.header();
            let size_above = if above_header.is_gap() { above_header.size() } else { 0 };
            let size = size_below + header.size() + size_above;
            if need > size || chunk.payload() as usize & (layout.align() - 1) != 0 {
                return None;
            }
            let below = chunk.header().below();
            self.uncount_small_chunk(header);
            self.remove_gap(chunk, size_below);
            if size_above != 0 {
                self.remove_gap(above, size_above);
            } else {
                above.set_header(above_header.with_below_free());
            }
            copy(old.payload(), chunk.payload(), layout.size());
            self.occupy(chunk, size, need, below, false);
            self.tally.record(|counters| counters.grew(new_size - layout.size()));
            chunk.set_layout_size(new_size);
            Some(NonNull::new_unchecked(chunk.payload()))
        }
    }

    /// Shrinks an allocation without moving it. Returns the end of its heap if everything from the
    /// freed memory up to there is free.
    ///
    /// `new_size` is the size of the allocation's layout from then on.
    ///
    /// # Complexity
    /// O(1).
    ///
    /// # Safety
    /// - `ptr` must be a live allocation of this `RawTalc`, and `layout` its current layout.
    /// - `new_size <= layout.size()`.
    pub unsafe fn shrink(
        &mut self,
        ptr: *mut u8,
        layout: Layout,
        new_size: usize,
    ) -> Option<NonNull<u8>> {
        // SAFETY: required of the caller.
        if unsafe { self.is_misused_to(Ordering::Less, ptr, layout, new_size) } {
            self.report();
            return None;
        }
        self.tally.record(|counters| counters.shrank(layout.size() - new_size));
        if SLAB != 0 && is_slot(ptr) {
            // SAFETY: a slot in use belongs to the slab at the multiple of `SLAB` below it (I12).
            unsafe {
                seal(ptr, new_size);
                if CHECKS && new_size != layout.size() {
                    (*Slab::of_slot(ptr, SLAB)).has_shrunk = true;
                }
            }
            return None;
        }
        let need = chunk_size(new_size);
        // SAFETY: an allocation is the payload of an allocated chunk (I2). The bytes that its
        // smaller size does not need are the allocator's from here on, as a chunk of their own.
        unsafe {
            let chunk = Chunk::of_payload(ptr);
            Self::prefetch_above(chunk, layout.size());
            let header = chunk.header();
            let rest = header.size() - need;
            if rest == 0 || (rest < CHUNK_UNIT && !chunk.above(header.size()).header().is_gap()) {
                chunk.set_layout_size(new_size);
                return None;
            }
            self.uncount_small_chunk(header);
            chunk.set_header(Header::allocated(need, header.below()));
            chunk.set_layout_size(new_size);
            self.free(chunk.above(need), Header::allocated(rest, Below::CHUNK))
        }
    }

    /// Grows or shrinks an allocation without moving it. Returns what [`shrink`](Self::shrink) returns.
    ///
    /// # Errors
    /// [`NoRoom`] if there is no room to grow. Then nothing has changed.
    ///
    /// # Complexity
    /// O(1).
    ///
    /// # Safety
    /// `ptr` must be a live allocation of this `RawTalc`, and `layout` its current layout.
    pub unsafe fn try_realloc_in_place(
        &mut self,
        ptr: *mut u8,
        layout: Layout,
        new_size: usize,
    ) -> Result<Option<NonNull<u8>>, NoRoom> {
        // SAFETY: required of the caller.
        unsafe {
            if new_size < layout.size() {
                Ok(self.shrink(ptr, layout, new_size))
            } else if new_size == layout.size() || self.try_grow_in_place(ptr, layout, new_size) {
                Ok(None)
            } else {
                Err(NoRoom)
            }
        }
    }
}

/// There is no room for an allocation to grow in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NoRoom;

impl fmt::Display for NoRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no room to grow in place")
    }
}
