//! The counts that decide whether a slab is worth it.

use core::alloc::Layout;
use core::ptr::addr_of_mut;

use crate::memory::chunk::{chunk_size, Chunk, CHUNK_UNIT, GRAIN};
use crate::memory::header::Header;
use crate::memory::slab::Slab;
use crate::tuning::{
    FIRST_PART, MAX_SPARES, MIDDLING_CHEAP, MIDDLING_WANTED, OPEN_PART, OPEN_PART_ROOMY, WANTED,
};
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
    /// Returns whether a class is worth a slab.
    ///
    /// # Safety
    /// `class` must be that of `layout`, and there must be books of it.
    pub(crate) unsafe fn is_worth_a_slab(&mut self, class: usize, layout: Layout) -> bool {
        // SAFETY: required of the caller.
        unsafe {
            if Self::is_small_class(class) {
                self.is_small_worth_a_slab(class, layout)
            } else {
                self.is_roomy() && self.is_middling_worth_a_slab(class, layout)
            }
        }
    }

    /// Returns whether a small class is worth a slab: if slabs with free slots take little of the heaps,
    /// or if the class already has more chunks than fill a slab. So a small heap does not pay for
    /// slabs that it hardly fills.
    ///
    /// # Safety
    /// As for [`is_worth_a_slab`](Self::is_worth_a_slab).
    #[inline]
    pub(crate) unsafe fn is_small_worth_a_slab(&mut self, class: usize, layout: Layout) -> bool {
        // SAFETY: required of the caller.
        unsafe {
            if self.is_cheap(self.slab_books().open) {
                return true;
            }
            let index = Self::small_chunk_index(chunk_size(layout.size()));
            // With a seal, the chunk may be one of the next class.
            if !Self::is_small_class(index) {
                return false;
            }
            // No division, as many allocations may come here in vain.
            let chunks = self.chunks(index).read() as usize;
            let more = if self.is_roomy() { 0 } else { WANTED };
            chunks.saturating_sub(more) * Slab::slot_size(class) >= SLAB
        }
    }

    /// Returns whether a middling class is worth a slab, where heaps are roomy: if they are large, or if chunks of its size
    /// would fill some.
    ///
    /// # Safety
    /// As for [`is_worth_a_slab`](Self::is_worth_a_slab).
    #[inline]
    pub(crate) unsafe fn is_middling_worth_a_slab(&mut self, class: usize, layout: Layout) -> bool {
        if self.books().heap_bytes / SLAB >= MIDDLING_CHEAP {
            return true;
        }
        let index = Self::small_chunk_index(chunk_size(layout.size()));
        // SAFETY: required of the caller.
        unsafe {
            // With a seal, the chunk may be one of the next class.
            index < CLASSES
                && self.chunks(index).read() as usize * Slab::slot_size(class)
                    >= MIDDLING_WANTED * SLAB
        }
    }

    /// Returns whether the slabs of a class are opened where they are cheap, and counted as open ones.
    pub(crate) const fn is_small_class(class: usize) -> bool {
        class < Self::SMALL_CLASSES
    }

    /// Returns whether a slab of a class that has fallen empty is worth keeping as a spare.
    ///
    /// # Safety
    /// There must be such a slab.
    pub(crate) unsafe fn is_worth_a_spare(&self, class: usize) -> bool {
        // SAFETY: required of the caller.
        let books = unsafe { self.slab_books() };
        let others = books.open - usize::from(Self::is_small_class(class));
        books.spares < MAX_SPARES && self.is_cheap(others + usize::from(books.spares))
    }

    /// Returns whether one slab with free slots more than `others` takes little of the heaps.
    fn is_cheap(&self, others: usize) -> bool {
        let slabs = self.books().heap_bytes / SLAB;
        // In this order, the first slabs, which take longest, are not asked for more.
        others * OPEN_PART + FIRST_PART <= slabs
            || (self.is_roomy() && others * OPEN_PART_ROOMY + FIRST_PART <= slabs)
    }

    /// Notes that there are this many more slabs of a class, or fewer, that are current or partial.
    ///
    /// # Safety
    /// There must be books of slabs.
    pub(crate) unsafe fn add_open(&mut self, slabs: isize, class: usize) {
        if Self::WEIGHS_SLABS && Self::is_small_class(class) {
            // SAFETY: required of the caller.
            let open = unsafe { &mut self.slab_books_mut().open };
            *open = open.wrapping_add(slabs as usize);
        }
    }

    /// Returns the number of live chunks of a size that slots could hold, for writing.
    ///
    /// # Safety
    /// There must be books of the class with that index.
    unsafe fn chunks(&mut self, index: usize) -> *mut u32 {
        // SAFETY: required of the caller.
        unsafe { addr_of_mut!((*self.class_books_mut(index)).chunks) }
    }

    /// Returns the index of chunks of `size` bytes in the books; [`CLASSES`](Bins) or more if they
    /// are too large to be counted.
    pub(crate) fn small_chunk_index(size: usize) -> usize {
        if !Self::WEIGHS_SLABS {
            return usize::MAX;
        }
        (size - CHUNK_UNIT) / GRAIN
    }

    /// Counts and marks a new chunk, if a small slot could hold it.
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
            if Self::is_small_class(index) {
                chunk.set_header(header.marked());
                *self.chunks(index) += 1;
            }
        }
    }

    /// Counts a new chunk, if it is a middling one.
    ///
    /// # Safety
    /// `chunk` must be an allocated chunk, and there must be books of middling classes.
    pub(crate) unsafe fn count_middling_chunk(&mut self, chunk: Chunk) {
        // SAFETY: required of the caller.
        unsafe {
            let index = Self::small_chunk_index(chunk.header().size());
            if index < CLASSES && !Self::is_small_class(index) {
                *self.chunks(index) += 1;
            }
        }
    }

    /// Returns whether an allocated chunk that is not a slab, and in no magazine, is counted.
    #[inline]
    pub(crate) fn is_counted(header: Header) -> bool {
        Self::WEIGHS_SLABS && header.is_marked()
    }

    /// Returns whether an allocated chunk that is not a slab, and in no magazine, is counted, or may go to a magazine of small
    /// chunks.
    #[inline]
    pub(crate) fn may_be_small(header: Header) -> bool {
        if Self::KEEPS_SMALL_CHUNKS {
            Self::is_small_class(Self::small_chunk_index(header.size()))
        } else {
            Self::is_counted(header)
        }
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
                let count = self.chunks(Self::small_chunk_index(header.size()));
                *count = (*count).wrapping_sub(1);
            }
        }
    }

    /// Forgets how many middling chunks there are.
    ///
    /// # Safety
    /// There must be books of slabs.
    pub(crate) unsafe fn forget_middling_chunks(&mut self) {
        for index in Self::SMALL_CLASSES..CLASSES {
            // SAFETY: in bounds; required of the caller.
            unsafe { self.chunks(index).write(0) };
        }
    }

    /// Takes a middling chunk that becomes a gap out of the count of its size.
    ///
    /// That count is no more than a hint: it begins when heaps become roomy, and as these chunks have no mark while they are
    /// in use, one that is resized stays counted.
    #[inline]
    pub(crate) fn uncount_middling_chunk(&mut self, header: Header) {
        if !Self::GATES_KEPT {
            return;
        }
        let index = Self::small_chunk_index(header.size());
        if index.wrapping_sub(Self::SMALL_CLASSES) < CLASSES - Self::SMALL_CLASSES
            && self.has_middling_classes()
        {
            // SAFETY: in bounds, and there are books.
            unsafe {
                let count = self.chunks(index);
                *count = (*count).saturating_sub(1);
            }
        }
    }
}
