//! Questions about gaps: what fits, and how large the largest one is.

use core::alloc::Layout;
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

    /// Returns the size in bytes of the largest layout, with an alignment of up to 16, that fits
    /// into a gap; `None` if there is no gap. What is in magazines is no gap here.
    ///
    /// # Complexity
    /// O(n) in the gaps of the bin that has the largest ones.
    pub fn largest_gap(&self) -> Option<usize> {
        if !self.is_metadata_established() {
            return None;
        }
        // SAFETY: the table exists; a bin whose bit is set is not empty (I8).
        unsafe {
            let bin = Table::last(self.table())?;
            let mut next = Some(Table::first_gap(self.table(), bin));
            let mut largest = 0;
            while let Some(gap) = next {
                largest = largest.max(gap.header().size());
                next = gap.next_gap();
            }
            Some(largest - WORD - SEAL)
        }
    }
}
