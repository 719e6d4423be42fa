//! The choices that the algorithm makes at compile time, by the parameters of an allocator. Each has
//! its name here.

use crate::memory::slab::QUIET;
use crate::tier::CHECKS;
use crate::tuning::{COMPACT_SEARCH_LIMIT, SEARCH_LIMIT};
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
    /// Whether the table is a part of this value. If not, it is placed in a heap, and until there is
    /// one, a constant stands for it.
    pub(crate) const IS_TABLE_INSIDE: bool =
        Bins::<LINEAR, PER_DOUBLING, WORDS, SLAB, CLASSES, KEPT, INSIDE>::IS_INSIDE;

    /// Whether a search goes on from a list to the next one with what it may inspect. Otherwise, there is one search for all,
    /// in less code.
    pub(crate) const SEARCHES_LISTS: bool = !Self::IS_TABLE_INSIDE;

    /// How many gaps of a bin an allocation inspects before it fails.
    pub(crate) const SEARCHED: usize =
        if Self::SEARCHES_LISTS { SEARCH_LIMIT } else { COMPACT_SEARCH_LIMIT };

    /// Whether small chunks and open slabs are counted, to decide when a slab is worth it, and empty
    /// slabs are kept as spares. If not, a slab is opened when one is needed, and closed when it falls
    /// empty.
    pub(crate) const WEIGHS_SLABS: bool = SLAB != 0 && !Self::IS_TABLE_INSIDE;

    /// Whether an allocation may grow into the gap below it.
    pub(crate) const GROWS_DOWNWARDS: bool = !Self::IS_TABLE_INSIDE;

    /// Whether current slabs notice when they fall empty. WebAssembly takes no memory back, so that
    /// compact bins save the code there.
    pub(crate) const WATCHES: bool =
        SLAB != 0 && !(Self::IS_TABLE_INSIDE && cfg!(target_family = "wasm"));

    /// Whether the bounds of all heaps are known, and slabs are tagged: if pointers are checked, or if
    /// a few more instructions for each heap and slab do not matter.
    pub(crate) const KNOWS_BOUNDS: bool = CHECKS || !Self::IS_TABLE_INSIDE;

    /// Whether it is known how large the heaps are. A module with a table inside does not need it, and would
    /// have 30 bytes more.
    pub(crate) const KNOWS_HEAP_BYTES: bool =
        !Self::IS_TABLE_INSIDE || !cfg!(target_family = "wasm");

    /// Whether there are magazines.
    pub(crate) const HAS_MAGAZINES: bool = KEPT != 0;

    /// Whether there are magazines of chunks beside those of slots.
    pub(crate) const KEEPS_CHUNKS: bool =
        Bins::<LINEAR, PER_DOUBLING, WORDS, SLAB, CLASSES, KEPT, INSIDE>::KEEPS_CHUNKS;

    /// The number of classes that are small: for the others, middling ones, slabs are opened in roomy heaps only.
    pub(crate) const SMALL_CLASSES: usize =
        Bins::<LINEAR, PER_DOUBLING, WORDS, SLAB, CLASSES, KEPT, INSIDE>::SMALL_CLASSES;

    /// The number of magazines of chunks.
    pub(crate) const KEPT_MAGAZINES: usize =
        Bins::<LINEAR, PER_DOUBLING, WORDS, SLAB, CLASSES, KEPT, INSIDE>::KEPT_MAGAZINES;

    /// Whether some of them are for small chunks, of classes for which a slab is not worth it.
    pub(crate) const KEEPS_SMALL_CHUNKS: bool = Self::KEPT_MAGAZINES > KEPT;

    /// Whether the magazines of chunks are closed when there is little room.
    pub(crate) const GATES_KEPT: bool = Self::KEEPS_CHUNKS && !Self::IS_TABLE_INSIDE;

    /// Whether the header above an allocation is [fetched](Self::prefetch_above) before it is known where it is. Small
    /// processors do not overlap loads, and small heaps are in the cache.
    pub(crate) const PREFETCHES: bool = Self::GATES_KEPT && !CHECKS && usize::BITS == 64;

    /// What a slab counts in addition to its slots in use when it becomes current.
    pub(crate) const FIRST_COUNT: u16 = if Self::WATCHES { 0 } else { QUIET };

    /// Returns the bin of gaps of `size` bytes.
    pub(crate) const fn bin_of(size: usize) -> usize {
        Bins::<LINEAR, PER_DOUBLING, WORDS, SLAB, CLASSES, KEPT, INSIDE>::bin_of(size)
    }

    /// Returns the first bin all of whose gaps hold `size` bytes.
    pub(crate) const fn bin_above(size: usize) -> usize {
        Bins::<LINEAR, PER_DOUBLING, WORDS, SLAB, CLASSES, KEPT, INSIDE>::bin_above(size)
    }
}
