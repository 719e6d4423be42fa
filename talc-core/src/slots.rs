//! Allocating and freeing slots: the tier of small objects above the chunks.

use core::alloc::Layout;
use core::mem;
use core::ptr::{addr_of_mut, null_mut, NonNull};

use crate::bins::{Binning, Parts};
use crate::chunk::{chunk_size, Chunk, CHUNK_UNIT, GRAIN};
use crate::damage::CHECKS;
use crate::header::Header;
use crate::slab::{Slab, Slot, State, QUIET};
use crate::RawTalc;

/// A class gets a slab while those with free slots take less than this part of the heaps.
const OPEN_PART: usize = 32;

/// The first slab of all may take this part: not of a tiny heap, but of one of 64 KiB, which is a
/// page of WebAssembly.
const FIRST_PART: usize = 15;

/// A class gets a slab, too, when it has this many more chunks than would fill a slab.
const WANTED: usize = 64;

/// How many spare slabs there are at most, so that steps over them are bounded.
const MAX_SPARES: usize = 32;

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

    /// Allocates a slot of `class`, or a chunk if there is neither a slot nor room for a slab.
    ///
    /// # Safety
    /// `class` must be that of `layout`, less than [`CLASSES`](Bins).
    #[inline]
    pub(crate) unsafe fn allocate_small(
        &mut self,
        class: usize,
        layout: Layout,
    ) -> Option<NonNull<u8>> {
        // SAFETY: what `current` points to is a slab, or what stands for one (I13).
        unsafe {
            let slab = self.current(class).read();
            if (B::IS_COMPACT && slab.is_null()) || (*slab).free.is_null() {
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
    #[inline]
    unsafe fn take_slot(&mut self, slab: *mut Slab, layout: Layout) -> NonNull<u8> {
        // SAFETY: what is in a free list is a slot that is the allocator's (I12).
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

    /// The word that points to a class's current slab. For writing only if the table exists.
    ///
    /// # Safety
    /// `class` must be one, less than [`CLASSES`](Bins).
    #[inline]
    pub(crate) unsafe fn current(&mut self, class: usize) -> *mut *mut Slab {
        debug_assert!(class < B::CLASSES);
        // SAFETY: in bounds of a table and its placeholder, as the class is one.
        unsafe { B::Table::current(self.table_mut()).add(class) }
    }

    /// Whether a class's current slab is none.
    ///
    /// # Safety
    /// `slab` must be what the table has for one (I13).
    #[inline]
    pub(crate) unsafe fn is_none(slab: *const Slab) -> bool {
        if B::IS_COMPACT {
            slab.is_null()
        } else {
            // SAFETY: a slab, or what stands for one.
            unsafe { (*slab).state == State::NONE }
        }
    }

    /// The word that points to the first of a class's partial slabs. For writing only if the
    /// table exists.
    ///
    /// # Safety
    /// `class` must be one, less than [`CLASSES`](Bins).
    unsafe fn partial(&mut self, class: usize) -> *mut *mut Slab {
        debug_assert!(class < B::CLASSES);
        // SAFETY: in bounds of a table and its placeholder, as the class is one.
        unsafe { B::Table::partial(self.table_mut()).add(class) }
    }

    /// The number of live chunks of a small size. For writing only if the table exists.
    ///
    /// # Safety
    /// `index` must be less than [`CLASSES`](Bins).
    unsafe fn small_chunks(&mut self, index: usize) -> *mut u32 {
        debug_assert!(index < B::CLASSES);
        // SAFETY: in bounds of a table and its placeholder, as the index is one.
        unsafe { B::Table::small_chunks(self.table_mut()).add(index) }
    }

    /// Notes that there are more slabs, or less, that are current, partial or spare.
    ///
    /// # Safety
    /// The table must exist.
    unsafe fn add_open(&mut self, slabs: isize) {
        if !B::IS_COMPACT {
            // SAFETY: required of the caller.
            let open = unsafe { &mut self.books_mut().open };
            *open = open.wrapping_add(slabs as usize);
        }
    }

    /// What a slab that becomes current counts in addition to its slots in use.
    const FIRST_COUNT: u32 = if Self::WATCHES { 0 } else { QUIET };

    /// Finds another slot for a class whose current slab's free list is empty: of the same slab, of
    /// a partial one, or of a new one. Returns the current slab, whose free list is no longer empty.
    ///
    /// # Safety
    /// `class` must be that of `layout`, less than [`CLASSES`](Bins).
    unsafe fn refill(&mut self, class: usize, layout: Layout) -> Option<*mut Slab> {
        // SAFETY: slabs in the table are slabs (I12, I13). Where the table does not exist, it has
        // none, and no slab is opened.
        unsafe {
            let old = self.current(class).read();
            if !Self::is_none(old) && Slab::freshen(old, B::SLAB) {
                return Some(old);
            }
            let partial = self.partial(class).read();
            let slab;
            if !partial.is_null() {
                slab = partial;
                if CHECKS && !self.list_is_sound(slab) {
                    self.partial(class).write(null_mut());
                    return None;
                }
                Slab::unlink(slab, self.partial(class));
                (*slab).state = State::CURRENT;
                (*slab).count = (*slab).count.wrapping_add(Self::FIRST_COUNT);
            } else {
                if B::IS_COMPACT || self.books().spare.is_null() {
                    slab = self.open_slab(class, layout)?;
                } else {
                    slab = self.take_spare();
                    self.uncount_slots(slab);
                }
                slab.write(Slab::new(class, Self::FIRST_COUNT));
                if Self::KNOWS_BOUNDS {
                    Slab::tag(slab);
                }
                Slab::freshen(slab, B::SLAB);
                self.tally.record(|counters| {
                    counters.slots_added(Slab::slots(B::SLAB, class) * Slab::slot_size(class));
                });
            }
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

    /// Makes a slab for `class`, if it is time for one: if the slabs with free slots take little of
    /// the heaps, or the class already has more chunks than would fill a slab; so that a small heap
    /// does not pay for slabs that it hardly fills. Where code counts for more, it always is.
    ///
    /// What it returns is not written yet.
    ///
    /// # Safety
    /// `class` must be that of `layout`, less than [`CLASSES`](Bins).
    #[inline]
    unsafe fn open_slab(&mut self, class: usize, layout: Layout) -> Option<*mut Slab> {
        // SAFETY: what is found is a gap that is large enough, the allocator's to cut up (I9). Where
        // there is a gap, the table exists.
        unsafe {
            let chunk = if B::IS_COMPACT {
                self.take_compactly(B::SLAB, B::SLAB, true)?
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
    fn is_wanted(&mut self, class: usize, layout: Layout) -> bool {
        let index = Self::small_chunk_index(chunk_size(layout.size()));
        if index >= B::CLASSES {
            return false;
        }
        // SAFETY: in the table or its placeholder, as the index is one.
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
    fn search_slab_gap(&mut self) -> Option<(Chunk, usize)> {
        let mut top = None;
        let mut other = None;
        // Gaps of about a slab's size are often what a slab has left behind.
        self.search(B::bin_of(B::SLAB), SLAB_SEARCHES, 1, |gap, size| {
            if let Some(front) = gap.front_for_slab(size, B::SLAB) {
                // SAFETY: above a gap stands a chunk or the sentinel (I2).
                if !unsafe { gap.above(size).header() }.is_sentinel() {
                    other = Some((gap, front));
                    return true;
                }
                top = top.or(Some((gap, front)));
            }
            false
        });
        other.or(top)
    }

    /// Frees a slot. Returns what [`deallocate`](Self::deallocate) does.
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
            (*slab).count = (*slab).count.wrapping_sub(1);
            if (*slab).count == 0 {
                self.count_has_run_out(slab)
            } else {
                None
            }
        }
    }

    /// What becomes of a slab whose count has fallen to zero.
    ///
    /// # Safety
    /// `slab` must be a slab.
    #[cold]
    #[inline(never)]
    unsafe fn count_has_run_out(&mut self, slab: *mut Slab) -> Option<NonNull<u8>> {
        // SAFETY: the slab is one (I12), and its list, if it is in one, that of its class (I13).
        unsafe {
            let class = usize::from((*slab).class);
            let touched = match (*slab).state {
                State::CURRENT if Self::WATCHES => {
                    // Once is enough, as long as nothing else happens in this heap.
                    (*slab).count = QUIET;
                    Self::fell_free(self.table_mut(), Slab::chunk(slab))
                }
                State::FULL => {
                    (*slab).state = State::PARTIAL;
                    (*slab).count = Slab::slots(B::SLAB, class) as u32 - 1;
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
                touched.or(NonNull::new(self.books().reminder))
            } else {
                touched
            }
        }
    }

    /// Keeps an empty slab, that is in no list, for the next allocation that needs one, as long as
    /// there are few and slabs with free slots take little of the heaps; else gives it back to the
    /// chunks.
    ///
    /// # Safety
    /// `slab` must be such a slab.
    unsafe fn spare_or_close(&mut self, slab: *mut Slab) -> Option<NonNull<u8>> {
        // SAFETY: the slab is nobody's (I12).
        unsafe {
            if !B::IS_COMPACT
                && self.books().spares < MAX_SPARES
                && self.is_cheap(self.books().open - 1)
            {
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
            let books = self.books_mut();
            books.spares += 1;
            (*slab).next = mem::replace(&mut books.spare, slab);
        }
    }

    /// Takes a slab, none of whose slots is in use, from the list of spares.
    ///
    /// # Safety
    /// There must be one.
    unsafe fn take_spare(&mut self) -> *mut Slab {
        // SAFETY: the list of spares is not empty (I13), and so the table exists.
        unsafe {
            let books = self.books_mut();
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
    unsafe fn uncount_slots(&mut self, slab: *mut Slab) {
        self.tally.record(|counters| {
            // SAFETY: the slab is one (I12).
            let class = unsafe { (*slab).class }.into();
            counters.slots_taken(Slab::slots(B::SLAB, class) * Slab::slot_size(class));
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
                let books = self.books_mut();
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

    /// What a class has for a current slab where it has none.
    const NO_SLAB: *mut Slab = if B::IS_COMPACT { null_mut() } else { Slab::NOTHING };

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
            for class in 0..B::CLASSES {
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
            while B::SLAB != 0 && !self.books().spare.is_null() {
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
        // SAFETY: required of the caller; the table exists, as there is a chunk.
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
            // SAFETY: as for counting it; marked chunks that are no slabs are counted (I12).
            unsafe {
                let count = self.small_chunks(Self::small_chunk_index(header.size()));
                *count = (*count).wrapping_sub(1);
            }
        }
    }
}

/// How many gaps are looked at for a slab, each the first of its bin.
const SLAB_SEARCHES: usize = 2;
