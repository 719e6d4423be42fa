//! Every number that was found by measuring, and what it trades.
//!
//! The figures of `benches` that each was chosen with: `smallest` for the memory that a program needs,
//! `traces`, `random` and `counts` for its time.

/// Maximum number of candidate gaps inspected before an allocation fails.
pub const SEARCH_LIMIT: usize = 32;

/// Chunks of this size and more are worth a look at gaps of almost their size first: it keeps
/// memory together, and costs little beside what is done with so much memory. If smaller ones
/// look as well, random sizes take 7% longer.
pub(crate) const LARGE: usize = 32 << 10;

/// How many gaps are inspected first.
pub(crate) const PROBES: usize = 4;

/// How many gaps [`RawTalc::has_gap_for`](crate::RawTalc::has_gap_for) inspects.
pub(crate) const GAPS_FOR_HAS: usize = 8;

/// How many gaps are inspected for a slab, each the first of its bin.
pub(crate) const GAPS_FOR_SLAB: usize = 2;

/// A class gets a slab while those with free slots take less than this part of the heaps. With half
/// of it, heaps of a few MiB are slower by up to half, and tight ones half a percent smaller.
pub(crate) const OPEN_PART: usize = 32;

/// The first slab of all may take this part: not of a tiny heap, but of one of 64 KiB, which is a
/// page of WebAssembly.
pub(crate) const FIRST_PART: usize = 15;

/// A class also gets a slab when it has this many more chunks than would fill a slab.
pub(crate) const WANTED: usize = 64;

/// Maximum number of spare slabs, so that steps over them are bounded.
pub(crate) const MAX_SPARES: usize = 32;

/// How many slots that were never used are put into the free list at a time: few, as memory that is
/// not used need not be touched; enough to be worth the call.
pub(crate) const FRESH_AT_ONCE: usize = 8;

/// The table is complete in a heap this many times its size. In smaller ones it has only the heads
/// that the heap needs, and moves if a larger heap comes.
pub(crate) const COMPLETE_BESIDE: usize = 24;
