//! Putting a slot that is freed into a magazine, and taking it out again; and what is the same for [chunks](super::kept).

use core::alloc::Layout;
use core::mem;
use core::ptr::{addr_of_mut, NonNull};

use crate::memory::fill::{fill_block, find_written_in, seal};
use crate::memory::magazine::Magazine;
use crate::memory::slab::{Slab, FIRST_SLOT};
use crate::table::Table;
use crate::tier::{CHECKS, FILLS, MARKS};
use crate::tuning::{FRESH_AT_FIRST, FRESH_AT_ONCE};
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

    /// Takes a block from the magazine that `find` finds in a table, if there is one and it is sound.
    ///
    /// # Safety
    /// It must be a magazine of the table, or of its placeholder.
    #[inline]
    pub(super) unsafe fn pop(
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
    pub(super) unsafe fn close_if_damaged(
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
                let is_new = usize::from((*slab).fresh) == FIRST_SLOT;
                let most = if is_new { FRESH_AT_FIRST } else { FRESH_AT_ONCE };
                Slab::freshen(slab, SLAB, magazine, most)
            } else {
                if is_fresh {
                    // In two steps, which is less code.
                    Slab::freshen(slab, SLAB, addr_of_mut!((*slab).free), FRESH_AT_ONCE);
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
}
