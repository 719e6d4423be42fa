// These links lead to items. Those with the same names in the README, for its other readers, lead to
// docs.rs; of several definitions, the first one counts.
#![doc = include_str!("links.md")]
#![cfg_attr(feature = "audit", doc = "[`audit`]: crate::RawTalc::audit")]
#![cfg_attr(feature = "counters", doc = "[`counters`]: crate::RawTalc::counters")]
//!
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
mod magazines;
mod memory;
mod slots;
mod table;
mod tally;
mod tier;
mod tuning;

use core::ptr::{addr_of, addr_of_mut};

use checks::diagnosis::Diagnosis;
use memory::chunk::Chunk;
use memory::quarantine::Quarantine;
use table::{Books, ClassBooks, SlabBooks, Table};
use tally::Tally;

pub use calls::resize::NoRoom;
pub use checks::diagnosis::Finding;
pub use checks::misuse::Misuse;
pub use heaps::reserved::Reserved;
#[cfg(feature = "audit")]
pub use inspect::audit::Fault;
pub use inspect::snapshot::Snapshot;
pub use inspect::visit::Part;
pub use memory::chunk::CHUNK_UNIT;
pub use memory::fill::SEAL;
pub use memory::key::set_key;
pub use memory::magazine::Magazine;
pub use table::bins::{Bins, CompactBins, DefaultBinning, SmallBinning};
pub use tally::counters::Counters;
pub use tier::CHECKS;
pub use tuning::{COMPACT_SEARCH_LIMIT, SEARCH_LIMIT};

/// The allocator: heaps of memory that are cut into chunks, and nothing around them.
///
/// It has no lock, no source of memory and no allocator trait: its methods return what happened, and
/// the caller acts on it. `B`, which is [`Bins`] or [`CompactBins`], is the shape of its free lists.
///
/// The value is a pointer to its table, or the table itself, and the counters, with that feature. It
/// may be moved; heaps stay where they are. Dropping it does nothing: memory belongs to whoever claimed
/// it.
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
/// - **I9**: only this `RawTalc` reads or writes the bytes of its heaps, except those of allocations,
///   which are their owners'. It touches an allocation only to move it downwards.
/// - **I10**: the table of [`CompactBins`] is a part of this value. That of [`Bins`] is in the payload
///   of an allocated chunk of any heap, and may move to another one. It has a head for every gap that
///   its heaps can have, and `SlabBooks` where a heap can be larger than two slabs. Until there is a
///   heap, a constant stands for it, with empty lists and no slab, which is never written to.
///   `Books::lowest` is not 0 if the bitmap has several words: it ends searches of the bitmap. Every
///   heap is in the list of heaps, once. All heaps lie between `Books::lowest` and `Books::highest`,
///   where bounds are known, and have `Books::heap_bytes` in all, where that is known.
/// - **I11**: an allocated chunk that is no slab is less than [`CHUNK_UNIT`] larger than its layout
///   needs.
/// - **I12**: a slab is the payload of a chunk of `SLAB` bytes, begins at a multiple of `SLAB`, and
///   is cut into equal slots at 8 mod 16. Its free slots are those in its free list, each once, and
///   those that were never used; one that is in a magazine counts as in use. An allocated chunk is marked
///   if and only if it is a slab, a small one that is counted (which none in a magazine is), or a larger one in a magazine.
///   Where slabs have tags, every slab has one; no other word in such a place is one, unless a payload holds a copy.
/// - **I13**: a slab is in one of four states:
///   - current: it is its class's in the table, and counts its slots in use, and perhaps `QUIET`.
///   - partial: it is in its class's list, some slots are free and some in use, and it counts the
///     latter.
///   - full: it is in no list, no slot is free, and it counts 1.
///   - spare: it is in the list of spares, and counts 0, as no slot is in use.
///
///   The table has nothing else in these places, and null where a class has no current slab. An allocator that weighs slabs
///   has true counts of the open slabs, of the spares, and of the small chunks that are marked.
/// - **I14**: if anything in a heap is in use, so is something that will be noticed when it is freed:
///   an allocated chunk other than the table's, or a slab that is full, partial or not `QUIET`. It need
///   not hold after a heap was reported as free; nor with [`CompactBins`] in WebAssembly, where all
///   current slabs are `QUIET`. What is in a magazine or in the quarantine counts as in use here.
/// - **I15**: each block in a magazine belongs to the allocator, and is in one magazine, once: a slot in
///   that of a class that it is large enough for, or a chunk in that of its size. A magazine ends at a
///   constant. With a table in a heap, there are none of chunks until the heap is large. While they are
///   closed, only the first `Books::closing` of them have chunks.
/// - **I16**: each block in the quarantine belongs to the allocator, is in it once, and in no magazine: a slot that
///   counts as in use, or an allocated chunk that is no slab.
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
    quarantine: Quarantine,
}

impl<B> RawTalc<B> {
    /// Returns the statistics of all heaps and allocations.
    ///
    /// # Complexity
    /// O(1).
    #[cfg(feature = "counters")]
    #[cfg_attr(docsrs, doc(cfg(feature = "counters")))]
    pub const fn counters(&self) -> &Counters {
        self.tally.counters()
    }

    /// Forgets the peaks in [`counters`](Self::counters): `peak_allocated_bytes` and the low-water mark of what is
    /// available are what is so now, and from now on what was so since.
    ///
    /// # Complexity
    /// O(1).
    #[cfg(feature = "counters")]
    #[cfg_attr(docsrs, doc(cfg(feature = "counters")))]
    pub fn reset_peaks(&mut self) {
        self.tally.record(Counters::reset_peaks);
    }
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
    /// Creates an allocator without a heap. Nothing fits until one is [claimed](Self::claim).
    pub const fn new() -> Self {
        Self::of(Bins::NEW)
    }

    /// Creates an allocator without a heap, whose table is complete from the first heap on, if there is
    /// room for it.
    ///
    /// A complete table need not move when larger heaps are claimed; and there are no magazines, which would
    /// keep something in a heap in which nothing is in use. Use this if heaps come and go. With [`CompactBins`] it is [`new`](Self::new).
    pub const fn with_complete_table() -> Self {
        Self::of(Bins::NEW_COMPLETE)
    }

    const fn of(bins: Bins<LINEAR, PER_DOUBLING, WORDS, SLAB, CLASSES, KEPT, INSIDE>) -> Self {
        let () = Bins::<LINEAR, PER_DOUBLING, WORDS, SLAB, CLASSES, KEPT, INSIDE>::CHECKED;
        Self {
            bins,
            tally: Tally::new(),
            diagnosis: Diagnosis::new(),
            quarantine: Quarantine::CLOSED,
        }
    }

    /// Returns whether the table exists. With [`CompactBins`] it always does; else it does once there is
    /// a heap.
    ///
    /// From then on, a heap that is no larger than the largest one needs only [`CHUNK_UNIT`] and a few
    /// words; see [`claim`](RawTalc::claim).
    pub fn is_metadata_established(&self) -> bool {
        Self::IS_TABLE_INSIDE || self.has_heaps()
    }

    /// Returns the table for reading; if it does not exist yet, what stands for it, of which only
    /// the front may be read (I10).
    fn table(&self) -> *mut Table<WORDS, CLASSES> {
        // SAFETY: a reference is a valid pointer.
        unsafe {
            Bins::table(addr_of!(self.bins)
                as *mut Bins<LINEAR, PER_DOUBLING, WORDS, SLAB, CLASSES, KEPT, INSIDE>)
        }
    }

    /// Returns the table for reading and, if it exists, for writing. Any use of this value makes
    /// the pointer invalid, as the table may be a part of it.
    fn table_mut(&mut self) -> *mut Table<WORDS, CLASSES> {
        // SAFETY: a reference is a valid pointer.
        unsafe { Bins::table(addr_of_mut!(self.bins)) }
    }

    /// Returns the chunk in whose payload a table is.
    ///
    /// # Safety
    /// `table` must be the table in a heap, or have been until now.
    unsafe fn chunk_of_table(table: *mut Table<WORDS, CLASSES>) -> Chunk {
        // SAFETY: required of the caller.
        unsafe {
            let heads = (*Table::books(table)).heads;
            let offset =
                Bins::<LINEAR, PER_DOUBLING, WORDS, SLAB, CLASSES, KEPT, INSIDE>::table_offset(
                    heads.into(),
                );
            Chunk::of_payload(table.cast::<u8>().wrapping_sub(offset))
        }
    }

    /// Returns the books of the heaps for reading.
    fn books(&self) -> &Books {
        // SAFETY: they are in the front, which always exists (I10), and nothing writes to it as long
        // as this is borrowed.
        unsafe { &*Table::books(self.table()) }
    }

    /// Returns the books of the heaps for writing.
    ///
    /// # Safety
    /// The table must exist.
    unsafe fn books_mut(&mut self) -> &mut Books {
        // SAFETY: the table exists, and nothing else uses it as long as this is borrowed.
        unsafe { &mut *Table::books(self.table_mut()) }
    }

    /// Returns whether there are books of slabs. If not, no slab can be opened (I10).
    fn has_slab_books(&self) -> bool {
        Bins::<LINEAR, PER_DOUBLING, WORDS, SLAB, CLASSES, KEPT, INSIDE>::has_slab_books(
            self.books().heads.into(),
        )
    }

    /// Returns the number of classes of which there are books, if there are some of slabs.
    fn classes(&self) -> usize {
        if self.has_middling_classes() {
            CLASSES
        } else {
            Self::SMALL_CLASSES
        }
    }

    /// Returns whether there are books of middling classes: where there are magazines of chunks.
    fn has_middling_classes(&self) -> bool {
        Self::SMALL_CLASSES < CLASSES
            && Bins::<LINEAR, PER_DOUBLING, WORDS, SLAB, CLASSES, KEPT, INSIDE>::has_kept(
                self.books().heads.into(),
            )
    }

    /// Returns the books of a class.
    ///
    /// # Safety
    /// They must exist: `class` must be less than [`classes`](Self::classes), and there must be books of slabs.
    unsafe fn class_books(&self, class: usize) -> *mut ClassBooks {
        debug_assert!(class < self.classes());
        // SAFETY: required of the caller.
        unsafe { Table::class(self.table(), class) }
    }

    /// As [`class_books`](Self::class_books), for writing.
    ///
    /// # Safety
    /// As there.
    unsafe fn class_books_mut(&mut self, class: usize) -> *mut ClassBooks {
        debug_assert!(class < self.classes());
        // SAFETY: required of the caller.
        unsafe { Table::class(self.table_mut(), class) }
    }

    /// Returns the books of slabs for reading.
    ///
    /// # Safety
    /// They must [exist](Self::has_slab_books). They do if there is a slab.
    unsafe fn slab_books(&self) -> &SlabBooks {
        // SAFETY: required of the caller; nothing writes to them as long as this is borrowed.
        unsafe { &*Table::slabs(self.table()) }
    }

    /// Returns the books of slabs for writing.
    ///
    /// # Safety
    /// As for [`slab_books`](Self::slab_books).
    unsafe fn slab_books_mut(&mut self) -> &mut SlabBooks {
        // SAFETY: required of the caller; nothing else uses them as long as this is borrowed.
        unsafe { &mut *Table::slabs(self.table_mut()) }
    }
}

impl<
        const LINEAR: usize,
        const PER_DOUBLING: usize,
        const WORDS: usize,
        const SLAB: usize,
        const CLASSES: usize,
        const KEPT: usize,
        const INSIDE: usize,
    > Default for RawTalc<Bins<LINEAR, PER_DOUBLING, WORDS, SLAB, CLASSES, KEPT, INSIDE>>
{
    fn default() -> Self {
        Self::new()
    }
}
