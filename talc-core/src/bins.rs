//! The bins: free lists of gaps of similar size, and the bitmap that says which are not empty.
//!
//! A list is linked through the payloads of its gaps, from a head of one word to null. The first
//! gap's `back` is null, too: nothing points into the table, which may be moved with its owner.
//!
//! ```text
//!   heads[bin] ──► gap ──next──► gap ──next──► null
//!       null ◄──back──┘ ▲──back───┘
//! ```

use core::mem::size_of;
use core::ptr::{addr_of, addr_of_mut, null_mut};

use crate::chunk::{chunk_size, Chunk, HeapBase, GRAIN};
use crate::slab::Slab;

/// The links of a gap in its bin's list.
#[repr(C)]
pub struct Links {
    /// First, so that a pointer to a head can stand for a pointer to the links before it.
    next: *mut Links,
    back: *mut Links,
}

impl Links {
    const NONE: Self = Self { next: null_mut(), back: null_mut() };
}

/// The lists, and the books of the slabs. All zero is a table of empty lists.
#[repr(C)]
pub struct Table<const WORDS: usize, const CLASSES: usize> {
    map: [u64; WORDS],
    heads: [[*mut Links; 64]; WORDS],
    /// What is written to where there is no link to write to: so that no branch is needed.
    nowhere: Links,
    books: Books,
    /// For each class, the slab that it allocates from; what stands for one, if it has none.
    current: [*mut Slab; CLASSES],
    /// For each class, the first of its partial slabs, in a circular list.
    partial: [*mut Slab; CLASSES],
    /// For each size of a small chunk, how many live ones slots could hold.
    small_chunks: [u32; CLASSES],
}

/// The part of a [`Table`] that is the same for all shapes.
#[repr(C)]
pub struct Books {
    /// The root of the list of heaps.
    pub(crate) heaps: *mut HeapBase,
    /// The sum of all heaps' sizes.
    pub(crate) heap_bytes: usize,
    /// How many slabs are current, partial or spare.
    pub(crate) open: usize,
    /// The first of the spare slabs, each of which points to the next one.
    pub(crate) spare: *mut Slab,
    /// What stands for a slab where a class has none, if it is not null.
    pub(crate) none: Slab,
}

/// Where the parts of a [`Table`] are, whatever its parameters.
///
/// # Safety
/// Of all its functions: `this` must point to a table.
pub trait Parts: Sized {
    const EMPTY: Self;

    unsafe fn map(this: *mut Self) -> *mut u64;
    unsafe fn heads(this: *mut Self) -> *mut *mut Links;
    unsafe fn nowhere(this: *mut Self) -> *mut Links;
    unsafe fn books(this: *mut Self) -> *mut Books;
    unsafe fn current(this: *mut Self) -> *mut *mut Slab;
    unsafe fn partial(this: *mut Self) -> *mut *mut Slab;
    unsafe fn small_chunks(this: *mut Self) -> *mut u32;
}

/// Declares functions from a table's address to that of a field.
macro_rules! parts {
    ($($name:ident -> $part:ty;)*) => {$(
        #[inline]
        unsafe fn $name(this: *mut Self) -> *mut $part {
            // SAFETY: in bounds of a table, as required of the caller; nothing is read.
            unsafe { addr_of_mut!((*this).$name).cast() }
        }
    )*};
}

impl<const WORDS: usize, const CLASSES: usize> Parts for Table<WORDS, CLASSES> {
    const EMPTY: Self = Self {
        map: [0; WORDS],
        heads: [[null_mut(); 64]; WORDS],
        nowhere: Links::NONE,
        books: Books {
            heaps: null_mut(),
            heap_bytes: 0,
            open: 0,
            spare: null_mut(),
            none: Slab::ZERO,
        },
        current: [null_mut(); CLASSES],
        partial: [null_mut(); CLASSES],
        small_chunks: [0; CLASSES],
    };

    parts! {
        map -> u64;
        heads -> *mut Links;
        nowhere -> Links;
        books -> Books;
        current -> *mut Slab;
        partial -> *mut Slab;
        small_chunks -> u32;
    }
}

/// The shape of the free lists of a [`RawTalc`](crate::RawTalc), its type parameter: [`Bins`] or
/// [`CompactBins`], and nothing else.
pub trait Binning: Shape {
    /// Whether less code counts for more than speed and fragmentation, as with [`CompactBins`].
    const IS_COMPACT: bool;
}

impl<const L: usize, const P: usize, const W: usize, const SLAB: usize, const CLASSES: usize>
    Binning for Bins<L, P, W, SLAB, CLASSES>
{
    const IS_COMPACT: bool = false;
}

impl<const L: usize, const P: usize, const SLAB: usize, const CLASSES: usize> Binning
    for CompactBins<L, P, SLAB, CLASSES>
{
    const IS_COMPACT: bool = true;
}

/// What a shape is, and the lists of that shape. Not public, so that there are no other shapes.
pub trait Shape: Sized {
    type Table: Parts;

    /// Without a heap, and without a table, if that is placed in the first heap.
    const EMPTY: Self;

    /// The size of the chunk in the first heap that holds the table; 0 if it is not there.
    const TABLE_CHUNK: usize;

    /// How many bins there are.
    const COUNT: usize;

    /// The size of a slab; 0 if there are none.
    const SLAB: usize;

    /// How many classes of slots there are.
    const CLASSES: usize;

    /// Fails to compile for parameters that cannot work.
    const CHECKED: ();

    /// The table; null if it has not been placed yet. For writing only if `this` is.
    ///
    /// # Safety
    /// `this` must be a valid pointer.
    unsafe fn table(this: *mut Self) -> *mut Self::Table;

    /// Places the table, if it is not placed already.
    ///
    /// # Safety
    /// `table` must be valid for writes of a table, for as long as it is used, and aligned.
    unsafe fn place(&mut self, table: *mut Self::Table);

    /// The index of the bin of gaps of that many [`GRAIN`]s.
    fn index(grains: usize) -> usize;

    /// The bin of gaps of `size` bytes.
    #[inline]
    fn bin_of(size: usize) -> usize {
        Self::index(size / GRAIN)
    }

    /// The first bin all of whose gaps hold `size` bytes; [`COUNT`](Self::COUNT) or more if there
    /// is none.
    #[inline]
    fn bin_above(size: usize) -> usize {
        Self::index(size / GRAIN - 1) + 1
    }

    /// The address of a list's head.
    ///
    /// # Safety
    /// `table` must be a table, and `bin < COUNT`.
    #[inline]
    unsafe fn head(table: *mut Self::Table, bin: usize) -> *mut *mut Links {
        debug_assert!(bin < Self::COUNT);
        // SAFETY: in bounds, as required of the caller.
        unsafe { Self::Table::heads(table).add(bin) }
    }

    /// The address of the bitmap word of `bin`, and the bin's bit in it.
    ///
    /// # Safety
    /// As for [`head`](Self::head).
    #[inline]
    unsafe fn map_word(table: *mut Self::Table, bin: usize) -> (*mut u64, u64) {
        debug_assert!(bin < Self::COUNT);
        // SAFETY: in bounds, as required of the caller.
        let word = unsafe { Self::Table::map(table).add(bin / 64) };
        (word, 1 << (bin % 64))
    }

    /// `links`, or what takes its writes if it is null.
    ///
    /// # Safety
    /// `table` must be a table.
    #[inline]
    unsafe fn or_nowhere(table: *mut Self::Table, links: *mut Links) -> *mut Links {
        if links.is_null() {
            // SAFETY: required of the caller.
            unsafe { Self::Table::nowhere(table) }
        } else {
            links
        }
    }

    /// The first bin from `bin` on that is not empty. At most one step for each bitmap word.
    ///
    /// # Safety
    /// `table` must be a table.
    #[inline]
    unsafe fn first_from(table: *mut Self::Table, bin: usize) -> Option<usize> {
        let mut word = bin / 64;
        if word >= Self::COUNT / 64 {
            return None;
        }
        // SAFETY: `word` is in bounds here and below.
        unsafe {
            let map = Self::Table::map(table);
            let mut bits = map.add(word).read() & (!0 << (bin % 64));
            while bits == 0 {
                word += 1;
                if word == Self::COUNT / 64 {
                    return None;
                }
                bits = map.add(word).read();
            }
            Some(word * 64 + bits.trailing_zeros() as usize)
        }
    }

    /// The last bin that is not empty.
    ///
    /// # Safety
    /// `table` must be a table.
    unsafe fn last(table: *mut Self::Table) -> Option<usize> {
        // SAFETY: in bounds.
        let bits = |word: usize| unsafe { Self::Table::map(table).add(word).read() };
        let word = (0..Self::COUNT / 64).rev().find(|&word| bits(word) != 0)?;
        Some(word * 64 + 63 - bits(word).leading_zeros() as usize)
    }

    /// The first gap of a bin that is not empty.
    ///
    /// # Safety
    /// `table` must be a table, and its bit for `bin` set (I8).
    #[inline]
    unsafe fn first_gap(table: *mut Self::Table, bin: usize) -> Chunk {
        // SAFETY: the list of a bin whose bit is set starts with a gap (I8).
        unsafe { Chunk::of_links(Self::head(table, bin).read()) }
    }

    /// The gap after `gap` in its list, or the first one of the list of `bin`; `None` at its end.
    ///
    /// # Safety
    /// `table` must be a table, and `gap` in its list of `bin` (I7).
    unsafe fn next_gap(table: *mut Self::Table, bin: usize, gap: Option<Chunk>) -> Option<Chunk> {
        // SAFETY: heads and the links of gaps in a list are initialised (I7).
        let next = unsafe {
            match gap {
                Some(gap) => addr_of!((*gap.links()).next).read(),
                None => Self::head(table, bin).read(),
            }
        };
        if next.is_null() {
            None
        } else {
            Some(Chunk::of_links(next))
        }
    }

    /// Puts a gap of `size` bytes at the front of its bin's list.
    ///
    /// # Safety
    /// `table` must be a table, and `gap` a gap of `size` bytes that is in no list.
    #[inline]
    unsafe fn link(table: *mut Self::Table, gap: Chunk, size: usize) {
        let bin = Self::bin_of(size);
        let links = gap.links();
        // SAFETY: the payload of a gap is its links'; what the head points to is a gap's links, if
        // it is not null (I7).
        unsafe {
            let head = Self::head(table, bin);
            let first = head.read();
            links.write(Links { next: first, back: null_mut() });
            // Whether a list is empty is a coin flip, here and below: no branch.
            addr_of_mut!((*Self::or_nowhere(table, first)).back).write(links);
            head.write(links);
            let (word, bit) = Self::map_word(table, bin);
            word.write(word.read() | bit);
        }
    }

    /// Takes a gap out of the list of `bin`.
    ///
    /// # Safety
    /// `table` must be a table, and `gap` a gap in the list of that bin.
    #[inline]
    unsafe fn unlink(table: *mut Self::Table, gap: Chunk, bin: usize) {
        // SAFETY: both neighbours in a list are links, or a head if there is none below (I7).
        unsafe {
            // Volatile, so that the compiler does not make each caller read them, and pass them on.
            let next = addr_of!((*gap.links()).next).read_volatile();
            let back = addr_of!((*gap.links()).back).read_volatile();
            let head = Self::head(table, bin);
            let before = if back.is_null() { head.cast() } else { back };
            addr_of_mut!((*before).next).write(next);
            addr_of_mut!((*Self::or_nowhere(table, next)).back).write(back);
            let is_empty = back.is_null() & next.is_null();
            // The bit is set (I8), and so is cleared by this.
            let (word, _) = Self::map_word(table, bin);
            word.write(word.read() ^ (u64::from(is_empty) << (bin % 64)));
        }
    }

    /// Takes the first gap out of the list of `bin`.
    ///
    /// # Safety
    /// `table` must be a table, and its bit for `bin` set (I8).
    #[inline]
    unsafe fn take_first(table: *mut Self::Table, bin: usize) -> Chunk {
        // SAFETY: the list of a bin whose bit is set starts with a gap (I8); the next one in a list
        // is links, if it is not null (I7).
        unsafe {
            let head = Self::head(table, bin);
            let links = head.read();
            let next = addr_of!((*links).next).read();
            head.write(next);
            addr_of_mut!((*Self::or_nowhere(table, next)).back).write(null_mut());
            let (word, _) = Self::map_word(table, bin);
            word.write(word.read() ^ (u64::from(next.is_null()) << (bin % 64)));
            Chunk::of_links(links)
        }
    }

    /// Whether the neighbours of `gap` in the list of `bin` point back at it (I7).
    ///
    /// # Safety
    /// As for [`next_gap`](Self::next_gap), and both links must point into mapped memory.
    #[cfg(feature = "audit")]
    unsafe fn is_linked(table: *mut Self::Table, bin: usize, gap: Chunk) -> bool {
        // SAFETY: required of the caller.
        unsafe {
            let links = gap.links();
            let Links { next, back } = links.read();
            let before = if back.is_null() { Self::head(table, bin).cast() } else { back };
            addr_of!((*before).next).read() == links
                && (next.is_null() || addr_of!((*next).back).read() == links)
        }
    }

    /// Whether the bit of `bin` is set.
    ///
    /// # Safety
    /// `table` must be a table.
    #[cfg(feature = "audit")]
    unsafe fn is_marked(table: *mut Self::Table, bin: usize) -> bool {
        // SAFETY: required of the caller.
        unsafe {
            let (word, bit) = Self::map_word(table, bin);
            word.read() & bit != 0
        }
    }
}

/// The shape of the free lists, with a table in the first heap.
///
/// As a type parameter of [`RawTalc`](crate::RawTalc) it says how gaps are sorted by size. The
/// table itself is placed at the start of the first heap that is claimed.
///
/// - `LINEAR`: gaps of less than this many times 16 bytes have a bin for each size, so that a gap
///   is found again by an allocation like the one that left it. A power of two.
/// - `PER_DOUBLING`: bins per doubling of the gap size from there on, a power of two. If `LINEAR` is
///   more than twice as much, the last quarter of the bins are half as many per doubling. More bins
///   fit more tightly; fewer are smaller.
/// - `WORDS`: bitmap words. There are `64 * WORDS` bins, of one machine word each.
/// - `SLAB`: the size of a slab in bytes, a power of two; 0 for no slabs.
/// - `CLASSES`: how many classes of slots the slabs have: sizes of 16 bytes, 32, and so on up to
///   `16 * CLASSES`. At least two of the largest must fit into a slab.
///
/// Gaps beyond the range of the bins share the last one, of which a search looks at
/// [`SEARCH_LIMIT`](crate::SEARCH_LIMIT) gaps: choose `WORDS` so that such gaps are rare.
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
> {
    table: *mut Table<WORDS, CLASSES>,
}

/// A bin for each size below 1 KiB, sixteen per doubling up to 256 KiB, eight up to 64 MiB, and slabs
/// of 4 KiB for sizes of up to 256 bytes.
pub type DefaultBinning = Bins<64, 16, 4, 4096, 16>;

/// The shape of the free lists where each byte of code counts: 64 bins, in the allocator's own
/// value instead of its first heap.
///
/// The parameters are those of [`Bins`]. What differs for the sake of code:
///
/// - Where no gap surely fits, and for over-aligned layouts, an allocation looks at the first gap of
///   each bin from that of its size on; where [`Bins`] looks at more of them before it answers `None`.
/// - Slabs open as soon as a class is used, and close as soon as they are empty, except the one that
///   its class allocates from, which only [`trim`](crate::RawTalc::trim) gives back. So they suit
///   heaps that are large beside `SLAB * CLASSES`, or that grow.
/// - Where small objects do not fit into a slab, they are chunks, as with [`Bins`].
///
/// ```
/// use talc_core::{CompactBins, RawTalc};
///
/// // Eight bins for single sizes, then four for each doubling up to 2 MiB; no slabs.
/// let talc = RawTalc::<CompactBins<8, 4>>::new();
/// ```
pub struct CompactBins<
    const LINEAR: usize,
    const PER_DOUBLING: usize,
    const SLAB: usize = 0,
    const CLASSES: usize = 0,
> {
    table: Table<1, CLASSES>,
}

/// Four bins per doubling up to 2 MiB: for microcontrollers, with little code, and no slabs.
pub type SmallBinning = CompactBins<8, 4>;

/// What to do with the sizes of each exponent.
#[derive(Clone, Copy)]
struct Step {
    shift: u16,
    base: u16,
}

/// How sizes are spread over bins.
struct Spread<const LINEAR: usize, const PER_DOUBLING: usize, const WORDS: usize>;

impl<const LINEAR: usize, const PER_DOUBLING: usize, const WORDS: usize>
    Spread<LINEAR, PER_DOUBLING, WORDS>
{
    const COUNT: usize = 64 * WORDS;

    const MANTISSA_BITS: u32 = PER_DOUBLING.trailing_zeros();

    /// The index of a size in grains: that of a floating-point number, exponent above mantissa. A
    /// short linear part is part of that; for a long one, a table says how many bits of mantissa
    /// each exponent has. Neither way needs a branch, where a comparison of random sizes is one that
    /// is mispredicted.
    #[inline]
    const fn index(grains: usize) -> usize {
        if LINEAR <= 2 * PER_DOUBLING {
            // The mantissa itself is linear as far as that.
            let exponent = usize::BITS - 1 - (grains | PER_DOUBLING).leading_zeros();
            let shift = exponent - Self::MANTISSA_BITS;
            let index = ((shift as usize) << Self::MANTISSA_BITS) + (grains >> shift);
            if index < Self::COUNT {
                index
            } else {
                Self::COUNT - 1
            }
        } else {
            // 0 has a bin of its own, too, without being an exception.
            let exponent = usize::BITS - 1 - (grains | 1).leading_zeros();
            let step = Self::STEPS[exponent as usize];
            (grains >> step.shift) + step.base as usize
        }
    }

    const STEPS: [Step; usize::BITS as usize] = {
        let mut steps = [Step { shift: 0, base: 0 }; usize::BITS as usize];
        let mut first = LINEAR;
        let mut exponent = LINEAR.trailing_zeros();
        while exponent < usize::BITS {
            let is_fine = first + PER_DOUBLING <= Self::COUNT - Self::COUNT / 4;
            let coarse = Self::MANTISSA_BITS.saturating_sub(1);
            let bits = if is_fine { Self::MANTISSA_BITS } else { coarse };
            if first + (1 << bits) <= Self::COUNT {
                // The smallest size of this exponent comes to 1 << bits by the shift alone.
                let base = (first - (1 << bits)) as u16;
                steps[exponent as usize] = Step { shift: (exponent - bits) as u16, base };
                first += 1 << bits;
            } else {
                // All that is larger is in the last bin.
                let base = Self::COUNT as u16 - 2;
                steps[exponent as usize] = Step { shift: exponent as u16, base };
            }
            exponent += 1;
        }
        steps
    };
}

/// Fails to compile for parameters that cannot work.
const fn check(linear: usize, per_doubling: usize, count: usize, slab: usize, classes: usize) {
    assert!(
        linear.is_power_of_two() && per_doubling.is_power_of_two() && per_doubling <= linear,
        "Bins: LINEAR and PER_DOUBLING must be powers of two, the latter not larger"
    );
    assert!(
        linear < count && count <= 1 << 15,
        "Bins: there must be more bins than LINEAR, and at most 32768"
    );
    assert!(
        (slab == 0) == (classes == 0),
        "Bins: SLAB and CLASSES must both be 0, for no slabs, or neither"
    );
    if slab != 0 {
        assert!(
            slab.is_power_of_two() && slab >= 256 && slab <= 32 << 10,
            "Bins: SLAB must be a power of two from 256 to 32768"
        );
        assert!(
            classes <= 256 && Slab::slots(slab, classes - 1) >= 2,
            "Bins: two slots of the largest class must fit into a slab"
        );
    }
}

impl<const L: usize, const P: usize, const W: usize, const SLAB: usize, const CLASSES: usize> Shape
    for Bins<L, P, W, SLAB, CLASSES>
{
    type Table = Table<W, CLASSES>;

    const EMPTY: Self = Self { table: null_mut() };
    const TABLE_CHUNK: usize = chunk_size(size_of::<Self::Table>());
    const COUNT: usize = 64 * W;
    const SLAB: usize = SLAB;
    const CLASSES: usize = CLASSES;
    const CHECKED: () = check(L, P, 64 * W, SLAB, CLASSES);

    #[inline]
    unsafe fn table(this: *mut Self) -> *mut Self::Table {
        // SAFETY: required of the caller.
        unsafe { (*this).table }
    }

    unsafe fn place(&mut self, table: *mut Self::Table) {
        self.table = table;
        // SAFETY: required of the caller.
        unsafe {
            table.write(Table::EMPTY);
            // What stands for a slab saves the test for null, and is never moved.
            let none = addr_of_mut!((*table).books.none);
            none.write(Slab::NONE);
            addr_of_mut!((*table).current).write([none; CLASSES]);
        }
    }

    #[inline]
    fn index(grains: usize) -> usize {
        Spread::<L, P, W>::index(grains)
    }
}

impl<const L: usize, const P: usize, const SLAB: usize, const CLASSES: usize> Shape
    for CompactBins<L, P, SLAB, CLASSES>
{
    type Table = Table<1, CLASSES>;

    const EMPTY: Self = Self { table: Table::EMPTY };
    const TABLE_CHUNK: usize = 0;
    const COUNT: usize = 64;
    const SLAB: usize = SLAB;
    const CLASSES: usize = CLASSES;
    const CHECKED: () = check(L, P, 64, SLAB, CLASSES);

    #[inline]
    unsafe fn table(this: *mut Self) -> *mut Self::Table {
        // SAFETY: required of the caller.
        unsafe { addr_of_mut!((*this).table) }
    }

    unsafe fn place(&mut self, _table: *mut Self::Table) {}

    #[inline]
    fn index(grains: usize) -> usize {
        Spread::<L, P, 1>::index(grains)
    }
}
#[cfg(test)]
mod tests {
    use super::*;
    use crate::CHUNK_UNIT;

    fn check<const L: usize, const P: usize, const W: usize>() {
        let mut last = 0;
        for size in
            (CHUNK_UNIT..1 << 16).step_by(GRAIN).chain((16..usize::BITS - 1).flat_map(|n| {
                let power = 1_usize << n;
                [power - GRAIN, power, power + GRAIN, power + power / 2]
            }))
        {
            let (bin, above) = (Bins::<L, P, W>::bin_of(size), Bins::<L, P, W>::bin_above(size));
            assert!(bin >= last, "bins must grow with sizes");
            last = bin;
            if above < Bins::<L, P, W>::COUNT {
                // No smaller size may be found from `above` on, and this one's own bin is there
                // or just below.
                assert!(Bins::<L, P, W>::bin_of(size - GRAIN) < above);
                assert!(bin == above || bin + 1 == above);
            }
        }
    }

    #[test]
    fn indices_are_monotonic_and_sure() {
        check::<1, 1, 1>();
        check::<2, 1, 1>();
        check::<8, 4, 1>();
        check::<64, 8, 3>();
        check::<64, 16, 4>();
        check::<16, 16, 2>();
        check::<128, 2, 3>();
        check::<64, 64, 8>();
    }

    /// In the README of `talc`, MIGRATION.md and CHANGELOG.md.
    #[test]
    fn the_tables_are_as_small_as_documented() {
        let default = crate::min_first_heap_size::<DefaultBinning>();
        let small = crate::min_first_heap_size::<SmallBinning>();
        let inside = size_of::<SmallBinning>();
        if cfg!(target_pointer_width = "64") {
            assert_eq!((default, small, inside), (2535, 71, 600));
        } else {
            assert!(default <= 1339 && small == 43 && inside <= 312);
            assert!(size_of::<CompactBins<8, 4, 4096, 16>>() <= 512);
        }
    }
}
