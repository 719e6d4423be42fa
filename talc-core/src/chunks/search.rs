//! The two searches for a gap, and what they are used for.
//!
//! - [`search`](RawTalc::search) walks lists: all gaps of a bin, then of the next one.
//! - [`search_heads`](RawTalc::search_heads) walks the bitmap, and knows the first gap of each bin only:
//!   less code, for tables with one word of bitmap.

use crate::checks::CHECKS;
use crate::memory::chunk::{max_front, Chunk, CHUNK_UNIT, GRAIN};
use crate::table::Table;
use crate::tuning::{PROBES, SEARCH_LIMIT};
use crate::{Bins, Misuse, RawTalc};

/// A gap, as a search finds it.
#[derive(Clone, Copy)]
pub(crate) struct Gap {
    pub(crate) chunk: Chunk,
    pub(crate) size: usize,
    pub(crate) bin: usize,
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
    /// Finds the first gap that `fits` accepts, among the first `depth` ones of each bin from `bin`
    /// on, and among `limit` in all.
    #[inline]
    pub(crate) fn search(
        &mut self,
        mut bin: usize,
        depth: usize,
        mut limit: usize,
        mut fits: impl FnMut(Gap) -> bool,
    ) -> Option<Gap> {
        loop {
            // SAFETY: where a bit is set, there is a table; the bin is not empty (I8), and each gap
            // comes from its list (I7).
            unsafe {
                bin = Table::first_from(self.table(), bin)?;
                if CHECKS && !self.first_is_sound(bin) {
                    return None;
                }
                let mut next = Some(Table::first_gap(self.table(), bin));
                let mut left = depth;
                while let Some(chunk) = next {
                    if limit == 0 {
                        return None;
                    }
                    if CHECKS && !self.gap_is_sound(chunk) {
                        self.diagnosis.note(Misuse::Damaged);
                        return None;
                    }
                    let gap = Gap { chunk, size: chunk.header().size(), bin };
                    if fits(gap) {
                        return Some(gap);
                    }
                    limit -= 1;
                    left -= 1;
                    if left == 0 {
                        break;
                    }
                    next = chunk.next_gap();
                }
            }
            bin += 1;
        }
    }

    /// Finds a gap with room for an aligned chunk among the first ones of all bins whose gaps all hold
    /// `need` bytes; if they are all empty, or the layout is over-aligned, of the bins from that of `need`
    /// on. If it `is_exact`, the chunk must not become larger, as what is left above it is too small for a gap.
    #[inline]
    pub(crate) fn search_heads(
        &mut self,
        need: usize,
        align: usize,
        is_exact: bool,
    ) -> Option<Gap> {
        // What is too small for a gap.
        const HOLE: usize = CHUNK_UNIT - GRAIN;
        // SAFETY: the bins are not empty (I8), and their first gaps have headers.
        unsafe {
            let map = Table::map(self.table()).read();
            // The same as from `bin_above` on, which may be one too many to shift by.
            let mut bits = map & (!1 << Self::bin_of(need - GRAIN));
            if bits == 0 || align > GRAIN {
                bits = map & (!0 << Self::bin_of(need));
            }
            while bits != 0 {
                let bin = bits.trailing_zeros() as usize;
                if CHECKS && !self.first_is_sound(bin) {
                    return None;
                }
                let chunk = Table::first_gap(self.table(), bin);
                let (size, front) = (chunk.header().size(), chunk.front_for(align));
                if size >= need
                    && size - need >= front
                    && !(is_exact && HOLE != 0 && size - need - front == HOLE)
                {
                    return Some(Gap { chunk, size, bin });
                }
                bits &= bits - 1;
            }
        }
        None
    }

    /// Finds a gap with room for an aligned chunk, the smallest ones first.
    pub(crate) fn search_lists_for(&mut self, need: usize, align: usize) -> Option<Gap> {
        let fits = |gap: Gap| gap.size >= need && gap.size - need >= gap.chunk.front_for(align);
        let sure = need.checked_add(max_front(align))?;
        let mut gap = self.search(Self::bin_of(need), usize::MAX, PROBES, fits);
        if gap.is_none() {
            gap = self.search(Self::bin_above(sure), 1, 1, |_| true);
        }
        if gap.is_none() {
            gap = self.search(Self::bin_of(need), usize::MAX, SEARCH_LIMIT, fits);
        }
        if gap.is_none() && align > GRAIN {
            // The gap that a source has just brought is the first one of its bin.
            gap = self.search(Self::bin_of(need), 1, usize::MAX, fits);
        }
        gap
    }

    /// Whether the first gap of a bin is sound. If not, notes it, and abandons the bin.
    ///
    /// # Safety
    /// The table must exist, and its bit for `bin` be set.
    pub(crate) unsafe fn first_is_sound(&mut self, bin: usize) -> bool {
        // SAFETY: required of the caller.
        unsafe {
            let is_sound = self.head_is_sound(bin)
                && !Table::head(self.table(), bin).read().is_null()
                && self.gap_is_sound(Table::first_gap(self.table(), bin));
            if !is_sound {
                Table::abandon(self.table_mut(), bin);
                self.diagnosis.note(Misuse::Damaged);
            }
            is_sound
        }
    }
}
