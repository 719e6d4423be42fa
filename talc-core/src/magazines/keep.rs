//! Putting a block that is freed into a magazine, and taking it out again.

use core::alloc::Layout;
use core::mem;
use core::ptr::{addr_of_mut, NonNull};

use crate::memory::chunk::{chunk_size, Chunk, CHUNK_UNIT, GRAIN, WORD};
use crate::memory::fill::{fill_block, find_written_in, seal, SEAL};
use crate::memory::header::Header;
use crate::memory::magazine::Magazine;
use crate::memory::slab::Slab;
use crate::table::Table;
use crate::tier::{CHECKS, FILLS, MARKS};
use crate::{Bins, Misuse, RawTalc};

/// What has become of a chunk that was to be kept.
pub(crate) enum Keeping {
    Kept,
    /// Its magazine has no room, which is when [`shut_if_tight`](RawTalc::shut_if_tight) is to be called.
    Full,
    /// It has no magazine, or that is closed.
    No,
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
    /// Returns the magazine of a class of slots, for writing if the table exists.
    ///
    /// # Safety
    /// `class` must be less than [`CLASSES`](Bins).
    pub(super) unsafe fn ready_mut(&mut self, class: usize) -> *mut Magazine {
        debug_assert!(class < CLASSES);
        // SAFETY: in bounds of a table and of its placeholder, as required of the caller.
        unsafe { Table::ready(self.table_mut()).add(class) }
    }

    /// As [`ready_mut`](Self::ready_mut), for reading.
    ///
    /// # Safety
    /// As there.
    pub(super) unsafe fn ready(&self, class: usize) -> *const Magazine {
        debug_assert!(class < CLASSES);
        // SAFETY: as there.
        unsafe { Table::ready(self.table()).add(class) }
    }

    /// Returns the number of magazines of middling chunks that are open.
    fn kept_count(&self) -> usize {
        if !Self::KEEPS_CHUNKS {
            0
        } else if Self::IS_TABLE_INSIDE {
            KEPT
        } else {
            self.books().kept.into()
        }
    }

    /// Returns the number of magazines in which there may be chunks.
    pub(super) fn filled_count(&self) -> usize {
        if self.kept_count() != 0 {
            Self::KEPT_MAGAZINES
        } else {
            self.closing()
        }
    }

    /// Returns the index of the magazine for middling chunks of `size` bytes, if it is less than their number.
    const fn middling_index(size: usize) -> usize {
        size.wrapping_sub(CHUNK_UNIT + CLASSES * GRAIN) / GRAIN
    }

    /// Returns the index of the magazine for small chunks of `size` bytes, if it is less than the number of all.
    const fn small_index(size: usize) -> usize {
        (size.wrapping_sub(CHUNK_UNIT) / GRAIN).wrapping_add(KEPT)
    }

    /// Returns the size of the chunks in a magazine.
    pub(super) const fn kept_size(index: usize) -> usize {
        let sizes = if Self::is_small_kept(index) { index - KEPT } else { index + CLASSES };
        CHUNK_UNIT + sizes * GRAIN
    }

    /// Returns whether the magazine with that index is for small chunks, for which a slab was not worth it.
    const fn is_small_kept(index: usize) -> bool {
        index >= KEPT
    }

    /// Returns whether a chunk in the magazine with that index can have this header. Small chunks have a mark while
    /// they are in use and counted, middling ones while they are in a magazine.
    pub(crate) fn can_be_kept(header: Header, index: usize) -> bool {
        header.size() == Self::kept_size(index)
            && header.is_marked() != Self::is_small_kept(index)
            && !header.is_gap()
    }

    /// Returns whether an allocated chunk with this header is in a magazine.
    pub(crate) fn is_kept(&self, chunk: Chunk, header: Header) -> bool {
        if !Self::KEEPS_CHUNKS {
            return false;
        }
        if Self::middling_index(header.size()) < KEPT {
            return header.is_marked();
        }
        let mut is_kept = false;
        if !header.is_marked() {
            self.for_each_block_in_kept(Self::small_index(header.size()), |block| {
                is_kept |= core::ptr::eq(block, chunk.payload());
            });
        }
        is_kept
    }

    /// Takes a block from the magazine that `find` finds in a table, if there is one and it is sound.
    ///
    /// # Safety
    /// It must be a magazine of the table, or of its placeholder.
    #[inline]
    unsafe fn pop(
        &mut self,
        find: impl FnOnce(*mut Table<WORDS, CLASSES>) -> *mut Magazine,
    ) -> Option<NonNull<u8>> {
        let magazine = find(self.table_mut());
        // SAFETY: required of the caller.
        unsafe {
            if Self::IS_TABLE_INSIDE && !(*magazine).is_made() {
                None
            } else if MARKS {
                // What the words of a block agree on is right, if they can be read at all.
                if FILLS && !self.can_be_block((*magazine).first()) {
                    return None;
                }
                Magazine::pop_marked(magazine)
            } else if CHECKS && !self.magazine_is_sound(magazine) {
                None
            } else {
                Magazine::pop(magazine)
            }
        }
    }

    /// Closes a magazine of which [`pop`](Self::pop) has taken nothing if that is because of what was written there,
    /// and notes it.
    ///
    /// # Safety
    /// As there.
    unsafe fn close_if_damaged(
        &mut self,
        find: impl FnOnce(*mut Table<WORDS, CLASSES>) -> *mut Magazine,
    ) {
        if CHECKS {
            let magazine = find(self.table_mut());
            // SAFETY: required of the caller.
            unsafe {
                let is_made = !Self::IS_TABLE_INSIDE || (*magazine).is_made();
                if is_made && !self.magazine_is_sound(magazine) {
                    let first = (*magazine).first() as usize;
                    magazine.write(Magazine::with_room(0));
                    self.note(Misuse::Damaged, first);
                }
            }
        }
    }

    /// As [`close_if_damaged`](Self::close_if_damaged), for the magazine of a class.
    ///
    /// # Safety
    /// `class` must be less than [`CLASSES`](Bins).
    pub(crate) unsafe fn close_ready_if_damaged(&mut self, class: usize) {
        debug_assert!(class < CLASSES);
        if Self::HAS_MAGAZINES {
            // SAFETY: in bounds of a table and of its placeholder, as required of the caller.
            unsafe { self.close_if_damaged(|table| Table::ready(table).add(class)) }
        }
    }

    /// Takes a slot from the magazine of a class, whoever it is for.
    ///
    /// # Safety
    /// `class` must be less than [`CLASSES`](Bins).
    #[inline]
    pub(super) unsafe fn pop_ready(&mut self, class: usize) -> Option<NonNull<u8>> {
        debug_assert!(class < CLASSES);
        // SAFETY: in bounds of a table and of its placeholder, as required of the caller; what is in a
        // magazine is the allocator's (I15).
        unsafe {
            let slot = self.pop(|table| Table::ready(table).add(class));
            if slot.is_none() {
                self.close_ready_if_damaged(class);
            }
            let slot = slot?;
            self.check_free(slot.as_ptr(), Slab::slot_size(class));
            self.tally.record(|counters| {
                counters.slots_taken(Slab::size_of_slot(slot.as_ptr(), SLAB));
            });
            Some(slot)
        }
    }

    /// Takes a chunk from a magazine of chunks, whoever it is for.
    ///
    /// # Safety
    /// `index` must be less than [`filled_count`](Self::filled_count).
    #[inline]
    pub(super) unsafe fn pop_kept(&mut self, index: usize) -> Option<Chunk> {
        // SAFETY: required of the caller.
        unsafe { self.pop_kept_from(index, Self::is_small_kept(index)) }
    }

    /// As [`pop_kept`](Self::pop_kept), if it is known whether the magazine [is for small
    /// chunks](Self::is_small_kept).
    ///
    /// # Safety
    /// As there.
    #[inline]
    unsafe fn pop_kept_from(&mut self, index: usize, is_small: bool) -> Option<Chunk> {
        debug_assert!(is_small == Self::is_small_kept(index));
        // SAFETY: the magazine exists, as required of the caller; what is in it is chunks of its size, and
        // the allocator's (I15).
        unsafe {
            let payload = self.pop(|table| Table::kept(table, index));
            if payload.is_none() {
                self.close_if_damaged(|table| Table::kept(table, index));
            }
            let chunk = Chunk::of_payload(payload?.as_ptr());
            let header = chunk.header();
            if CHECKS && !Self::can_be_kept(header, index) {
                self.note(Misuse::Damaged, chunk.payload() as usize);
                return None;
            }
            self.check_free(chunk.payload(), header.size() - WORD);
            if !is_small {
                chunk.set_header(header.without_mark());
            }
            self.tally.record(|counters| counters.gap_removed(header.size()));
            Some(chunk)
        }
    }

    /// Takes a slot from the magazine of a class.
    ///
    /// # Safety
    /// `class` must be that of `layout`, less than [`CLASSES`](Bins).
    #[inline]
    pub(crate) unsafe fn pop_slot(&mut self, class: usize, layout: Layout) -> Option<NonNull<u8>> {
        debug_assert!(class < CLASSES);
        // SAFETY: in bounds of a table and of its placeholder, as required of the caller; what is in a magazine is the
        // allocator's (I15), and a slot of the class has room for the layout and its seal.
        unsafe {
            let slot = self.pop(|table| Table::ready(table).add(class))?;
            if let Some(written) = find_written_in(slot.as_ptr(), Slab::slot_size(class)) {
                return self.slot_that_was_written(slot, layout, written);
            }
            Some(self.occupy_slot(slot, layout))
        }
    }

    /// Makes a slot from a magazine an allocation.
    ///
    /// # Safety
    /// It must be the allocator's, and have room for the layout and its seal.
    #[inline]
    unsafe fn occupy_slot(&mut self, slot: NonNull<u8>, layout: Layout) -> NonNull<u8> {
        // SAFETY: required of the caller.
        unsafe {
            seal(slot.as_ptr(), layout.size());
            self.tally.record(|counters| {
                counters.slots_taken(Slab::size_of_slot(slot.as_ptr(), SLAB));
                counters.allocated(layout.size());
            });
        }
        slot
    }

    /// Reports that a slot from a magazine was written to at this address, and makes it an allocation. Out of line,
    /// and called last.
    ///
    /// # Safety
    /// As for [`occupy_slot`](Self::occupy_slot).
    #[cold]
    #[inline(never)]
    unsafe fn slot_that_was_written(
        &mut self,
        slot: NonNull<u8>,
        layout: Layout,
        written: usize,
    ) -> Option<NonNull<u8>> {
        self.note(Misuse::WrittenWhileFree, written);
        // SAFETY: required of the caller.
        let slot = unsafe { self.occupy_slot(slot, layout) };
        self.reported(Some(slot))
    }

    /// Returns whether a slot of a class is ready.
    ///
    /// # Safety
    /// As for [`ready`](Self::ready).
    pub(crate) unsafe fn has_ready(&self, class: usize) -> bool {
        // SAFETY: required of the caller.
        unsafe {
            let magazine = self.ready(class);
            (!Self::IS_TABLE_INSIDE || (*magazine).is_made()) && !(*magazine).is_empty()
        }
    }

    /// Makes all slots in the free list of a slab ready; some that were never used, if there is none.
    ///
    /// # Safety
    /// `slab` must be the current slab of `class`, with a free slot, of which no slot is ready, and `room` not 0.
    pub(crate) unsafe fn make_ready(&mut self, class: usize, slab: *mut Slab, room: usize) {
        // SAFETY: what is in the free list of a slab is a slot, and the allocator's (I12).
        unsafe {
            // At most `MAX_READY`.
            (*slab).room = room as u8;
            let magazine = self.ready_mut(class);
            let is_fresh = (*slab).free.is_empty();
            if is_fresh {
                (*slab).free = Magazine::with_room(room);
            }
            let added = if is_fresh && !Self::IS_TABLE_INSIDE {
                // Not into the free list first: that would be 30 instructions of the worst allocation.
                magazine.write(Magazine::with_room(room));
                Slab::freshen(slab, SLAB, magazine)
            } else {
                if is_fresh {
                    // In two steps, which is less code.
                    Slab::freshen(slab, SLAB, addr_of_mut!((*slab).free));
                }
                let listed = Slab::listed(slab);
                magazine.write(mem::replace(&mut (*slab).free, Magazine::with_room(room)));
                listed
            };
            (*slab).count = (*slab).count.wrapping_add(added as u16);
        }
    }

    /// Puts a slot into the magazine of its class. Returns whether there was room.
    ///
    /// # Safety
    /// `ptr` must be a slot in use that its owner gives up, and large enough for that class.
    #[inline]
    pub(crate) unsafe fn keep_slot(&mut self, ptr: *mut u8, class: usize) -> bool {
        // SAFETY: the slot is the allocator's again.
        unsafe {
            let magazine = self.ready_mut(class);
            if Self::IS_TABLE_INSIDE && !(*magazine).is_made() {
                return false;
            }
            // The round trip through an address takes up the provenance that `claim` exposed.
            let is_kept = Magazine::push(magazine, ptr as usize as *mut u8);
            if is_kept {
                fill_block(ptr as usize as *mut u8, Slab::slot_size(class));
                self.tally.record(|counters| {
                    counters.slots_added(Slab::size_of_slot(ptr, SLAB));
                });
            }
            is_kept
        }
    }

    /// Allocates a chunk for a layout that a slot could hold, if one of that size is in a magazine.
    ///
    /// # Safety
    /// The layout must have a class.
    #[inline]
    pub(crate) unsafe fn pop_small_chunk(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        if !Self::KEEPS_SMALL_CHUNKS || self.kept_count() == 0 {
            return None;
        }
        let index = Self::small_index(chunk_size(layout.size()));
        if index >= Self::KEPT_MAGAZINES {
            // Where headers are small, the largest class has the smallest of middling chunks.
            return self.pop_chunk(layout);
        }
        // SAFETY: the magazine exists; what is popped is no longer in it (I15).
        unsafe {
            let chunk = self.pop_kept_from(index, true)?;
            self.count_small_chunk(chunk);
            self.tally.record(|counters| counters.allocated(layout.size()));
            Some(chunk.allocation(layout.size()))
        }
    }

    /// Allocates a chunk of exactly the size for a layout from its magazine.
    #[inline]
    pub(crate) fn pop_chunk(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        if !Self::KEEPS_CHUNKS || layout.align() > GRAIN {
            return None;
        }
        // As the size of the chunk, but for sizes that are too small or too large to have a magazine.
        let around = layout.size().wrapping_add(SEAL + WORD + (GRAIN - 1));
        let index = Self::middling_index(around);
        if index >= self.kept_count() {
            return None;
        }
        debug_assert!(index == Self::middling_index(chunk_size(layout.size())));
        // SAFETY: the magazine exists; what is popped is no longer in it (I15).
        unsafe {
            let chunk = self.pop_kept_from(index, false)?;
            self.tally.record(|counters| counters.allocated(layout.size()));
            Some(chunk.allocation(layout.size()))
        }
    }

    /// Puts a chunk into the magazine of its size, if there is one, and room.
    ///
    /// # Safety
    /// The chunk must be allocated, and its owner gives it up.
    #[inline]
    pub(crate) unsafe fn keep_chunk(&mut self, chunk: Chunk) -> Keeping {
        // SAFETY: required of the caller.
        let header = unsafe { chunk.header() };
        let index = Self::middling_index(header.size());
        if index < self.kept_count() {
            // SAFETY: the magazine exists; the rest is required of the caller.
            unsafe { self.keep_in(index, chunk, header, header.with_mark()) }
        } else {
            Keeping::No
        }
    }

    /// As [`keep_chunk`](Self::keep_chunk), for a chunk that is counted as one that slots could hold. If it is kept, it is
    /// not counted any more.
    ///
    /// # Safety
    /// As there.
    #[inline]
    pub(crate) unsafe fn keep_small_chunk(&mut self, chunk: Chunk) -> Keeping {
        if !Self::KEEPS_SMALL_CHUNKS || self.kept_count() == 0 {
            return Keeping::No;
        }
        // SAFETY: required of the caller.
        unsafe {
            let header = chunk.header();
            let index = Self::small_index(header.size());
            let keeping = self.keep_in(index, chunk, header, header.without_mark());
            if matches!(keeping, Keeping::Kept) {
                self.uncount_small_chunk(header);
            }
            keeping
        }
    }

    /// Puts a chunk into a magazine, and gives it that header, if there is room.
    ///
    /// # Safety
    /// As for [`keep_chunk`](Self::keep_chunk). It must be the magazine of its size.
    #[inline]
    unsafe fn keep_in(
        &mut self,
        index: usize,
        chunk: Chunk,
        header: Header,
        kept: Header,
    ) -> Keeping {
        // SAFETY: the magazine exists; the chunk is the allocator's again.
        unsafe {
            let magazine = Table::kept(self.table_mut(), index);
            if Self::IS_TABLE_INSIDE && !(*magazine).is_made() {
                magazine.write(Magazine::with_room(self.kept_room(index)));
            }
            if !Magazine::push(magazine, chunk.payload()) {
                return Keeping::Full;
            }
            chunk.set_header(kept);
            fill_block(chunk.payload(), header.size() - WORD);
            self.tally.record(|counters| counters.gap_added(header.size()));
            Keeping::Kept
        }
    }
}
