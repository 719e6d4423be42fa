//! Slots: allocating and freeing one, and where the next ones come from.

use core::alloc::Layout;
use core::ptr::{addr_of_mut, null_mut, NonNull};

use crate::memory::chunk::{Chunk, GRAIN};
use crate::memory::fill::{seal, SEAL};
use crate::memory::magazine::Magazine;
use crate::memory::slab::{Slab, State, QUIET};
use crate::tier::{CHECKS, QUARANTINES};
use crate::tuning::FRESH_AT_ONCE;
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
    /// Returns the class whose slots hold `layout`; [`CLASSES`](Bins) or more if there is none.
    pub(crate) fn class_of(layout: Layout) -> usize {
        if layout.align() > GRAIN / 2 {
            return CLASSES;
        }
        Self::class_of_size(layout.size())
    }

    /// As [`class_of`](Self::class_of), for a layout that a slot is aligned for.
    pub(crate) fn class_of_size(size: usize) -> usize {
        // Size zero gets slots of the smallest size.
        (size + SEAL).saturating_sub(1) / GRAIN
    }

    /// Allocates a block for a class of which no slot is ready: a chunk from a magazine, a slot, or a chunk if there is
    /// neither a slot nor room for a slab.
    ///
    /// # Safety
    /// `class` must be that of `layout`, less than [`CLASSES`](Bins).
    #[cold]
    #[inline(never)]
    pub(crate) unsafe fn allocate_small(
        &mut self,
        class: usize,
        layout: Layout,
    ) -> Option<NonNull<u8>> {
        // SAFETY: required of the caller.
        unsafe {
            if !self.has_current(class) {
                let block = self.pop_small_chunk(layout, true);
                if block.is_some() {
                    return block;
                }
                if Self::WEIGHS_SLABS && !CHECKS && !QUARANTINES {
                    return self.allocate_small_weighing(class, layout);
                }
            }
            // Called last, so that this function needs no stack.
            self.allocate_slot_or_chunk(class, layout, false)
        }
    }

    /// As [`allocate_small`](Self::allocate_small), if there is no current slab, and no chunk is kept. It is a short way to a
    /// new chunk; tiers with checks look at more.
    ///
    /// # Safety
    /// As there.
    #[inline(never)]
    unsafe fn allocate_small_weighing(
        &mut self,
        class: usize,
        layout: Layout,
    ) -> Option<NonNull<u8>> {
        // SAFETY: required of the caller, but for the books.
        unsafe {
            if self.has_slab_books() {
                let may_have_slots =
                    !self.partial(class).read().is_null() || !self.slab_books().spare.is_null();
                if may_have_slots || self.is_small_worth_a_slab(class, layout) {
                    return self.allocate_slot_or_chunk(class, layout, !may_have_slots);
                }
            }
            self.allocate_counted(layout, true)
        }
    }

    /// As [`allocate_small`](Self::allocate_small), for middling classes, none of whose chunks is kept.
    ///
    /// # Safety
    /// As there.
    #[inline(never)]
    pub(crate) unsafe fn allocate_middling(
        &mut self,
        class: usize,
        layout: Layout,
    ) -> Option<NonNull<u8>> {
        // SAFETY: required of the caller; the books of the class exist.
        unsafe {
            if self.has_middling_classes() {
                if CHECKS
                    || QUARANTINES
                    || !self.current(class).read().is_null()
                    || !self.partial(class).read().is_null()
                {
                    return self.allocate_slot_or_chunk(class, layout, false);
                }
                if self.is_roomy() {
                    return self.allocate_middling_weighing(class, layout);
                }
            }
        }
        self.allocate_chunk(layout)
    }

    /// As [`allocate_middling`](Self::allocate_middling), where the class has no slot, but may get a slab.
    ///
    /// # Safety
    /// As there, and the books of the class must exist.
    #[inline(never)]
    unsafe fn allocate_middling_weighing(
        &mut self,
        class: usize,
        layout: Layout,
    ) -> Option<NonNull<u8>> {
        // SAFETY: required of the caller.
        unsafe {
            if self.is_middling_worth_a_slab(class, layout) {
                return self.allocate_slot_or_chunk(class, layout, true);
            }
            self.allocate_counted(layout, false)
        }
    }

    /// Allocates a chunk for a layout that has a class, and counts it.
    ///
    /// # Safety
    /// Unless the class `is_small`, there must be books of middling ones.
    #[inline]
    unsafe fn allocate_counted(&mut self, layout: Layout, is_small: bool) -> Option<NonNull<u8>> {
        let payload = self.allocate_chunk(layout)?;
        // SAFETY: it is the payload of a new chunk; the rest is required of the caller.
        unsafe {
            let chunk = Chunk::of_payload(payload.as_ptr());
            if is_small {
                self.count_small_chunk(chunk);
            } else {
                self.count_middling_chunk(chunk);
            }
        }
        Some(payload)
    }

    /// As [`allocate_small`](Self::allocate_small), with a slab if possible. If it `is_weighed`, the class has none with a free slot,
    /// and is known to be worth a new one.
    ///
    /// # Safety
    /// As there.
    #[inline(never)]
    unsafe fn allocate_slot_or_chunk(
        &mut self,
        class: usize,
        layout: Layout,
        is_weighed: bool,
    ) -> Option<NonNull<u8>> {
        // SAFETY: required of the caller.
        unsafe {
            self.close_ready_if_damaged(class);
            if let Some(slab) = self.slab_for(class, layout, is_weighed) {
                return self.take_slot(slab, class, layout);
            }
            if self.diagnosis.has_found() {
                return None;
            }
            // If there is no current slab, the caller has looked there.
            if self.has_current(class) {
                let block = self.pop_small_chunk(layout, true);
                if block.is_some() {
                    return block;
                }
            }
            let block = self.allocate_counted(layout, Self::is_small_class(class));
            if block.is_some() {
                return block;
            }
            if QUARANTINES {
                // All of the quarantine was emptied in vain, but there may have been slots in it.
                let slab = self.slab_for(class, layout, false)?;
                return self.take_slot(slab, class, layout);
            }
            None
        }
    }

    /// Takes the first free slot of a slab, and makes the others ready if there may be magazines.
    ///
    /// # Safety
    /// `slab` must be the current slab of `class`, with a free slot.
    unsafe fn take_slot(
        &mut self,
        slab: *mut Slab,
        class: usize,
        layout: Layout,
    ) -> Option<NonNull<u8>> {
        // SAFETY: what is in a free list is a slot, and the allocator's (I12).
        unsafe {
            if Self::HAS_MAGAZINES {
                let room = self.ready_room(class);
                if room != 0 {
                    // Some are, if the caller has not asked for a ready one first.
                    if !self.has_ready(class) {
                        self.make_ready(class, slab, room);
                    }
                    return self.pop_slot(class, layout);
                }
            }
            if (*slab).free.is_empty() {
                Slab::freshen(slab, SLAB, addr_of_mut!((*slab).free), FRESH_AT_ONCE);
            }
            let slot = Magazine::pop(addr_of_mut!((*slab).free))?;
            self.check_free(slot.as_ptr(), Slab::slot_size(class));
            seal(slot.as_ptr(), layout.size());
            (*slab).count = (*slab).count.wrapping_add(1);
            self.tally.record(|counters| {
                counters.allocated(layout.size());
                counters.slots_taken(Slab::slot_size(class));
            });
            Some(slot)
        }
    }

    /// Returns the word that points to a class's current slab.
    ///
    /// # Safety
    /// `class` must be less than [`CLASSES`](Bins), and there must be books of slabs.
    pub(crate) unsafe fn current(&mut self, class: usize) -> *mut *mut Slab {
        // SAFETY: required of the caller.
        unsafe { addr_of_mut!((*self.class_books_mut(class)).current) }
    }

    /// Returns whether a class has a current slab.
    ///
    /// # Safety
    /// `class` must be less than [`CLASSES`](Bins).
    unsafe fn has_current(&mut self, class: usize) -> bool {
        // SAFETY: required of the caller.
        self.has_slab_books() && unsafe { !self.current(class).read().is_null() }
    }

    /// Returns the word that points to the first of a class's partial slabs.
    ///
    /// # Safety
    /// `class` must be less than [`CLASSES`](Bins), and there must be books of slabs.
    unsafe fn partial(&mut self, class: usize) -> *mut *mut Slab {
        // SAFETY: required of the caller.
        unsafe { addr_of_mut!((*self.class_books_mut(class)).partial) }
    }

    /// Finds a slab with a free slot for a class: its current one, a partial one or a new one; a new one if it
    /// [`is_weighed`](Self::allocate_slot_or_chunk). Returns the slab, which then is the current one.
    ///
    /// # Safety
    /// `class` must be that of `layout`, less than [`CLASSES`](Bins).
    unsafe fn slab_for(
        &mut self,
        class: usize,
        layout: Layout,
        is_weighed: bool,
    ) -> Option<*mut Slab> {
        if !is_weighed && !self.has_slab_books() {
            return None;
        }
        // SAFETY: slabs in the table are slabs (I12, I13).
        unsafe {
            let old = if is_weighed { null_mut() } else { self.current(class).read() };
            if !old.is_null() {
                if CHECKS && !self.slab_is_sound(old) {
                    self.current(class).write(null_mut());
                    return None;
                }
                if CHECKS && !self.free_slots_are_sound(old) {
                    return None;
                }
                if !(*old).free.is_empty() || Slab::can_freshen(old, SLAB) {
                    return Some(old);
                }
            }
            let partial = if is_weighed { null_mut() } else { self.partial(class).read() };
            let slab = if partial.is_null() {
                self.new_slab(class, layout, is_weighed)?
            } else if !CHECKS
                || (self.slab_is_sound(partial)
                    && self.list_is_sound(partial)
                    && self.free_slots_are_sound(partial))
            {
                Slab::unlink(partial, self.partial(class));
                (*partial).state = State::CURRENT;
                (*partial).count = (*partial).count.wrapping_add(Self::FIRST_COUNT);
                partial
            } else {
                self.partial(class).write(null_mut());
                return None;
            };
            if !old.is_null() {
                // No slot of it is free.
                (*old).state = State::FULL;
                (*old).count = 1;
                self.add_open(-1, class);
            }
            self.current(class).write(slab);
            Some(slab)
        }
    }

    /// Frees a slot. Returns what [`deallocate`](Self::deallocate) does.
    ///
    /// # Safety
    /// `ptr` must be a slot in use that its owner gives up.
    #[inline]
    pub(crate) unsafe fn free_slot(&mut self, ptr: *mut u8) -> Option<NonNull<u8>> {
        let slab = Slab::of_slot(ptr, SLAB);
        let slot = slab.cast::<u8>().wrapping_add(ptr as usize - slab as usize);
        // SAFETY: the slot is the allocator's again, and its slab begins at the multiple of `SLAB`
        // below it (I12).
        unsafe {
            self.tally.record(|counters| {
                counters.slots_added(Slab::slot_size((*slab).class.into()));
            });
            Slab::put(slab, slot);
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
                    (*slab).count = Slab::slots(SLAB, class) as u16 - 1;
                    Slab::link(slab, self.partial(class));
                    self.add_open(1, class);
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

    /// Makes a slab for `class`, none of whose slots has been used, of a spare one or of a gap; `None` if there is
    /// no room for one, or it is not worth it.
    ///
    /// # Safety
    /// `class` must be that of `layout`, less than [`CLASSES`](Bins), and there must be books of slabs.
    unsafe fn new_slab(
        &mut self,
        class: usize,
        layout: Layout,
        is_weighed: bool,
    ) -> Option<*mut Slab> {
        // SAFETY: a slab that is spare or has just been opened is the allocator's (I12).
        unsafe {
            let slab = if !Self::WEIGHS_SLABS || is_weighed || self.slab_books().spare.is_null() {
                self.open_slab(class, layout, is_weighed)?
            } else {
                let slab = self.take_spare()?;
                self.add_open(1, class);
                self.uncount_slots(slab);
                slab
            };
            slab.write(Slab::new(class, Self::FIRST_COUNT));
            if Self::KNOWS_BOUNDS {
                Slab::tag(slab);
            }
            self.tally.record(|counters| {
                counters.slots_added(Slab::slots(SLAB, class) * Slab::slot_size(class));
            });
            Some(slab)
        }
    }
}
