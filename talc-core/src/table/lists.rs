//! The lists of gaps, one for each bin, and the bitmap of the bins that are not empty.
//!
//! A list is linked through the payloads of its gaps, from a head of one word to null. The first
//! gap's `back` is null, too: nothing points into the table, so that it can be moved.
//!
//! ```text
//!   heads[bin] ──► gap ──next──► gap ──next──► null
//!       null ◄──back──┘ ▲──back───┘
//! ```

use core::ptr::{addr_of, addr_of_mut, null_mut};

use super::Table;
use crate::memory::chunk::{Chunk, Link, Links};

/// The bitmap is read in words that one instruction can shift. (With 64 bits at a time, the smallest configuration has
/// 44 bytes more on Cortex-M3 at opt-level z, and 588 at s.)
#[cfg(not(all(target_pointer_width = "32", not(target_family = "wasm"))))]
pub(super) type MapWord = u64;
#[cfg(all(target_pointer_width = "32", not(target_family = "wasm")))]
pub(super) type MapWord = u32;

const BITS: usize = MapWord::BITS as usize;

/// The part of the bitmap for 64 bins.
pub(super) type Map = [MapWord; 64 / BITS];
/// Of empty lists.
pub(super) const EMPTY: Map = [0; 64 / BITS];

impl<const WORDS: usize, const CLASSES: usize> Table<WORDS, CLASSES> {
    const BINS: usize = 64 * WORDS;

    /// The number of words in which the bitmap is read.
    pub(crate) const MAP_WORDS: usize = Self::BINS / BITS;

    /// Returns the address of a list's head.
    ///
    /// # Safety
    /// `this` must be a table that has a head for `bin`.
    pub(crate) unsafe fn head(this: *mut Self, bin: usize) -> *mut *mut Links {
        debug_assert!(bin < Self::BINS);
        // SAFETY: in bounds, as required of the caller.
        unsafe { Self::heads(this).add(bin) }
    }

    /// Returns the address of the bitmap word of `bin`, and the bin's bit in it.
    ///
    /// # Safety
    /// As for [`head`](Self::head).
    unsafe fn map_word(this: *mut Self, bin: usize) -> (*mut MapWord, MapWord) {
        debug_assert!(bin < Self::BINS);
        // The compiler does not always know that this is 0.
        let index = if Self::MAP_WORDS == 1 { 0 } else { bin / BITS };
        // SAFETY: in bounds, as required of the caller.
        let word = unsafe { Self::map(this).add(index) };
        (word, 1 << (bin % BITS))
    }

    /// Whether there is a branch where it is a coin flip if a list is empty: for the small tables of processors that
    /// hardly predict branches, or write under a condition. That saves 12 bytes on Cortex-M3.
    const BRANCHES: bool = WORDS == 1 && BITS == 32;

    /// Writes the `back` of `links`, if they are not null.
    ///
    /// # Safety
    /// `this` must be a table, and `links` null or the links of a gap.
    #[inline]
    unsafe fn set_back(this: *mut Self, links: *mut Links, back: *mut Links) {
        // SAFETY: required of the caller.
        unsafe {
            if !Self::BRANCHES {
                addr_of_mut!((*Self::or_nowhere(this, links)).back).write(Link::to(back));
            } else if !links.is_null() {
                addr_of_mut!((*links).back).write(Link::to(back));
            }
        }
    }

    /// Returns `links`, or something that takes a write to its `back` if it is null.
    ///
    /// # Safety
    /// `this` must be a table.
    unsafe fn or_nowhere(this: *mut Self, links: *mut Links) -> *mut Links {
        if links.is_null() {
            // Only `back`, the second word, is ever written.
            // SAFETY: required of the caller.
            unsafe { Self::nowhere(this).wrapping_sub(1).cast() }
        } else {
            links
        }
    }

    /// Returns the first bin from `bin` on that is not empty, in at most one step for each bitmap
    /// word.
    ///
    /// # Safety
    /// `this` must be a table, or what stands for one.
    pub(crate) unsafe fn first_from(this: *mut Self, bin: usize) -> Option<usize> {
        let mut word = bin / BITS;
        if word >= Self::MAP_WORDS {
            return None;
        }
        // SAFETY: `word` is in bounds here and below: the last word is followed by the books, of
        // which the first word is not 0 (I10).
        unsafe {
            let map = Self::map(this);
            let mut bits = map.add(word).read() & (!0 << (bin % BITS));
            if Self::MAP_WORDS == 1 {
                return if bits == 0 { None } else { Some(bits.trailing_zeros() as usize) };
            }
            while bits == 0 {
                word += 1;
                // A table that is inside has books of zeros at first.
                if WORDS == 1 && word == Self::MAP_WORDS {
                    return None;
                }
                bits = map.add(word).read();
            }
            if word >= Self::MAP_WORDS {
                return None;
            }
            Some(word * BITS + bits.trailing_zeros() as usize)
        }
    }

    /// Returns the last bin that is not empty.
    ///
    /// # Safety
    /// `this` must be a table.
    pub(crate) unsafe fn last(this: *mut Self) -> Option<usize> {
        // SAFETY: in bounds.
        let bits = |word: usize| unsafe { Self::map(this).add(word).read() };
        let word = (0..Self::MAP_WORDS).rev().find(|&word| bits(word) != 0)?;
        Some(word * BITS + BITS - 1 - bits(word).leading_zeros() as usize)
    }

    /// Returns the first gap of a bin; `None` if the bin is empty.
    ///
    /// # Safety
    /// `this` must be a table that has a head for `bin`.
    #[cfg(feature = "audit")]
    pub(crate) unsafe fn first(this: *mut Self, bin: usize) -> Option<Chunk> {
        // SAFETY: required of the caller; a head is null or leads to a gap (I7).
        unsafe {
            let links = Self::head(this, bin).read();
            if links.is_null() {
                None
            } else {
                Some(Chunk::of_links(links))
            }
        }
    }

    /// Returns the first gap of a bin that is not empty.
    ///
    /// # Safety
    /// `this` must be a table, and its bit for `bin` set (I8).
    pub(crate) unsafe fn first_gap(this: *mut Self, bin: usize) -> Chunk {
        // SAFETY: the list of a bin whose bit is set starts with a gap (I8).
        unsafe { Chunk::of_links(Self::head(this, bin).read()) }
    }

    /// Puts a gap at the front of the list of `bin`.
    ///
    /// # Safety
    /// `this` must be a table that has a head for `bin`, and `gap` a gap of that bin that is in no list.
    pub(crate) unsafe fn link(this: *mut Self, gap: Chunk, bin: usize) {
        let links = gap.links();
        // SAFETY: the payload of a gap is its links'; what the head points to is a gap's links, if
        // it is not null (I7).
        unsafe {
            let head = Self::head(this, bin);
            let first = head.read();
            links.write(Links { next: Link::to(first), back: Link::to(null_mut()) });
            // Here and below, whether a list is empty is a coin flip, hence no branch.
            Self::set_back(this, first, links);
            head.write(links);
            let (word, bit) = Self::map_word(this, bin);
            word.write(word.read() | bit);
        }
    }

    /// Takes a gap out of the list of `bin`.
    ///
    /// # Safety
    /// `this` must be a table, and `gap` a gap in the list of that bin.
    pub(crate) unsafe fn unlink(this: *mut Self, gap: Chunk, bin: usize) {
        // SAFETY: both neighbours in a list are links, or its head in front of the first gap (I7).
        unsafe {
            // Volatile, so that the compiler does not make each caller read them and pass them on.
            // That saves 40 bytes of the default allocator in WebAssembly.
            let next = addr_of!((*gap.links()).next).read_volatile().target();
            let back = addr_of!((*gap.links()).back).read_volatile().target();
            let head = Self::head(this, bin);
            let before = if back.is_null() { head.cast() } else { back };
            let link = if back.is_null() { Link::in_head(next) } else { Link::to(next) };
            addr_of_mut!((*before).next).write(link);
            Self::set_back(this, next, back);
            let is_empty = back.is_null() & next.is_null();
            // The bit is set (I8), so this clears it.
            let (word, _) = Self::map_word(this, bin);
            word.write(word.read() ^ (MapWord::from(is_empty) << (bin % BITS)));
        }
    }

    /// Empties the list of `bin`, whose gaps are lost.
    ///
    /// # Safety
    /// `this` must be a table.
    pub(crate) unsafe fn abandon(this: *mut Self, bin: usize) {
        // SAFETY: required of the caller.
        unsafe {
            Self::head(this, bin).write(null_mut());
            let (word, bit) = Self::map_word(this, bin);
            word.write(word.read() & !bit);
        }
    }

    /// Takes the first gap out of the list of `bin`.
    ///
    /// # Safety
    /// `this` must be a table, and its bit for `bin` set (I8).
    pub(crate) unsafe fn take_first(this: *mut Self, bin: usize) -> Chunk {
        // SAFETY: the list of a bin whose bit is set starts with a gap (I8); the next one in a list
        // is links, if it is not null (I7).
        unsafe {
            let head = Self::head(this, bin);
            let links = head.read();
            let next = addr_of!((*links).next).read().target();
            head.write(next);
            Self::set_back(this, next, null_mut());
            let (word, _) = Self::map_word(this, bin);
            word.write(word.read() ^ (MapWord::from(next.is_null()) << (bin % BITS)));
            Chunk::of_links(links)
        }
    }

    /// Returns whether the neighbours of `gap` in the list of `bin` point back at it (I7).
    ///
    /// # Safety
    /// `this` must be a table, and `gap` a gap in the list of that bin, whose links must be null or
    /// point into mapped memory.
    pub(crate) unsafe fn is_linked(this: *mut Self, bin: usize, gap: Chunk) -> bool {
        // SAFETY: required of the caller.
        unsafe {
            let links = gap.links();
            let Links { next, back } = links.read();
            let (next, back) = (next.target(), back.target());
            let before = if back.is_null() {
                Self::head(this, bin).read()
            } else {
                addr_of!((*back).next).read().target()
            };
            before == links && (next.is_null() || addr_of!((*next).back).read().target() == links)
        }
    }

    /// Returns whether the bit of `bin` is set.
    ///
    /// # Safety
    /// `this` must be a table.
    #[cfg(feature = "audit")]
    pub(crate) unsafe fn is_marked(this: *mut Self, bin: usize) -> bool {
        // SAFETY: required of the caller.
        unsafe {
            let (word, bit) = Self::map_word(this, bin);
            word.read() & bit != 0
        }
    }
}
