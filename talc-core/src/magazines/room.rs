//! How much magazines may hold: a share of the heaps.

use crate::memory::chunk::{CHUNK_UNIT, GRAIN};
use crate::memory::magazine::Magazine;
use crate::memory::slab::Slab;
use crate::table::Table;
use crate::tuning::{MAGAZINE_PART, MAX_KEPT, MAX_READY, ROOMY_PART};
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
            self.share(Slab::slot_size(class)).min(MAX_READY)
        }
    }

    /// Returns how many chunks may be kept in a magazine.
    pub(super) fn kept_room(&self, index: usize) -> usize {
        if Self::IS_TABLE_INSIDE {
            MAX_KEPT
        } else {
            self.share(CHUNK_UNIT + (CLASSES + index) * GRAIN).min(MAX_KEPT)
        }
    }

    /// Returns how many blocks of `size` bytes a magazine may have. Not quite as many as the allowance is
    /// for, as that would take a division.
    fn share(&self, size: usize) -> usize {
        let log2 = usize::BITS - (size - 1).leading_zeros();
        ((1_usize << self.books().allowance) / 2) >> log2
    }

    /// Closes the magazines of chunks if there is no gap that is large beside the heaps: what they keep would
    /// be missing where other sizes are needed.
    #[inline]
    pub(super) fn shut_if_tight(&mut self) {
        if Self::GATES_KEPT {
            let bin = self.books().roomy_bin.into();
            // SAFETY: there is a chunk, and so a table.
            if unsafe { Table::first_from(self.table(), bin) }.is_none() {
                self.shut_kept();
            }
        }
    }

    /// Closes the magazines of chunks, until there is a large gap again.
    #[cold]
    fn shut_kept(&mut self) {
        while self.empty_kept().is_some() {}
        // SAFETY: there is a chunk, and so a table.
        unsafe { self.books_mut() }.kept = 0;
    }

    /// Opens the magazines of chunks again if they are closed and a gap of `size` bytes is large enough.
    ///
    /// # Safety
    /// There must be a table.
    #[inline]
    pub(crate) unsafe fn open_if_roomy(&mut self, size: usize) {
        let books = self.books();
        if Self::GATES_KEPT
            && books.kept == 0
            && Bins::<LINEAR, PER_DOUBLING, WORDS, SLAB, CLASSES, KEPT, INSIDE>::has_kept(
                books.heads.into(),
            )
            && size >= books.heap_bytes / ROOMY_PART * 2
        {
            // SAFETY: required of the caller.
            unsafe { self.open_kept() };
        }
    }

    /// Opens the magazines of chunks again, as a gap is large enough.
    ///
    /// # Safety
    /// There must be a table, and the magazines must be closed.
    #[cold]
    pub(crate) unsafe fn open_kept(&mut self) {
        // SAFETY: required of the caller.
        unsafe {
            if Bins::<LINEAR, PER_DOUBLING, WORDS, SLAB, CLASSES, KEPT, INSIDE>::has_kept(
                self.books().heads.into(),
            ) {
                self.books_mut().kept = KEPT as u16;
                for index in 0..KEPT {
                    let magazine = Magazine::with_room(self.kept_room(index));
                    Table::kept(self.table_mut(), index).write(magazine);
                }
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
            let old = books.allowance;
            let bytes = books.heap_bytes;
            self.books_mut().roomy_bin = Self::bin_of(bytes / ROOMY_PART) as u16;
            if allowance == old {
                return;
            }
            self.drain_magazines();
            self.books_mut().allowance = allowance;
            for class in 0..CLASSES {
                let room = self.ready_room(class);
                self.ready_mut(class).write(Magazine::with_room(room));
            }
            self.open_kept();
        }
    }
}
