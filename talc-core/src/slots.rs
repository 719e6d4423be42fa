//! Allocating and freeing slots: the tier of small objects above the chunks.

use core::alloc::Layout;
use core::mem;
use core::ptr::{self, addr_of_mut, null_mut, NonNull};

use crate::bins::{Binning, Parts};
use crate::chunk::{chunk_size, Chunk, CHUNK_UNIT, GRAIN};
use crate::header::Header;
use crate::slab::{Slab, Slot, State, COUNTDOWN};
use crate::RawTalc;

/// A class gets a slab while those with free slots take less than this part of the heaps.
const OPEN_PART: usize = 32;

/// The first slab of all may take this part: not of a tiny heap, but of one of 64 KiB, which is a
/// page of WebAssembly.
const FIRST_PART: usize = 15;

/// A class gets a slab, too, when it has this many more chunks than would fill a slab.
const WANTED: usize = 64;

/// Whether `ptr` is a slot: slots are at 8 mod 16, payloads of chunks at 0 mod 16.
#[inline]
pub(crate) fn is_slot(ptr: *mut u8) -> bool {
    ptr as usize & (GRAIN / 2) != 0
}

impl<B: Binning> RawTalc<B> {
    /// The class whose slots hold `layout`; [`CLASSES`](Bins) or more if there is none.
    #[inline]
    pub(crate) fn class_of(layout: Layout) -> usize {
        if layout.align() > GRAIN / 2 {
            return B::CLASSES;
        }
        // A size of zero shares the slots of the smallest size.
        layout.size().saturating_sub(1) / GRAIN
    }

    /// Allocates a slot of `class`, or a chunk if there is neither a slot nor a slab to be had.
    ///
    /// # Safety
    /// The table must exist, and `class` be that of `layout`, less than [`CLASSES`](Bins).
    #[inline]
    pub(crate) unsafe fn allocate_small(
        &mut self,
        class: usize,
        layout: Layout,
    ) -> Option<NonNull<u8>> {
        // SAFETY: what `current` points to is a slab or `none` (I13).
        unsafe {
            let slab = self.current(class).read();
            if (B::IS_COMPACT && slab.is_null()) || (*slab).free.is_null() {
                return self.allocate_small_slowly(class, layout);
            }
            Some(self.take_slot(slab, layout))
        }
    }

    /// Takes the first free slot of a slab.
    ///
    /// # Safety
    /// Its free list must not be empty.
    #[inline]
    unsafe fn take_slot(&mut self, slab: *mut Slab, layout: Layout) -> NonNull<u8> {
        // SAFETY: what is in a free list is a slot that is the allocator's (I12).
        unsafe {
            let slot = (*slab).free;
            (*slab).free = (*slot).next;
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
    #[inline(never)]
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

    /// The word that points to a class's current slab.
    #[inline]
    unsafe fn current(&mut self, class: usize) -> *mut *mut Slab {
        debug_assert!(class < B::CLASSES);
        // SAFETY: the table exists, and the class is one.
        unsafe { B::Table::current(self.table_mut()).add(class) }
    }

    /// Whether a class's current slab is none.
    #[inline]
    pub(crate) fn is_none(&self, slab: *const Slab) -> bool {
        if B::IS_COMPACT {
            slab.is_null()
        } else {
            ptr::eq(slab, &self.books().none)
        }
    }

    /// The word that points to the first of a class's partial slabs.
    unsafe fn partial(&mut self, class: usize) -> *mut *mut Slab {
        debug_assert!(class < B::CLASSES);
        // SAFETY: the table exists, and the class is one.
        unsafe { B::Table::partial(self.table_mut()).add(class) }
    }

    /// The number of live chunks of a small size.
    unsafe fn small_chunks(&mut self, index: usize) -> *mut u32 {
        debug_assert!(index < B::CLASSES);
        // SAFETY: the table exists, and the index is one.
        unsafe { B::Table::small_chunks(self.table_mut()).add(index) }
    }

    /// Notes that there are more slabs, or less, that are current, partial or spare.
    fn add_open(&mut self, slabs: isize) {
        if !B::IS_COMPACT {
            let open = &mut self.books_mut().open;
            *open = open.wrapping_add(slabs as usize);
        }
    }

    /// Finds a class whose current slab's free list is empty another slot: of the same slab, of a
    /// partial one, or of a new one. Answers the current slab, whose free list is no longer empty.
    unsafe fn refill(&mut self, class: usize, layout: Layout) -> Option<*mut Slab> {
        // SAFETY: the table exists; slabs in it are slabs (I12, I13).
        unsafe {
            let old = self.current(class).read();
            if !self.is_none(old) && Slab::freshen(old, B::SLAB) {
                return Some(old);
            }
            let partial = self.partial(class).read();
            let slab;
            if !partial.is_null() {
                slab = partial;
                Slab::unlink(slab, self.partial(class));
                (*slab).state = State::Current;
                (*slab).countdown = COUNTDOWN;
            } else {
                if B::IS_COMPACT || self.books().spare.is_null() {
                    slab = self.open_slab(class, layout)?;
                } else {
                    slab = self.take_spare();
                    self.uncount_slots(slab);
                }
                slab.write(Slab::new(class));
                Slab::freshen(slab, B::SLAB);
                self.tally.record(|counters| {
                    counters.slots_added(Slab::slots(B::SLAB, class) * Slab::slot_size(class));
                });
            }
            if !self.is_none(old) {
                // Its free list is empty.
                (*old).state = State::Full;
                (*old).countdown = 1;
                self.add_open(-1);
            }
            self.current(class).write(slab);
            Some(slab)
        }
    }

    /// Makes a slab for `class`, if it is time for one: if the slabs with free slots take little of
    /// the heaps, or the class already has more chunks than would fill a slab; so that a small heap
    /// does not pay for slabs that it hardly fills. Where code counts for more, it always is.
    ///
    /// What it answers is not written yet.
    #[inline]
    unsafe fn open_slab(&mut self, class: usize, layout: Layout) -> Option<*mut Slab> {
        // SAFETY: the table exists; what is found is a gap that is large enough, the allocator's
        // to cut up (I9).
        unsafe {
            let chunk = if B::IS_COMPACT {
                self.take_compactly(B::SLAB, B::SLAB)?
            } else if self.is_wanted(class, layout) || self.is_cheap(self.books().open) {
                let (gap, front) = self.search_slab_gap()?;
                self.take(gap, front, B::SLAB)
            } else {
                return None;
            };
            let header = chunk.header();
            debug_assert!(header.size() == B::SLAB);
            chunk.set_header(header.with_mark());
            self.add_open(1);
            Some(chunk.payload().cast())
        }
    }

    /// Whether a class has more chunks than would fill a slab.
    unsafe fn is_wanted(&mut self, class: usize, layout: Layout) -> bool {
        let index = Self::small_chunk_index(chunk_size(layout.size()));
        if index >= B::CLASSES {
            return false;
        }
        // SAFETY: the table exists, and the index is one.
        let chunks = unsafe { self.small_chunks(index).read() };
        // Without a division, as many allocations may come here in vain.
        (chunks as usize).saturating_sub(WANTED) * Slab::slot_size(class) >= B::SLAB
    }

    /// Whether one more slab with free slots, beside `others`, would take little of the heaps.
    fn is_cheap(&self, others: usize) -> bool {
        others * OPEN_PART + FIRST_PART <= self.books().heap_bytes / B::SLAB
    }

    /// Looks for a gap that a slab fits into, one that is not at the top of its heap if there is
    /// one, and how much of the gap lies below the slab: as much as possible.
    unsafe fn search_slab_gap(&self) -> Option<(Chunk, usize)> {
        let mut top = None;
        // Gaps of about a slab's size are often what a slab has left behind.
        let mut bin = B::bin_of(B::SLAB);
        for _ in 0..SLAB_SEARCHES {
            // SAFETY: the table exists; gaps come from the list of their bin (I7).
            unsafe {
                let found = match B::first_from(self.table(), bin) {
                    Some(found) => found,
                    None => return top,
                };
                let gap = B::first_gap(self.table(), found);
                if let Some(front) = gap.front_for_slab(gap.header().size(), B::SLAB) {
                    if !gap.above(gap.header().size()).header().is_sentinel() {
                        return Some((gap, front));
                    }
                    top = top.or(Some((gap, front)));
                }
                bin = found + 1;
            }
        }
        top
    }

    /// Frees a slot. Answers as [`deallocate`](Self::deallocate).
    ///
    /// # Safety
    /// `ptr` must be a slot in use, and nobody's.
    #[inline]
    pub(crate) unsafe fn free_slot(&mut self, ptr: *mut u8) -> Option<NonNull<u8>> {
        let slab = Slab::of_slot(ptr, B::SLAB);
        let slot = slab.cast::<u8>().wrapping_add(ptr as usize - slab as usize).cast::<Slot>();
        // SAFETY: a slot in use is the allocator's again, and its slab begins at the multiple of
        // `SLAB` below it (I12).
        unsafe {
            self.tally.record(|counters| {
                counters.slots_added(Slab::slot_size((*slab).class.into()));
            });
            (*slot).next = (*slab).free;
            (*slab).free = slot;
            (*slab).countdown -= 1;
            if (*slab).countdown == 0 {
                self.count_has_run_out(slab)
            } else {
                None
            }
        }
    }

    /// What becomes of a slab whose countdown has reached zero.
    #[cold]
    #[inline(never)]
    unsafe fn count_has_run_out(&mut self, slab: *mut Slab) -> Option<NonNull<u8>> {
        // SAFETY: the slab is one (I12), and its list, if it is in one, that of its class (I13).
        unsafe {
            match (*slab).state {
                State::Current => (*slab).countdown = COUNTDOWN,
                State::Full => {
                    let class = usize::from((*slab).class);
                    (*slab).state = State::Partial;
                    (*slab).countdown = Slab::slots(B::SLAB, class) as u32 - 1;
                    Slab::link(slab, self.partial(class));
                    self.add_open(1);
                }
                State::Partial => {
                    Slab::unlink(slab, self.partial((*slab).class.into()));
                    return self.spare_or_close(slab);
                }
                // No slot of it is in use.
                State::Spare => debug_assert!(false, "talc: a slot of a spare slab was freed"),
            }
        }
        None
    }

    /// Keeps an empty slab, that is in no list, for the next allocation that needs one, as long as
    /// slabs with free slots take little of the heaps; else gives it back to the chunks.
    unsafe fn spare_or_close(&mut self, slab: *mut Slab) -> Option<NonNull<u8>> {
        // SAFETY: the table exists; the slab is nobody's (I12).
        unsafe {
            if !B::IS_COMPACT && self.is_cheap(self.books().open - 1) {
                self.put_spare(slab);
                None
            } else {
                self.close_slab(slab)
            }
        }
    }

    /// Puts an empty slab, that is in no list, into the list of spares.
    unsafe fn put_spare(&mut self, slab: *mut Slab) {
        // SAFETY: the table exists; the slab is nobody's (I12).
        unsafe {
            (*slab).state = State::Spare;
            (*slab).next = mem::replace(&mut self.books_mut().spare, slab);
        }
    }

    /// Takes a slab, none of whose slots is in use, from the list of spares.
    ///
    /// # Safety
    /// There must be one.
    unsafe fn take_spare(&mut self) -> *mut Slab {
        // SAFETY: the table exists, and its list of spares is not empty (I13).
        unsafe {
            let slab = self.books().spare;
            self.books_mut().spare = (*slab).next;
            slab
        }
    }

    /// Takes the slots of an empty slab out of the books.
    unsafe fn uncount_slots(&mut self, slab: *mut Slab) {
        self.tally.record(|counters| {
            // SAFETY: the slab is one (I12).
            let class = unsafe { (*slab).class }.into();
            counters.slots_taken(Slab::slots(B::SLAB, class) * Slab::slot_size(class));
        });
    }

    /// Gives an empty slab, that is in no list, back to the chunks.
    unsafe fn close_slab(&mut self, slab: *mut Slab) -> Option<NonNull<u8>> {
        // SAFETY: the slab is the payload of a chunk, and nobody's (I12).
        unsafe {
            self.uncount_slots(slab);
            self.add_open(-1);
            let chunk = Slab::chunk(slab);
            self.free(chunk, chunk.header())
        }
    }

    /// Gives slabs back that are empty but kept for the next allocation. Stops after one whose
    /// space touches a heap end, and answers that heap end: [`truncate`](Self::truncate) may be
    /// worth while. Call it again until it answers `None`.
    ///
    /// An allocation that does not fit may fit after it.
    ///
    /// # Complexity
    /// O(1) for each slab that it gives back, and for each class, of which at most one slab is
    /// looked at.
    pub fn trim(&mut self) -> Option<NonNull<u8>> {
        if B::SLAB == 0 || !self.is_metadata_established() {
            return None;
        }
        // SAFETY: the table exists, and what it says is true (I13).
        unsafe {
            for class in 0..B::CLASSES {
                self.spare_current(class);
            }
            while !self.books().spare.is_null() {
                let slab = self.take_spare();
                let touched = self.close_slab(slab);
                if touched.is_some() {
                    return touched;
                }
            }
        }
        None
    }

    /// Makes a class's current slab a spare one, if it is empty.
    unsafe fn spare_current(&mut self, class: usize) {
        // SAFETY: as in `trim`.
        unsafe {
            let slab = self.current(class).read();
            if self.is_none(slab) || Slab::free_slots(slab, B::SLAB) < Slab::slots(B::SLAB, class) {
                return;
            }
            let none = if B::IS_COMPACT { null_mut() } else { addr_of_mut!(self.books_mut().none) };
            self.current(class).write(none);
            self.put_spare(slab);
        }
    }

    /// Whether small chunks are counted.
    const COUNTS: bool = B::SLAB != 0 && !B::IS_COMPACT;

    /// The place in the books of live chunks of `size` bytes; [`CLASSES`](Bins) or more if they are
    /// too large to be counted.
    #[inline]
    pub(crate) fn small_chunk_index(size: usize) -> usize {
        if !Self::COUNTS {
            return usize::MAX;
        }
        (size - CHUNK_UNIT) / GRAIN
    }

    /// Counts a new chunk, if it is one that slots could hold.
    ///
    /// # Safety
    /// `chunk` must be an allocated chunk that is not counted yet.
    #[inline]
    pub(crate) unsafe fn count_small_chunk(&mut self, chunk: Chunk) {
        // SAFETY: required of the caller; the table exists wherever there is a chunk (I10).
        unsafe {
            let header = chunk.header();
            let index = Self::small_chunk_index(header.size());
            if index < B::CLASSES {
                chunk.set_header(header.with_mark());
                *self.small_chunks(index) += 1;
            }
        }
    }

    /// Counts a chunk no longer.
    ///
    /// # Safety
    /// `header` must be that of an allocated chunk that is not a slab, which the caller will
    /// write anew.
    #[inline]
    pub(crate) unsafe fn uncount_small_chunk(&mut self, header: Header) {
        if Self::COUNTS && header.is_marked() {
            // SAFETY: as for counting it.
            unsafe { *self.small_chunks(Self::small_chunk_index(header.size())) -= 1 };
        }
    }
}

/// How many gaps are looked at for a slab, each the first of its bin.
const SLAB_SEARCHES: usize = 2;
