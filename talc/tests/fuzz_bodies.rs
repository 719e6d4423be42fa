//! The bodies of the fuzz targets on fixed and on random inputs, so that they also run where there
//! is no fuzzer.

use proptest::collection::vec;
use proptest::prelude::*;
use talc_fuzz::{fuzz_allocator_source, fuzz_core, fuzz_global_alloc_source};

const BODIES: [fn(&[u8]); 3] = [fuzz_core, fuzz_global_alloc_source, fuzz_allocator_source];

#[test]
fn fixed_inputs() {
    for body in BODIES {
        body(&[]);
        for byte in 0..=255 {
            body(&[byte; 600]);
        }
        // Each pair of neighbouring actions, with numbers that differ.
        for step in 1..32_usize {
            let bytes: Vec<u8> = (0..4096).map(|at| ((at * step * step) >> 3) as u8).collect();
            body(&bytes);
        }
    }
}

proptest! {
    #[test]
    fn random_inputs(bytes in vec(any::<u8>(), 0..6000)) {
        for body in BODIES {
            body(&bytes);
        }
    }
}
