//! Long runs of the models from numbered seeds.

use std::cell::Cell;

use talc_core::{Bins, CompactBins, DefaultBinning, SmallBinning};
use talc_sources::Binning;

#[cfg(feature = "wrappers")]
use crate::{Config, WrapperModel};
use crate::{CoreModel, Random};

/// How long the run of a seed is.
#[derive(Debug, Clone, Copy)]
pub struct Length {
    /// The number of operations.
    pub operations: u64,
    /// After how many of them everything is checked. What an operation returns is checked each time.
    pub check_every: u64,
}

thread_local! {
    static DONE: Cell<u64> = const { Cell::new(0) };
}

impl Length {
    fn run<M>(self, model: &mut M, mut act: impl FnMut(&mut M), mut check: impl FnMut(&mut M)) {
        for number in 1..=self.operations {
            DONE.set(number);
            act(model);
            if number % self.check_every == 0 {
                check(model);
            }
        }
    }
}

/// Returns which operation of its seed was the last one, the first being 1: for reporting a failure.
pub fn last_operation() -> u64 {
    DONE.get()
}

/// The number of shapes that [`run_core`] takes in turn.
pub const CORE_SHAPES: u64 = 9;

/// Runs the core's model. The seed chooses the binning, too, and in builds that have one, the size of the quarantine.
///
/// # Panics
/// Panics if the allocator does anything that it must not do.
pub fn run_core(seed: u64, length: Length) {
    fn run<B: Binning>(mut model: CoreModel<B>, seed: u64, length: Length) {
        let mut random = Random::new(seed);
        model.set_quarantine((seed / CORE_SHAPES % 4 * 16) as usize);
        length.run(&mut model, |model| model.act(&random.action()), CoreModel::check);
        model.finish();
    }
    match seed % CORE_SHAPES {
        0 => run(CoreModel::<DefaultBinning>::new(), seed, length),
        1 => run(CoreModel::<DefaultBinning>::with_complete_table(), seed, length),
        2 => run(CoreModel::<SmallBinning>::new(), seed, length),
        3 => run(CoreModel::<CompactBins<8, 4, 4096, 16, 1>>::new(), seed, length),
        4 => run(CoreModel::<CompactBins<16, 2, 512, 4, 24>>::new(), seed, length),
        5 => run(CoreModel::<Bins<1, 1, 1, 256, 3>>::new(), seed, length),
        6 => run(CoreModel::<Bins<16, 16, 2, 256, 4>>::new(), seed, length),
        7 => run(CoreModel::<Bins<32, 8, 2, 256, 3, 8>>::new(), seed, length),
        _ => run(CoreModel::<Bins<32, 8, 2, 4096, 16, 112>>::new(), seed, length),
    }
}

/// Runs the model of a wrapper.
///
/// # Panics
/// Panics if the allocator does anything that it must not do.
#[cfg(feature = "wrappers")]
pub fn run_wrapper(config: Config, seed: u64, length: Length) {
    let mut random = Random::new(seed);
    let mut model =
        if seed % 4 == 3 { WrapperModel::in_region(config) } else { WrapperModel::new(config) };
    length.run(&mut model, |model| model.act(&random.call()), |model| model.check());
    model.finish();
}
