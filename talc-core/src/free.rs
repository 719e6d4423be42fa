//! Freeing: a chunk becomes a gap, joined with the gaps next to it.

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::bins::Binning;
use crate::chunk::{Chunk, HeapEnd};
use crate::header::Header;
use crate::slots::is_slot;
use crate::RawTalc;

impl<B: Binning> RawTalc<B> {
    /// Frees an allocation. Returns the end of its heap, if what was freed is part of a gap that
    /// reaches up to it: an occasion to [`truncate`](Self::truncate).
    ///
    /// It also returns it when nothing in use is left in the heap; and then again only if
    /// [`watch`](Self::watch) was called, or something was allocated that is not a slot. In WebAssembly,
    /// with [`CompactBins`](crate::CompactBins) that have slabs, it may not.
    ///
    /// # Complexity
    /// O(1).
    ///
    /// # Safety
    /// - `ptr` must be an allocation of this `RawTalc` that is live.
    /// - `layout` must be the layout that it was allocated with, with the size that it was last
    ///   resized to.
    #[inline]
    pub unsafe fn deallocate(&mut self, ptr: *mut u8, layout: Layout) -> Option<NonNull<u8>> {
        // SAFETY: required of the caller.
        if unsafe { self.is_misused(ptr, layout) } {
            self.report();
            return None;
        }
        self.tally.record(|counters| counters.deallocated(layout.size()));
        // SAFETY: an allocation's pointer is a slot in use (I12), or the payload of an allocated
        // chunk (I2).
        let touched = unsafe {
            if B::SLAB != 0 && is_slot(ptr) {
                self.free_slot(ptr)
            } else {
                let chunk = Chunk::of_payload(ptr);
                let header = chunk.header();
                self.uncount_small_chunk(header);
                self.free(chunk, header)
            }
        };
        self.report();
        touched
    }

    /// Makes a gap of an allocated chunk whose header is, or would be, `header`.
    ///
    /// # Safety
    /// The chunk must be allocated and nobody's. It may be smaller than a chunk can be (I2) if
    /// there is a gap above it.
    #[inline]
    pub(crate) unsafe fn free(&mut self, mut chunk: Chunk, header: Header) -> Option<NonNull<u8>> {
        let mut size = header.size();
        // SAFETY: above a chunk stands a chunk or the sentinel (I2); below a chunk that says so
        // stands a gap, with a footer (I4, I5).
        unsafe {
            let above = chunk.above(size);
            let above_header = above.header();
            if above_header.is_gap() {
                self.remove_gap(above, above_header.size());
                size += above_header.size();
            } else {
                above.set_header(above_header.with_below_free());
            }
            let mut lower = header;
            if header.is_below_free() {
                if cfg!(debug_assertions) {
                    chunk.set_header(Header::FREED);
                }
                let size_below = chunk.size_below();
                chunk = chunk.below(size_below);
                lower = chunk.header();
                self.remove_gap(chunk, size_below);
                size += size_below;
            }
            self.add_gap(chunk, Header::gap(size).with_lower_flags_of(lower));
            // The footer that has just been written stands beside this header.
            let above = chunk.above(size);
            let header = above.header();
            if !Self::WATCHES {
                header.is_sentinel().then(|| HeapEnd::of_sentinel(above).public())
            } else if !header.is_sentinel_or_slab(B::SLAB) {
                None
            } else if header.is_sentinel() {
                Some(HeapEnd::of_sentinel(above).public())
            } else {
                Self::fell_free(self.table_mut(), chunk)
            }
        }
    }
}
