//! The shapes of the bins: how sizes are spread over them, and where their table is.

use core::mem::size_of;
use core::ptr::addr_of_mut;

use crate::bins::{Binning, Front, Parts, Shape, Table};
use crate::chunk::chunk_size;
use crate::slab::{Slab, QUIET};

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
///   its class allocates from. So they suit heaps that are large beside `SLAB * CLASSES`, or that grow.
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
        assert!(Slab::slots(slab, 0) < QUIET as usize);
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

    const EMPTY: Self = Self { table: Front::<W, CLASSES>::PLACEHOLDER };
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
        unsafe { table.write(Table::PLACED) };
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::GRAIN;
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
