//! The bins: free lists of gaps of similar size, and the bitmap that says which are not empty.
//!
//! A list is linked through the payloads of its gaps, from a head of one word to null. The first
//! gap's `back` is null, too: nothing points into the table, which may be moved with its owner.
//!
//! ```text
//!   heads[bin] ──► gap ──next──► gap ──next──► null
//!       null ◄──back──┘ ▲──back───┘
//! ```

use core::ptr::{addr_of, addr_of_mut, null_mut};

use crate::chunk::{Chunk, HeapBase, GRAIN};
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

    /// The gap after this one.
    ///
    /// # Safety
    /// `this` must be readable.
    pub(crate) unsafe fn next(this: *const Self) -> *mut Self {
        // SAFETY: required of the caller.
        unsafe { addr_of!((*this).next).read() }
    }

    /// The gap before this one.
    ///
    /// # Safety
    /// `this` must be readable.
    pub(crate) unsafe fn back(this: *const Self) -> *mut Self {
        // SAFETY: required of the caller.
        unsafe { addr_of!((*this).back).read() }
    }
}

/// The lists, and the books of the slabs. All zero is a table of empty lists.
#[repr(C)]
pub struct Table<const WORDS: usize, const CLASSES: usize> {
    front: Front<WORDS, CLASSES>,
    heads: [[*mut Links; 64]; WORDS],
}

/// The part of a [`Table`] that is read before it is known whether there is one: where a table of
/// [`Bins`](crate::Bins) has not been placed yet, a constant stands for it, so that allocating
/// needs no test.
#[repr(C)]
pub(crate) struct Front<const WORDS: usize, const CLASSES: usize> {
    /// For each class, the slab that it allocates from; what stands for one, if it has none.
    current: [*mut Slab; CLASSES],
    map: [u64; WORDS],
    /// What is written to where there is no link to write to: so that no branch is needed.
    nowhere: Links,
    books: Books,
    /// For each class, the first of its partial slabs, in a circular list.
    partial: [*mut Slab; CLASSES],
    /// For each size of a small chunk, how many live ones slots could hold.
    small_chunks: [u32; CLASSES],
}

impl<const WORDS: usize, const CLASSES: usize> Front<WORDS, CLASSES> {
    const ZERO: Self = Self {
        current: [null_mut(); CLASSES],
        map: [0; WORDS],
        nowhere: Links::NONE,
        books: Books {
            heaps: null_mut(),
            heap_bytes: 0,
            lowest: 0,
            highest: 0,
            open: 0,
            reminder: null_mut(),
            spare: null_mut(),
            spares: 0,
        },
        partial: [null_mut(); CLASSES],
        small_chunks: [0; CLASSES],
    };

    /// Empty lists, and for each class a slab in which nothing is ever free.
    const NOTHING: Self = Self { current: [Slab::NOTHING; CLASSES], ..Self::ZERO };

    /// The table that stands for the one that has not been placed yet. Only its front exists, and
    /// nothing may be written to it.
    pub(crate) const PLACEHOLDER: *mut Table<WORDS, CLASSES> = {
        let front: &'static Self = &Self::NOTHING;
        front as *const Self as *mut Table<WORDS, CLASSES>
    };
}

/// The part of a [`Table`] that is the same for all shapes.
#[repr(C)]
pub struct Books {
    /// The root of the list of heaps. Null if there is no heap, and so with [`Bins`](crate::Bins)
    /// if there is no table.
    pub(crate) heaps: *mut HeapBase,
    /// The sum of all heaps' sizes.
    pub(crate) heap_bytes: usize,
    /// The lowest address of all heaps that there have ever been, and the highest heap end.
    pub(crate) lowest: usize,
    pub(crate) highest: usize,
    /// How many slabs are current, partial or spare.
    pub(crate) open: usize,
    /// What is returned when a slab falls empty and there is nothing else to return; null if nothing is.
    pub(crate) reminder: *mut u8,
    /// The first of the spare slabs, each of which points to the next one, and how many there are.
    pub(crate) spare: *mut Slab,
    pub(crate) spares: usize,
}

impl Books {
    /// Whether `size` bytes at `addr` lie between the lowest heap base and the highest heap end.
    pub(crate) fn contain(&self, addr: usize, size: usize) -> bool {
        addr >= self.lowest && addr <= self.highest && size <= self.highest - addr
    }
}

/// Where the parts of a [`Table`] are, whatever its parameters.
///
/// # Safety
/// Of all its functions: `this` must point to a table; for all but `heads`, what stands for one will do.
pub trait Parts: Sized {
    /// With no slab for any class.
    const EMPTY: Self;

    /// With what stands for a slab for each class.
    const PLACED: Self;

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
    ($($name:ident: $($field:ident).+ -> $part:ty;)*) => {$(
        #[inline]
        unsafe fn $name(this: *mut Self) -> *mut $part {
            // SAFETY: in bounds of a table or its front, as required of the caller; nothing is read.
            unsafe { addr_of_mut!((*this).$($field).+).cast() }
        }
    )*};
}

impl<const WORDS: usize, const CLASSES: usize> Parts for Table<WORDS, CLASSES> {
    const EMPTY: Self = Self { front: Front::ZERO, heads: [[null_mut(); 64]; WORDS] };
    const PLACED: Self = Self { front: Front::NOTHING, heads: [[null_mut(); 64]; WORDS] };

    parts! {
        map: front.map -> u64;
        heads: heads -> *mut Links;
        nowhere: front.nowhere -> Links;
        books: front.books -> Books;
        current: front.current -> *mut Slab;
        partial: front.partial -> *mut Slab;
        small_chunks: front.small_chunks -> u32;
    }
}

/// The shape of the free lists of a [`RawTalc`](crate::RawTalc), its type parameter:
/// [`Bins`](crate::Bins) or [`CompactBins`](crate::CompactBins), and nothing else.
pub trait Binning: Shape {
    /// Whether less code counts for more than speed and fragmentation, as with
    /// [`CompactBins`](crate::CompactBins).
    const IS_COMPACT: bool;
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

    /// The table; if it has not been placed yet, what stands for it. For writing only if `this` is,
    /// and it has.
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
            // SAFETY: a list has only links of gaps (I7).
            Some(unsafe { Chunk::of_links(next) })
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

    /// Empties the list of `bin`, whose gaps are lost.
    ///
    /// # Safety
    /// `table` must be a table.
    unsafe fn abandon(table: *mut Self::Table, bin: usize) {
        // SAFETY: required of the caller.
        unsafe {
            Self::head(table, bin).write(null_mut());
            let (word, bit) = Self::map_word(table, bin);
            word.write(word.read() & !bit);
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
