//! Slabs: opening one, and keeping or closing one that has fallen empty.

use core::alloc::Layout;
use core::mem;
use core::ptr::{addr_of_mut, null_mut, NonNull};

use crate::memory::slab::{Slab, State};
use crate::tier::CHECKS;
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
    /// Opens a slab for `class`, if it is worth it, which may have been [weighed](Self::allocate_slot_or_chunk) already. The slab
    /// is not initialised.
    ///
    /// # Safety
    /// `class` must be that of `layout`, less than [`CLASSES`](Bins), and there must be books of
    /// slabs.
    pub(crate) unsafe fn open_slab(
        &mut self,
        class: usize,
        layout: Layout,
        is_weighed: bool,
    ) -> Option<*mut Slab> {
        // SAFETY: required of the caller.
        unsafe {
            if Self::WEIGHS_SLABS && !is_weighed && !self.is_worth_a_slab(class, layout) {
                return None;
            }
            let chunk = self.take_slab()?;
            let header = chunk.header();
            debug_assert!(header.size() == SLAB);
            chunk.set_header(header.with_mark());
            self.add_open(1, class);
            Some(chunk.payload().cast())
        }
    }

    /// Keeps an empty slab for the next allocation that needs one, if there are few such slabs, and
    /// slabs with free slots take little of the heaps; else closes it. Returns what
    /// [`deallocate`](Self::deallocate) does.
    ///
    /// # Safety
    /// `slab` must be a slab without a slot in use that is in no list.
    pub(crate) unsafe fn spare_or_close(&mut self, slab: *mut Slab) -> Option<NonNull<u8>> {
        // SAFETY: all of the slab is the allocator's (I12).
        unsafe {
            if Self::WEIGHS_SLABS && self.is_worth_a_spare((*slab).class.into()) {
                self.put_spare(slab);
                Self::fell_free(self.table_mut(), Slab::chunk(slab))
            } else {
                self.close_slab(slab)
            }
        }
    }

    /// Puts an empty slab into the list of spares.
    ///
    /// # Safety
    /// As for [`spare_or_close`](Self::spare_or_close).
    unsafe fn put_spare(&mut self, slab: *mut Slab) {
        // SAFETY: there is a slab, and so a table; all of the slab is the allocator's (I12).
        unsafe {
            self.add_open(-1, (*slab).class.into());
            (*slab).state = State::SPARE;
            (*slab).count = 0;
            let books = self.slab_books_mut();
            books.spares += 1;
            (*slab).next = mem::replace(&mut books.spare, slab);
        }
    }

    /// Takes a slab, of which no slot is in use, from the list of spares; `None` if that is empty, or damaged, which leaves it
    /// empty.
    ///
    /// # Safety
    /// There must be books of slabs.
    pub(crate) unsafe fn take_spare(&mut self) -> Option<*mut Slab> {
        // SAFETY: required of the caller; the list of spares has only slabs (I13).
        unsafe {
            let slab = self.slab_books().spare;
            if slab.is_null() {
                return None;
            }
            if CHECKS && !self.slab_is_sound(slab) {
                let books = self.slab_books_mut();
                books.spare = null_mut();
                books.spares = 0;
                return None;
            }
            let books = self.slab_books_mut();
            books.spare = (*slab).next;
            books.spares -= 1;
            Some(slab)
        }
    }

    /// Takes the slots of an empty slab out of the counters.
    ///
    /// # Safety
    /// `slab` must be a slab.
    pub(crate) unsafe fn uncount_slots(&mut self, slab: *mut Slab) {
        self.tally.record(|counters| {
            // SAFETY: required of the caller.
            let class = unsafe { (*slab).class }.into();
            counters.slots_taken(Slab::slots(SLAB, class) * Slab::slot_size(class));
        });
    }

    /// Frees the chunk of an empty slab. Returns what [`deallocate`](Self::deallocate) does.
    ///
    /// # Safety
    /// `slab` must be a slab without a slot in use that is in no list, and no class's current one.
    unsafe fn close_slab(&mut self, slab: *mut Slab) -> Option<NonNull<u8>> {
        // SAFETY: the slab is the payload of a chunk, and all of it is the allocator's (I12).
        unsafe {
            let chunk = Slab::chunk(slab);
            let header = chunk.header();
            if CHECKS {
                let misuse = if !header.is_marked() || header.size() != SLAB {
                    Some(Misuse::Damaged)
                } else {
                    self.damage_around(chunk, header)
                };
                if let Some(misuse) = misuse {
                    self.note(misuse, slab as usize);
                    return None;
                }
            }
            self.uncount_slots(slab);
            if (*slab).state != State::SPARE {
                self.add_open(-1, (*slab).class.into());
            }
            if Self::KNOWS_BOUNDS {
                Slab::untag(slab);
            }
            self.free(chunk, header)
        }
    }

    /// Closes an empty slab that is kept. Returns what [`deallocate`](Self::deallocate) does.
    ///
    /// # Safety
    /// `slab` must be a current or spare slab without a slot in use.
    pub(crate) unsafe fn close_kept(&mut self, slab: *mut Slab) -> Option<NonNull<u8>> {
        // SAFETY: all of the slab is the allocator's, and the table, which has it, exists (I12,
        // I13).
        unsafe {
            if (*slab).state == State::CURRENT {
                self.current((*slab).class.into()).write(null_mut());
            } else {
                let books = self.slab_books_mut();
                books.spares -= 1;
                let mut link: *mut *mut Slab = &mut books.spare;
                while *link != slab {
                    link = addr_of_mut!((**link).next);
                }
                *link = (*slab).next;
            }
            self.close_slab(slab)
        }
    }

    /// Empties magazines, and frees slabs that are empty but kept for the next allocation, until
    /// the top of a heap falls free. Returns the end of that heap, which is an occasion to [`truncate`](Self::truncate) it;
    /// `None` if nothing is kept any more.
    ///
    /// Call it until it returns `None`. Then an allocation that did not fit may fit. It is never
    /// needed to get memory back: [`reserved`](Self::reserved) and [`truncate`](Self::truncate)
    /// treat what is kept as free.
    ///
    /// # Complexity
    /// O(classes), and O(1) for each block in a magazine, and for each slab that is freed.
    pub fn trim(&mut self) -> Option<NonNull<u8>> {
        // SAFETY: the table has only slabs, in the states that it says (I13).
        unsafe {
            let touched = self.empty_magazines();
            self.report();
            if touched.is_some() {
                return touched;
            }
            if !self.has_slab_books() {
                return None;
            }
            for class in 0..self.classes() {
                let slab = self.current(class).read();
                if slab.is_null() || (CHECKS && !self.slab_is_sound(slab)) {
                    continue;
                }
                if Slab::is_empty(slab) {
                    self.current(class).write(null_mut());
                    let touched = self.close_slab(slab);
                    self.report();
                    if touched.is_some() {
                        return touched;
                    }
                }
            }
            while let Some(slab) = self.take_spare() {
                let touched = self.close_slab(slab);
                self.report();
                if touched.is_some() {
                    return touched;
                }
            }
        }
        self.report();
        None
    }
}
