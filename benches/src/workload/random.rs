//! Random actions: sizes uniform up to a maximum, around a fixed number of live blocks.

use super::{BlockId, Builder, Workload};
use fastrand::Rng;

/// The maximum sizes of the figure.
pub const MAX_SIZES: [u32; 5] = [200, 1000, 3000, 10_000, 30_000];

/// One setting of the figure.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Sizes are uniform in `1..=max_size`.
    pub max_size: u32,
    /// How many blocks are live, give or take a fifth.
    pub live: usize,
    /// Whether a third of the actions resize a block to another random size.
    pub realloc: bool,
    /// How many actions are measured.
    pub actions: usize,
    /// Seed of the generator.
    pub seed: u64,
}

impl Plan {
    /// The name in tables.
    pub fn name(&self) -> String {
        let realloc = if self.realloc { " with realloc" } else { "" };
        format!("up to {}, {} live{realloc}", self.max_size, self.live)
    }

    /// Writes the actions down. The heap is first brought to a steady state, unmeasured.
    pub fn build(&self) -> Workload {
        let mut rng = Rng::with_seed(self.seed);
        let mut builder = Builder::default();
        let mut live: Vec<BlockId> = Vec::with_capacity(self.live * 2);
        // As many actions again as it takes for each block to have been replaced some times.
        let warm = self.live * 8;
        for action in 0..warm + self.actions {
            if action == warm {
                builder.begin();
            }
            if self.realloc && live.len() > 1 && rng.u8(0..3) == 0 {
                let block = live[rng.usize(0..live.len())];
                builder.realloc(block, rng.u32(1..=self.max_size));
            } else if self.wants_alloc(&mut rng, live.len()) {
                live.push(builder.alloc(rng.u32(1..=self.max_size), rng.u8(0..=3)));
            } else {
                let index = rng.usize(0..live.len());
                builder.free(live.swap_remove(index));
            }
        }
        builder.finish(self.name())
    }

    /// A fair coin inside the band around the wanted number of live blocks; no choice outside.
    fn wants_alloc(&self, rng: &mut Rng, live: usize) -> bool {
        let slack = self.live / 5;
        if live <= self.live - slack {
            true
        } else if live >= self.live + slack {
            false
        } else {
            rng.bool()
        }
    }
}
