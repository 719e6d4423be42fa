//! What of a heap is free: gaps, and slabs without a slot in use, which are kept for the next
//! allocation but do not keep a heap from being taken back.
//!
//! The deallocation that leaves nothing in use in a heap notices it. For chunks, and for slabs that
//! are full or partial, that is easy: their last deallocation runs code of its own. A current
//! slab's does so only if the slab counts its slots in use and nothing else. But if a single object
//! comes and goes there, it does so every time. So most current slabs are [`QUIET`], and two rules
//! make up for it:
//!
//! - A slab that becomes current is not quiet. It becomes quiet when it falls empty for the first
//!   time.
//! - From whatever falls free, a walk goes upwards over gaps and empty slabs, unless an allocated
//!   chunk is directly below, which will be noticed. A slab in use where the walk ends is no longer
//!   quiet. If the walk ends at the heap end, the caller is told, and [`watch`](RawTalc::watch)
//!   does the same to the slab in use below.
//!
//! So if anything in a heap is in use, so is something that will be noticed (I14), unless the
//! caller was told that the heap is free, and kept it.

use core::ptr::{null_mut, NonNull};

use crate::checks::CHECKS;
use crate::memory::chunk::{Chunk, WORD};
use crate::memory::heap::HeapEnd;
use crate::memory::slab::{Slab, State, QUIET};
use crate::table::Table;
use crate::{Bins, RawTalc, Reserved};

/// What is free at the top of a heap.
struct Top {
    /// The lowest chunk that is free; the sentinel if none is.
    lowest: Chunk,
    /// Whether this is the first chunk of the heap.
    is_all: bool,
    /// The slab directly below, if it is a current one.
    slab: Option<*mut Slab>,
}

impl<
        const L: usize,
        const P: usize,
        const W: usize,
        const S: usize,
        const C: usize,
        const I: usize,
    > RawTalc<Bins<L, P, W, S, C, I>>
{
    /// Walks up from `chunk`, which has just become free, over what is free. If the walk ends at a
    /// current slab, makes that slab notice when it falls empty; if it ends at the heap end,
    /// returns that. Does nothing if something directly below is in use that will be noticed.
    ///
    /// # Safety
    /// `table` must be the table, and `chunk` an empty slab that is kept, or a gap with a slab above it.
    #[cold]
    #[inline(never)]
    pub(crate) unsafe fn fell_free(
        table: *mut Table<W, C>,
        mut chunk: Chunk,
    ) -> Option<NonNull<u8>> {
        // SAFETY: chunks follow each other up to the sentinel (I2); a marked chunk of this size is
        // a slab (I12).
        unsafe {
            let mut header = chunk.header();
            // Below a gap is an allocated chunk. It will be noticed, unless it is a slab, or holds
            // the table.
            let is_above_table = || {
                let table_chunk = Self::chunk_of_table(table);
                !Self::IS_TABLE_INSIDE && chunk == table_chunk.above(table_chunk.header().size())
            };
            if header.is_gap()
                && !header.is_base()
                && chunk.payload() as usize % S != 0
                && !is_above_table()
            {
                return None;
            }
            let books = &*Table::books(table);
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
                    if !header.is_marked() || header.size() != S {
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

    /// Returns how much of a heap is in use, and so how far down it can be truncated.
    ///
    /// Slabs that are empty but kept for the next allocation are not in use.
    ///
    /// # Complexity
    /// O(1), and O(classes) for each such slab at the top of the heap.
    ///
    /// # Safety
    /// `end` must be the current end of a heap of this `RawTalc`.
    pub unsafe fn reserved(&self, end: NonNull<u8>) -> Reserved {
        // SAFETY: required of the caller.
        unsafe { self.reserved_below(&self.top(HeapEnd::from_public(end))) }
    }

    /// Returns what is reserved below the top of a heap. If the table is directly below, it counts
    /// as moved down as far as it can be.
    ///
    /// # Safety
    /// `top` must be what is free at the top of a heap.
    unsafe fn reserved_below(&self, top: &Top) -> Reserved {
        let mut up_to = top.lowest;
        if !Self::IS_TABLE_INSIDE {
            // SAFETY: there is a heap, and so a table (I10).
            unsafe {
                let table = Self::chunk_of_table(self.table());
                let size = table.header().size();
                if table.above(size) == up_to {
                    up_to = self.free_below_chunk(table).lowest.above(size);
                }
            }
        }
        Reserved { up_to: HeapEnd::of_sentinel(up_to).public(), any: !top.is_all }
    }

    /// Returns what [`reserved`](Self::reserved) does, and makes sure that the deallocation that
    /// leaves nothing in use in this heap returns its end.
    ///
    /// The driver of `talc-sources` calls it before it tells a source that the top of a heap is
    /// free. A source calls it for a heap that was free and is kept. In WebAssembly, it makes sure
    /// of nothing with [`CompactBins`](crate::CompactBins).
    ///
    /// # Complexity
    /// As for [`reserved`](Self::reserved).
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
            self.reserved_below(&top)
        }
    }

    /// Makes every deallocation that empties a slab return `end`, unless it has another heap end to
    /// return. `None` ends this.
    ///
    /// This is for sources that keep a free heap until there is room elsewhere: as long as
    /// something is in use at the top of each other heap, nothing else tells them. It does nothing
    /// without slabs, nor with [`CompactBins`](crate::CompactBins) in WebAssembly.
    ///
    /// # Complexity
    /// O(1).
    ///
    /// # Safety
    /// - There must be a heap.
    /// - `end`, if it is given, must be the current end of a heap of this `RawTalc`. This method
    ///   must be called again when it no longer is.
    pub unsafe fn remind(&mut self, end: Option<NonNull<u8>>) {
        if Self::WATCHES && self.has_slab_books() {
            // SAFETY: there are books of slabs.
            unsafe { self.slab_books_mut().reminder = end.map_or(null_mut(), NonNull::as_ptr) };
        }
    }

    /// Returns what is free at the top of a heap.
    ///
    /// # Safety
    /// `end` must be the current end of a heap.
    unsafe fn top(&self, end: HeapEnd) -> Top {
        // SAFETY: a sentinel is below the end (I1).
        unsafe {
            let sentinel = end.sentinel();
            if self.is_heap_end(end.public()) {
                self.free_below_chunk(sentinel)
            } else {
                Top { lowest: sentinel, is_all: false, slab: None }
            }
        }
    }

    /// Walks down from a chunk or a sentinel, over what is free.
    ///
    /// # Safety
    /// `chunk` must be a chunk or a sentinel.
    unsafe fn free_below_chunk(&self, chunk: Chunk) -> Top {
        let mut lowest = chunk;
        // SAFETY: a gap below a chunk, a sentinel or a slab has a footer (I5).
        unsafe {
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

    /// Makes the slab below what is free below `chunk`, if there is a current one, notice when it
    /// falls empty.
    ///
    /// # Safety
    /// `chunk` must be a chunk.
    pub(crate) unsafe fn watch_below(&mut self, chunk: Chunk) {
        // SAFETY: required of the caller; what the table has are slabs (I13).
        unsafe {
            if let Some(slab) = self.free_below_chunk(chunk).slab {
                (*slab).count &= !QUIET;
            }
        }
    }

    /// Returns the gap directly below a chunk or a sentinel, if there is one.
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

    /// Returns the slab directly below a chunk, if it is a current or a spare one.
    ///
    /// Bytes below an allocated chunk can be anything, so this looks into the table.
    fn kept_slab_below(&self, chunk: Chunk) -> Option<*mut Slab> {
        let end = chunk.payload() as usize;
        if S == 0 || end % S != 0 {
            return None;
        }
        let below = end - S;
        for class in 0..C {
            // SAFETY: in bounds of the table, as `class` is less than `C`.
            let slab = unsafe { Table::current(self.table()).add(class).read() };
            if slab as usize == below {
                return Some(slab);
            }
        }
        if !Self::WEIGHS_SLABS || !self.has_slab_books() {
            return None;
        }
        // SAFETY: there are books of slabs.
        let mut spare = unsafe { self.slab_books().spare };
        while !spare.is_null() && spare as usize != below {
            // SAFETY: the list of spares has only slabs (I13).
            spare = unsafe { (*spare).next };
        }
        (!spare.is_null()).then_some(spare)
    }

    /// Closes the empty slabs directly below a chunk or a sentinel that reach above `limit`.
    ///
    /// # Safety
    /// `chunk` must be a chunk or a sentinel, and no slab.
    pub(crate) unsafe fn close_slabs_below(&mut self, chunk: Chunk, limit: usize) {
        // SAFETY: a gap below a chunk or below a slab has a footer (I5).
        unsafe {
            loop {
                let lowest = self.gap_below(chunk).unwrap_or(chunk);
                if HeapEnd::of_sentinel(lowest).addr() <= limit || lowest.header().is_base() {
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
