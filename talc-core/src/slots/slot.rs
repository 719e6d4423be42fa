//! Slots: allocating and freeing one, and where the next ones come from.

use core::alloc::Layout;
use core::ptr::{null_mut, NonNull};

use crate::checks::CHECKS;
use crate::memory::chunk::{Chunk, GRAIN};
use crate::memory::slab::{Slab, Slot, State, QUIET};
use crate::table::Table;
use crate::{Bins, RawTalc};

impl<
        const LINEAR: usize,
        const PER_DOUBLING: usize,
        const WORDS: usize,
        const SLAB: usize,
        const CLASSES: usize,
        const INSIDE: usize,
    > RawTalc<Bins<LINEAR, PER_DOUBLING, WORDS, SLAB, CLASSES, INSIDE>>
{
    /// Returns the class whose slots hold `layout`; [`CLASSES`](Bins) or more if there is none.
    pub(crate) fn class_of(layout: Layout) -> usize {
        if layout.align() > GRAIN / 2 {
            return CLASSES;
        }
        // Size zero gets slots of the smallest size.
        layout.size().saturating_sub(1) / GRAIN
    }

    /// Allocates a slot of `class`, or a chunk if there is neither a slot nor room for a slab.
    ///
    /// # Safety
    /// `class` must be that of `layout`, less than [`CLASSES`](Bins).
    pub(crate) unsafe fn allocate_small(
        &mut self,
        class: usize,
        layout: Layout,
    ) -> Option<NonNull<u8>> {
        // SAFETY: `current` points to a slab, or to what stands for one (I13).
        unsafe {
            let slab = self.current(class).read();
            if (Self::NO_SLAB.is_null() && slab.is_null()) || (*slab).free.is_null() {
                return self.allocate_small_slowly(class, layout);
            }
            if CHECKS && !self.free_list_is_sound(slab) {
                return None;
            }
            Some(self.take_slot(slab, layout))
        }
    }

    /// Takes the first free slot of a slab.
    ///
    /// # Safety
    /// Its free list must not be empty.
    unsafe fn take_slot(&mut self, slab: *mut Slab, layout: Layout) -> NonNull<u8> {
        // SAFETY: what is in a free list is a slot, and the allocator's (I12).
        unsafe {
            let slot = (*slab).free;
            (*slab).free = (*slot).next;
            (*slab).count = (*slab).count.wrapping_add(1);
            self.tally.record(|counters| {
                counters.allocated(layout.size());
                counters.slots_taken(Slab::slot_size((*slab).class.into()));
            });
            NonNull::new_unchecked(slot.cast())
        }
    }

    /// Allocates a slot of a class whose current slab's free list is empty, or a chunk.
    ///
    /// # Safety
    /// As for [`allocate_small`](Self::allocate_small).
    #[cold]
    unsafe fn allocate_small_slowly(
        &mut self,
        class: usize,
        layout: Layout,
    ) -> Option<NonNull<u8>> {
        // SAFETY: required of the caller.
        unsafe {
            if let Some(slab) = self.refill(class, layout) {
                return Some(self.take_slot(slab, layout));
            }
            let payload = self.allocate_chunk(layout)?;
            self.count_small_chunk(Chunk::of_payload(payload.as_ptr()));
            Some(payload)
        }
    }

    /// Returns the word that points to a class's current slab. It may be written to only if the
    /// table exists.
    ///
    /// # Safety
    /// `class` must be less than [`CLASSES`](Bins).
    pub(crate) unsafe fn current(&mut self, class: usize) -> *mut *mut Slab {
        debug_assert!(class < CLASSES);
        // SAFETY: in bounds of a table and of its placeholder, as required of the caller.
        unsafe { Table::current(self.table_mut()).add(class) }
    }

    /// Returns whether `slab` only stands for a class's current slab.
    ///
    /// # Safety
    /// `slab` must be what the table has for a class (I13).
    pub(crate) unsafe fn is_none(slab: *const Slab) -> bool {
        if Self::NO_SLAB.is_null() {
            slab.is_null()
        } else {
            // SAFETY: it is a slab, or what stands for one.
            unsafe { (*slab).state == State::NONE }
        }
    }

    /// Returns the word that points to the first of a class's partial slabs.
    ///
    /// # Safety
    /// `class` must be less than [`CLASSES`](Bins), and there must be books of slabs.
    unsafe fn partial(&mut self, class: usize) -> *mut *mut Slab {
        debug_assert!(class < CLASSES);
        // SAFETY: in bounds of the books, as required of the caller.
        unsafe { self.slab_books_mut().partial.as_mut_ptr().add(class) }
    }

    /// Finds free slots for a class whose current slab has an empty free list: in the same slab, a
    /// partial one or a new one. Returns the slab, which then is the current one.
    ///
    /// # Safety
    /// `class` must be that of `layout`, less than [`CLASSES`](Bins).
    unsafe fn refill(&mut self, class: usize, layout: Layout) -> Option<*mut Slab> {
        // SAFETY: slabs in the table are slabs (I12, I13). If the table does not exist, there is no
        // slab, and none is opened.
        unsafe {
            let old = self.current(class).read();
            if Self::is_none(old) {
                if !self.has_slab_books() {
                    return None;
                }
            } else if Slab::freshen(old, SLAB) {
                return Some(old);
            }
            let partial = self.partial(class).read();
            let slab = if partial.is_null() {
                self.new_slab(class, layout)?
            } else if !CHECKS || self.list_is_sound(partial) {
                Slab::unlink(partial, self.partial(class));
                (*partial).state = State::CURRENT;
                (*partial).count = (*partial).count.wrapping_add(Self::FIRST_COUNT);
                partial
            } else {
                self.partial(class).write(null_mut());
                return None;
            };
            if !Self::is_none(old) {
                // Its free list is empty.
                (*old).state = State::FULL;
                (*old).count = 1;
                self.add_open(-1);
            }
            self.current(class).write(slab);
            Some(slab)
        }
    }

    /// Frees a slot. Returns what [`deallocate`](Self::deallocate) does.
    ///
    /// # Safety
    /// `ptr` must be a slot in use that its owner gives up.
    pub(crate) unsafe fn free_slot(&mut self, ptr: *mut u8) -> Option<NonNull<u8>> {
        let slab = Slab::of_slot(ptr, SLAB);
        let slot = slab.cast::<u8>().wrapping_add(ptr as usize - slab as usize).cast::<Slot>();
        // SAFETY: the slot is the allocator's again, and its slab begins at the multiple of `SLAB`
        // below it (I12).
        unsafe {
            self.tally.record(|counters| {
                counters.slots_added(Slab::slot_size((*slab).class.into()));
            });
            (*slot).next = (*slab).free;
            (*slab).free = slot;
            (*slab).count = (*slab).count.wrapping_sub(1);
            if (*slab).count == 0 {
                self.count_has_run_out(slab)
            } else {
                None
            }
        }
    }

    /// Acts on a slab whose count has fallen to zero. Returns what [`deallocate`](Self::deallocate)
    /// does.
    ///
    /// # Safety
    /// `slab` must be a slab.
    #[cold]
    unsafe fn count_has_run_out(&mut self, slab: *mut Slab) -> Option<NonNull<u8>> {
        // SAFETY: it is a slab (I12), and its list, if it is in one, is that of its class (I13).
        unsafe {
            let class = usize::from((*slab).class);
            let touched = match (*slab).state {
                State::CURRENT if Self::WATCHES => {
                    // Once is enough, as long as nothing else changes in this heap.
                    (*slab).count = QUIET;
                    Self::fell_free(self.table_mut(), Slab::chunk(slab))
                }
                State::FULL => {
                    (*slab).state = State::PARTIAL;
                    (*slab).count = Slab::slots(SLAB, class) as u32 - 1;
                    Slab::link(slab, self.partial(class));
                    self.add_open(1);
                    return None;
                }
                State::PARTIAL => {
                    if CHECKS && !self.list_is_sound(slab) {
                        return None;
                    }
                    Slab::unlink(slab, self.partial(class));
                    self.spare_or_close(slab)
                }
                _ => return None,
            };
            if Self::WATCHES {
                touched.or(NonNull::new(self.slab_books().reminder))
            } else {
                touched
            }
        }
    }

    /// Makes a slab for `class`, with slots in its free list, of a spare one or of a gap; `None` if there
    /// is no room for one, or it is not worth it.
    ///
    /// # Safety
    /// `class` must be that of `layout`, less than [`CLASSES`](Bins), and there must be books of slabs.
    unsafe fn new_slab(&mut self, class: usize, layout: Layout) -> Option<*mut Slab> {
        // SAFETY: a slab that is spare or has just been opened is the allocator's (I12).
        unsafe {
            let slab = if !Self::WEIGHS_SLABS || self.slab_books().spare.is_null() {
                self.open_slab(class, layout)?
            } else {
                let slab = self.take_spare();
                self.uncount_slots(slab);
                slab
            };
            slab.write(Slab::new(class, Self::FIRST_COUNT));
            if Self::KNOWS_BOUNDS {
                Slab::tag(slab);
            }
            Slab::freshen(slab, SLAB);
            self.tally.record(|counters| {
                counters.slots_added(Slab::slots(SLAB, class) * Slab::slot_size(class));
            });
            Some(slab)
        }
    }
}
