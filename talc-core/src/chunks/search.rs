//! The two searches for a gap.
//!
//! - [`search`](RawTalc::search) walks lists: all gaps of a bin, then those of the next one.
//! - [`search_heads`](RawTalc::search_heads) does the same for compact bins, for which it is the only
//!   one, in less code.

use crate::memory::chunk::{max_front, Chunk, GRAIN, HOLE};
use crate::table::Table;
use crate::tier::CHECKS;
use crate::tuning::{COMPACT_SEARCH_LIMIT, PROBES, PROBES_ALIGNED, SEARCH_LIMIT};
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
            // SAFETY: where a bit is set, there is a table; the bin is not empty (I8), and each gap
            // comes from its list (I7).
            unsafe {
                bin = Table::first_from(self.table(), bin)?;
                if CHECKS && !self.first_is_sound(bin) {
                    return None;
                }
                let mut chunk = Table::first_gap(self.table(), bin);
                let mut left = depth;
                loop {
                    if CHECKS && !self.gap_is_sound(chunk) {
                        self.note(Misuse::Damaged, chunk.payload() as usize);
                        return None;
                    }
                    let gap = Gap { chunk, size: chunk.header().size(), bin };
                    if fits(gap) {
                        return Some(gap);
                    }
                    // At once, before another bin is looked for.
                    limit -= 1;
                    if limit == 0 {
                        return None;
                    }
                    left -= 1;
                    if left == 0 {
                        break;
                    }
                    match chunk.next_gap() {
                        Some(next) => chunk = next,
                        None => break,
                    }
                }
            }
            bin += 1;
        }
    }

    /// Returns a gap with room for an aligned chunk. Looks at the first gap of each bin from that of
    /// `need` on; or, if the layout is not over-aligned, at
    /// [`COMPACT_SEARCH_LIMIT`] of them, of which only those of the bin of `need` can be too small.
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
        let mut more = COMPACT_SEARCH_LIMIT - 1;
        loop {
            // SAFETY: there is a table, as it is inside; where a bit is set, there is a gap (I8), and
            // each other one comes from its list (I7). No pointer to the table is held over a use of
            // the allocator, which it is a part of.
            unsafe {
                bin = Table::first_from(self.table(), bin)?;
                if CHECKS && !self.first_is_sound(bin) {
                    return None;
                }
                let mut chunk = Table::first_gap(self.table(), bin);
                loop {
                    if CHECKS && !self.gap_is_sound(chunk) {
                        self.note(Misuse::Damaged, chunk.payload() as usize);
                        return None;
                    }
                    let (size, front) = (chunk.header().size(), chunk.front_for(align));
                    if size >= need
                        && size - need >= front
                        && !(is_exact && HOLE != 0 && size - need - front == HOLE)
                    {
                        return Some(Gap { chunk, size, bin });
                    }
                    if more == 0 || align > GRAIN {
                        break;
                    }
                    more -= 1;
                    match chunk.next_gap() {
                        Some(next) => chunk = next,
                        None => break,
                    }
                }
                bin += 1;
            }
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
        // SAFETY: where a bit is set, there is a table; the bin is not empty (I8), and each gap
        // comes from its list (I7).
        unsafe {
            let bin = Table::first_from(self.table(), bin)?;
            if CHECKS && !self.first_is_sound(bin) {
                return None;
            }
            let (mut closest, mut left) = (None, PROBES);
            let mut least = usize::MAX;
            let mut chunk = Table::first_gap(self.table(), bin);
            loop {
                if CHECKS && !self.gap_is_sound(chunk) {
                    self.note(Misuse::Damaged, chunk.payload() as usize);
                    return None;
                }
                let size = chunk.header().size();
                if size >= need && size < least {
                    least = size;
                    closest = Some(chunk);
                }
                left -= 1;
                if left == 0 {
                    break;
                }
                match chunk.next_gap() {
                    Some(next) => chunk = next,
                    None => break,
                }
            }
            closest.map(|chunk| Gap { chunk, size: least, bin })
        }
    }
}
