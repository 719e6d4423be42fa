//! Slabs: opening one, and what becomes of one that falls empty.

use core::alloc::Layout;
use core::mem;
use core::ptr::{addr_of_mut, NonNull};

use crate::checks::CHECKS;
use crate::memory::slab::{Slab, State};
use crate::{Bins, RawTalc};

impl<
        const L: usize,
        const P: usize,
        const W: usize,
        const S: usize,
        const C: usize,
        const I: usize,
    > RawTalc<Bins<L, P, W, S, C, I>>
{
    /// Opens a slab for `class`, if it is worth it. What it returns is not written yet.
    ///
    /// # Safety
    /// `class` must be that of `layout`, less than [`CLASSES`](Bins), and there be books of slabs.
    #[inline]
    pub(crate) unsafe fn open_slab(&mut self, class: usize, layout: Layout) -> Option<*mut Slab> {
        // SAFETY: required of the caller.
        unsafe {
            if Self::WEIGHS_SLABS && !self.is_worth_a_slab(class, layout) {
                return None;
            }
            let chunk = self.take_slab()?;
            let header = chunk.header();
            debug_assert!(header.size() == S);
            chunk.set_header(header.with_mark());
            self.add_open(1);
            Some(chunk.payload().cast())
        }
    }

    /// Keeps an empty slab, that is in no list, for the next allocation that needs one, as long as
    /// there are few and slabs with free slots take little of the heaps; else gives it back to the
    /// chunks.
    ///
    /// # Safety
    /// `slab` must be such a slab.
    pub(crate) unsafe fn spare_or_close(&mut self, slab: *mut Slab) -> Option<NonNull<u8>> {
        // SAFETY: the slab is nobody's (I12).
        unsafe {
            if Self::WEIGHS_SLABS && self.is_worth_a_spare() {
                self.put_spare(slab);
                Self::fell_free(self.table_mut(), Slab::chunk(slab))
            } else {
                self.close_slab(slab)
            }
        }
    }

    /// Puts an empty slab, that is in no list, into the list of spares.
    ///
    /// # Safety
    /// `slab` must be such a slab.
    unsafe fn put_spare(&mut self, slab: *mut Slab) {
        // SAFETY: the table exists, as there is a slab, which is nobody's (I12).
        unsafe {
            (*slab).state = State::SPARE;
            (*slab).count = 0;
            let books = self.slab_books_mut();
            books.spares += 1;
            (*slab).next = mem::replace(&mut books.spare, slab);
        }
    }

    /// Takes a slab, none of whose slots is in use, from the list of spares.
    ///
    /// # Safety
    /// There must be one.
    pub(crate) unsafe fn take_spare(&mut self) -> *mut Slab {
        // SAFETY: the list of spares is not empty (I13), and so the table exists.
        unsafe {
            let books = self.slab_books_mut();
            let slab = books.spare;
            books.spare = (*slab).next;
            books.spares -= 1;
            slab
        }
    }

    /// Takes the slots of an empty slab out of the counters.
    ///
    /// # Safety
    /// `slab` must be a slab.
    pub(crate) unsafe fn uncount_slots(&mut self, slab: *mut Slab) {
        self.tally.record(|counters| {
            // SAFETY: the slab is one (I12).
            let class = unsafe { (*slab).class }.into();
            counters.slots_taken(Slab::slots(S, class) * Slab::slot_size(class));
        });
    }

    /// Gives an empty slab, that is in no list and no class's current one, back to the chunks.
    ///
    /// # Safety
    /// `slab` must be such a slab.
    unsafe fn close_slab(&mut self, slab: *mut Slab) -> Option<NonNull<u8>> {
        // SAFETY: the slab is the payload of a chunk, and nobody's (I12).
        unsafe {
            let chunk = Slab::chunk(slab);
            let header = chunk.header();
            if CHECKS {
                if let Some(misuse) = self.damage_around(chunk, header) {
                    self.diagnosis.note(misuse);
                    return None;
                }
            }
            self.uncount_slots(slab);
            self.add_open(-1);
            if Self::KNOWS_BOUNDS {
                Slab::untag(slab);
            }
            self.free(chunk, header)
        }
    }

    /// Gives an empty slab that is kept, current or spare, back to the chunks.
    ///
    /// # Safety
    /// `slab` must be such a slab.
    pub(crate) unsafe fn close_kept(&mut self, slab: *mut Slab) -> Option<NonNull<u8>> {
        // SAFETY: the slab is nobody's, and the table, which has it, exists (I12, I13).
        unsafe {
            if (*slab).state == State::CURRENT {
                self.current((*slab).class.into()).write(Self::NO_SLAB);
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

    /// Gives slabs back that are empty but kept for the next allocation. Stops after one whose
    /// space reaches a heap end, and returns that heap end: [`truncate`](Self::truncate) may be
    /// worthwhile. Call it again until it returns `None`.
    ///
    /// An allocation that does not fit may fit after it. It is never needed to get memory back:
    /// [`reserved`](Self::reserved) and [`truncate`](Self::truncate) treat such slabs as free.
    ///
    /// # Complexity
    /// O(1) for each slab that it gives back, and for each class.
    pub fn trim(&mut self) -> Option<NonNull<u8>> {
        // SAFETY: what the table says of slabs is true (I13).
        unsafe {
            for class in 0..C {
                let slab = self.current(class).read();
                if !Self::is_none(slab) && Slab::is_empty(slab) {
                    self.current(class).write(Self::NO_SLAB);
                    let touched = self.close_slab(slab);
                    self.report();
                    if touched.is_some() {
                        return touched;
                    }
                }
            }
            while self.has_slab_books() && !self.slab_books().spare.is_null() {
                let slab = self.take_spare();
                let touched = self.close_slab(slab);
                self.report();
                if touched.is_some() {
                    return touched;
                }
            }
        }
        None
    }
}
