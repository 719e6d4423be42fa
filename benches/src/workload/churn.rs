//! Churn: a fixed number of live blocks, of which one, chosen at random, is freed and replaced each time.

use super::{BlockId, Builder, Workload};
use fastrand::Rng;

/// One setting of the figure.
#[derive(Clone, Copy, Debug)]
pub struct Churn {
    /// How many blocks are live.
    pub live: usize,
    /// Sizes are uniform in `min_size..=max_size`.
    pub min_size: u32,
    /// The largest size.
    pub max_size: u32,
}

/// The settings of the figure.
pub const SETTINGS: [Churn; 5] = [
    Churn { live: 1000, min_size: 8, max_size: 258 },
    Churn { live: 10_000, min_size: 8, max_size: 258 },
    Churn { live: 100_000, min_size: 8, max_size: 258 },
    Churn { live: 10_000, min_size: 8, max_size: 1000 },
    Churn { live: 1000, min_size: 8, max_size: 2000 },
];

impl Churn {
    /// The name in tables.
    pub fn name(self) -> String {
        format!("{} of {} to {}", self.live, self.min_size, self.max_size)
    }

    /// Writes down `replacements` of them. Before, each block has been replaced three times, unmeasured.
    pub fn build(self, replacements: usize, seed: u64) -> Workload {
        let mut rng = Rng::with_seed(seed);
        let mut builder = Builder::default();
        let size = |rng: &mut Rng| rng.u32(self.min_size..=self.max_size);
        let mut live: Vec<BlockId> =
            (0..self.live).map(|_| builder.alloc(size(&mut rng), 3)).collect();
        let warm = self.live * 3;
        for replacement in 0..warm + replacements {
            if replacement == warm {
                builder.begin();
            }
            let block = &mut live[rng.usize(0..self.live)];
            builder.free(*block);
            *block = builder.alloc(size(&mut rng), 3);
        }
        builder.finish(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_blocks_are_live_all_the_time() {
        let workload = Churn { live: 50, min_size: 8, max_size: 100 }.build(200, 1);
        assert_eq!((workload.measured().len(), workload.cleanup.len()), (400, 50));
        assert_eq!((workload.peak_blocks, workload.slots), (50, 50));
        assert!(workload.ops.iter().all(|op| (8..=100).contains(&op.size)));
    }
}
