//! Questions about gaps: what fits, how large the largest one is, and how scattered they are.

use core::alloc::Layout;
use core::iter::successors;
use core::ptr::NonNull;

use crate::chunks::search::Gap;
use crate::heaps::sizing::gap_for;
use crate::memory::chunk::WORD;
use crate::memory::fill::SEAL;
use crate::table::Table;
use crate::tuning::GAPS_FOR_HAS;
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
    /// Returns whether a gap was found that surely holds `layout`, other than those from `beside.0`
    /// up to `beside.1`, if these are given.
    ///
    /// `false` does not prove that the layout does not fit: this inspects only the first few gaps
    /// that surely hold it, and an allocation also inspects gaps that may.
    ///
    /// # Complexity
    /// O(1).
    pub fn has_gap_for(
        &mut self,
        layout: Layout,
        beside: Option<(NonNull<u8>, NonNull<u8>)>,
    ) -> bool {
        let bin = match gap_for(layout) {
            Some(size) => Self::bin_above(size),
            None => return false,
        };
        let (start, end) =
            beside.map_or((0, 0), |(start, end)| (start.as_ptr() as usize, end.as_ptr() as usize));
        let is_elsewhere = |gap: Gap| gap.chunk.addr() < start || gap.chunk.addr() >= end;
        self.search(bin, usize::MAX, GAPS_FOR_HAS, is_elsewhere).is_some()
    }

    /// Returns whether there is a heap.
    ///
    /// # Complexity
    /// O(1).
    #[inline]
    pub fn has_heaps(&self) -> bool {
        !self.books().heaps.is_null()
    }

    /// Returns the number of bytes in all heaps.
    ///
    /// With [`CompactBins`](crate::CompactBins) in a WebAssembly module, it is not known, and 0.
    ///
    /// # Complexity
    /// O(1).
    #[inline]
    pub fn heap_bytes(&self) -> usize {
        self.books().heap_bytes
    }

    /// Returns the size in bytes of the largest layout, with an alignment of up to 16, that an allocation
    /// finds a gap for; `None` if there is no gap.
    ///
    /// [`try_allocate`](Self::try_allocate) succeeds for it and for every smaller one. It may succeed for a
    /// larger one, too: what is in magazines is no gap here, but is looked into before it fails. A gap that no
    /// allocation would find, behind too many others of about its size, does not count.
    ///
    /// # Complexity
    /// O(1): up to [`SEARCH_LIMIT`](crate::SEARCH_LIMIT) gaps; with [`CompactBins`](crate::CompactBins)
    /// [`COMPACT_SEARCH_LIMIT`](crate::COMPACT_SEARCH_LIMIT).
    pub fn largest_gap(&self) -> Option<usize> {
        if !self.is_metadata_established() {
            return None;
        }
        // SAFETY: the table exists; a bin whose bit is set is not empty (I8), and its list has only gaps (I7).
        unsafe {
            let first = Table::first_gap(self.table(), Table::last(self.table())?);
            let gaps = successors(Some(first), |gap| gap.next_gap()).take(Self::SEARCHED);
            gaps.map(|gap| gap.header().size() - WORD - SEAL).max()
        }
    }

    /// Returns how scattered the available memory is, in thousandths: the part of
    /// [`available_bytes`](crate::Counters::available_bytes) that is not in the [largest gap](Self::largest_gap).
    /// It is 0 if nothing is available.
    ///
    /// What is in magazines, and in free slots of slabs, is available and in no gap. So
    /// [`trim`](Self::trim) can make this less.
    ///
    /// # Complexity
    /// O(1), as [`largest_gap`](Self::largest_gap).
    #[cfg(feature = "counters")]
    pub fn fragmentation(&self) -> u32 {
        let available = self.counters().available_bytes;
        let largest = self.largest_gap().map_or(0, |size| size + WORD + SEAL);
        // Callers that break rules can make counts fall below what is true.
        thousandths(available.saturating_sub(largest), available)
    }
}

/// Returns how many thousandths of `whole` a part is; 0 if there is nothing. Numbers of 64 bits, whose division is a
/// call on processors of 32 bits, are not needed for it.
#[cfg(feature = "counters")]
fn thousandths(part: usize, whole: usize) -> u32 {
    let result = match part.checked_mul(1000) {
        Some(product) => product.checked_div(whole).unwrap_or(0),
        None => part / (whole / 1000),
    };
    result as u32
}

#[cfg(all(test, feature = "counters"))]
mod tests {
    use super::*;

    #[test]
    fn thousandths_of_anything() {
        assert_eq!(thousandths(0, 0), 0);
        assert_eq!(thousandths(1, 1), 1000);
        assert_eq!(thousandths(1, 3), 333);
        for whole in [usize::MAX / 1000, usize::MAX / 1000 + 1, usize::MAX / 2, usize::MAX] {
            assert_eq!(thousandths(0, whole), 0);
            assert_eq!(thousandths(whole, whole), 1000);
            assert!((499..=500).contains(&thousandths(whole / 2, whole)));
        }
    }
}
