#![doc = include_str!("../README.md")]
#![no_std]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(not(any(target_pointer_width = "32", target_pointer_width = "64")))]
compile_error!("talc-core supports targets with 32-bit and 64-bit pointers, not yet 16-bit ones");

mod calls;
mod checks;
mod chunks;
mod facts;
mod heaps;
mod inspect;
mod memory;
mod slots;
mod table;
mod tuning;

use core::ptr::{addr_of, addr_of_mut};

use checks::diagnosis::Diagnosis;
use inspect::tally::Tally;
use table::{Books, SlabBooks, Table};

pub use calls::resize::NoRoom;
pub use checks::misuse::Misuse;
pub use heaps::truncate::Reserved;
#[cfg(feature = "audit")]
pub use inspect::audit::Fault;
pub use inspect::counters::Counters;
pub use inspect::visit::Part;
pub use memory::chunk::CHUNK_UNIT;
pub use table::bins::{Bins, CompactBins, DefaultBinning, SmallBinning};
pub use tuning::SEARCH_LIMIT;

/// The allocator itself: heaps of memory, cut into chunks, and nothing around them.
///
/// No lock, no source of memory, no allocator trait: calls say what happened, and the caller acts on it.
/// `B` is the shape of its free lists, [`Bins`] or [`CompactBins`].
///
/// The value is a pointer to its table, or the table itself (and the counters, with that feature):
/// it may be moved, and heaps stay where they are. Dropping it does nothing; memory belongs to who claimed it.
///
/// # Invariants
///
/// ```text
///  heap base   first chunk                                            heap end
///      │           │                                                      │
///      ▼           ▼                                                      ▼
///      ┌───────────┬────────┬─────────┬────────┬──────────────────┬────────┐
///      │ next back │ header │ payload │ header │ links ... footer │sentinel│
///      └───────────┴────────┴─────────┴────────┴──────────────────┴────────┘
///       list of    └── allocated ────┘└───────── gap ────────────┘
///       heaps                ▲ payloads are at 0 mod 16
/// ```
///
/// - **I1**: a heap end is a multiple of 16; the word below it is the sentinel's header.
/// - **I2**: chunks follow each other without a hole from the first chunk to the sentinel. Their
///   sizes are multiples of 16 and at least [`CHUNK_UNIT`]; a payload begins at a multiple of 16,
///   the header in the word in front of it.
/// - **I3**: a header's `FREE` flag is set if and only if the chunk is a gap. Two gaps are never
///   next to each other. `MARK` is never set on a gap, and always on the sentinel.
/// - **I4**: a header's `BELOW_FREE` flag is set if and only if the chunk below is a gap.
/// - **I5**: the last word of a gap, its footer, is the gap's size.
/// - **I6**: `BASE` is set on the first chunk of each heap only.
/// - **I7**: each gap is in the list of its size's bin, once, and nothing else is in a list; its
///   neighbours there point back at it; the first one's `back` is null.
/// - **I8**: a bin's bit in the bitmap is set if and only if its list is not empty.
/// - **I9**: nothing but this `RawTalc` reads or writes the bytes of its heaps, except the payloads
///   of allocated chunks, which are their owners' and are never touched here.
/// - **I10**: the table of [`CompactBins`] is a part of this value. That of [`Bins`] is the payload of
///   the first chunk of the first heap, allocated and never freed; until there is a heap, a constant
///   stands for it, with empty lists, to which nothing is written. Every heap is in the table's list
///   of heaps, once, and lies between the bounds that the table has, if it has any.
/// - **I11**: an allocated chunk that is no slab is less than [`CHUNK_UNIT`] larger than its layout needs.
/// - **I12**: a slab is the payload of a chunk of `SLAB` bytes, begins at a multiple of `SLAB`, and
///   is cut into equal slots at 8 mod 16. Its free list, and the slots never used, are the slots
///   that are free, each once. The chunks of slabs are marked, and so are those small ones that are
///   counted, and only these. A slab's tag says that it is one, where slabs have tags; no other tag
///   at a multiple of `SLAB` does, unless a payload holds a copy.
/// - **I13**: a slab is current if and only if it is its class's in the table, and counts its slots
///   in use, and `QUIET`; partial if and only if it is in its class's list, and then it counts its
///   slots in use; full if no slot is free, and then it counts 1; spare if and only if it is in the
///   list of spares, and then no slot is in use. What the table has where a class has no current
///   slab is null with [`CompactBins`], else a constant without a free slot. The table's counts of
///   open slabs, of spares, of heap bytes and of small chunks are true, where there are any: not
///   with [`CompactBins`].
/// - **I14**: in a heap in which something is in use, something is that will be noticed when it is
///   freed: an allocated chunk, or a slab that is full, partial or not `QUIET`. It need not hold after
///   a heap was reported as free; nor with [`CompactBins`] in WebAssembly, where all current slabs are
///   `QUIET`.
///
/// # Example
///
/// ```
/// use core::alloc::Layout;
/// use core::mem::MaybeUninit;
/// use talc_core::RawTalc;
///
/// let mut memory = [MaybeUninit::<u8>::uninit(); 10_000];
/// let mut talc = <RawTalc>::new();
///
/// // SAFETY: nothing else uses `memory` while `talc` does.
/// unsafe { talc.claim(memory.as_mut_ptr().cast(), memory.len()) }.expect("large enough");
///
/// let layout = Layout::new::<[u64; 16]>();
/// let block = talc.try_allocate(layout).expect("there is room");
/// // SAFETY: allocated above with this layout.
/// unsafe { talc.deallocate(block.as_ptr(), layout) };
/// ```
pub struct RawTalc<B = DefaultBinning> {
    bins: B,
    tally: Tally,
    diagnosis: Diagnosis,
}

impl<B> RawTalc<B> {
    /// Returns the statistics of all heaps and allocations.
    ///
    /// # Complexity
    /// O(1).
    #[cfg(feature = "counters")]
    #[cfg_attr(docsrs, doc(cfg(feature = "counters")))]
    #[inline]
    pub const fn counters(&self) -> &Counters {
        self.tally.counters()
    }
}

impl<
        const L: usize,
        const P: usize,
        const W: usize,
        const S: usize,
        const C: usize,
        const I: usize,
    > RawTalc<Bins<L, P, W, S, C, I>>
{
    /// Creates an allocator without a heap: nothing fits until one is [claimed](Self::claim).
    #[inline]
    pub const fn new() -> Self {
        Self::of(Bins::NEW)
    }

    /// Creates an allocator without a heap whose table, if it is to lie in a heap, is complete from
    /// the first one on, as long as that has room for it. So it never moves, whatever heaps are claimed
    /// later: for heaps that come and go, one of which may be much larger than the first.
    #[inline]
    pub const fn with_complete_table() -> Self {
        Self::of(Bins::NEW_COMPLETE)
    }

    #[inline]
    const fn of(bins: Bins<L, P, W, S, C, I>) -> Self {
        let () = Bins::<L, P, W, S, C, I>::CHECKED;
        Self { bins, tally: Tally::new(), diagnosis: Diagnosis::new() }
    }

    /// Returns whether the table exists: with [`CompactBins`], always; else whether there has been a
    /// heap.
    ///
    /// Heaps that are no larger than the largest one then need only [`CHUNK_UNIT`] and a few words;
    /// see [`claim`](RawTalc::claim).
    #[inline]
    pub fn is_metadata_established(&self) -> bool {
        Self::IS_TABLE_INSIDE || !self.books().heaps.is_null()
    }

    /// The table, to be read; if it does not exist yet, what stands for it, of which only the front
    /// may be read (I10).
    #[inline]
    fn table(&self) -> *mut Table<W, C> {
        // SAFETY: a reference is a valid pointer.
        unsafe { Bins::table(addr_of!(self.bins) as *mut Bins<L, P, W, S, C, I>) }
    }

    /// The table, to be written as well, if it exists. Any use of this value makes the pointer
    /// invalid, as the table may be a part of it.
    #[inline]
    fn table_mut(&mut self) -> *mut Table<W, C> {
        // SAFETY: a reference is a valid pointer.
        unsafe { Bins::table(addr_of_mut!(self.bins)) }
    }

    /// The books of the heaps, to be read.
    #[inline]
    fn books(&self) -> &Books {
        // SAFETY: they are in the front, which always exists (I10), and nobody writes to it as long
        // as this is borrowed.
        unsafe { &*Table::books(self.table()) }
    }

    /// The books of the heaps.
    ///
    /// # Safety
    /// The table must exist.
    #[inline]
    unsafe fn books_mut(&mut self) -> &mut Books {
        // SAFETY: the table exists, and nobody else uses it as long as this is borrowed.
        unsafe { &mut *Table::books(self.table_mut()) }
    }

    /// Whether there are books of slabs: if not, no slab can be opened (I10).
    #[inline]
    fn has_slab_books(&self) -> bool {
        Self::SLAB != 0
            && (Self::IS_TABLE_INSIDE || {
                let heads = self.books().heads;
                Bins::<L, P, W, S, C, I>::has_slab_books(heads.into())
            })
    }

    /// The books of slabs, to be read.
    ///
    /// # Safety
    /// There must be [some](Self::has_slab_books), as wherever there is a slab.
    #[inline]
    unsafe fn slab_books(&self) -> &SlabBooks<C> {
        // SAFETY: required of the caller; nobody writes to them as long as this is borrowed.
        unsafe { &*Table::slabs(self.table()) }
    }

    /// The books of slabs.
    ///
    /// # Safety
    /// As for [`slab_books`](Self::slab_books).
    #[inline]
    unsafe fn slab_books_mut(&mut self) -> &mut SlabBooks<C> {
        // SAFETY: required of the caller; nobody else uses them as long as this is borrowed.
        unsafe { &mut *Table::slabs(self.table_mut()) }
    }
}

impl<
        const L: usize,
        const P: usize,
        const W: usize,
        const S: usize,
        const C: usize,
        const I: usize,
    > Default for RawTalc<Bins<L, P, W, S, C, I>>
{
    fn default() -> Self {
        Self::new()
    }
}
