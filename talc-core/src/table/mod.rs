//! The table, by which gaps and slabs are found again: its lists of gaps, and how its shape is chosen.
//!
//! ```text
//!   in a heap:            table
//!                           │
//!   ┌ ─ ─ ┬─────────────┬────┴───┬──────────────────┬ ─ ─ ─ ─ ─ ┐
//!    kept │ ClassBooks, │ Front  │ heads, as many   │
//!         │ SlabBooks   │        │ as heaps need    │           │
//!   └ ─ ─ ┴─────────────┴────────┴──────────────────┴ ─ ─ ─ ─ ─ ┘
//! ```
//!
//! In the allocator's own value, it is complete.

pub(crate) mod bins;
mod lists;
mod spread;

use core::ptr::{addr_of_mut, null_mut};

use crate::memory::chunk::Links;
use crate::memory::heap::HeapBase;
use crate::memory::magazine::Magazine;
use crate::memory::slab::Slab;

/// The lists of gaps, and what is known of the heaps. All zero is a table of empty lists.
///
/// In a heap it may have fewer heads, so it is only used through raw pointers.
///
/// The heads of the lists, one word for each bin, follow the front.
#[repr(C)]
pub(crate) struct Table<const WORDS: usize, const CLASSES: usize> {
    front: Front<WORDS, CLASSES>,
}

/// The part of a [`Table`] that is read before it is known whether there is one. Until the table is
/// placed in a heap, a constant stands for this part, so that allocating needs no test.
#[repr(C)]
struct Front<const WORDS: usize, const CLASSES: usize> {
    /// For each class, the slots that are ready. All zero until they are first needed, if the table is
    /// inside.
    ready: [Magazine; CLASSES],
    /// The bitmap: which lists are not empty.
    map: [lists::Map; WORDS],
    /// Begin with a word that is not 0 if the map has several words: it ends a search of the map.
    books: Books,
    /// Written to where there is no link to write to, which saves a branch.
    nowhere: usize,
}

/// What is known of the heaps.
#[repr(C)]
pub(crate) struct Books {
    /// The lowest base of all heaps that there have ever been, and the highest heap end. First, as no
    /// heap begins at address 0 (see [`Front`]).
    pub(crate) lowest: usize,
    pub(crate) highest: usize,
    /// The root of the list of heaps. Null if there is no heap, and so no table in one.
    pub(crate) heaps: *mut HeapBase,
    /// The sum of all heaps' sizes.
    pub(crate) heap_bytes: usize,
    /// The number of heads that a table in a heap has: as many as the gaps of the heaps need.
    pub(crate) heads: u16,
    /// Whether it is to have all heads at once, if there is room.
    pub(crate) is_complete: bool,
    /// How many bytes a magazine may have: 0 for none, n for 2 to the power of n - 1.
    pub(crate) allowance: u8,
    /// The number of magazines of chunks if they are open, else 0.
    pub(crate) kept: u16,
    /// While they are open: the first bin of gaps that are large beside the heaps. Without such a gap, they are closed.
    /// While they are closed: how many of them, from the first one on, may still have chunks.
    pub(crate) roomy_bin_or_closing: u16,
}

/// What is known of the slabs of a class.
#[repr(C)]
pub(crate) struct ClassBooks {
    /// The slab that its slots come from; null for none.
    pub(crate) current: *mut Slab,
    /// The first of its partial slabs, in a circular list.
    pub(crate) partial: *mut Slab,
    /// The number of live chunks of its size, that slots could hold.
    pub(crate) chunks: u32,
}

/// What is known of all slabs. A table in a heap has it if a heap can have slabs, and [`ClassBooks`] below it, downwards
/// from the first class: those of middling classes, which come last, only if it has magazines of chunks.
#[repr(C)]
pub(crate) struct SlabBooks {
    /// The number of slabs of small classes that are current or partial.
    pub(crate) open: usize,
    /// The number of spare slabs.
    pub(crate) spares: u16,
    /// The base-2 logarithm of the size of a gap that is worth the [`reminder`](Self::reminder).
    pub(crate) reminder_log2: u16,
    /// The first spare slab, which is linked to the next one.
    pub(crate) spare: *mut Slab,
    /// The heap end to return when a slab falls empty or a gap becomes large, and there is no other to
    /// return; null for none.
    pub(crate) reminder: *mut u8,
}

/// A table and all that belongs to it, in the order in which they lie in memory.
#[repr(C)]
pub(crate) struct Whole<const WORDS: usize, const CLASSES: usize, const KEPT: usize> {
    kept: [Magazine; KEPT],
    classes: [ClassBooks; CLASSES],
    slabs: SlabBooks,
    table: Table<WORDS, CLASSES>,
    heads: [*mut Links; BINS_INSIDE],
}

/// The number of bins of a table that is inside. Of the 64 bits of its bitmap, microcontrollers do without those for
/// the largest sizes, and have 48 bytes less of RAM.
pub(crate) const BINS_INSIDE: usize =
    if cfg!(all(target_pointer_width = "32", not(target_family = "wasm"))) { 52 } else { 64 };

impl Books {
    /// All zero.
    const ZERO: Self = Self {
        lowest: 0,
        highest: 0,
        heaps: null_mut(),
        heap_bytes: 0,
        heads: 0,
        is_complete: false,
        allowance: 0,
        kept: 0,
        roomy_bin_or_closing: 0,
    };

    /// The books of no heap, which do not begin with 0.
    const NOTHING: Self = Self { lowest: usize::MAX, ..Self::ZERO };

    /// Returns how many magazines of chunks may still have some, though they are closed.
    #[inline]
    pub(crate) fn closing(&self) -> usize {
        if self.kept == 0 {
            self.roomy_bin_or_closing.into()
        } else {
            0
        }
    }

    /// Returns whether `size` bytes at `addr` lie between the lowest heap base and the highest heap
    /// end.
    pub(crate) fn contain(&self, addr: usize, size: usize) -> bool {
        addr >= self.lowest && addr <= self.highest && size <= self.highest - addr
    }
}

impl ClassBooks {
    pub(crate) const ZERO: Self = Self { current: null_mut(), partial: null_mut(), chunks: 0 };
}

impl SlabBooks {
    pub(crate) const ZERO: Self =
        Self { open: 0, spares: 0, reminder_log2: 0, spare: null_mut(), reminder: null_mut() };
}

impl<const WORDS: usize, const CLASSES: usize> Front<WORDS, CLASSES> {
    const ZERO: Self = Self {
        ready: [Magazine::ZERO; CLASSES],
        map: [lists::EMPTY; WORDS],
        books: Books::ZERO,
        nowhere: 0,
    };

    /// Empty lists, and magazines in which there is nothing, and no room.
    const NOTHING: Self =
        Self { ready: [Magazine::CLOSED; CLASSES], books: Books::NOTHING, ..Self::ZERO };

    /// As [`NOTHING`](Self::NOTHING), for a table that is to be complete.
    const NOTHING_OF_ALL: Self =
        Self { books: Books { is_complete: true, ..Books::NOTHING }, ..Self::NOTHING };
}

impl<const WORDS: usize, const CLASSES: usize, const KEPT: usize> Whole<WORDS, CLASSES, KEPT> {
    pub(crate) const ZERO: Self = Self {
        kept: [Magazine::ZERO; KEPT],
        classes: [ClassBooks::ZERO; CLASSES],
        slabs: SlabBooks::ZERO,
        table: Table { front: Front::ZERO },
        heads: [null_mut(); BINS_INSIDE],
    };

    /// Returns the table in it.
    ///
    /// # Safety
    /// `this` must be a valid pointer.
    pub(crate) unsafe fn table(this: *mut Self) -> *mut Table<WORDS, CLASSES> {
        // SAFETY: nothing is read.
        unsafe { addr_of_mut!((*this).table) }
    }
}

/// Declares functions that turn a table's address into that of a part of its front.
macro_rules! parts {
    ($($(#[$doc:meta])* $name:ident -> $part:ty;)*) => {$(
        $(#[$doc])*
        ///
        /// # Safety
        /// `this` must be a table, or what stands for one.
        pub(crate) unsafe fn $name(this: *mut Self) -> *mut $part {
            // SAFETY: in bounds of a table's front, as required of the caller; nothing is read.
            unsafe { addr_of_mut!((*this).front.$name).cast() }
        }
    )*};
}

impl<const WORDS: usize, const CLASSES: usize> Table<WORDS, CLASSES> {
    /// What stands for a table that has not been placed yet. Only its front exists, and it must not be
    /// written to.
    pub(crate) const PLACEHOLDER: *mut Self = {
        let front: &'static Front<WORDS, CLASSES> = &Front::NOTHING;
        front as *const Front<WORDS, CLASSES> as *mut Self
    };

    /// As [`PLACEHOLDER`](Self::PLACEHOLDER), for a table that is to be complete.
    pub(crate) const PLACEHOLDER_OF_ALL: *mut Self = {
        let front: &'static Front<WORDS, CLASSES> = &Front::NOTHING_OF_ALL;
        front as *const Front<WORDS, CLASSES> as *mut Self
    };

    parts! {
        /// Returns the books of the heaps.
        books -> Books;
        /// Returns the first of the classes' magazines of slots.
        ready -> Magazine;
        /// Returns the first word of the bitmap.
        map -> lists::MapWord;
        /// Returns a word that is never read.
        nowhere -> usize;
    }

    /// Returns the books of the slabs.
    ///
    /// # Safety
    /// `this` must be a table that has them.
    pub(crate) unsafe fn slabs(this: *mut Self) -> *mut SlabBooks {
        this.cast::<SlabBooks>().wrapping_sub(1)
    }

    /// Returns the books of a class. They lie downwards from those of all slabs.
    ///
    /// # Safety
    /// `this` must be a table that has them.
    pub(crate) unsafe fn class(this: *mut Self, class: usize) -> *mut ClassBooks {
        // SAFETY: required of the caller.
        unsafe { Self::slabs(this).cast::<ClassBooks>().wrapping_sub(1 + class) }
    }

    /// Returns a magazine of chunks. They lie downwards from the books of the last class.
    ///
    /// # Safety
    /// `this` must be a table that has it.
    pub(crate) unsafe fn kept(this: *mut Self, index: usize) -> *mut Magazine {
        // SAFETY: required of the caller.
        let classes = unsafe { Self::slabs(this).cast::<ClassBooks>().wrapping_sub(CLASSES) };
        classes.cast::<Magazine>().wrapping_sub(1 + index)
    }

    /// Returns the heads of the lists.
    ///
    /// # Safety
    /// `this` must be a table.
    unsafe fn heads(this: *mut Self) -> *mut *mut Links {
        this.cast::<u8>().wrapping_add(Self::FRONT).cast()
    }

    /// The number of bytes in front of the heads.
    pub(crate) const FRONT: usize = core::mem::size_of::<Front<WORDS, CLASSES>>();
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The word behind the bitmap ends a search of it. Without it, that reads on through what follows, and finds nothing as well.
    #[test]
    fn what_stands_for_a_table_ends_a_search() {
        assert_ne!(Books::NOTHING.lowest, 0);
        assert!(!Books::NOTHING.contain(0, 0));
    }
}
