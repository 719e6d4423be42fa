//! The books of the heaps: their list, where they lie, and how large they are.

use core::mem;
use core::ptr::null_mut;

use crate::memory::heap::{HeapBase, HeapEnd};
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
    /// Notes that a heap has grown by `bytes`, and reaches from `base` or lower up to `end`.
    ///
    /// # Safety
    /// The table must exist.
    pub(crate) unsafe fn note_growth(&mut self, base: usize, end: HeapEnd, bytes: usize) {
        if Self::KNOWS_BOUNDS {
            // SAFETY: required of the caller.
            let books = unsafe { self.books_mut() };
            if books.highest == 0 || base < books.lowest {
                books.lowest = base;
            }
            books.highest = books.highest.max(end.addr());
        }
        if Self::KNOWS_HEAP_BYTES {
            // SAFETY: required of the caller.
            let heap_bytes = unsafe { &mut self.books_mut().heap_bytes };
            *heap_bytes = heap_bytes.wrapping_add(bytes);
        }
        self.tally.record(|counters| counters.claimed(bytes));
    }

    /// Notes that the heaps have shrunk by `bytes`.
    ///
    /// # Safety
    /// The table must exist.
    pub(crate) unsafe fn note_release(&mut self, bytes: usize) {
        if Self::KNOWS_HEAP_BYTES {
            // SAFETY: required of the caller.
            let heap_bytes = unsafe { &mut self.books_mut().heap_bytes };
            *heap_bytes = heap_bytes.wrapping_sub(bytes);
        }
        self.tally.record(|counters| counters.released(bytes));
    }

    /// Puts a heap at the front of the list of heaps (I10).
    ///
    /// # Safety
    /// `heap` must be writable, and in no list; the table must exist.
    pub(crate) unsafe fn list_heap(&mut self, heap: *mut HeapBase) {
        // SAFETY: the bases in the list are valid for writes (I10).
        unsafe {
            let next = mem::replace(&mut self.books_mut().heaps, heap);
            heap.write(HeapBase { next, back: null_mut() });
            if !next.is_null() {
                (*next).back = heap;
            }
        }
    }

    /// Takes a heap out of the list of heaps.
    ///
    /// # Safety
    /// `heap` must be in the list.
    pub(crate) unsafe fn unlist_heap(&mut self, heap: *mut HeapBase) {
        // SAFETY: both neighbours in the list are valid for writes (I10).
        unsafe {
            let HeapBase { next, back } = heap.read();
            if back.is_null() {
                self.books_mut().heaps = next;
            } else {
                (*back).next = next;
            }
            if !next.is_null() {
                (*next).back = back;
            }
        }
    }
}
