//! Gaps and their lists: adding, removing, and cutting a chunk out of one.

use super::search::Gap;
use crate::memory::chunk::{Chunk, CHUNK_UNIT};
use crate::memory::header::{Below, Header};
use crate::table::Table;
use crate::tier::CHECKS;
use crate::{Bins, Misuse, RawTalc};

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
    /// Writes a gap and puts it into its list.
    ///
    /// # Safety
    /// As for [`Chunk::set_gap`]. The header above must already be marked `BELOW_FREE`, and the
    /// table must have a head for the gap (I10).
    pub(crate) unsafe fn add_gap(&mut self, gap: Chunk, header: Header) {
        // SAFETY: required of the caller; the table exists wherever there is a chunk (I10).
        unsafe {
            gap.set_gap(header);
            let bin = Self::bin_of(header.size());
            debug_assert!(Self::IS_TABLE_INSIDE || bin < self.books().heads.into(), "I10");
            if CHECKS && !self.head_is_sound(bin) {
                let first = Table::head(self.table(), bin).read();
                Table::abandon(self.table_mut(), bin);
                self.note(Misuse::Damaged, first as usize);
            }
            Table::link(self.table_mut(), gap, bin);
        }
        self.tally.record(|counters| counters.gap_added(header.size()));
    }

    /// Takes a gap out of its list, and leaves its bytes as they are.
    ///
    /// # Safety
    /// `gap` must be a gap of `size` bytes, in its list.
    pub(crate) unsafe fn remove_gap(&mut self, gap: Chunk, size: usize) {
        // SAFETY: required of the caller; the table exists wherever there is a chunk (I10).
        unsafe { Table::unlink(self.table_mut(), gap, Self::bin_of(size)) };
        self.tally.record(|counters| counters.gap_removed(size));
    }

    /// Takes a chunk of `need` bytes from the start of the first gap of `bin`.
    ///
    /// # Safety
    /// The bin must not be empty, all its gaps must be large enough, and `need` must be a chunk
    /// size (I2).
    pub(crate) unsafe fn take_first(&mut self, bin: usize, need: usize) -> Chunk {
        // SAFETY: a gap is the allocator's to cut up (I9).
        unsafe {
            let gap = Table::take_first(self.table_mut(), bin);
            let header = gap.header();
            let size = header.size();
            self.tally.record(|counters| counters.gap_removed(size));
            self.check_gap(gap, header, gap.addr() + need);
            self.occupy(gap, size, need, header.below(), header.is_filled());
            gap
        }
    }

    /// Takes a chunk of `need` bytes out of a gap, `front` bytes above its start.
    ///
    /// # Safety
    /// `gap` must be a gap of at least `front + need` bytes, in its bin's list. `need` must be a
    /// chunk size (I2), and `front` 0 or a multiple of 16 that is at least [`CHUNK_UNIT`].
    pub(crate) unsafe fn take(&mut self, gap: Gap, front: usize, need: usize) -> Chunk {
        let Gap { chunk: mut lowest, size, bin } = gap;
        // SAFETY: required of the caller; the bytes of a gap are the allocator's to cut up (I9).
        unsafe {
            let header = lowest.header();
            let mut below = header.below();
            if Self::IS_TABLE_INSIDE {
                // Computing the bin once more is less code, as all else that is removed is removed this way.
                self.remove_gap(lowest, size);
            } else {
                Table::unlink(self.table_mut(), lowest, bin);
                self.tally.record(|counters| counters.gap_removed(size));
            }
            self.check_gap(lowest, header, lowest.addr() + front + need);
            if front != 0 {
                self.add_gap(lowest, Header::gap(front, below).filled(header.is_filled()));
                lowest = lowest.above(front);
                below = Below::GAP;
            }
            self.occupy(lowest, size - front, need, below, header.is_filled());
            lowest
        }
    }

    /// Makes the first `need` of `size` free bytes an allocated chunk, and the rest a gap if it is
    /// large enough. `below` is what stands below these bytes, and `is_filled` is whether they are
    /// [filled](Header::filled).
    ///
    /// # Safety
    /// - The bytes must be the allocator's (I9) and in no list.
    /// - `size >= need`, and both must be multiples of 16.
    /// - Above the bytes, there must be an allocated chunk or a sentinel, marked `BELOW_FREE`.
    pub(crate) unsafe fn occupy(
        &mut self,
        chunk: Chunk,
        size: usize,
        need: usize,
        below: Below,
        is_filled: bool,
    ) {
        let rest = size - need;
        // SAFETY: all headers written lie at the start, the end or inside of the caller's bytes.
        unsafe {
            if rest >= CHUNK_UNIT {
                chunk.set_header(Header::allocated(need, below));
                self.add_gap(chunk.above(need), Header::gap(rest, Below::CHUNK).filled(is_filled));
            } else {
                chunk.set_header(Header::allocated(size, below));
                chunk.above(size).set_below_free(false);
            }
        }
    }
}
