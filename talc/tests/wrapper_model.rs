//! Each wrapper over each source and with several binnings, through both allocation traits: random
//! calls, which are shrunk when they fail, and calls from fixed seeds.

#[path = "../../talc-sources/tests/common/support.rs"]
#[allow(dead_code, unreachable_pub)]
mod support;

use fuzz::campaign::{run_wrapper, Length};
use fuzz::{Align, Call, Config, How, Pick, Size, WrapperModel};
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use support::rounds;

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let size = || any::<u32>().prop_map(Size);
    let align = || any::<u8>().prop_map(Align);
    let pick = || any::<u16>().prop_map(Pick);
    let how = || any::<(bool, bool)>().prop_map(|(by_global, zeroed)| How { by_global, zeroed });
    let call = prop_oneof![
        8 => (size(), align(), how())
            .prop_map(|(size, align, how)| Call::Allocate { size, align, how }),
        6 => (pick(), how()).prop_map(|(block, how)| Call::Deallocate { block, how }),
        6 => (pick(), size(), align(), how())
            .prop_map(|(block, to, align, how)| Call::Resize { block, to, align, how }),
        1 => Just(Call::Trim),
        1 => (pick(), size()).prop_map(|(region, size)| Call::Claim { region, size }),
        1 => any::<Option<u8>>().prop_map(|calls| Call::FailAfter { calls }),
    ];
    proptest::collection::vec(call, 1..if cfg!(miri) { 30 } else { 300 })
}

proptest! {
    #![proptest_config(ProptestConfig::with_failure_persistence(FileFailurePersistence::Direct(
        concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/regressions/proptest/wrapper_model.txt")
    )))]

    #[test]
    fn random_calls(number in any::<usize>(), in_region in any::<bool>(), calls in calls()) {
        let all = Config::all();
        let config = all[number % all.len()];
        let mut model =
            if in_region { WrapperModel::in_region(config) } else { WrapperModel::new(config) };
        for call in &calls {
            model.step(call);
        }
        model.finish();
    }
}

#[test]
fn each_combination_from_fixed_seeds() {
    let all = Config::all();
    assert!(all.len() > 100, "{} combinations", all.len());
    let length = Length { operations: rounds(1500) as u64, check_every: 50 };
    for (number, config) in all.into_iter().enumerate() {
        // The output of a test that fails ends with what it failed on.
        println!("{config}");
        run_wrapper(config, number as u64, length);
    }
}
