//! How sizes are spread over bins.

use super::BINS_INSIDE;
use crate::memory::chunk::GRAIN;

/// How the sizes of an exponent are spread.
#[derive(Clone, Copy)]
struct Step {
    shift: u16,
    base: u16,
}

/// A spread of sizes over the bins of [`Bins`](super::bins::Bins).
pub(crate) struct Spread<
    const LINEAR: usize,
    const PER_DOUBLING: usize,
    const WORDS: usize,
    const INSIDE: usize,
>;

impl<const LINEAR: usize, const PER_DOUBLING: usize, const WORDS: usize, const INSIDE: usize>
    Spread<LINEAR, PER_DOUBLING, WORDS, INSIDE>
{
    /// The number of bins.
    pub(super) const COUNT: usize = if INSIDE == 0 { 64 * WORDS } else { BINS_INSIDE };

    const MANTISSA_BITS: u32 = PER_DOUBLING.trailing_zeros();

    /// Returns the index of a size in bytes.
    ///
    /// It is like a floating-point number, with the exponent above the mantissa, of which a short
    /// linear part is a part. For a long linear part, a table has the bits of mantissa of each
    /// exponent. Neither needs a branch on the size, which random sizes would make the processor
    /// mispredict.
    pub(crate) const fn index(size: usize) -> usize {
        if LINEAR <= 2 * PER_DOUBLING {
            // So far, the mantissa itself is linear.
            let grains = size / GRAIN;
            let exponent = usize::BITS - 1 - (grains | PER_DOUBLING).leading_zeros();
            let shift = exponent - Self::MANTISSA_BITS;
            let index = ((shift as usize) << Self::MANTISSA_BITS) + (grains >> shift);
            if index < Self::COUNT {
                index
            } else {
                Self::COUNT - 1
            }
        } else {
            // So 0 has a bin of its own without being an exception.
            let exponent = usize::BITS - 1 - (size | 1).leading_zeros();
            let step = Self::STEPS[exponent as usize];
            (size >> step.shift) + step.base as usize
        }
    }

    /// For each exponent of a size in bytes.
    const STEPS: [Step; usize::BITS as usize] = {
        const GRAIN_BITS: u32 = GRAIN.trailing_zeros();
        let mut steps = [Step { shift: GRAIN_BITS as u16, base: 0 }; usize::BITS as usize];
        let mut first = LINEAR;
        let mut exponent = LINEAR.trailing_zeros() + GRAIN_BITS;
        while exponent < usize::BITS {
            let is_fine = first + PER_DOUBLING <= Self::COUNT - Self::COUNT / 4;
            let coarse = Self::MANTISSA_BITS.saturating_sub(1);
            let bits = if is_fine { Self::MANTISSA_BITS } else { coarse };
            if first + (1 << bits) <= Self::COUNT {
                // The shift alone turns the smallest size of this exponent into 1 << bits.
                let base = (first - (1 << bits)) as u16;
                steps[exponent as usize] = Step { shift: (exponent - bits) as u16, base };
                first += 1 << bits;
            } else {
                // All larger sizes are in the last bin.
                let base = Self::COUNT as u16 - 2;
                steps[exponent as usize] = Step { shift: exponent as u16, base };
            }
            exponent += 1;
        }
        steps
    };
}
