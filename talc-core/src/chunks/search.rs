//! The two searches for a gap.
//!
//! - [`search`](RawTalc::search) walks lists: all gaps of a bin, then those of the next one.
//! - [`search_heads`](RawTalc::search_heads) does the same for compact bins, for which it is the only
//!   one, in less code.

use crate::memory::chunk::{max_front, Chunk, GRAIN, HOLE};
use crate::table::Table;
use crate::tier::CHECKS;
use crate::tuning::{PROBES, PROBES_ALIGNED, SEARCH_LIMIT};
use crate::{Bins, Misuse, RawTalc};

/// A gap that a search has found.
#[derive(Clone, Copy)]
pub(crate) struct Gap {
    pub(crate) chunk: Chunk,
    pub(crate) size: usize,
    pub(crate) bin: usize,
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
    /// Returns the first gap that `fits` accepts, among the first `depth` ones of each bin from
    /// `bin` on, and `limit` in all. Neither may be 0.
    pub(crate) fn search(
        &mut self,
        mut bin: usize,
        depth: usize,
        mut limit: usize,
        mut fits: impl FnMut(Gap) -> bool,
    ) -> Option<Gap> {
        loop {
            let mut left = depth;
            let mut found = None;
            bin = self.walk(bin, |gap| {
                if fits(gap) {
                    found = Some(gap);
                    return true;
                }
                limit -= 1;
                left -= 1;
                limit == 0 || left == 0
            })?;
            if found.is_some() || limit == 0 {
                return found;
            }
            bin += 1;
        }
    }

    /// Passes the gaps of a bin to `visit`, from the first one on, until it returns `true`. The bin is
    /// the first one from `bin` on that has gaps, and is returned. Returns `None` if there is none, or
    /// if damage is found.
    #[inline]
    fn walk(&mut self, bin: usize, mut visit: impl FnMut(Gap) -> bool) -> Option<usize> {
        // SAFETY: where a bit is set, there is a table; the bin is not empty (I8), and each gap comes
        // from its list (I7). No pointer to the table is held over a use of the allocator, which the
        // table may be a part of.
        unsafe {
            let bin = Table::first_from(self.table(), bin)?;
            if CHECKS && !self.first_is_sound(bin) {
                return None;
            }
            let mut chunk = Table::first_gap(self.table(), bin);
            loop {
                if CHECKS && !self.gap_is_sound(chunk) {
                    self.note(Misuse::Damaged, chunk.payload() as usize);
                    return None;
                }
                if visit(Gap { chunk, size: chunk.header().size(), bin }) {
                    return Some(bin);
                }
                match chunk.next_gap() {
                    Some(next) => chunk = next,
                    None => return Some(bin),
                }
            }
        }
    }

    /// Returns a gap with room for an aligned chunk. Looks at the first gap of each bin from that of
    /// `need` on; or, if the layout is not over-aligned, at
    /// [`SEARCHED`](Self::SEARCHED) of them, of which only those of the bin of `need` can be too small.
    ///
    /// If it `is_exact`, the chunk must not be enlarged by a rest that is too small for a gap.
    pub(crate) fn search_heads(
        &mut self,
        need: usize,
        align: usize,
        is_exact: bool,
    ) -> Option<Gap> {
        let mut bin = Self::bin_of(need);
        // Counted over all bins: a count for each would be known to be constant, and the loop unrolled.
        let mut more = Self::SEARCHED - 1;
        loop {
            let mut found = None;
            bin = self.walk(bin, |gap| {
                let front = gap.chunk.front_for(align);
                if gap.size >= need
                    && gap.size - need >= front
                    && !(is_exact && HOLE != 0 && gap.size - need - front == HOLE)
                {
                    found = Some(gap);
                    return true;
                }
                if more == 0 || align > GRAIN {
                    return true;
                }
                more -= 1;
                false
            })?;
            if found.is_some() {
                return found;
            }
            bin += 1;
        }
    }

    /// Returns a gap with room for an aligned chunk. Looks at smaller ones first.
    pub(crate) fn search_lists_for(&mut self, need: usize, align: usize) -> Option<Gap> {
        let fits =
            move |gap: Gap| gap.size >= need && gap.size - need >= gap.chunk.front_for(align);
        let is_aligned = align <= GRAIN;
        let bin = Self::bin_of(need);
        let mut gap = if is_aligned {
            self.search_closest(bin, need)
        } else {
            self.search(bin, usize::MAX, PROBES_ALIGNED, fits)
        };
        if gap.is_none() {
            let sure = Self::bin_above(need.checked_add(max_front(align))?);
            gap = if is_aligned {
                self.search_closest(sure, need)
            } else {
                self.search(sure, 1, 1, |_| true)
            };
        }
        if gap.is_none() {
            gap = self.search(bin, usize::MAX, SEARCH_LIMIT, fits);
        }
        if gap.is_none() && !is_aligned {
            // A gap that a source has just brought is the first one of its bin.
            gap = self.search(bin, 1, usize::MAX, fits);
        }
        gap
    }

    /// Returns the smallest gap of at least `need` bytes among the first [`PROBES`] ones of the first bin
    /// from `bin` on that has some.
    ///
    /// Also where all of them are large enough, the first one may not be the best: the last bin has
    /// what is left of a heap, too, which is better left whole while there is a smaller gap.
    fn search_closest(&mut self, bin: usize, need: usize) -> Option<Gap> {
        let mut closest: Option<Gap> = None;
        let (mut left, mut least) = (PROBES, usize::MAX);
        self.walk(bin, |gap| {
            if gap.size >= need && gap.size < least {
                least = gap.size;
                closest = Some(gap);
            }
            left -= 1;
            left == 0
        })?;
        closest
    }
}
