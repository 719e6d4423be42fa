//! The core against its model, with several binnings: random actions, which are shrunk when they
//! fail.

use fuzz::{Action, Align, CoreModel, Pick, Size};
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use talc_core::{Bins, CompactBins, DefaultBinning, SmallBinning};
use talc_sources::Binning;

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let size = || any::<u32>().prop_map(Size);
    let align = || any::<u8>().prop_map(Align);
    let pick = || any::<u16>().prop_map(Pick);
    let action = prop_oneof![
        8 => (size(), align()).prop_map(|(size, align)| Action::Allocate { size, align }),
        6 => pick().prop_map(|block| Action::Deallocate { block }),
        2 => (pick(), size()).prop_map(|(block, by)| Action::Grow { block, by }),
        2 => (pick(), size()).prop_map(|(block, by)| Action::GrowDownwards { block, by }),
        2 => (pick(), size()).prop_map(|(block, to)| Action::Shrink { block, to }),
        2 => (pick(), size()).prop_map(|(block, to)| Action::Reallocate { block, to }),
        1 => (pick(), pick(), size())
            .prop_map(|(region, offset, size)| Action::Claim { region, offset, size }),
        1 => (pick(), size()).prop_map(|(heap, by)| Action::Extend { heap, by }),
        1 => (pick(), size()).prop_map(|(heap, by)| Action::Truncate { heap, by }),
        1 => (pick(), size()).prop_map(|(heap, to)| Action::Resize { heap, to }),
        1 => (pick(), pick(), size(), align()).prop_map(|(region, offset, size, align)| {
            Action::ClaimFor { region, offset, size, align }
        }),
        1 => (pick(), size(), align())
            .prop_map(|(heap, size, align)| Action::ExtendFor { heap, size, align }),
        1 => (pick(), pick(), size(), align()).prop_map(|(region, offset, size, align)| {
            Action::ClaimOrExtendFor { region, offset, size, align }
        }),
        1 => Just(Action::Trim),
    ];
    proptest::collection::vec(action, 1..if cfg!(miri) { 30 } else { 400 })
}

fn run<B: Binning>(actions: &[Action]) {
    let mut model = CoreModel::<B>::new();
    model.set_quarantine(actions.len() % 4 * 8);
    for action in actions {
        model.step(action);
    }
    model.finish();
}

proptest! {
    #![proptest_config(ProptestConfig::with_failure_persistence(FileFailurePersistence::Direct(
        concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/regressions/proptest/model.txt")
    )))]

    #[test]
    fn default_binning(actions in actions()) {
        run::<DefaultBinning>(&actions);
    }

    #[test]
    fn small_binning(actions in actions()) {
        run::<SmallBinning>(&actions);
    }

    /// The binning of the WebAssembly allocators.
    #[test]
    fn compact_slabs(actions in actions()) {
        run::<CompactBins<8, 4, 4096, 16>>(&actions);
    }

    #[test]
    fn smallest_compact_slabs(actions in actions()) {
        run::<CompactBins<16, 2, 256, 3>>(&actions);
    }

    /// One bin for each doubling, which makes long lists.
    #[test]
    fn coarse_binning(actions in actions()) {
        run::<Bins<1, 1, 1>>(&actions);
    }

    #[test]
    fn coarse_compact_binning(actions in actions()) {
        run::<CompactBins<1, 1>>(&actions);
    }

    /// Slabs so small that all of their states occur often.
    #[test]
    fn smallest_slabs(actions in actions()) {
        run::<Bins<32, 8, 2, 256, 3>>(&actions);
    }

    /// The last bin holds everything from 32 KiB on.
    #[test]
    fn fine_binning(actions in actions()) {
        run::<Bins<16, 16, 2, 256, 4>>(&actions);
    }

    /// Magazines of one to four slots, and of a chunk.
    #[test]
    fn magazines(actions in actions()) {
        run::<Bins<32, 8, 2, 256, 3, 8>>(&actions);
    }

    #[test]
    fn magazines_in_one_heap(actions in actions()) {
        let mut model = CoreModel::<Bins<32, 8, 2, 256, 3, 8>>::with_complete_table();
        for action in &actions {
            model.step(action);
        }
        model.finish();
    }

    /// Magazines of up to 32 slots and 8 chunks, which are never closed.
    #[test]
    fn compact_magazines(actions in actions()) {
        run::<CompactBins<16, 2, 512, 4, 24>>(&actions);
    }

    /// Magazines of chunks, and no slabs.
    #[test]
    fn magazines_without_slabs(actions in actions()) {
        run::<Bins<16, 4, 2, 0, 0, 32>>(&actions);
    }
}
