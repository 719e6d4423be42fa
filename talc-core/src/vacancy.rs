//! What of a heap is free: gaps, and slabs without a slot in use, which are kept for the next
//! allocation but stop nobody from taking the heap back.
//!
//! A heap in which nothing is in use any more is noticed by the deallocation that made it so. For
//! chunks, and for slabs that are full or partial, that is easy: their last deallocation runs code
//! of its own. A current slab only does so if it counts its slots in use and nothing else; but then
//! it does so again and again where one object comes and goes. So most current slabs are
//! [`QUIET`], and this is what makes up for it:
//!
//! - A slab that becomes current is not quiet; it becomes so when it falls empty for the first time.
//! - Whatever falls free is followed upwards, over gaps and empty slabs, unless there is something
//!   below that will be noticed: an allocated chunk. If that ends at something in use, it is no longer
//!   quiet. If it ends at the heap's end, the caller is told, and [`watch`](RawTalc::watch) does the
//!   same with what is in use below.
//!
//! So as long as anything is in use in a heap, at least one thing is that will be noticed, unless
//! the caller was told that the heap is free and left it as it is.

use core::ptr::{null_mut, NonNull};

use crate::bins::{Binning, Parts};
use crate::chunk::{Chunk, HeapEnd, WORD};
use crate::damage::CHECKS;
use crate::slab::{Slab, State, QUIET};
use crate::{RawTalc, Reserved};

/// What is free at the top of a heap.
struct Top {
    /// The lowest chunk of it; the sentinel if nothing is free there.
    lowest: Chunk,
    /// Whether that is the first chunk of the heap.
    is_all: bool,
    /// The current slab directly below, if there is one.
    slab: Option<*mut Slab>,
}

impl<B: Binning> RawTalc<B> {
    /// Whether current slabs notice when they fall empty. Without, less code, where nobody would
    /// do anything with it: WebAssembly takes no memory back.
    pub(crate) const WATCHES: bool =
        B::SLAB != 0 && !(B::IS_COMPACT && cfg!(target_family = "wasm"));

    /// Follows what is free upwards from `chunk`, which has just become free, to a slab that it makes
    /// notice, or to the heap end, which it returns. Does nothing if there is something in use just
    /// below, which will be noticed.
    ///
    /// # Safety
    /// `table` must be the table, and `chunk` an empty slab that is kept, or a gap with a slab above it.
    #[cold]
    #[inline(never)]
    pub(crate) unsafe fn fell_free(table: *mut B::Table, mut chunk: Chunk) -> Option<NonNull<u8>> {
        // SAFETY: chunks follow each other up to the sentinel (I2); a marked chunk of this size is
        // a slab (I12).
        unsafe {
            let mut header = chunk.header();
            // Below a gap is a chunk in use; where it is neither a slab nor that of the table, it
            // will be noticed.
            let is_above_table = || {
                let table_chunk = Chunk::of_payload(table.cast());
                B::TABLE_CHUNK != 0 && chunk == table_chunk.above(table_chunk.header().size())
            };
            if header.is_gap()
                && !header.is_base()
                && chunk.payload() as usize % B::SLAB != 0
                && !is_above_table()
            {
                return None;
            }
            let books = &*B::Table::books(table);
            loop {
                if CHECKS && !books.contain(chunk.addr(), header.size().saturating_add(WORD)) {
                    return None;
                }
                chunk = chunk.above(header.size());
                header = chunk.header();
                if header.is_sentinel() {
                    return Some(HeapEnd::of_sentinel(chunk).public());
                }
                if !header.is_gap() {
                    if !header.is_marked() || header.size() != B::SLAB {
                        return None;
                    }
                    let slab = chunk.payload().cast::<Slab>();
                    if (*slab).state == State::CURRENT {
                        if !Slab::is_empty(slab) {
                            (*slab).count &= !QUIET;
                            return None;
                        }
                    } else if (*slab).state != State::SPARE {
                        return None;
                    }
                }
            }
        }
    }

    /// Returns how much of a heap is in use: how far down it could be truncated.
    ///
    /// Slabs that are empty but kept for the next allocation are not in use.
    ///
    /// # Complexity
    /// O(1); where such slabs are on the way, O(classes) for each.
    ///
    /// # Safety
    /// `end` must be the current end of a heap of this `RawTalc`.
    pub unsafe fn reserved(&self, end: NonNull<u8>) -> Reserved {
        // SAFETY: required of the caller.
        let top = unsafe { self.top(HeapEnd::from_public(end)) };
        Reserved { up_to: HeapEnd::of_sentinel(top.lowest).public(), any: !top.is_all }
    }

    /// Returns what [`reserved`](Self::reserved) does, and makes sure that a later deallocation
    /// returns this heap end when everything in use in this heap has been freed.
    ///
    /// The driver of `talc-sources` calls it before it tells a source that the top of a heap is
    /// free. A source calls it for a heap that was free and is kept. In WebAssembly it promises
    /// nothing with [`CompactBins`](crate::CompactBins).
    ///
    /// # Complexity
    /// That of [`reserved`](Self::reserved).
    ///
    /// # Safety
    /// `end` must be the current end of a heap of this `RawTalc`.
    pub unsafe fn watch(&mut self, end: NonNull<u8>) -> Reserved {
        // SAFETY: required of the caller; what the table has are slabs (I13).
        unsafe {
            let top = self.top(HeapEnd::from_public(end));
            if let (true, Some(slab)) = (Self::WATCHES, top.slab) {
                (*slab).count &= !QUIET;
            }
            Reserved { up_to: HeapEnd::of_sentinel(top.lowest).public(), any: !top.is_all }
        }
    }

    /// Makes a deallocation that empties a slab return `end`, if it has no other heap end to return;
    /// `None` ends that.
    ///
    /// For sources that keep a free heap until there is room elsewhere: as long as something is in use
    /// at the top of another heap, nothing else says that there is. In WebAssembly it does nothing with
    /// [`CompactBins`](crate::CompactBins), nor anywhere without slabs.
    ///
    /// # Complexity
    /// O(1).
    ///
    /// # Safety
    /// There must be a heap; `end`, if there is one, must be the current end of a heap of this
    /// `RawTalc`, and this be called again when it is no longer.
    pub unsafe fn remind(&mut self, end: Option<NonNull<u8>>) {
        if Self::WATCHES {
            // SAFETY: where there is a heap, there is a table (I10).
            unsafe { self.books_mut().reminder = end.map_or(null_mut(), NonNull::as_ptr) };
        }
    }

    /// Follows what is free downwards from the end of a heap.
    ///
    /// # Safety
    /// `end` must be the current end of a heap.
    unsafe fn top(&self, end: HeapEnd) -> Top {
        // SAFETY: a sentinel is below the end (I1), a gap below it or below a slab has a footer (I5).
        unsafe {
            let mut lowest = end.sentinel();
            if !self.is_heap_end(end.public()) {
                return Top { lowest, is_all: false, slab: None };
            }
            loop {
                lowest = self.gap_below(lowest).unwrap_or(lowest);
                if lowest.header().is_base() {
                    return Top { lowest, is_all: true, slab: None };
                }
                match self.kept_slab_below(lowest) {
                    Some(slab) if Slab::is_empty(slab) => lowest = Slab::chunk(slab),
                    slab => return Top { lowest, is_all: false, slab },
                }
            }
        }
    }

    /// The gap directly below a chunk or a sentinel, if there is one.
    ///
    /// # Safety
    /// `chunk` must be a chunk or a sentinel.
    #[inline]
    pub(crate) unsafe fn gap_below(&self, chunk: Chunk) -> Option<Chunk> {
        // SAFETY: required of the caller; a gap below has a footer (I4, I5).
        unsafe {
            if !chunk.header().is_below_free() || (CHECKS && !self.gap_below_is_sound(chunk)) {
                return None;
            }
            Some(chunk.below(chunk.size_below()))
        }
    }

    /// The slab directly below a chunk, if it is a current or a spare one.
    ///
    /// What is below an allocated chunk may be anything: so the table is asked.
    fn kept_slab_below(&self, chunk: Chunk) -> Option<*mut Slab> {
        let end = chunk.payload() as usize;
        if B::SLAB == 0 || end % B::SLAB != 0 {
            return None;
        }
        let below = end - B::SLAB;
        for class in 0..B::CLASSES {
            // SAFETY: in bounds of the table, as the class is one.
            let slab = unsafe { B::Table::current(self.table()).add(class).read() };
            if slab as usize == below {
                return Some(slab);
            }
        }
        let mut spare = self.books().spare;
        while !spare.is_null() && spare as usize != below {
            // SAFETY: the list of spares has only slabs (I13).
            spare = unsafe { (*spare).next };
        }
        (!spare.is_null()).then_some(spare)
    }

    /// Closes empty slabs at the top of a heap, as long as they reach above `new_end`.
    ///
    /// # Safety
    /// `end` must be the current end of a heap.
    pub(crate) unsafe fn close_slabs_above(&mut self, end: HeapEnd, new_end: usize) {
        // SAFETY: a sentinel is below the end (I1), a gap below it has a footer (I5).
        unsafe {
            loop {
                let lowest = self.gap_below(end.sentinel()).unwrap_or(end.sentinel());
                if HeapEnd::of_sentinel(lowest).addr() <= new_end || lowest.header().is_base() {
                    return;
                }
                match self.kept_slab_below(lowest) {
                    Some(slab) if Slab::is_empty(slab) => {
                        self.close_kept(slab);
                    }
                    _ => return,
                }
            }
        }
    }
}
