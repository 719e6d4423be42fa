//! The counts that decide whether a slab is worth it.

use core::alloc::Layout;

use crate::memory::chunk::{chunk_size, Chunk, CHUNK_UNIT, GRAIN};
use crate::memory::header::Header;
use crate::memory::slab::Slab;
use crate::tuning::{FIRST_PART, MAX_SPARES, OPEN_PART, OPEN_PART_ROOMY, WANTED};
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
    /// Returns whether a class is worth a slab: if slabs with free slots take little of the heaps,
    /// or if the class already has more chunks than fill a slab. So a small heap does not pay for
    /// slabs that it hardly fills.
    ///
    /// # Safety
    /// `class` must be that of `layout`, less than [`CLASSES`](Bins), and there must be books of
    /// slabs.
    pub(crate) unsafe fn is_worth_a_slab(&mut self, class: usize, layout: Layout) -> bool {
        // SAFETY: required of the caller.
        unsafe {
            if self.is_cheap(self.slab_books().open) {
                return true;
            }
            let index = Self::small_chunk_index(chunk_size(layout.size()));
            if index >= CLASSES {
                return false;
            }
            // No division, as many allocations may come here in vain.
            let chunks = self.small_chunks(index).read() as usize;
            let more = if self.is_roomy() { 0 } else { WANTED };
            chunks.saturating_sub(more) * Slab::slot_size(class) >= SLAB
        }
    }

    /// Returns whether a slab that has fallen empty is worth keeping as a spare.
    ///
    /// # Safety
    /// There must be a slab.
    pub(crate) unsafe fn is_worth_a_spare(&self) -> bool {
        // SAFETY: required of the caller.
        let books = unsafe { self.slab_books() };
        books.spares < MAX_SPARES && self.is_cheap(books.open - 1)
    }

    /// Returns whether one slab with free slots more than `others` takes little of the heaps.
    fn is_cheap(&self, others: usize) -> bool {
        let slabs = self.books().heap_bytes / SLAB;
        // In this order, the first slabs, which take longest, are not asked for more.
        others * OPEN_PART + FIRST_PART <= slabs
            || (self.is_roomy() && others * OPEN_PART_ROOMY + FIRST_PART <= slabs)
    }

    /// Notes that there are this many more slabs, or fewer, that are current, partial or spare.
    ///
    /// # Safety
    /// There must be books of slabs.
    pub(crate) unsafe fn add_open(&mut self, slabs: isize) {
        if Self::WEIGHS_SLABS {
            // SAFETY: required of the caller.
            let open = unsafe { &mut self.slab_books_mut().open };
            *open = open.wrapping_add(slabs as usize);
        }
    }

    /// Returns the number of live chunks of a small size, for writing.
    ///
    /// # Safety
    /// `index` must be less than [`CLASSES`](Bins), and there must be books of slabs.
    unsafe fn small_chunks(&mut self, index: usize) -> *mut u32 {
        debug_assert!(index < CLASSES);
        // SAFETY: in bounds of the books, as required of the caller.
        unsafe { self.slab_books_mut().small_chunks.as_mut_ptr().add(index) }
    }

    /// Returns the index of chunks of `size` bytes in the books; [`CLASSES`](Bins) or more if they
    /// are too large to be counted.
    pub(crate) fn small_chunk_index(size: usize) -> usize {
        if !Self::WEIGHS_SLABS {
            return usize::MAX;
        }
        (size - CHUNK_UNIT) / GRAIN
    }

    /// Counts and marks a new chunk, if a slot could hold it.
    ///
    /// # Safety
    /// `chunk` must be an allocated chunk that is not counted yet.
    pub(crate) unsafe fn count_small_chunk(&mut self, chunk: Chunk) {
        if !Self::WEIGHS_SLABS || !self.has_slab_books() {
            return;
        }
        // SAFETY: required of the caller.
        unsafe {
            let header = chunk.header();
            let index = Self::small_chunk_index(header.size());
            if index < CLASSES {
                chunk.set_header(header.marked());
                *self.small_chunks(index) += 1;
            }
        }
    }

    /// Returns whether an allocated chunk that is not a slab, and in no magazine, is counted.
    #[inline]
    pub(crate) fn is_counted(header: Header) -> bool {
        Self::WEIGHS_SLABS && header.is_marked()
    }

    /// Takes a chunk out of the count, if it was counted.
    ///
    /// # Safety
    /// `header` must be that of an allocated chunk that is not a slab. The caller must overwrite
    /// it.
    pub(crate) unsafe fn uncount_small_chunk(&mut self, header: Header) {
        if Self::is_counted(header) {
            // SAFETY: as for counting it; marked chunks that are no slabs are counted (I12).
            unsafe {
                let count = self.small_chunks(Self::small_chunk_index(header.size()));
                *count = (*count).wrapping_sub(1);
            }
        }
    }
}
