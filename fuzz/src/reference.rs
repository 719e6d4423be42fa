//! A plain allocator to compare with: a list of free ranges, all of which are looked at.

use alloc::vec::Vec;
use core::alloc::Layout;
use core::mem::size_of;
use core::ops::Range;

use talc_core::{Part, CHUNK_UNIT, COMPACT_SEARCH_LIMIT, SEAL, SEARCH_LIMIT};

/// What is free, as [`visit`](talc_core::RawTalc::visit) shows it. It knows no bins, no bitmap and no
/// limits: whether something fits is whether it fits anywhere.
#[derive(Debug, Default)]
pub struct Reference {
    free: Vec<Range<usize>>,
    bytes: usize,
}

impl Reference {
    /// Notes a part of a heap.
    pub fn add(&mut self, part: Part) {
        match part {
            Part::Gap { payload, size } => {
                let start = payload.as_ptr() as usize;
                self.free.push(start..start + size);
                self.bytes += size + size_of::<usize>();
            }
            Part::Slab { slot_size, free_slots, .. } => self.bytes += slot_size * free_slots,
            _ => {}
        }
    }

    /// Returns the number of gaps.
    pub fn gaps(&self) -> usize {
        self.free.len()
    }

    /// Returns the size of the largest layout that fits into a gap, if there is one.
    pub fn largest(&self) -> Option<usize> {
        self.free.iter().map(|gap| gap.len() - SEAL).max()
    }

    /// Returns the number of bytes in gaps, with their headers, and in free slots.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns whether a layout fits into a gap so that what is left beside it is a gap or nothing.
    pub fn fits(&self, layout: Layout) -> bool {
        self.free.iter().any(|gap| {
            let mut front = gap.start.wrapping_neg() % layout.align();
            if front > 0 && front < CHUNK_UNIT {
                front = front.saturating_add(layout.align());
            }
            front.saturating_add(least(layout)) <= gap.len()
        })
    }

    /// Returns whether there is a gap of twice the size that holds the layout wherever it lies. All gaps
    /// of its bin hold the layout, so no search is needed for it.
    pub fn surely_fits(&self, layout: Layout) -> bool {
        let most = least(layout).saturating_add(layout.align()).saturating_add(CHUNK_UNIT);
        self.free.iter().any(|gap| most.saturating_mul(2) <= gap.len())
    }

    /// Checks that a layout was refused rightly: it fits nowhere, or there are more gaps than a search
    /// inspects (with [`CompactBins`](talc_core::CompactBins), fewer), and none surely fits.
    pub fn check_refusal(&self, layout: Layout, is_compact: bool) {
        let limit = if is_compact && layout.align() > 16 { 1 } else { searched(is_compact) };
        let is_limited = self.gaps() > limit;
        assert!(is_limited || !self.fits(layout), "{layout:?} fits, but was not allocated");
        assert!(!self.surely_fits(layout), "{layout:?} surely fits, but was not allocated");
    }
}

/// How many gaps of a bin an allocation inspects before it fails, if it is not over-aligned.
pub(crate) fn searched(is_compact: bool) -> usize {
    if is_compact {
        COMPACT_SEARCH_LIMIT
    } else {
        SEARCH_LIMIT
    }
}

/// The size of the smallest payload that holds a layout.
fn least(layout: Layout) -> usize {
    (layout.size() + SEAL).max(CHUNK_UNIT - size_of::<usize>())
}
