//! The operations of a test, as numbers.

use core::alloc::Layout;

/// A size in bytes: mostly small, sometimes large, rarely near the limits.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "hosted", derive(arbitrary::Arbitrary))]
pub struct Size(pub u32);

impl Size {
    /// Returns the size, which is about equally often between any two neighbouring powers of two.
    pub fn bytes(self) -> usize {
        let Self(bits) = self;
        match bits >> 24 {
            0 => (isize::MAX as usize).wrapping_add(8).wrapping_sub(bits as usize & 0xff),
            1 => usize::MAX - (bits as usize & 0xff),
            2 => (isize::MAX as usize >> (bits & 15)) - (bits as usize >> 4 & 0xff),
            kind => (bits as usize & 0x1ffff) >> (kind % 16),
        }
    }

    /// Returns the size, if heaps in tests can have it.
    pub fn small_bytes(self) -> usize {
        (self.0 as usize & 0x1ffff) >> ((self.0 >> 24) % 16)
    }
}

/// An alignment: mostly that of ordinary types, sometimes larger.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "hosted", derive(arbitrary::Arbitrary))]
pub struct Align(pub u8);

impl Align {
    /// Returns the alignment.
    pub fn bytes(self) -> usize {
        match self.0 {
            0..=199 => 1 << (self.0 % 5),
            200..=249 => 1 << (self.0 % 14),
            _ => 1 << (self.0 as u32 * 7 % (usize::BITS - 1)),
        }
    }
}

/// Which one of several things.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "hosted", derive(arbitrary::Arbitrary))]
pub struct Pick(pub u16);

impl Pick {
    /// Returns an index below `len`; `None` if `len` is 0.
    pub fn of(self, len: usize) -> Option<usize> {
        (len > 0).then(|| usize::from(self.0) % len)
    }
}

/// An operation. Those on heaps do nothing in models whose source manages them.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs)]
pub enum Action {
    /// Allocate.
    Allocate { size: Size, align: Align },
    /// Free an allocation.
    Deallocate { block: Pick },
    /// Grow one in place, if possible.
    Grow { block: Pick, by: Size },
    /// Shrink one in place.
    Shrink { block: Pick, to: Size },
    /// Grow one into the gap below it, if possible.
    GrowDownwards { block: Pick, by: Size },
    /// Grow or shrink one in place, or else move it.
    Reallocate { block: Pick, to: Size },
    /// Claim part of a region of memory.
    Claim { region: Pick, offset: Pick, size: Size },
    /// Move the end of a heap up.
    Extend { heap: Pick, by: Size },
    /// Move the end of a heap down.
    Truncate { heap: Pick, by: Size },
    /// Move the end of a heap to somewhere in its region.
    Resize { heap: Pick, to: Size },
    /// Claim as much as the allocator says a layout needs, and allocate it.
    ClaimFor { region: Pick, offset: Pick, size: Size, align: Align },
    /// Extend a heap by as much as the allocator says a layout needs, and allocate it.
    ExtendFor { heap: Pick, size: Size, align: Align },
    /// Bring a region of as much as the allocator says a layout needs, above a heap or as a heap of
    /// its own, and allocate it.
    ClaimOrExtendFor { region: Pick, offset: Pick, size: Size, align: Align },
    /// Free the slabs that are kept.
    Trim,
    /// Make the backing allocator fail from the n-th call on, or no longer.
    FailAfter { calls: Option<u8> },
}

/// Returns the layout of a size and an alignment, if there is one.
pub(crate) fn layout(size: Size, align: Align) -> Option<Layout> {
    Layout::from_size_align(size.bytes(), align.bytes()).ok()
}
