//! The shape of the table: which sizes share a bin, whether there are slabs, and where the table is.

use core::mem::{align_of, size_of};
use core::ptr::{addr_of_mut, null_mut};

use super::spread::Spread;
use super::{ClassBooks, SlabBooks, Table, Whole};
use crate::memory::chunk::{size_around, CHUNK_UNIT, GRAIN, WORD};
use crate::memory::heap::{HEAP_OVERHEAD, HEAP_WORDS};
use crate::memory::slab::{Slab, MAX_CLASSES, QUIET};
use crate::tuning::{COMPLETE_BESIDE, KEPT_BESIDE, SMALL_SLOT};

/// The shape of the free lists of a [`RawTalc`](crate::RawTalc), which is its type parameter: how
/// gaps are sorted by size, whether there are slabs, and where the table of both is.
///
/// - `LINEAR`: gaps smaller than this many times 16 bytes have a bin for each size, so that an
///   allocation finds the gap that an equal one has left. A power of two.
/// - `PER_DOUBLING`: bins per doubling of the gap size from there on, a power of two. If `LINEAR`
///   is more than twice as much, the last quarter of the bins has half as many per doubling. More
///   bins fit more tightly; fewer make a smaller table.
/// - `WORDS`: the number of bitmap words. There are `64 * WORDS` bins (see [`CompactBins`] for those), with one machine word for
///   each.
/// - `SLAB`: the size of a slab in bytes, a power of two; 0 for no slabs.
/// - `CLASSES`: the number of classes of slots: 16 bytes, 32, and so on up to `16 * CLASSES`. At
///   least two of the largest must fit into a slab. With a table in a heap, those above 256 bytes have slabs only in
///   large heaps, while there is a large gap.
/// - `KEPT`: 0 for no magazines; 1 for magazines of slots; more for magazines of chunks as well, of that
///   many sizes above those of slots, or above 256 bytes: 16 bytes, 32, and so on more; and of each smaller size,
///   for when a slab is not worth it (not in a table inside).
/// - `INSIDE`: 0 for a table in a heap; 1 for a table in the allocator's own value, as with
///   [`CompactBins`].
///
/// A table in a heap is placed in the first one that is claimed. It has heads only for the bins of
/// gaps that its heaps can have. When a larger heap comes, a table with more heads takes its place.
///
/// Gaps beyond the range of the bins share the last one, and a search inspects at most
/// [`SEARCH_LIMIT`](crate::SEARCH_LIMIT) of them. Choose `WORDS` so that such gaps are rare.
///
/// ```
/// use talc_core::{Bins, RawTalc};
///
/// // 128 bins: eight for single sizes, then four for each doubling; no slabs.
/// let talc = RawTalc::<Bins<8, 4, 2>>::new();
/// ```
pub struct Bins<
    const LINEAR: usize,
    const PER_DOUBLING: usize,
    const WORDS: usize,
    const SLAB: usize = 0,
    const CLASSES: usize = 0,
    const KEPT: usize = 0,
    const INSIDE: usize = 0,
> {
    /// The table, or what stands for it, if it is not inside.
    placed: *mut Table<WORDS, CLASSES>,
    inside: [Whole<WORDS, CLASSES, KEPT>; INSIDE],
}

/// A bin for each size below 1 KiB, sixteen per doubling up to 256 KiB, eight up to 64 MiB; slabs
/// of 4 KiB for sizes up to 512 bytes; magazines of slots, and of chunks for up to 2,056 bytes.
#[cfg(target_pointer_width = "64")]
pub type DefaultBinning = Bins<64, 16, 4, 4096, 32, 112>;

/// A bin for each size below 512 bytes, eight per doubling up to 128 KiB, four up to 32 MiB; slabs
/// of 4 KiB for sizes up to 256 bytes; magazines. On 64-bit targets there are twice as many bins.
#[cfg(target_pointer_width = "32")]
pub type DefaultBinning = Bins<32, 8, 2, 4096, 16, 112>;

/// The shape of the free lists for the least code: 64 bins, in the allocator's own value instead of
/// a heap. With 32-bit pointers, except in WebAssembly, there are 52.
///
/// The parameters are those of [`Bins`]. To save code, some things differ:
///
/// - An allocation inspects [`COMPACT_SEARCH_LIMIT`](crate::COMPACT_SEARCH_LIMIT) gaps of the bin of its size, and
///   then takes the first one of the next bins; if it is over-aligned, it inspects the first gap of each bin from
///   that of its size on. No others are inspected before it fails.
/// - A slab is opened as soon as its class is used, and closed as soon as it is empty, unless its
///   class allocates from it. This suits heaps that are large beside `SLAB * CLASSES`, or that
///   grow.
/// - Nothing grows [downwards](crate::RawTalc::try_grow_downwards).
///
/// ```
/// use talc_core::{CompactBins, RawTalc};
///
/// // Eight bins for single sizes, then four for each doubling up to 2 MiB; no slabs.
/// let talc = RawTalc::<CompactBins<8, 4>>::new();
/// ```
pub type CompactBins<
    const LINEAR: usize,
    const PER_DOUBLING: usize,
    const SLAB: usize = 0,
    const CLASSES: usize = 0,
    const KEPT: usize = 0,
> = Bins<LINEAR, PER_DOUBLING, 1, SLAB, CLASSES, KEPT, 1>;

/// Four bins per doubling up to 2 MiB (with 32-bit pointers, except in WebAssembly, up to 256 KiB) and no slabs:
/// little code, for microcontrollers.
pub type SmallBinning = CompactBins<8, 4>;

// SAFETY: the table belongs to the owner of this value, whether it is in the value or in a heap.
unsafe impl<
        const LINEAR: usize,
        const PER_DOUBLING: usize,
        const WORDS: usize,
        const SLAB: usize,
        const CLASSES: usize,
        const KEPT: usize,
        const INSIDE: usize,
    > Send for Bins<LINEAR, PER_DOUBLING, WORDS, SLAB, CLASSES, KEPT, INSIDE>
{
}
// SAFETY: nothing is written through a shared reference.
unsafe impl<
        const LINEAR: usize,
        const PER_DOUBLING: usize,
        const WORDS: usize,
        const SLAB: usize,
        const CLASSES: usize,
        const KEPT: usize,
        const INSIDE: usize,
    > Sync for Bins<LINEAR, PER_DOUBLING, WORDS, SLAB, CLASSES, KEPT, INSIDE>
{
}

impl<
        const LINEAR: usize,
        const PER_DOUBLING: usize,
        const WORDS: usize,
        const SLAB: usize,
        const CLASSES: usize,
        const KEPT: usize,
        const INSIDE: usize,
    > Bins<LINEAR, PER_DOUBLING, WORDS, SLAB, CLASSES, KEPT, INSIDE>
{
    /// How many bytes suffice for a first heap, wherever its region begins. The table may take all
    /// of such a heap, so that nothing can be allocated yet.
    pub const MIN_FIRST_HEAP_SIZE: usize = HEAP_OVERHEAD + Self::min_first_chunks();

    /// The number of bins.
    pub(crate) const COUNT: usize = Spread::<LINEAR, PER_DOUBLING, WORDS, INSIDE>::COUNT;

    /// Whether the table is inside.
    pub(crate) const IS_INSIDE: bool = INSIDE == 1;

    /// Whether there are magazines of chunks.
    pub(crate) const KEEPS_CHUNKS: bool = KEPT > 1;

    /// The number of classes that are small, unless the table is inside: all are alike then.
    pub(crate) const SMALL_CLASSES: usize =
        if Self::IS_INSIDE || CLASSES * GRAIN < SMALL_SLOT { CLASSES } else { SMALL_SLOT / GRAIN };

    /// The number of magazines of chunks: those of middling ones, then, unless the table is inside, those of small ones.
    pub(crate) const KEPT_MAGAZINES: usize = if !Self::KEEPS_CHUNKS {
        0
    } else if Self::IS_INSIDE {
        KEPT
    } else {
        KEPT + Self::SMALL_CLASSES
    };

    /// Without a table in a heap.
    pub(crate) const NEW: Self = Self {
        placed: if Self::IS_INSIDE { null_mut() } else { Table::PLACEHOLDER },
        inside: [Self::EMPTY_TABLE; INSIDE],
    };

    /// As [`NEW`](Self::NEW), for a table that is complete from the first heap on, if there is
    /// room.
    pub(crate) const NEW_COMPLETE: Self = Self {
        placed: if Self::IS_INSIDE { null_mut() } else { Table::PLACEHOLDER_OF_ALL },
        inside: [Self::EMPTY_TABLE; INSIDE],
    };

    const EMPTY_TABLE: Whole<WORDS, CLASSES, KEPT> = Whole::ZERO;

    /// Fails to compile for parameters that cannot work.
    pub(crate) const CHECKED: () = {
        assert!(
            LINEAR.is_power_of_two() && PER_DOUBLING.is_power_of_two() && PER_DOUBLING <= LINEAR,
            "Bins: LINEAR and PER_DOUBLING must be powers of two, the latter not larger"
        );
        assert!(
            LINEAR < Self::COUNT && Self::COUNT <= 1 << 15,
            "Bins: there must be more bins than LINEAR, and at most 32768"
        );
        assert!(
            INSIDE == 0 || (INSIDE == 1 && WORDS == 1),
            "Bins: INSIDE must be 0, or 1 with one bitmap word"
        );
        assert!(
            (SLAB == 0) == (CLASSES == 0),
            "Bins: SLAB and CLASSES must both be 0, for no slabs, or neither"
        );
        if SLAB != 0 {
            assert!(
                SLAB.is_power_of_two() && SLAB >= 256 && SLAB <= 32 << 10,
                "Bins: SLAB must be a power of two from 256 to 32768"
            );
            assert!(Slab::slots(SLAB, 0) < QUIET as usize);
            assert!(
                CHUNK_UNIT + (Self::SMALL_CLASSES + KEPT) * GRAIN < SLAB,
                "Bins: chunks that are kept must be smaller than a slab"
            );
            assert!(
                CLASSES <= MAX_CLASSES && Slab::slots(SLAB, CLASSES - 1) >= 2,
                "Bins: two slots of the largest class must fit into a slab"
            );
        }
    };

    /// Returns the table; if it has not been placed yet, what stands for it. It may be written to
    /// only if it has been placed, and `this` is for writing.
    ///
    /// # Safety
    /// `this` must be a valid pointer.
    pub(crate) unsafe fn table(this: *mut Self) -> *mut Table<WORDS, CLASSES> {
        // SAFETY: required of the caller.
        unsafe {
            if Self::IS_INSIDE {
                Whole::<WORDS, CLASSES, KEPT>::table(addr_of_mut!((*this).inside).cast())
            } else {
                (*this).placed
            }
        }
    }

    /// Uses another table from now on.
    pub(crate) fn set_table(&mut self, table: *mut Table<WORDS, CLASSES>) {
        self.placed = table;
    }

    /// Returns the bin of gaps of `size` bytes.
    pub(crate) const fn bin_of(size: usize) -> usize {
        Spread::<LINEAR, PER_DOUBLING, WORDS, INSIDE>::index(size)
    }

    /// Returns the first bin all of whose gaps hold `size` bytes; [`COUNT`](Self::COUNT) or more if
    /// there is none.
    pub(crate) const fn bin_above(size: usize) -> usize {
        Spread::<LINEAR, PER_DOUBLING, WORDS, INSIDE>::index(size - GRAIN) + 1
    }

    /// Returns how many heads a table must have for the gaps of a heap of `bytes` bytes: all heads,
    /// if that is little beside the heap.
    pub(crate) const fn heads_for(bytes: usize) -> usize {
        if Self::needs_kept(bytes) {
            Self::WITH_KEPT
        } else if bytes / COMPLETE_BESIDE >= Self::table_chunk(Self::COUNT) {
            Self::COUNT
        } else {
            Self::bin_of(bytes) + 1
        }
    }

    /// Returns whether a table with that many heads has books of slabs: if its heaps can be larger
    /// than two slabs. Smaller ones never have enough objects of a class for a slab.
    pub(crate) const fn has_slab_books(heads: usize) -> bool {
        SLAB != 0 && (Self::IS_INSIDE || heads > Self::bin_of(2 * SLAB))
    }

    /// Returns the offset, in the payload of its chunk, of a table with that many heads.
    pub(crate) const fn table_offset(heads: usize) -> usize {
        let books = if Self::has_kept(heads) {
            Self::KEPT_MAGAZINES * WORD + CLASSES * size_of::<ClassBooks>() + size_of::<SlabBooks>()
        } else if Self::has_slab_books(heads) {
            Self::SMALL_CLASSES * size_of::<ClassBooks>() + size_of::<SlabBooks>()
        } else {
            0
        };
        let align = align_of::<Table<WORDS, CLASSES>>();
        (books + (align - 1)) & !(align - 1)
    }

    /// The number that stands for all heads, and magazines of chunks beside them.
    pub(crate) const WITH_KEPT: usize = Self::COUNT + 1;

    /// Returns whether a table with that many heads has magazines of chunks.
    pub(crate) const fn has_kept(heads: usize) -> bool {
        Self::KEEPS_CHUNKS && (Self::IS_INSIDE || heads == Self::WITH_KEPT)
    }

    /// Returns whether a heap of `bytes` bytes is to have magazines of chunks: if they, and a complete table,
    /// are little beside it.
    pub(crate) const fn needs_kept(bytes: usize) -> bool {
        Self::KEEPS_CHUNKS
            && bytes / KEPT_BESIDE >= Self::KEPT_MAGAZINES * WORD
            && bytes / COMPLETE_BESIDE >= Self::table_chunk(Self::WITH_KEPT)
    }

    /// Returns the size of the chunk of a table with that many heads; 0 if the table is inside.
    pub(crate) const fn table_chunk(heads: usize) -> usize {
        if Self::IS_INSIDE {
            0
        } else {
            size_around(Self::table_offset(heads) + Table::<WORDS, CLASSES>::FRONT + heads * WORD)
        }
    }

    /// Returns the size of the chunk of the table that a heap with `chunks` bytes of chunks needs.
    const fn table_chunk_for(chunks: usize) -> usize {
        Self::table_chunk(Self::heads_for(chunks + HEAP_WORDS))
    }

    /// Returns the least bytes of chunks with which every heap, and every larger one, holds the
    /// table that it needs.
    const fn min_first_chunks() -> usize {
        let mut chunks = CHUNK_UNIT;
        let mut step = 0;
        // A table grows by less than its heap, except where books of slabs are added.
        while step < 2 {
            while Self::table_chunk_for(chunks) > chunks {
                chunks = Self::table_chunk_for(chunks);
            }
            if SLAB != 0 {
                let larger = (2 * SLAB - HEAP_WORDS + (GRAIN - 1)) / GRAIN * GRAIN;
                if chunks < larger && Self::table_chunk_for(larger) > larger {
                    chunks = larger;
                }
            }
            step += 1;
        }
        chunks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<const LINEAR: usize, const PER_DOUBLING: usize, const WORDS: usize>() {
        let mut last = 0;
        for size in
            (CHUNK_UNIT..1 << 20).step_by(GRAIN).chain((20..usize::BITS - 1).flat_map(|n| {
                let power = 1_usize << n;
                [power - GRAIN, power, power + GRAIN, power + power / 2]
            }))
        {
            let (bin, above) = (
                Bins::<LINEAR, PER_DOUBLING, WORDS>::bin_of(size),
                Bins::<LINEAR, PER_DOUBLING, WORDS>::bin_above(size),
            );
            assert!(bin >= last, "bins must grow with sizes");
            last = bin;
            if above < Bins::<LINEAR, PER_DOUBLING, WORDS>::COUNT {
                // No smaller size may be in a bin from `above` on, and this one's own bin is there
                // or just below.
                assert!(Bins::<LINEAR, PER_DOUBLING, WORDS>::bin_of(size - GRAIN) < above);
                assert!(bin == above || bin + 1 == above);
            }
        }
    }

    #[test]
    fn indices_are_monotonic_and_sure() {
        check::<1, 1, 1>();
        check::<2, 1, 1>();
        check::<8, 4, 1>();
        check::<32, 8, 2>();
        check::<64, 8, 3>();
        check::<64, 16, 4>();
        check::<16, 16, 2>();
        check::<128, 2, 3>();
        check::<64, 64, 8>();
    }

    fn check_min<
        const LINEAR: usize,
        const PER_DOUBLING: usize,
        const WORDS: usize,
        const SLAB: usize,
        const CLASSES: usize,
    >() {
        let least = Bins::<LINEAR, PER_DOUBLING, WORDS, SLAB, CLASSES>::min_first_chunks();
        let holds = |chunks| {
            Bins::<LINEAR, PER_DOUBLING, WORDS, SLAB, CLASSES>::table_chunk_for(chunks) <= chunks
        };
        for chunks in (least..1 << 20).step_by(GRAIN) {
            assert!(holds(chunks), "a heap must hold the table that it needs: {chunks}");
        }
        assert!(!holds(least - GRAIN), "{least} is not the least");
    }

    #[test]
    fn heaps_hold_the_tables_that_they_need() {
        check_min::<64, 16, 4, 4096, 16>();
        check_min::<32, 8, 2, 4096, 16>();
        check_min::<8, 4, 2, 0, 0>();
        check_min::<1, 1, 1, 256, 3>();
        check_min::<16, 16, 4, 512, 8>();
        check_min::<64, 64, 16, 256, 4>();
        check_min::<64, 16, 8, 32768, 256>();
    }

    /// These sizes are in the documents.
    #[test]
    fn the_tables_are_as_small_as_documented() {
        let default = DefaultBinning::MIN_FIRST_HEAP_SIZE;
        let small = SmallBinning::MIN_FIRST_HEAP_SIZE;
        let inside = size_of::<SmallBinning>();
        if cfg!(target_pointer_width = "64") {
            assert_eq!((default, small, inside), (759, 71, 608));
        } else {
            assert_eq!((default, small), (187, 43));
            // In WebAssembly, the bitmap has words of 64 bits, and all its bins.
            let more = if cfg!(target_family = "wasm") { 48 + 8 } else { 0 };
            assert!(inside <= 264 + more);
            assert!(size_of::<CompactBins<8, 4, 4096, 16>>() <= 544 + more);
        }
    }

    /// Also if the books of slabs are no multiple of 8, as those of an odd number of classes where addresses have
    /// 32 bits.
    #[test]
    fn tables_are_aligned() {
        fn check<const CLASSES: usize, const KEPT: usize>() {
            for heads in 0..=Bins::<32, 8, 2, 256, CLASSES, KEPT>::WITH_KEPT {
                let offset = Bins::<32, 8, 2, 256, CLASSES, KEPT>::table_offset(heads);
                assert_eq!(offset % align_of::<Table<2, CLASSES>>(), 0);
            }
        }
        check::<2, 0>();
        check::<3, 0>();
        check::<3, 8>();
    }
}
