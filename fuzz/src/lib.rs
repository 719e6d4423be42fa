//! Models of the allocator that check it at each step.
//!
//! An [`Action`] is one operation with numbers that the models interpret, so any sequence of
//! actions is a valid test. libFuzzer makes them from bytes, proptest makes (and shrinks) them as
//! values, and both run them through the same three models:
//!
//! - [`CoreModel`]: a [`RawTalc`] with heaps that are managed by hand;
//! - [`SourceModel`]: a [`Talc`](talc_sources::Talc) over a source that takes blocks from a
//!   [`Backing`] allocator, which keeps books and can be made to fail;
//! - [`WrapperModel`]: each wrapper, through both allocation traits, over any source.
//!
//! All hold a [`Shadow`], a map of live allocations, which checks that each one is aligned and
//! inside of a heap, overlaps no other, and still has its contents; all audit the allocator.
//! What is refused, and what is counted, is compared with a plain [`Reference`].
//!
//! The models need a global allocator and no operating system, so that firmware can run them, too; but for that of
//! the wrappers, with the feature `wrappers`.
#![cfg_attr(not(feature = "hosted"), no_std)]

extern crate alloc;

mod action;
mod backing;
#[cfg(feature = "hosted")]
pub mod campaign;
mod core_model;
mod fence;
mod input;
#[cfg(feature = "wrappers")]
pub mod program;
#[cfg(feature = "hosted")]
mod random;
mod reference;
mod shadow;
mod source_model;
mod targets;
#[cfg(feature = "wrappers")]
mod wrapper_model;

pub use action::{Action, Align, Pick, Size};
pub use backing::Backing;
pub use core_model::CoreModel;
#[cfg(feature = "hosted")]
pub use random::Random;
pub use reference::Reference;
pub use shadow::Shadow;
pub use source_model::{BlockSource, SourceModel};
pub use targets::{fixed_inputs, Target, TARGETS};
#[cfg(feature = "wrappers")]
pub use wrapper_model::{
    Call, Config, From, Ground, How, Inspect, Shape, Site, Tested, Wrapper, WrapperModel,
};

use input::for_each_action;
use talc_core::{Bins, CompactBins, DefaultBinning, RawTalc, SmallBinning};
use talc_sources::{AllocatorSource, Binning, GlobalAllocSource, RawTalcExt};

/// Whether the table is in the allocator's own value, and so there before any heap.
fn is_compact<B: Binning>() -> bool {
    RawTalc::<B>::new().is_metadata_established()
}

/// Whether the deallocation that leaves nothing in use says so, whatever slabs are kept. WebAssembly takes no memory
/// back, so that there, compact bins do not.
fn watches<B: Binning>() -> bool {
    !is_compact::<B>() || cfg!(not(target_family = "wasm"))
}

/// Runs the core's model over the actions that the bytes describe; the first byte chooses the
/// binning.
///
/// # Panics
/// Panics if the allocator does anything that it must not do.
pub fn fuzz_core(bytes: &[u8]) {
    fn run<B: Binning>(bytes: &[u8]) {
        run_on(CoreModel::<B>::new(), bytes);
    }
    fn run_on<B: Binning>(mut model: CoreModel<B>, bytes: &[u8]) {
        for_each_action(bytes, |action| model.step(action));
        model.finish();
    }
    let Some((binning, bytes)) = bytes.split_first() else { return };
    match binning % 6 {
        _ if *binning >= 240 => run_on(CoreModel::<DefaultBinning>::with_complete_table(), bytes),
        0 => run::<DefaultBinning>(bytes),
        1 => run::<SmallBinning>(bytes),
        2 => run::<Bins<1, 1, 1, 256, 3>>(bytes),
        3 => run::<Bins<16, 16, 4, 512, 8, 16>>(bytes),
        4 => run::<CompactBins<8, 4, 4096, 16>>(bytes),
        _ => run::<CompactBins<8, 4, 256, 3, 8>>(bytes),
    }
}

/// Runs the driver over `GlobalAllocSource`; the first byte chooses the binning and whether the
/// blocks come from the global allocator.
///
/// # Panics
/// Panics if the allocator or the source does anything that it must not do.
pub fn fuzz_global_alloc_source(bytes: &[u8]) {
    fuzz_source::<GlobalAllocSource<&'static Backing>>(bytes);
}

/// Runs the driver over `AllocatorSource`; the first byte chooses the binning and whether the
/// blocks come from the global allocator.
///
/// # Panics
/// Panics if the allocator or the source does anything that it must not do.
pub fn fuzz_allocator_source(bytes: &[u8]) {
    fuzz_source::<AllocatorSource<&'static Backing>>(bytes);
}

fn fuzz_source<S>(bytes: &[u8])
where
    S: BlockSource<DefaultBinning>
        + BlockSource<SmallBinning>
        + BlockSource<Bins<1, 1, 1, 256, 3>>
        + BlockSource<CompactBins<8, 4, 512, 8>>,
{
    fn run<S: BlockSource<B>, B: Binning>(backing: Backing, bytes: &[u8]) {
        let mut model = SourceModel::<S, B>::new(backing);
        for_each_action(bytes, |action| model.step(action));
        model.finish();
    }
    let Some((first, bytes)) = bytes.split_first() else { return };
    let backing = if first / 6 % 2 == 0 { Backing::default() } else { Backing::in_region() };
    match first % 6 {
        0 => run::<S, SmallBinning>(backing, bytes),
        1 => run::<S, Bins<1, 1, 1, 256, 3>>(backing, bytes),
        2 => run::<S, CompactBins<8, 4, 512, 8>>(backing, bytes),
        _ => run::<S, DefaultBinning>(backing, bytes),
    }
}

/// Runs a wrapper's model over the calls that the bytes describe; the first two bytes choose the
/// wrapper, its source and its binning, and whether blocks come from the system.
///
/// # Panics
/// Panics if the allocator does anything that it must not do.
#[cfg(feature = "wrappers")]
pub fn fuzz_wrapper(bytes: &[u8]) {
    let &[low, high, ref bytes @ ..] = bytes else { return };
    let number = usize::from(low) | usize::from(high) << 8;
    let all = Config::all();
    let config = all[number % all.len()];
    let mut model = if (number / all.len()).is_multiple_of(2) {
        WrapperModel::new(config)
    } else {
        WrapperModel::in_region(config)
    };
    let mut input = arbitrary::Unstructured::new(bytes);
    while !input.is_empty() {
        match input.arbitrary() {
            Ok(call) => model.step(&call),
            Err(_) => break,
        }
    }
    model.finish();
}
