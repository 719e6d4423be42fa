//! Putting a chunk that is freed into a magazine, and taking it out again.

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::memory::chunk::{chunk_size, Chunk, CHUNK_UNIT, GRAIN, WORD};
use crate::memory::fill::{fill_block, SEAL};
use crate::memory::header::Header;
use crate::memory::magazine::Magazine;
use crate::table::Table;
use crate::tier::CHECKS;
use crate::{Bins, Misuse, RawTalc};

/// What has become of a chunk that was to be kept.
pub(crate) enum Keeping {
    Kept,
    /// Its magazine has no room, which is when [`shut_if_tight`](RawTalc::shut_if_tight) is to be called.
    Full,
    /// It has no magazine, or that is closed.
    No,
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
    /// Returns the number of magazines of middling chunks that are open.
    fn kept_count(&self) -> usize {
        if !Self::KEEPS_CHUNKS {
            0
        } else if Self::IS_TABLE_INSIDE {
            KEPT
        } else {
            self.books().kept.into()
        }
    }

    /// Returns the number of magazines in which there may be chunks.
    pub(super) fn filled_count(&self) -> usize {
        if self.kept_count() != 0 {
            Self::KEPT_MAGAZINES
        } else {
            self.closing()
        }
    }

    /// Returns the index of the magazine for middling chunks of `size` bytes, if it is less than their number.
    const fn middling_index(size: usize) -> usize {
        size.wrapping_sub(CHUNK_UNIT + Self::SMALL_CLASSES * GRAIN) / GRAIN
    }

    /// Returns the index of the magazine for small chunks of `size` bytes, if it is less than the number of all.
    const fn small_index(size: usize) -> usize {
        (size.wrapping_sub(CHUNK_UNIT) / GRAIN).wrapping_add(KEPT)
    }

    /// Returns the size of the chunks in a magazine.
    pub(super) const fn kept_size(index: usize) -> usize {
        let sizes =
            if Self::is_small_kept(index) { index - KEPT } else { index + Self::SMALL_CLASSES };
        CHUNK_UNIT + sizes * GRAIN
    }

    /// Returns whether the magazine with that index is for small chunks, for which a slab was not worth it.
    const fn is_small_kept(index: usize) -> bool {
        index >= KEPT
    }

    /// Returns whether a chunk in the magazine with that index can have this header. Small chunks have a mark while
    /// they are in use and counted, middling ones while they are in a magazine.
    pub(crate) fn can_be_kept(header: Header, index: usize) -> bool {
        header.size() == Self::kept_size(index)
            && header.is_marked() != Self::is_small_kept(index)
            && !header.is_gap()
    }

    /// Returns whether an allocated chunk with this header is in a magazine.
    pub(crate) fn is_kept(&self, chunk: Chunk, header: Header) -> bool {
        if !Self::KEEPS_CHUNKS {
            return false;
        }
        if Self::middling_index(header.size()) < KEPT {
            return header.is_marked();
        }
        let mut is_kept = false;
        if !header.is_marked() {
            self.for_each_block_in_kept(Self::small_index(header.size()), |block| {
                is_kept |= core::ptr::eq(block, chunk.payload());
            });
        }
        is_kept
    }

    /// Takes a chunk from a magazine of chunks, whoever it is for.
    ///
    /// # Safety
    /// `index` must be less than [`filled_count`](Self::filled_count).
    #[inline]
    pub(super) unsafe fn pop_kept(&mut self, index: usize) -> Option<Chunk> {
        // SAFETY: required of the caller.
        unsafe { self.pop_kept_from(index, Self::is_small_kept(index)) }
    }

    /// As [`pop_kept`](Self::pop_kept), for callers that know whether the magazine [is for small
    /// chunks](Self::is_small_kept): a pair of 512 bytes takes four instructions less.
    ///
    /// # Safety
    /// As there.
    #[inline]
    unsafe fn pop_kept_from(&mut self, index: usize, is_small: bool) -> Option<Chunk> {
        debug_assert!(is_small == Self::is_small_kept(index));
        // SAFETY: the magazine exists, as required of the caller; what is in it is chunks of its size, and
        // the allocator's (I15).
        unsafe {
            let payload = self.pop(|table| Table::kept(table, index));
            if payload.is_none() {
                self.close_if_damaged(|table| Table::kept(table, index));
            }
            let chunk = Chunk::of_payload(payload?.as_ptr());
            let header = chunk.header();
            if CHECKS && !Self::can_be_kept(header, index) {
                self.note(Misuse::Damaged, chunk.payload() as usize);
                return None;
            }
            self.check_free(chunk.payload(), header.size() - WORD);
            if !is_small {
                chunk.set_header(header.without_mark());
            }
            self.tally.record(|counters| counters.gap_removed(header.size()));
            Some(chunk)
        }
    }

    /// As [`pop_chunk`](Self::pop_chunk), for a layout that is not over-aligned, also from a magazine of small chunks. A small
    /// one is counted if it `asks` for a slab, as layouts do that a slot could hold.
    #[inline]
    pub(crate) fn pop_small_chunk(&mut self, layout: Layout, asks: bool) -> Option<NonNull<u8>> {
        debug_assert!(layout.align() <= GRAIN);
        if !Self::KEEPS_SMALL_CHUNKS || self.kept_count() == 0 {
            return None;
        }
        let index = Self::small_index(chunk_size(layout.size()));
        if index >= Self::KEPT_MAGAZINES {
            // Where headers are small, the largest class has the smallest of middling chunks.
            return self.pop_chunk(layout);
        }
        // SAFETY: the magazine exists; what is popped is no longer in it (I15).
        unsafe {
            let chunk = self.pop_kept_from(index, true)?;
            if asks {
                self.count_small_chunk(chunk);
            }
            self.tally.record(|counters| counters.allocated(layout.size()));
            Some(chunk.allocation(layout.size()))
        }
    }

    /// Allocates a chunk of exactly the size for a layout from its magazine.
    #[inline]
    pub(crate) fn pop_chunk(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        if !Self::KEEPS_CHUNKS || layout.align() > GRAIN {
            return None;
        }
        // As the size of the chunk, but for sizes that are too small or too large to have a magazine.
        let around = layout.size().wrapping_add(SEAL + WORD + (GRAIN - 1));
        let index = Self::middling_index(around);
        if index >= self.kept_count() {
            return None;
        }
        debug_assert!(index == Self::middling_index(chunk_size(layout.size())));
        // SAFETY: the magazine exists; what is popped is no longer in it (I15).
        unsafe {
            let chunk = self.pop_kept_from(index, false)?;
            self.tally.record(|counters| counters.allocated(layout.size()));
            Some(chunk.allocation(layout.size()))
        }
    }

    /// Puts a chunk into the magazine of its size, if there is one, and room.
    ///
    /// # Safety
    /// The chunk must be allocated, and its owner gives it up.
    #[inline]
    pub(crate) unsafe fn keep_chunk(&mut self, chunk: Chunk) -> Keeping {
        // SAFETY: required of the caller.
        let header = unsafe { chunk.header() };
        let index = Self::middling_index(header.size());
        if index < self.kept_count() {
            // SAFETY: the magazine exists; the rest is required of the caller.
            unsafe { self.keep_in(index, chunk, header, header.with_mark()) }
        } else {
            Keeping::No
        }
    }

    /// As [`keep_chunk`](Self::keep_chunk), for a chunk of a size that slots could hold. If it has a mark, it is not counted any
    /// more.
    ///
    /// # Safety
    /// As there. It must have that header.
    #[inline]
    pub(crate) unsafe fn keep_small_chunk(&mut self, chunk: Chunk, header: Header) -> Keeping {
        if !Self::KEEPS_SMALL_CHUNKS || self.kept_count() == 0 {
            return Keeping::No;
        }
        let kept = if header.is_marked() { header.without_mark() } else { header };
        // SAFETY: required of the caller.
        unsafe { self.keep_in(Self::small_index(header.size()), chunk, header, kept) }
    }

    /// Puts a chunk into a magazine, and gives it that header, if there is room.
    ///
    /// # Safety
    /// As for [`keep_chunk`](Self::keep_chunk). It must be the magazine of its size.
    #[inline]
    unsafe fn keep_in(
        &mut self,
        index: usize,
        chunk: Chunk,
        header: Header,
        kept: Header,
    ) -> Keeping {
        // SAFETY: the magazine exists; the chunk is the allocator's again.
        unsafe {
            let magazine = Table::kept(self.table_mut(), index);
            if Self::IS_TABLE_INSIDE && !(*magazine).is_made() {
                magazine.write(Magazine::with_room(self.kept_room(index)));
            }
            if !Magazine::push(magazine, chunk.payload()) {
                return Keeping::Full;
            }
            chunk.set_header(kept);
            fill_block(chunk.payload(), header.size() - WORD);
            self.tally.record(|counters| counters.gap_added(header.size()));
            Keeping::Kept
        }
    }
}
