//! What comes and goes: objects of which none is live at the end, freed in various orders.

use super::fill::Mix;
use super::{BlockId, Builder, Workload};
use fastrand::Rng;

const SEED: u64 = 1;

/// How many objects [`mixed`] keeps live, one phase after another, in thousandths of the most.
const PHASES: [usize; 8] = [1000, 125, 750, 60, 1000, 500, 900, 60];

/// Allocations, frees and, every fourth time, reallocs of 8 bytes to 64 KiB, logarithmically. The
/// live set goes up and down in phases, to at most `most` objects. What is left at the end is freed
/// in the order in which it was allocated.
pub fn mixed(operations: usize, most: usize) -> Workload {
    let mut rng = Rng::with_seed(SEED);
    let mut builder = Builder::default();
    let mut live: Vec<BlockId> = Vec::new();
    let phase = operations.div_ceil(PHASES.len());
    for operation in 0..operations {
        let (number, done) = (operation / phase, operation % phase);
        let from = number.checked_sub(1).map_or(0, |previous| PHASES[previous]);
        let (from, to) = (from * most / 1000, PHASES[number] * most / 1000);
        // A straight line from the last phase's number of objects to this one's.
        let wanted = (from * (phase - done) + to * done) / phase;
        if rng.u8(0..4) == 0 && !live.is_empty() {
            let block = live[rng.usize(0..live.len())];
            builder.realloc(block, Mix::Logarithmic.size(&mut rng));
        } else if live.is_empty() || (live.len() < wanted) != (rng.u8(0..8) == 0) {
            live.push(builder.alloc(Mix::Logarithmic.size(&mut rng), rng.u8(0..=3)));
        } else {
            let index = rng.usize(0..live.len());
            builder.free(live.swap_remove(index));
        }
    }
    builder.finish("mixed")
}

/// In which order objects are freed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// As they were allocated.
    Same,
    /// The last one first.
    Reverse,
    /// At random.
    Shuffled,
}

impl Order {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Same, Self::Reverse, Self::Shuffled];

    /// The name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Same => "in order",
            Self::Reverse => "in reverse",
            Self::Shuffled => "shuffled",
        }
    }
}

/// Objects of 1 to 250 bytes, all live at once.
pub fn crowd(objects: usize, order: Order) -> Workload {
    let mut rng = Rng::with_seed(SEED);
    let mut builder = Builder::default();
    let mut live: Vec<BlockId> = (0..objects).map(|_| builder.alloc(rng.u32(1..=250), 3)).collect();
    match order {
        Order::Same => {}
        Order::Reverse => live.reverse(),
        Order::Shuffled => rng.shuffle(&mut live),
    }
    live.into_iter().for_each(|block| builder.free(block));
    builder.finish(format!("1 to 250 bytes, {}", order.name()))
}

/// Sixteen times a large object, and then many small ones of one size, another one each time. The
/// large ones are freed before all small ones, or after them.
pub fn layers(large: u32, small: usize, large_first: bool) -> Workload {
    let mut builder = Builder::default();
    let (mut large_ones, mut small_ones) = (Vec::new(), Vec::new());
    for layer in 1..=16 {
        large_ones.push(builder.alloc(large, 4));
        small_ones.extend((0..small).map(|_| builder.alloc(16 * layer, 3)));
    }
    let (first, last, name) = if large_first {
        (large_ones, small_ones, "large ones first")
    } else {
        (small_ones, large_ones, "small ones first")
    };
    first.into_iter().chain(last).for_each(|block| builder.free(block));
    builder.finish(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mixed_follows_its_phases() {
        let workload = mixed(40_000, 1000);
        assert_eq!(workload.ops.len(), 40_000);
        assert!((900..1100).contains(&workload.peak_blocks), "{}", workload.peak_blocks);
        assert!((30..120).contains(&workload.cleanup.len()), "{}", workload.cleanup.len());
    }

    #[test]
    fn orders_free_everything() {
        for order in Order::ALL {
            let workload = crowd(100, order);
            assert_eq!((workload.ops.len(), workload.peak_blocks), (200, 100));
            assert!(workload.cleanup.is_empty());
        }
        let freed_first = |large_first| layers(1 << 16, 10, large_first).ops[16 * 11].size;
        assert_eq!((freed_first(true), freed_first(false)), (1 << 16, 16));
    }
}
