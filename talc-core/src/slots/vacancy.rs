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

use core::ptr::NonNull;

use crate::memory::chunk::{Chunk, WORD};
use crate::memory::header::Header;
use crate::memory::heap::HeapEnd;
use crate::memory::slab::{Slab, State, QUIET};
use crate::table::Table;
use crate::tier::CHECKS;
use crate::{Bins, RawTalc};

/// What is free at the top of a heap.
pub(crate) struct Top {
    /// The lowest chunk that is free; the sentinel if none is.
    pub(crate) lowest: Chunk,
    /// Whether this is the first chunk of the heap.
    pub(crate) is_all: bool,
    /// The slab directly below, if it is a current one.
    pub(crate) slab: Option<*mut Slab>,
}

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
    /// Makes an allocated chunk, whose header is or would be `header`, a gap. Returns what
    /// [`deallocate`](RawTalc::deallocate) does.
    ///
    /// # Safety
    /// As for [`make_gap`](Self::make_gap).
    pub(crate) unsafe fn free(&mut self, chunk: Chunk, header: Header) -> Option<NonNull<u8>> {
        // SAFETY: required of the caller; above a gap stands a chunk or the sentinel (I2).
        unsafe {
            let (gap, size) = self.make_gap(chunk, header);
            // What is seldom done is called last, so that this function needs no stack.
            if self.becomes_roomy(size) {
                return self.open_kept_beside(gap, size);
            }
            self.end_touched_by(gap, size)
        }
    }

    /// As [`end_touched_by`](Self::end_touched_by), for a gap that makes heaps roomy: opens the magazines of chunks.
    ///
    /// # Safety
    /// As there, and for [`open_kept`](Self::open_kept).
    #[cold]
    #[inline(never)]
    unsafe fn open_kept_beside(&mut self, gap: Chunk, size: usize) -> Option<NonNull<u8>> {
        // SAFETY: required of the caller.
        unsafe {
            self.open_kept();
            self.end_touched_by(gap, size)
        }
    }

    /// Returns what [`deallocate`](RawTalc::deallocate) does after this gap has come to be.
    ///
    /// # Safety
    /// It must be a gap of `size` bytes.
    #[inline]
    unsafe fn end_touched_by(&mut self, gap: Chunk, size: usize) -> Option<NonNull<u8>> {
        // SAFETY: required of the caller; above a gap stands a chunk or the sentinel (I2).
        unsafe {
            // The footer that has just been written is beside this header.
            let above = gap.above(size);
            let header = above.header();
            if !Self::WATCHES {
                header.is_sentinel().then(|| HeapEnd::of_sentinel(above).public())
            } else if !header.is_sentinel_or_slab(SLAB) {
                self.reminder_of_gap(size)
            } else if header.is_sentinel() {
                Some(HeapEnd::of_sentinel(above).public())
            } else {
                self.fell_free_below_slab(gap, size)
            }
        }
    }

    /// As [`end_touched_by`](Self::end_touched_by), for a gap below a slab.
    ///
    /// # Safety
    /// As there.
    #[cold]
    #[inline(never)]
    unsafe fn fell_free_below_slab(&mut self, gap: Chunk, size: usize) -> Option<NonNull<u8>> {
        // SAFETY: required of the caller; where there is a gap, there is a table.
        unsafe { Self::fell_free(self.table_mut(), gap).or_else(|| self.reminder_of_gap(size)) }
    }

    /// Returns the heap end that was given to [`remind`](RawTalc::remind), if a gap is as large as said there.
    fn reminder_of_gap(&self, size: usize) -> Option<NonNull<u8>> {
        // Where there are gaps of this size, there are books of slabs.
        if size < 4 * SLAB {
            return None;
        }
        // SAFETY: as said.
        let books = unsafe { self.slab_books() };
        if size >> books.reminder_log2 == 0 {
            return None;
        }
        NonNull::new(books.reminder)
    }

    /// Walks up from `chunk`, which has just become free, over what is free. If the walk ends at a
    /// current slab, makes that slab notice when it falls empty; if it ends at the heap end,
    /// returns that. Does nothing if something directly below is in use that will be noticed.
    ///
    /// # Safety
    /// `table` must be the table, and `chunk` an empty slab that is kept, or a gap with a slab above it.
    #[cold]
    pub(super) unsafe fn fell_free(
        table: *mut Table<WORDS, CLASSES>,
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
                && chunk.payload() as usize % SLAB != 0
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
                    if !header.is_marked() || header.size() != SLAB {
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

    /// Walks down from a chunk or a sentinel, over what is free.
    ///
    /// # Safety
    /// `chunk` must be a chunk or a sentinel.
    pub(crate) unsafe fn free_below_chunk(&self, chunk: Chunk) -> Top {
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
                    slab => match self.chunk_in_magazines_below(lowest) {
                        Some(chunk) => lowest = chunk,
                        None => return Top { lowest, is_all: false, slab },
                    },
                }
            }
        }
    }

    /// Makes the current slab below what is free notice when it falls empty, if there is one.
    ///
    /// # Safety
    /// Nothing may have changed since `top` was found.
    pub(crate) unsafe fn watch_slab(top: &Top) {
        if let (true, Some(slab)) = (Self::WATCHES, top.slab) {
            // SAFETY: what the table has is a slab (I13).
            unsafe { (*slab).count &= !QUIET };
        }
    }

    /// Returns the gap directly below a chunk or a sentinel, if there is one.
    ///
    /// # Safety
    /// `chunk` must be a chunk or a sentinel.
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
        if SLAB == 0 || end % SLAB != 0 || !self.has_slab_books() {
            return None;
        }
        let below = end - SLAB;
        for class in 0..self.classes() {
            // SAFETY: there are books of slabs.
            let slab = unsafe { (*self.class_books(class)).current };
            if slab as usize == below {
                return Some(slab);
            }
        }
        if !Self::WEIGHS_SLABS {
            return None;
        }
        // SAFETY: there are books of slabs.
        let mut spare = unsafe { self.slab_books().spare };
        while !spare.is_null() && spare as usize != below {
            if CHECKS && !self.can_be_slab(spare) {
                return None;
            }
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
