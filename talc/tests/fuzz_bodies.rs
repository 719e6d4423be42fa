//! The bodies of the fuzz targets on found, fixed and random inputs, so that they also run where
//! there is no fuzzer.

use std::collections::BTreeSet;
use std::path::Path;

use fuzz::{Target, TARGETS};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

/// The folder of the package with the fuzz targets.
const FUZZ: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz");

/// Returns the names in a folder.
fn names(folder: &Path) -> BTreeSet<String> {
    let entries = folder.read_dir().unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn every_target_is_run_here() {
    let targets: BTreeSet<_> = TARGETS.iter().map(|target| format!("{}.rs", target.name)).collect();
    assert_eq!(names(&Path::new(FUZZ).join("fuzz_targets")), targets);
    // What is in a folder of another name would not be run.
    let mut others = names(&Path::new(FUZZ).join("regressions"));
    others.retain(|name| TARGETS.iter().all(|target| name != target.name));
    others.remove("proptest");
    assert_eq!(others, [String::from("README.md")].into());
}

/// Inputs that once broke something. `fuzz/regressions/README.md` says how one gets there.
#[test]
fn found_inputs() {
    for &Target { name, body, found } in TARGETS {
        let folder = Path::new(FUZZ).join("regressions").join(name);
        if found == 0 && !folder.exists() {
            continue;
        }
        let inputs = names(&folder);
        assert!(inputs.len() >= found, "{}: {} inputs", folder.display(), inputs.len());
        for input in inputs {
            // The output of a test that fails ends with the input that it failed on.
            println!("{name}/{input}");
            body(&std::fs::read(folder.join(input)).unwrap());
        }
    }
}

#[test]
fn fixed_inputs() {
    for &Target { body, .. } in TARGETS {
        for bytes in fuzz::fixed_inputs() {
            body(&bytes);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_failure_persistence(FileFailurePersistence::Direct(
        concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/regressions/proptest/fuzz_bodies.txt")
    )))]

    #[test]
    fn random_inputs(bytes in vec(any::<u8>(), 0..6000)) {
        for &Target { body, .. } in TARGETS {
            body(&bytes);
        }
    }
}
