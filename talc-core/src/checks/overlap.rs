//! Memory that is brought although a heap has it already, recognised before anything is written to it.

use core::ptr::null_mut;

use crate::memory::chunk::{CHUNK_UNIT, WORD};
use crate::memory::heap::{HeapBase, HEAP_WORDS};
use crate::tier::FILLS;
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
    /// Returns whether a heap has any of the addresses from `base` up to `end`, as far as sound words
    /// say so. `is_heap` is whether they are to be a heap of their own; if not, one ends at `base`.
    ///
    /// Looks at the base of each heap. For a heap of its own below the highest heap end, it also looks at the
    /// chunks of the heap below it, but not where each new block would cost that (`hardened` alone).
    ///
    /// # Safety
    /// The heaps must still be readable.
    pub(crate) unsafe fn is_in_heap(&self, base: usize, end: usize, is_heap: bool) -> bool {
        let books = self.books();
        if base >= books.highest || end <= books.lowest {
            return false;
        }
        let mut below = null_mut();
        let (mut back, mut heap) = (null_mut(), books.heaps);
        while !heap.is_null() {
            let addr = heap as usize;
            if addr % WORD != 0 || !self.is_within(addr, HEAP_WORDS) {
                return false;
            }
            if addr >= base && addr < end {
                return true;
            }
            if addr < base && heap > below {
                below = heap;
            }
            // SAFETY: the list has only bases of heaps (I10), as far as its links lead back.
            unsafe {
                if (*heap).back != back {
                    return false;
                }
                back = heap;
                heap = (*heap).next;
            }
        }
        // SAFETY: the base of a heap.
        (cfg!(debug_assertions) || FILLS)
            && is_heap
            && !below.is_null()
            && unsafe { self.heap_reaches(below, base) }
    }

    /// Returns whether a heap ends above `addr`.
    ///
    /// # Safety
    /// `heap` must be the base of a heap that is still readable.
    unsafe fn heap_reaches(&self, heap: *mut HeapBase, addr: usize) -> bool {
        // SAFETY: required of the caller; chunks follow each other up to the sentinel (I2), as far as
        // their sizes can be right.
        unsafe {
            let mut chunk = HeapBase::first_chunk(heap);
            while chunk.payload() as usize <= addr {
                let (header, size) = (chunk.header(), chunk.header().size());
                let is_sound = size >= CHUNK_UNIT
                    && self.is_within(chunk.addr(), size)
                    && self.is_within(chunk.addr(), size + WORD);
                if header.is_sentinel() || !is_sound {
                    return false;
                }
                chunk = chunk.above(size);
            }
        }
        true
    }
}
