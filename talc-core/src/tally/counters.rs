//! Allocation statistics.

use core::fmt;

/// Statistics of an allocator: what is allocated, available and claimed, now and in total.
///
/// With the feature `counters`, `RawTalc::counters` returns them, as do the wrappers above it.
/// Keeping them costs a few additions per operation. All sizes are in bytes. Allocations are
/// counted by the size of their layout, gaps by the size of their chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Counters {
    /// Allocations that are live now.
    pub allocation_count: usize,
    /// Allocations ever made. Resizing in place makes none.
    pub total_allocation_count: u64,

    /// Bytes in live allocations.
    pub allocated_bytes: usize,
    /// Bytes ever allocated. Growing in place adds the growth.
    pub total_allocated_bytes: u64,
    /// The highest value that `allocated_bytes` has had.
    pub peak_allocated_bytes: usize,

    /// Bytes in gaps and in free slots of slabs, which are available for allocation.
    pub available_bytes: usize,
    /// The lowest value that `available_bytes` has had after an operation, the last one not included; its bits are
    /// inverted, so that all counters are zero at first: a static `TinyTalc` then takes no flash for its heap.
    inverted_least: usize,
    /// Gaps: free chunks. No two of them are next to each other.
    pub fragment_count: usize,

    /// Heaps that are established now.
    pub heap_count: usize,
    /// Heaps ever claimed.
    pub total_heap_count: u64,

    /// Bytes in the heaps that are established now.
    pub claimed_bytes: usize,
    /// Bytes ever claimed, by claiming and by extending heaps.
    pub total_claimed_bytes: u64,
}

impl Counters {
    pub(crate) const ZERO: Self = Self {
        allocation_count: 0,
        total_allocation_count: 0,
        allocated_bytes: 0,
        total_allocated_bytes: 0,
        peak_allocated_bytes: 0,
        available_bytes: 0,
        inverted_least: 0,
        fragment_count: 0,
        heap_count: 0,
        total_heap_count: 0,
        claimed_bytes: 0,
        total_claimed_bytes: 0,
    };

    /// Returns the bytes that are neither allocated nor available: headers, rounding, and the
    /// table.
    pub const fn overhead_bytes(&self) -> usize {
        self.claimed_bytes.wrapping_sub(self.available_bytes).wrapping_sub(self.allocated_bytes)
    }

    /// Returns the lowest value that `available_bytes` has had after an operation, since there is a heap or since
    /// [`reset_peaks`](crate::RawTalc::reset_peaks): the low-water mark.
    pub const fn least_available_bytes(&self) -> usize {
        if !self.inverted_least < self.available_bytes {
            !self.inverted_least
        } else {
            self.available_bytes
        }
    }

    /// Returns the bytes that were allocated and have been freed since.
    pub const fn total_freed_bytes(&self) -> u64 {
        self.total_allocated_bytes.wrapping_sub(self.allocated_bytes as u64)
    }

    /// Returns the bytes that were claimed and have been given back since.
    pub const fn total_released_bytes(&self) -> u64 {
        self.total_claimed_bytes.wrapping_sub(self.claimed_bytes as u64)
    }
}

impl Default for Counters {
    fn default() -> Self {
        Self::ZERO
    }
}

/// Events, as the algorithm reports them. Callers that break rules can make counts fall below zero,
/// which must not panic under a lock.
impl Counters {
    /// Forgets `peak_allocated_bytes` and [`least_available_bytes`](Self::least_available_bytes): they are what is so
    /// now.
    #[cfg(feature = "counters")]
    pub(crate) fn reset_peaks(&mut self) {
        self.peak_allocated_bytes = self.allocated_bytes;
        self.inverted_least = !self.available_bytes;
    }

    /// An operation begins or ends: what is available now is so between two operations.
    fn between_operations(&mut self) {
        if self.claimed_bytes != 0 {
            self.inverted_least = self.inverted_least.max(!self.available_bytes);
        }
    }

    pub(crate) fn allocated(&mut self, size: usize) {
        self.allocation_count = self.allocation_count.wrapping_add(1);
        self.total_allocation_count = self.total_allocation_count.wrapping_add(1);
        self.grew(size);
    }

    pub(crate) fn deallocated(&mut self, size: usize) {
        self.between_operations();
        self.allocation_count = self.allocation_count.wrapping_sub(1);
        self.allocated_bytes = self.allocated_bytes.wrapping_sub(size);
    }

    pub(crate) fn grew(&mut self, by: usize) {
        self.between_operations();
        self.allocated_bytes = self.allocated_bytes.wrapping_add(by);
        self.total_allocated_bytes = self.total_allocated_bytes.wrapping_add(by as u64);
        self.peak_allocated_bytes = self.peak_allocated_bytes.max(self.allocated_bytes);
    }

    pub(crate) fn shrank(&mut self, by: usize) {
        self.between_operations();
        self.allocated_bytes = self.allocated_bytes.wrapping_sub(by);
    }

    /// Slots were allocated, or their slab closed: their bytes are no longer available.
    pub(crate) fn slots_taken(&mut self, bytes: usize) {
        self.available_bytes = self.available_bytes.wrapping_sub(bytes);
    }

    /// Slots were freed, or their slab opened: their bytes are available.
    pub(crate) fn slots_added(&mut self, bytes: usize) {
        self.available_bytes = self.available_bytes.wrapping_add(bytes);
    }

    pub(crate) fn gap_added(&mut self, size: usize) {
        self.fragment_count = self.fragment_count.wrapping_add(1);
        self.available_bytes = self.available_bytes.wrapping_add(size);
    }

    pub(crate) fn gap_removed(&mut self, size: usize) {
        self.fragment_count = self.fragment_count.wrapping_sub(1);
        self.available_bytes = self.available_bytes.wrapping_sub(size);
    }

    pub(crate) fn heap_added(&mut self) {
        self.heap_count = self.heap_count.wrapping_add(1);
        self.total_heap_count = self.total_heap_count.wrapping_add(1);
    }

    pub(crate) fn heap_removed(&mut self) {
        self.heap_count = self.heap_count.wrapping_sub(1);
    }

    pub(crate) fn claimed(&mut self, bytes: usize) {
        self.claimed_bytes = self.claimed_bytes.wrapping_add(bytes);
        self.total_claimed_bytes = self.total_claimed_bytes.wrapping_add(bytes as u64);
    }

    pub(crate) fn released(&mut self, bytes: usize) {
        self.claimed_bytes = self.claimed_bytes.wrapping_sub(bytes);
    }
}

/// Writes a table for people to read.
impl fmt::Display for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row = |f: &mut fmt::Formatter<'_>, name, now: usize, total: Option<u64>| match total {
            Some(total) => writeln!(f, "{name:<12} {now:>15} {total:>20}"),
            None => writeln!(f, "{name:<12} {now:>15} {:>20}", "-"),
        };
        writeln!(f, "{:<12} {:>15} {:>20}", "", "now", "in total")?;
        row(f, "allocations", self.allocation_count, Some(self.total_allocation_count))?;
        row(f, "  bytes", self.allocated_bytes, Some(self.total_allocated_bytes))?;
        row(f, "  peak bytes", self.peak_allocated_bytes, None)?;
        row(f, "gaps", self.fragment_count, None)?;
        row(f, "  bytes", self.available_bytes, None)?;
        row(f, "  least bytes", self.least_available_bytes(), None)?;
        row(f, "heaps", self.heap_count, Some(self.total_heap_count))?;
        row(f, "  bytes", self.claimed_bytes, Some(self.total_claimed_bytes))?;
        write!(f, "{:<12} {:>15} {:>20}", "overhead", self.overhead_bytes(), "-")
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;

    #[test]
    fn they_are_zero_at_first() {
        let counters = std::format!("{:?}", Counters::ZERO);
        assert!(!counters.contains(|digit| ('1'..='9').contains(&digit)), "{counters}");
    }
}
