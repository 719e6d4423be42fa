//! Freeing: a slot goes back to its slab, a chunk becomes a gap.

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::memory::chunk::Chunk;
use crate::memory::slab::is_slot;
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
    /// slabs do not promise this; nor does an allocator that [has magazines](Self::has_magazines), as what
    /// is in one counts as in use here. [`trim`](Self::trim) empties them.
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
    pub unsafe fn deallocate(&mut self, ptr: *mut u8, layout: Layout) -> Option<NonNull<u8>> {
        // SAFETY: required of the caller.
        if unsafe { self.is_misused_inline(ptr, layout) } {
            self.report();
            return None;
        }
        self.tally.record(|counters| counters.deallocated(layout.size()));
        // SAFETY: an allocation's pointer is a slot in use (I12), or the payload of an allocated
        // chunk (I2).
        let touched = unsafe {
            if SLAB != 0 && is_slot(ptr) {
                if Self::HAS_MAGAZINES && self.keep_slot(ptr, layout) {
                    None
                } else {
                    self.free_slot(ptr)
                }
            } else {
                self.keep_or_free(Chunk::of_payload(ptr))
            }
        };
        self.report();
        touched
    }
}
