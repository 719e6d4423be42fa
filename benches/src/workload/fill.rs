//! Random sizes with reallocs, growing until the arena fails: how full is it then?

use super::{BlockId, Builder, Workload};
use fastrand::Rng;

/// How sizes are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mix {
    /// Uniform in 1 to 512 bytes.
    Small,
    /// Uniform in 1 to 10,000 bytes.
    Uniform,
    /// Uniform in 1 byte to 64 KiB.
    Large,
    /// Every power of two from 8 bytes to 64 KiB equally likely, uniform in between.
    Logarithmic,
}

/// The mixes of the figure.
pub const MIXES: [Mix; 4] = [Mix::Uniform, Mix::Large, Mix::Logarithmic, Mix::Small];

impl Mix {
    /// The name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Mix::Small => "uniform 1 B to 512 B",
            Mix::Uniform => "uniform 1 B to 10 kB",
            Mix::Large => "uniform 1 B to 64 KiB",
            Mix::Logarithmic => "logarithmic 8 B to 64 KiB",
        }
    }

    pub(super) fn size(self, rng: &mut Rng) -> u32 {
        match self {
            Mix::Small => rng.u32(1..=512),
            Mix::Uniform => rng.u32(1..=10_000),
            Mix::Large => rng.u32(1..=1 << 16),
            Mix::Logarithmic => {
                let low = 1 << rng.u32(3..16);
                rng.u32(low..2 * low)
            }
        }
    }

    /// Half the actions allocate, four of ten resize, one frees, until `target` bytes are live.
    ///
    /// The alignment is 8, with half as many of each further power of two.
    pub fn build(self, target: usize, seed: u64) -> Workload {
        let mut rng = Rng::with_seed(seed);
        let mut builder = Builder::default();
        let mut live: Vec<BlockId> = Vec::new();
        while builder.live_bytes() < target {
            match rng.u8(0..10) {
                0..=4 => {
                    let align_log2 = 3 + (rng.u8(..) | 0x10).trailing_zeros() as u8 / 2;
                    live.push(builder.alloc(self.size(&mut rng), align_log2));
                }
                5 if !live.is_empty() => {
                    let index = rng.usize(0..live.len());
                    builder.free(live.swap_remove(index));
                }
                6..=9 if !live.is_empty() => {
                    let block = live[rng.usize(0..live.len())];
                    builder.realloc(block, self.size(&mut rng));
                }
                _ => {}
            }
        }
        builder.finish(self.name())
    }
}
