//! The table in a heap: how large it must be, and moving it to where there is room for more heads.
//!
//! No gap is larger than its heap, so the table needs no heads for larger ones. It is placed in the
//! first heap, with the heads that this heap needs. When a larger heap comes, a larger table takes
//! its place: in a gap that is large enough, else in the new memory. Nothing points into a table,
//! so it can be copied.

use core::ptr::{copy, copy_nonoverlapping, null_mut};

use crate::memory::chunk::{Chunk, CHUNK_UNIT, GRAIN, HOLE, WORD};
use crate::memory::header::{Below, Header};
use crate::memory::heap::HeapEnd;
use crate::memory::magazine::Magazine;
use crate::table::{ClassBooks, SlabBooks, Table};
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
    /// Returns how many bytes of a heap the table takes; 0 if there is no heap, or if the table is
    /// part of this value.
    ///
    /// # Complexity
    /// O(1).
    pub fn table_size(&self) -> usize {
        if Self::IS_TABLE_INSIDE || !self.is_metadata_established() {
            return 0;
        }
        // SAFETY: the table exists, in a chunk of a heap (I10).
        unsafe { Self::chunk_of_table(self.table()).header().size() }
    }

    /// Returns whether the table exists and has a head for each gap that a heap of `bytes` bytes
    /// can have.
    pub(crate) fn has_heads_for(&self, bytes: usize) -> bool {
        Self::IS_TABLE_INSIDE || Self::bin_of(bytes) < self.books().heads.into()
    }

    /// Returns whether the table is what a heap of `bytes` bytes is to have: with all its heads, and with
    /// magazines of chunks if it is large enough for them.
    pub(crate) fn suits(&self, bytes: usize) -> bool {
        let books = self.books();
        self.has_heads_for(bytes)
            && (!Self::GATES_KEPT
                || books.is_complete
                || Bins::<LINEAR, PER_DOUBLING, WORDS, SLAB, CLASSES, KEPT, INSIDE>::has_kept(
                    books.heads.into(),
                )
                || !Bins::<LINEAR, PER_DOUBLING, WORDS, SLAB, CLASSES, KEPT, INSIDE>::needs_kept(
                    bytes,
                ))
    }

    /// Returns how many heads a new table is to have when a heap of `bytes` bytes needs one, and the
    /// size of its chunk. A table that moves gets as many as a heap twice as large needs, so that a
    /// growing heap seldom moves it.
    fn new_table(&self, bytes: usize) -> (usize, usize) {
        let books = self.books();
        let bytes = if books.heads == 0 { bytes } else { bytes.saturating_mul(2) };
        Self::table_with(if books.is_complete {
            Bins::<LINEAR, PER_DOUBLING, WORDS, SLAB, CLASSES, KEPT, INSIDE>::COUNT
        } else {
            Self::heads_for(bytes)
        })
    }

    /// Returns the number of heads, and the size of the chunk of a table that has them.
    fn table_with(heads: usize) -> (usize, usize) {
        (
            heads,
            Bins::<LINEAR, PER_DOUBLING, WORDS, SLAB, CLASSES, KEPT, INSIDE>::table_chunk(heads),
        )
    }

    /// Returns how many heads suffice for a heap of `bytes` bytes.
    fn heads_for(bytes: usize) -> usize {
        Bins::<LINEAR, PER_DOUBLING, WORDS, SLAB, CLASSES, KEPT, INSIDE>::heads_for(bytes)
    }

    /// Returns how many bytes suffice for a new table, if a heap of `bytes` bytes beside it needs
    /// one; else 0.
    pub(crate) fn table_room(&self, bytes: usize) -> usize {
        if self.suits(bytes) {
            return 0;
        }
        let mut room = 0;
        loop {
            // This room makes the heap larger, which may then need a few more heads.
            let (_, need) = self.new_table(bytes.saturating_add(room));
            // If it takes almost all of a gap, it takes all of it.
            if need + HOLE <= room {
                return room;
            }
            room = need + HOLE;
        }
    }

    /// Makes sure that the table has the heads for a heap of `bytes` bytes, among them those from
    /// `chunk` to `end`, which are new. Returns where the new bytes begin that are still free, and
    /// what is below them; `None`, and changes nothing, if there is no room for a larger table.
    ///
    /// # Safety
    /// The new bytes must be the allocator's, and `below` what is below them: the base of a new
    /// heap, or else what the old sentinel, `chunk`, says.
    pub(crate) unsafe fn provide_table(
        &mut self,
        chunk: Chunk,
        end: HeapEnd,
        below: Below,
        bytes: usize,
    ) -> Option<(Chunk, Below)> {
        if self.suits(bytes) {
            return Some((chunk, below));
        }
        // SAFETY: required of the caller.
        unsafe { self.place_table(chunk, end, below, bytes) }
    }

    /// As [`provide_table`](Self::provide_table), if there must be a new table.
    ///
    /// # Safety
    /// As for [`provide_table`](Self::provide_table).
    #[cold]
    unsafe fn place_table(
        &mut self,
        chunk: Chunk,
        end: HeapEnd,
        below: Below,
        bytes: usize,
    ) -> Option<(Chunk, Below)> {
        let is_placed = self.move_table_to_gap(bytes);
        // SAFETY: the old sentinel is a header (I1); what is written is in the caller's bytes, and
        // in what is free below them.
        unsafe {
            // The gap below may have been taken.
            let below = if below.is_base() { below } else { chunk.header().below() };
            if is_placed {
                return Some((chunk, below));
            }
            let size_below = if below.is_gap() { chunk.size_below() } else { 0 };
            let size = size_below + (end.sentinel().addr() - chunk.addr());
            let (heads, need) = match self.table_within(bytes, size) {
                Some(table) => table,
                None => return self.has_heads_for(bytes).then_some((chunk, below)),
            };
            let lowest = chunk.below(size_below);
            let mut lowest_below = below;
            if below.is_gap() {
                lowest_below = lowest.header().below();
                self.remove_gap(lowest, size_below);
            }
            // A rest that is too small for a gap is the table's.
            let need = if size - need < CHUNK_UNIT { size } else { need };
            lowest.set_header(Header::allocated(need, lowest_below));
            self.move_table(lowest, heads);
            Some((lowest.above(need), Below::CHUNK))
        }
    }

    /// Makes everything from `chunk` to a new sentinel at `end` free, if it is anything.
    ///
    /// # Safety
    /// These bytes must be the allocator's, in no list, and with `below` below them. The table must
    /// have a head for the gap (I10).
    pub(crate) unsafe fn add_space(&mut self, chunk: Chunk, end: HeapEnd, below: Below) {
        // SAFETY: required of the caller.
        unsafe {
            let size = end.sentinel().addr() - chunk.addr();
            end.sentinel().set_header(Header::SENTINEL);
            // A new table may have taken all of it.
            if Self::IS_TABLE_INSIDE || size != 0 {
                self.free(chunk, Header::allocated(size, below));
            }
        }
    }

    /// Returns the number of heads of a new table for a heap of `bytes` bytes, and the size of its
    /// chunk; `None` if that is more than `room` bytes.
    fn table_within(&self, bytes: usize, room: usize) -> Option<(usize, usize)> {
        let new = self.new_table(bytes);
        let all = Bins::<LINEAR, PER_DOUBLING, WORDS, SLAB, CLASSES, KEPT, INSIDE>::COUNT;
        // A heap can do without magazines of chunks.
        let least = Self::table_with(Self::heads_for(bytes).min(all));
        let least = if self.has_heads_for(bytes) { new } else { least };
        [new, least].iter().copied().find(|&(_, need)| need <= room)
    }

    /// Moves the table to a gap that holds a new one for a heap of `bytes` bytes. Returns whether
    /// there was such a gap.
    #[cold]
    fn move_table_to_gap(&mut self, bytes: usize) -> bool {
        let (heads, need) = self.new_table(bytes);
        match self.search_lists_for(need, GRAIN) {
            Some(gap) => {
                // SAFETY: the gap is large enough.
                unsafe {
                    let chunk = self.take(gap, 0, need);
                    self.move_table(chunk, heads);
                }
                true
            }
            None => false,
        }
    }

    /// Moves the table, or what stands for it, to the payload of an allocated chunk, and gives it
    /// `heads` heads. Frees the old chunk.
    ///
    /// # Safety
    /// The chunk must be the allocator's and large enough for that many heads, which must not be
    /// fewer than before.
    #[cold]
    unsafe fn move_table(&mut self, chunk: Chunk, heads: usize) {
        self.drain_magazines();
        let old = self.table();
        let old_heads = usize::from(self.books().heads);
        let has_slab_books = self.has_slab_books();
        let old_classes = if has_slab_books { self.classes() } else { 0 };
        let offset =
            Bins::<LINEAR, PER_DOUBLING, WORDS, SLAB, CLASSES, KEPT, INSIDE>::table_offset(heads);
        let new = chunk.payload().wrapping_add(offset).cast::<Table<WORDS, CLASSES>>();
        // SAFETY: the payload is the allocator's and has room for all of it; the old table has a
        // front, and the heads that this counts (I10).
        unsafe {
            let all = Bins::<LINEAR, PER_DOUBLING, WORDS, SLAB, CLASSES, KEPT, INSIDE>::COUNT;
            let old_size = Table::<WORDS, CLASSES>::FRONT + old_heads.min(all) * WORD;
            copy_nonoverlapping(old.cast::<u8>(), new.cast::<u8>(), old_size);
            for head in old_heads..heads.min(all) {
                Table::head(new, head).write(null_mut());
            }
            for class in 0..CLASSES {
                Table::ready(new).add(class).write(Magazine::with_room(0));
            }
            // Those of chunks are empty, and opened when the room for them is found out anew.
            (*Table::books(new)).kept = 0;
            (*Table::books(new)).roomy_bin_or_closing = 0;
            (*Table::books(new)).allowance = 0;
            // There are at most 32768, and one more number.
            (*Table::books(new)).heads = heads as u16;
            self.bins.set_table(new);
            if offset != 0 {
                let books = if has_slab_books { Table::slabs(old).read() } else { SlabBooks::ZERO };
                Table::slabs(new).write(books);
                for class in 0..self.classes() {
                    let is_old = class < old_classes;
                    let books =
                        if is_old { Table::class(old, class).read() } else { ClassBooks::ZERO };
                    Table::class(new, class).write(books);
                }
            }
            if old_heads != 0 {
                let chunk = Self::chunk_of_table(old);
                let header = chunk.header();
                // A slab below the table is to notice from now on when it falls empty (I14).
                Self::watch_slab(&self.free_below_chunk(chunk));
                self.free(chunk, header);
            }
        }
    }

    /// Moves the table down into the gap below it, if nothing but free space lies between it and a
    /// sentinel, and it reaches above `limit`.
    ///
    /// # Safety
    /// `sentinel` must be a sentinel, with no empty slab directly below it or below its gap.
    pub(crate) unsafe fn lower_table(&mut self, sentinel: Chunk, limit: usize) {
        if Self::IS_TABLE_INSIDE {
            return;
        }
        // SAFETY: there is a heap, and so a table (I10), whose chunk is the allocator's, as is a
        // gap below it.
        unsafe {
            let old = Self::chunk_of_table(self.table());
            let size = old.header().size();
            let top = self.gap_below(sentinel).unwrap_or(sentinel);
            if old.above(size) != top || HeapEnd::of_sentinel(top).addr() <= limit {
                return;
            }
            self.close_slabs_below(old, 0);
            if let Some(gap) = self.gap_below(old) {
                let offset = self.table() as usize - old.payload() as usize;
                let header = gap.header();
                self.remove_gap(gap, header.size());
                copy(old.payload(), gap.payload(), size - WORD);
                gap.set_header(Header::allocated(size, header.below()));
                self.bins.set_table(gap.payload().wrapping_add(offset).cast());
                self.free(gap.above(size), Header::allocated(header.size(), Below::CHUNK));
            }
        }
    }
}
