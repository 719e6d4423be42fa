//! How much magazines may hold: a share of the heaps.

use core::ptr::NonNull;

use crate::memory::chunk::Chunk;
use crate::memory::header::Header;
use crate::memory::magazine::Magazine;
use crate::memory::slab::Slab;
use crate::table::Table;
use crate::tuning::{
    CLOSED_AT_ONCE, KEPT_TIMES, MAGAZINE_PART, MAX_KEPT, MAX_READY, ROOMY_AGAIN_SIXTEENTHS,
    ROOMY_SIXTEENTHS,
};
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
    /// Returns whether freed blocks are kept in magazines.
    ///
    /// They are not with [`Bins`] whose `KEPT` is 0; nor as long as heaps are small; nor if the table is
    /// [complete](Self::with_complete_table), for heaps that come and go.
    ///
    /// # Complexity
    /// O(1).
    pub fn has_magazines(&self) -> bool {
        Self::HAS_MAGAZINES && (Self::IS_TABLE_INSIDE || self.books().allowance != 0)
    }

    /// Returns how many slots of a class may be kept ready.
    pub(crate) fn ready_room(&self, class: usize) -> usize {
        if !Self::HAS_MAGAZINES {
            0
        } else if Self::IS_TABLE_INSIDE {
            MAX_READY
        } else {
            self.share(1, Slab::slot_size(class)).min(MAX_READY)
        }
    }

    /// Returns how many chunks may be kept in a magazine.
    pub(super) fn kept_room(&self, index: usize) -> usize {
        if Self::IS_TABLE_INSIDE {
            MAX_KEPT
        } else {
            self.share(KEPT_TIMES, Self::kept_size(index)).min(MAX_KEPT)
        }
    }

    /// Returns how many blocks of `size` bytes a magazine may have that has this many times the allowance. Not quite as
    /// many as that is for, as that would take a division.
    fn share(&self, times: usize, size: usize) -> usize {
        let log2 = usize::BITS - (size - 1).leading_zeros();
        ((times << self.books().allowance) / 2) >> log2
    }

    /// Returns whether heaps are roomy: whether there are magazines of chunks, and they are open.
    pub(crate) fn is_roomy(&self) -> bool {
        Self::GATES_KEPT && self.books().kept != 0
    }

    /// Returns how many magazines of chunks may still have some, though they are closed.
    #[inline]
    pub(crate) fn closing(&self) -> usize {
        if Self::GATES_KEPT {
            self.books().closing()
        } else {
            0
        }
    }

    /// Closes the magazines of chunks if there is no gap that is large beside the heaps: what they keep would
    /// be missing where other sizes are needed.
    #[inline]
    pub(crate) fn shut_if_tight(&mut self) {
        if self.is_roomy() {
            self.shut_unless_from(self.books().roomy_bin_or_closing.into());
        }
    }

    /// As [`shut_if_tight`](Self::shut_if_tight), before a chunk of `need` bytes is taken out of a gap.
    pub(crate) fn shut_if_tight_without(&mut self, need: usize) {
        if self.is_roomy() {
            self.shut_unless_from(Self::bin_of(self.roomy_size().saturating_add(need)));
        }
    }

    /// Returns the size of a gap that makes heaps roomy.
    fn roomy_size(&self) -> usize {
        self.books().heap_bytes / 16 * ROOMY_SIXTEENTHS
    }

    /// Closes the magazines of chunks, which are open, until there is a large gap again; unless there is a gap in a
    /// bin from `bin` on. What is in them is given back [by and by](Self::close_some).
    #[inline]
    fn shut_unless_from(&mut self, bin: usize) {
        // SAFETY: there are magazines, and so a table.
        unsafe {
            if Table::first_from(self.table(), bin).is_none() {
                let books = self.books_mut();
                books.roomy_bin_or_closing = Self::KEPT_MAGAZINES as u16;
                books.kept = 0;
            }
        }
    }

    /// Gives back the next one of the chunks that are left in closed magazines. Returns what
    /// [`deallocate`](Self::deallocate) does.
    #[cold]
    pub(crate) fn close_some(&mut self) -> Option<NonNull<u8>> {
        for _ in 0..CLOSED_AT_ONCE {
            let index = self.closing().checked_sub(1)?;
            // SAFETY: there is such a magazine, and so a table; what is in magazines is the allocator's (I15).
            unsafe {
                if let Some(chunk) = self.pop_kept(index) {
                    return self.free(chunk, chunk.header());
                }
                self.books_mut().roomy_bin_or_closing = index as u16;
            }
        }
        None
    }

    /// As [`free`](Self::free), while there are chunks in closed magazines: gives back one of these, too.
    ///
    /// # Safety
    /// As there.
    #[cold]
    #[inline(never)]
    pub(crate) unsafe fn free_while_closing(
        &mut self,
        chunk: Chunk,
        header: Header,
    ) -> Option<NonNull<u8>> {
        // SAFETY: required of the caller.
        let touched = unsafe { self.free(chunk, header) };
        let other = self.close_some();
        touched.or(other)
    }

    /// Returns whether a gap of `size` bytes makes heaps roomy again, so that the magazines of chunks, which are closed,
    /// are to be [opened](Self::open_kept).
    #[inline]
    pub(crate) fn becomes_roomy(&self, size: usize) -> bool {
        let books = self.books();
        Self::GATES_KEPT
            && books.kept == 0
            && Bins::<LINEAR, PER_DOUBLING, WORDS, SLAB, CLASSES, KEPT, INSIDE>::has_kept(
                books.heads.into(),
            )
            && books.allowance != 0
            && size >= books.heap_bytes / 16 * ROOMY_AGAIN_SIXTEENTHS
    }

    /// Opens the magazines of chunks. Those that were closed before they were empty keep what they have.
    ///
    /// # Safety
    /// There must be a table that has them, and they must be [made](Self::make_kept): there is an allowance then.
    #[cold]
    pub(crate) unsafe fn open_kept(&mut self) {
        let bin = Self::bin_of(self.roomy_size());
        // SAFETY: required of the caller.
        unsafe { self.forget_middling_chunks() };
        // SAFETY: required of the caller.
        let books = unsafe { self.books_mut() };
        books.kept = KEPT as u16;
        books.roomy_bin_or_closing = bin as u16;
    }

    /// Makes the magazines of chunks, with the room that suits the heaps, if the table has them, and opens them.
    ///
    /// # Safety
    /// There must be a table, and nothing in such a magazine.
    unsafe fn make_kept(&mut self) {
        // SAFETY: required of the caller.
        unsafe {
            if Bins::<LINEAR, PER_DOUBLING, WORDS, SLAB, CLASSES, KEPT, INSIDE>::has_kept(
                self.books().heads.into(),
            ) {
                for index in 0..Self::KEPT_MAGAZINES {
                    let magazine = Magazine::with_room(self.kept_room(index));
                    Table::kept(self.table_mut(), index).write(magazine);
                }
                self.open_kept();
            }
        }
    }

    /// Gives magazines the room that suits the heaps: none if heaps come and go, so that nothing is kept in
    /// one that is to go.
    ///
    /// # Safety
    /// There must be a table.
    pub(crate) unsafe fn adjust_magazines(&mut self) {
        if !Self::HAS_MAGAZINES || Self::IS_TABLE_INSIDE {
            return;
        }
        // SAFETY: there is a table.
        unsafe {
            let books = self.books();
            let allowance = if books.is_complete {
                0
            } else {
                // Few different ones, as each change takes time.
                let part = books.heap_bytes / MAGAZINE_PART;
                (usize::BITS - part.leading_zeros()) as u8
            };
            if allowance == books.allowance {
                if self.is_roomy() {
                    // What is a large gap has changed.
                    self.open_kept();
                }
                return;
            }
            self.drain_magazines();
            self.books_mut().allowance = allowance;
            for class in 0..CLASSES {
                let room = self.ready_room(class);
                self.ready_mut(class).write(Magazine::with_room(room));
            }
            self.make_kept();
        }
    }
}
