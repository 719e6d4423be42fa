//! Freeing: a slot goes back to its slab, a chunk becomes a gap.

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::magazines::Keeping;
use crate::memory::chunk::{chunk_size, Chunk};
use crate::memory::slab::is_slot;
use crate::tier::CHECKS;
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
    /// Frees an allocation. Returns the end of its heap if everything from the freed memory up to
    /// there is free, which is an occasion to [`truncate`](Self::truncate) it.
    ///
    /// It also returns the end of a heap in which nothing is in use any more. If the heap is kept,
    /// it does so again only if [`watch`](Self::watch) was called meanwhile, or something other
    /// than slots was allocated there. In WebAssembly, [`CompactBins`](crate::CompactBins) with
    /// slabs do not promise this; nor does an allocator that [has magazines](Self::has_magazines) or a
    /// [quarantine](Self::set_quarantine), as what is in one counts as in use here. [`trim`](Self::trim) empties them. When
    /// a block leaves one because of this call, the top of its heap may fall free, and the end of that heap is returned.
    ///
    /// If a slab falls empty or a gap becomes large, it may return the heap end that was given to
    /// [`remind`](Self::remind).
    ///
    /// # Complexity
    /// O(1).
    ///
    /// # Safety
    /// - `ptr` must be a live allocation of this `RawTalc`.
    /// - `layout` must be the layout that it was allocated with or, if it was resized, that layout
    ///   with its current size.
    #[inline]
    pub unsafe fn deallocate(&mut self, ptr: *mut u8, layout: Layout) -> Option<NonNull<u8>> {
        // What comes last is out of line, so that this function needs no stack.
        // SAFETY: required of the caller.
        unsafe {
            if SLAB == 0 || !is_slot(ptr) {
                self.deallocate_chunk(ptr, layout)
            } else if CHECKS && !self.slot_is_plainly_sound(ptr, layout) {
                self.deallocate_checked(ptr, layout)
            } else {
                self.give_back_slot(ptr, layout)
            }
        }
    }

    /// As [`deallocate`](Self::deallocate), for an address of a chunk's payload.
    ///
    /// # Safety
    /// As there.
    #[inline(never)]
    unsafe fn deallocate_chunk(&mut self, ptr: *mut u8, layout: Layout) -> Option<NonNull<u8>> {
        // SAFETY: required of the caller.
        unsafe {
            if CHECKS && !self.chunk_is_plainly_sound(ptr, layout) {
                self.deallocate_checked(ptr, layout)
            } else {
                self.give_back_chunk(ptr, layout)
            }
        }
    }

    /// Frees an allocation that is not [plainly sound](Self::is_plainly_sound), unless something is wrong with it.
    ///
    /// # Safety
    /// As for [`deallocate`](Self::deallocate).
    #[cold]
    #[inline(never)]
    unsafe fn deallocate_checked(&mut self, ptr: *mut u8, layout: Layout) -> Option<NonNull<u8>> {
        // SAFETY: required of the caller.
        unsafe {
            if self.has_noted(ptr, layout) {
                self.reported(None)
            } else if SLAB == 0 || !is_slot(ptr) {
                self.give_back_chunk(ptr, layout)
            } else {
                self.give_back_slot(ptr, layout)
            }
        }
    }

    /// Frees a slot that nothing is wrong with.
    ///
    /// # Safety
    /// `ptr` must be a slot in use (I12) that its owner gives up, with that layout.
    #[inline]
    unsafe fn give_back_slot(&mut self, ptr: *mut u8, layout: Layout) -> Option<NonNull<u8>> {
        self.tally.record(|counters| counters.deallocated(layout.size()));
        // Slots are aligned for their layouts. A slot that is larger than its layout's class, because it has been
        // shrunk, will do for that class.
        let class = Self::class_of_size(layout.size());
        // SAFETY: required of the caller.
        unsafe {
            if self.quarantine.is_open() {
                self.give_back_late(ptr)
            } else if Self::HAS_MAGAZINES && self.keep_slot(ptr, class) {
                None
            } else {
                self.put_slot_back(ptr)
            }
        }
    }

    /// Gives a slot back to its slab.
    ///
    /// # Safety
    /// `ptr` must be a slot in use that its owner gives up.
    #[inline(never)]
    unsafe fn put_slot_back(&mut self, ptr: *mut u8) -> Option<NonNull<u8>> {
        // SAFETY: required of the caller.
        let touched = unsafe { self.free_slot(ptr) };
        self.reported(touched)
    }

    /// Keeps or frees a chunk that nothing is wrong with.
    ///
    /// # Safety
    /// `ptr` must be the payload of an allocated chunk (I2) that its owner gives up, with that layout.
    #[inline]
    unsafe fn give_back_chunk(&mut self, ptr: *mut u8, layout: Layout) -> Option<NonNull<u8>> {
        self.tally.record(|counters| counters.deallocated(layout.size()));
        // SAFETY: required of the caller.
        unsafe {
            if self.quarantine.is_open() {
                self.give_back_late(ptr)
            } else {
                let touched = self.keep_or_free_chunk(Chunk::of_payload(ptr), layout.size());
                self.reported(touched)
            }
        }
    }

    /// Puts a chunk into the magazine of its size, or makes it a gap. Returns what [`deallocate`](Self::deallocate)
    /// does.
    ///
    /// # Safety
    /// As for [`give_back_chunk`](Self::give_back_chunk). `size` must be that of its layout, or less.
    #[inline]
    pub(crate) unsafe fn keep_or_free_chunk(
        &mut self,
        chunk: Chunk,
        size: usize,
    ) -> Option<NonNull<u8>> {
        // SAFETY: required of the caller.
        unsafe {
            match self.keep_chunk(chunk) {
                Keeping::Kept => None,
                Keeping::Full => self.free_chunk_beside_full(chunk),
                Keeping::No if Self::may_be_small(chunk.header()) => self.keep_or_free_small(chunk),
                Keeping::No => {
                    Self::prefetch_above(chunk, size);
                    self.free_chunk(chunk)
                }
            }
        }
    }

    /// Has the header above an allocated chunk fetched, which is likely to be where the size of the chunk's layout says.
    ///
    /// # Safety
    /// `chunk` must be allocated, for a layout of at least `size` bytes.
    #[inline]
    pub(crate) unsafe fn prefetch_above(chunk: Chunk, size: usize) {
        if Self::PREFETCHES {
            // SAFETY: the word is in the chunk, or is the header above it.
            unsafe { chunk.above(chunk_size(size)).prefetch() };
        }
    }

    /// As [`keep_or_free_chunk`](Self::keep_or_free_chunk), for a chunk of a size that slots could hold. Out of line, so that
    /// the caller needs no stack.
    ///
    /// # Safety
    /// As there.
    #[inline(never)]
    unsafe fn keep_or_free_small(&mut self, chunk: Chunk) -> Option<NonNull<u8>> {
        // SAFETY: required of the caller.
        unsafe {
            let header = chunk.header();
            self.uncount_small_chunk(header);
            match self.keep_small_chunk(chunk, header) {
                Keeping::Kept => None,
                Keeping::Full => self.free_chunk_beside_full(chunk),
                Keeping::No => self.free_chunk(chunk),
            }
        }
    }

    /// Frees a chunk whose magazine is full. Out of line, so that the caller needs no stack.
    ///
    /// # Safety
    /// As for [`free_chunk`](Self::free_chunk).
    #[inline(never)]
    unsafe fn free_chunk_beside_full(&mut self, chunk: Chunk) -> Option<NonNull<u8>> {
        self.shut_if_tight();
        // SAFETY: required of the caller.
        unsafe {
            self.uncount_middling_chunk(chunk.header());
            self.free_chunk(chunk)
        }
    }

    /// Makes a chunk a gap. Returns what [`deallocate`](Self::deallocate) does.
    ///
    /// # Safety
    /// As for [`give_back_chunk`](Self::give_back_chunk). The chunk must not be counted.
    #[inline]
    pub(crate) unsafe fn free_chunk(&mut self, chunk: Chunk) -> Option<NonNull<u8>> {
        // SAFETY: required of the caller.
        unsafe {
            let header = chunk.header();
            if self.closing() != 0 {
                return self.free_while_closing(chunk, header);
            }
            self.free(chunk, header)
        }
    }
}
