//! The models over what users have: without counters, without audits, and in release mode without any
//! check. `.ci/test` runs them with `--no-default-features --features wrappers`.

use fuzz::campaign::{run_core, run_wrapper, Length, CORE_SHAPES};
use fuzz::Config;

#[test]
fn the_core() {
    for seed in 0..4 * CORE_SHAPES {
        run_core(seed, Length { operations: 5000, check_every: 20 });
    }
}

#[test]
fn the_wrappers() {
    for (seed, config) in Config::all().into_iter().enumerate() {
        println!("{config}");
        run_wrapper(config, seed as u64, Length { operations: 2000, check_every: 20 });
    }
}

/// What no other test can: each of theirs is compiled with these features, as they are those of the models. Debug
/// builds keep what they have found.
#[test]
#[cfg(not(any(feature = "audit", feature = "counters", debug_assertions)))]
fn nothing_is_counted() {
    use std::mem::size_of;
    assert_eq!(size_of::<talc_core::RawTalc>(), size_of::<usize>());
}
