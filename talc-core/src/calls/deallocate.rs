//! Freeing: a slot goes back to its slab, a chunk becomes a gap.

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::memory::chunk::Chunk;
use crate::memory::slab::is_slot;
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
            if S != 0 && is_slot(ptr) {
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
}
