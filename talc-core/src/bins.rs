//! The bins: free lists of gaps of similar size, and the bitmap that says which are not empty.
//!
//! A list is linked through the payloads of its gaps. It starts at a head of one word and ends at
//! the table's own `tail`, whose `back` takes the writes that would otherwise need a branch:
//!
//! ```text
//!   heads[bin] ──► gap ──next──► gap ──next──► tail
//!        ▲──back───┘  ▲───back────┘  ▲───back───┘ (written, never read)
//! ```

use core::mem::size_of;
use core::ptr::{addr_of, addr_of_mut, null_mut};

use crate::chunk::{Chunk, HeapBase, GRAIN};
use crate::slab::Slab;

/// The links of a gap in its bin's list.
#[repr(C)]
pub(crate) struct Links {
    /// First, so that a pointer to a head can stand for a pointer to the links before it.
    next: *mut Links,
    back: *mut Links,
}

/// How the sizes from one power of two up to the next are spread over bins.
#[derive(Clone, Copy)]
struct Step {
    shift: u16,
    base: u16,
}

/// The shape of the free lists, and the table that holds them.
///
/// As a type parameter of [`RawTalc`](crate::RawTalc) it says how gaps are sorted by size. The
/// table itself is placed at the start of the first heap that is claimed, never on its own.
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
#[repr(C)]
pub struct Bins<
    const LINEAR: usize,
    const PER_DOUBLING: usize,
    const WORDS: usize,
    const SLAB: usize = 0,
    const CLASSES: usize = 0,
> {
    map: [u64; WORDS],
    heads: [[*mut Links; 64]; WORDS],
    tail: Links,
    /// The root of the list of heaps.
    pub(crate) heaps: *mut HeapBase,
    /// The sum of all heaps' sizes. This and what follows is only there if there are slabs.
    pub(crate) heap_bytes: usize,
    /// For each class, the slab that it allocates from, or `none`.
    pub(crate) current: [*mut Slab; CLASSES],
    /// For each class, the first of its partial slabs, in a circular list.
    pub(crate) partial: [*mut Slab; CLASSES],
    /// For each size of a small chunk, how many live ones slots could hold.
    pub(crate) small_chunks: [u32; CLASSES],
    /// How many slabs are current, partial or spare.
    pub(crate) open: usize,
    /// The first of the spare slabs, each of which points to the next one.
    pub(crate) spare: *mut Slab,
    /// What stands for a slab where a class has none.
    pub(crate) none: Slab,
}

/// A bin for each size below 1 KiB, sixteen per doubling up to 256 KiB, eight up to 64 MiB, and slabs
/// of 4 KiB for sizes of up to 256 bytes.
pub type DefaultBinning = Bins<64, 16, 4, 4096, 16>;

/// Four bins per doubling up to 2 MiB: for microcontrollers, a first heap of under 400 bytes
/// on 32-bit targets, and no slabs.
pub type SmallBinning = Bins<8, 4, 1>;

impl<
        const LINEAR: usize,
        const PER_DOUBLING: usize,
        const WORDS: usize,
        const SLAB: usize,
        const CLASSES: usize,
    > Bins<LINEAR, PER_DOUBLING, WORDS, SLAB, CLASSES>
{
    pub(crate) const COUNT: usize = 64 * WORDS;

    const MANTISSA_BITS: u32 = PER_DOUBLING.trailing_zeros();

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
            (SLAB == 0) == (CLASSES == 0),
            "Bins: SLAB and CLASSES must both be 0, for no slabs, or neither"
        );
        if SLAB != 0 {
            assert!(
                SLAB.is_power_of_two() && SLAB >= 256 && SLAB <= 32 << 10,
                "Bins: SLAB must be a power of two from 256 to 32768"
            );
            assert!(
                CLASSES <= 256 && Slab::slots(SLAB, CLASSES - 1) >= 2,
                "Bins: two slots of the largest class must fit into a slab"
            );
        }
    };

    /// The bin of gaps of `size` bytes.
    #[inline]
    pub(crate) const fn bin_of(size: usize) -> usize {
        Self::index(size / GRAIN)
    }

    /// The first bin all of whose gaps hold `size` bytes; [`COUNT`](Self::COUNT) or more if there
    /// is none.
    #[inline]
    pub(crate) const fn bin_above(size: usize) -> usize {
        Self::index(size / GRAIN - 1) + 1
    }

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

    /// What to do with the sizes of each exponent.
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

    /// Makes a table of empty lists at `table`.
    ///
    /// # Safety
    /// `table` must be valid for writes, and aligned.
    pub(crate) unsafe fn init(table: *mut Self) {
        // SAFETY: required of the caller.
        unsafe {
            addr_of_mut!((*table).map).write([0; WORDS]);
            addr_of_mut!((*table).tail).write(Links { next: null_mut(), back: null_mut() });
            addr_of_mut!((*table).heaps).write(null_mut());
            if SLAB != 0 {
                addr_of_mut!((*table).heap_bytes).write(0);
                addr_of_mut!((*table).open).write(0);
                addr_of_mut!((*table).spare).write(null_mut());
                addr_of_mut!((*table).none).write(Slab::NONE);
                let none = addr_of_mut!((*table).none);
                addr_of_mut!((*table).current).write([none; CLASSES]);
                addr_of_mut!((*table).partial).write([null_mut(); CLASSES]);
                addr_of_mut!((*table).small_chunks).write([0; CLASSES]);
            }
            for bin in 0..Self::COUNT {
                Self::head(table, bin).write(Self::tail(table));
            }
        }
    }

    /// The address of a list's head.
    ///
    /// # Safety
    /// `table` must be a table, and `bin < COUNT`.
    #[inline]
    unsafe fn head(table: *mut Self, bin: usize) -> *mut *mut Links {
        debug_assert!(bin < Self::COUNT);
        // SAFETY: in bounds, as required of the caller.
        unsafe { addr_of_mut!((*table).heads).cast::<*mut Links>().add(bin) }
    }

    #[inline]
    unsafe fn tail(table: *mut Self) -> *mut Links {
        // SAFETY: `table` is a table, as required of the caller.
        unsafe { addr_of_mut!((*table).tail) }
    }

    /// The address of the bitmap word of `bin`, and the bin's bit in it.
    #[inline]
    unsafe fn map_word(table: *mut Self, bin: usize) -> (*mut u64, u64) {
        debug_assert!(bin < Self::COUNT);
        // SAFETY: in bounds, as required of the caller.
        let word = unsafe { addr_of_mut!((*table).map).cast::<u64>().add(bin / 64) };
        (word, 1 << (bin % 64))
    }

    /// The first bin from `bin` on that is not empty. At most `WORDS` steps.
    ///
    /// # Safety
    /// `table` must be a table.
    #[inline]
    pub(crate) unsafe fn first_from(table: *mut Self, bin: usize) -> Option<usize> {
        let mut word = bin / 64;
        if word >= WORDS {
            return None;
        }
        // SAFETY: `word < WORDS` here and below; only this reference to the map exists.
        let map = unsafe { &*addr_of!((*table).map) };
        let mut bits = map[word] & (!0 << (bin % 64));
        while bits == 0 {
            word += 1;
            if word == WORDS {
                return None;
            }
            bits = map[word];
        }
        Some(word * 64 + bits.trailing_zeros() as usize)
    }

    /// The last bin that is not empty.
    ///
    /// # Safety
    /// `table` must be a table.
    pub(crate) unsafe fn last(table: *mut Self) -> Option<usize> {
        // SAFETY: required of the caller.
        let map = unsafe { &*addr_of!((*table).map) };
        let word = map.iter().rposition(|&bits| bits != 0)?;
        Some(word * 64 + 63 - map[word].leading_zeros() as usize)
    }

    /// The first gap of a bin that is not empty.
    ///
    /// # Safety
    /// `table` must be a table, and its bit for `bin` set (I8).
    #[inline]
    pub(crate) unsafe fn first_gap(table: *mut Self, bin: usize) -> Chunk {
        // SAFETY: the list of a bin whose bit is set starts with a gap (I8).
        unsafe { Chunk::of_links(Self::head(table, bin).read()) }
    }

    /// The gap after `gap` in its list, or the first one of the list of `bin`; `None` at the tail.
    ///
    /// # Safety
    /// `table` must be a table, and `gap` in its list of `bin` (I7).
    pub(crate) unsafe fn next_gap(
        table: *mut Self,
        bin: usize,
        gap: Option<Chunk>,
    ) -> Option<Chunk> {
        // SAFETY: heads and the links of gaps in a list are initialised (I7).
        let next = unsafe {
            match gap {
                Some(gap) => addr_of!((*gap.links()).next).read(),
                None => Self::head(table, bin).read(),
            }
        };
        // SAFETY: `table` is a table.
        if next == unsafe { Self::tail(table) } {
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
    pub(crate) unsafe fn link(table: *mut Self, gap: Chunk, size: usize) {
        let bin = Self::bin_of(size);
        let links = gap.links();
        // SAFETY: the payload of a gap is its links'; what the head points to is a gap's links or
        // the tail, both valid for writes (I7).
        unsafe {
            let head = Self::head(table, bin);
            let first = head.read();
            links.write(Links { next: first, back: head.cast() });
            addr_of_mut!((*first).back).write(links);
            head.write(links);
            let (word, bit) = Self::map_word(table, bin);
            word.write(word.read() | bit);
        }
    }

    /// Takes a gap out of its list.
    ///
    /// # Safety
    /// `table` must be a table, and `gap` a gap in the list of its bin.
    #[inline]
    pub(crate) unsafe fn unlink(table: *mut Self, gap: Chunk) {
        // SAFETY: both neighbours in a list are links, a head or the tail, valid for writes (I7).
        unsafe {
            let Links { next, back } = gap.links().read();
            addr_of_mut!((*back).next).write(next);
            addr_of_mut!((*next).back).write(back);
            // The list is empty now if the gap stood between the bin's head and the tail; then
            // the head's address says which bin it is. It is a coin flip: no branch.
            let heads = addr_of_mut!((*table).heads) as usize;
            let bin = (back as usize).wrapping_sub(heads) / size_of::<*mut Links>();
            let is_empty = (bin < Self::COUNT) & (next == Self::tail(table));
            let (word, bit) = Self::map_word(table, if is_empty { bin } else { 0 });
            word.write(word.read() & !(bit * u64::from(is_empty)));
        }
    }

    /// Takes the first gap out of the list of `bin`.
    ///
    /// # Safety
    /// `table` must be a table, and its bit for `bin` set (I8).
    #[inline]
    pub(crate) unsafe fn take_first(table: *mut Self, bin: usize) -> Chunk {
        // SAFETY: the list of a bin whose bit is set starts with a gap (I8); the next one in a list
        // is links or the tail, valid for writes (I7).
        unsafe {
            let head = Self::head(table, bin);
            let links = head.read();
            let next = addr_of!((*links).next).read();
            head.write(next);
            addr_of_mut!((*next).back).write(head.cast());
            // Whether the list is empty now is a coin flip: no branch.
            let is_empty = next == Self::tail(table);
            let (word, _) = Self::map_word(table, bin);
            word.write(word.read() & !(u64::from(is_empty) << (bin % 64)));
            Chunk::of_links(links)
        }
    }

    /// Whether the neighbours of `gap` in its list point back at it (I7).
    ///
    /// # Safety
    /// As for [`next_gap`](Self::next_gap), and both links must point into mapped memory.
    #[cfg(feature = "audit")]
    pub(crate) unsafe fn is_linked(table: *mut Self, gap: Chunk) -> bool {
        // SAFETY: required of the caller.
        unsafe {
            let links = gap.links();
            let Links { next, back } = links.read();
            addr_of!((*back).next).read() == links
                && (next == Self::tail(table) || addr_of!((*next).back).read() == links)
        }
    }

    /// Whether the bit of `bin` is set.
    ///
    /// # Safety
    /// `table` must be a table.
    #[cfg(feature = "audit")]
    pub(crate) unsafe fn is_marked(table: *mut Self, bin: usize) -> bool {
        // SAFETY: required of the caller.
        unsafe {
            let (word, bit) = Self::map_word(table, bin);
            word.read() & bit != 0
        }
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

    #[test]
    fn the_tables_are_as_small_as_documented() {
        if cfg!(target_pointer_width = "64") {
            assert!(size_of::<DefaultBinning>() <= 2560);
        } else {
            assert!(crate::min_first_heap_size::<SmallBinning>() < 400);
        }
    }
}
