//! Whether a slab is worth it, and the counts that say so.

use core::alloc::Layout;

use crate::memory::chunk::{chunk_size, Chunk, CHUNK_UNIT, GRAIN};
use crate::memory::header::Header;
use crate::memory::slab::Slab;
use crate::tuning::{FIRST_PART, MAX_SPARES, OPEN_PART, WANTED};
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
    /// Whether a class is worth a slab: if the slabs with free slots take little of the heaps, or the
    /// class already has more chunks than would fill a slab. So a small heap does not pay for slabs
    /// that it hardly fills.
    ///
    /// # Safety
    /// `class` must be that of `layout`, less than [`CLASSES`](Bins), and there be books of slabs.
    pub(crate) unsafe fn is_worth_a_slab(&mut self, class: usize, layout: Layout) -> bool {
        let index = Self::small_chunk_index(chunk_size(layout.size()));
        // SAFETY: required of the caller.
        unsafe {
            if index < C {
                // Without a division, as many allocations may come here in vain.
                let chunks = self.small_chunks(index).read() as usize;
                if chunks.saturating_sub(WANTED) * Slab::slot_size(class) >= S {
                    return true;
                }
            }
            self.is_cheap(self.slab_books().open)
        }
    }

    /// Whether a slab that has fallen empty is worth keeping as a spare.
    ///
    /// # Safety
    /// There must be a slab.
    pub(crate) unsafe fn is_worth_a_spare(&self) -> bool {
        // SAFETY: required of the caller.
        let books = unsafe { self.slab_books() };
        books.spares < MAX_SPARES && self.is_cheap(books.open - 1)
    }

    /// Whether one more slab with free slots, beside `others`, would take little of the heaps.
    fn is_cheap(&self, others: usize) -> bool {
        others * OPEN_PART + FIRST_PART <= self.books().heap_bytes / S
    }

    /// Notes that there are more slabs, or fewer, that are current, partial or spare.
    ///
    /// # Safety
    /// There must be books of slabs.
    #[inline]
    pub(crate) unsafe fn add_open(&mut self, slabs: isize) {
        if Self::WEIGHS_SLABS {
            // SAFETY: required of the caller.
            let open = unsafe { &mut self.slab_books_mut().open };
            *open = open.wrapping_add(slabs as usize);
        }
    }

    /// The number of live chunks of a small size.
    ///
    /// # Safety
    /// `index` must be less than [`CLASSES`](Bins), and there be books of slabs.
    unsafe fn small_chunks(&mut self, index: usize) -> *mut u32 {
        debug_assert!(index < C);
        // SAFETY: in bounds of the books, as the index is one.
        unsafe { self.slab_books_mut().small_chunks.as_mut_ptr().add(index) }
    }

    /// The place in the books of live chunks of `size` bytes; [`CLASSES`](Bins) or more if they are
    /// too large to be counted.
    #[inline]
    pub(crate) fn small_chunk_index(size: usize) -> usize {
        if !Self::WEIGHS_SLABS {
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
        if !Self::WEIGHS_SLABS || !self.has_slab_books() {
            return;
        }
        // SAFETY: required of the caller.
        unsafe {
            let header = chunk.header();
            let index = Self::small_chunk_index(header.size());
            if index < C {
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
        if Self::WEIGHS_SLABS && header.is_marked() {
            // SAFETY: as for counting it; marked chunks that are no slabs are counted (I12).
            unsafe {
                let count = self.small_chunks(Self::small_chunk_index(header.size()));
                *count = (*count).wrapping_sub(1);
            }
        }
    }
}
