//! The bodies of the fuzz targets on fixed and on random inputs, so that they also run where there
//! is no fuzzer.

use fuzz::{fuzz_allocator_source, fuzz_core, fuzz_global_alloc_source};
use proptest::collection::vec;
use proptest::prelude::*;

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

/// What libFuzzer has found: a first heap that had been free, and was in use again by a slot, when a
/// block was kept for lack of room there.
#[test]
fn found_inputs() {
    let kept_a_block: &[u8] = &[
        79, 235, 98, 60, 0, 0, 98, 0, 102, 98, 98, 98, 20, 98, 98, 98, 98, 98, 85, 85, 5, 101, 229,
        229, 229, 40, 0, 0, 85, 85, 0, 87, 1, 85, 85, 5, 101, 98, 98, 98, 98, 98, 98, 98, 98, 98,
        20, 98, 98, 98, 98, 98, 98, 98, 98, 98, 98, 98, 98, 98, 98, 98, 98, 98, 98, 98, 98, 98, 98,
        98, 98, 98, 98, 60, 0, 0, 98, 98, 98, 98, 20, 102, 98, 98, 98, 98, 98, 98, 98, 98, 98, 98,
        98, 98, 98, 98, 98, 98, 98, 98, 98, 98, 98, 98, 98, 98, 98, 98, 98, 98, 98, 98, 98, 98, 98,
        98, 2, 0, 0, 98, 102, 20, 98, 98, 98, 98, 98, 98, 98, 98, 98, 98, 98, 98, 98, 98, 98, 98,
        98, 98, 98, 98, 137, 98, 98, 98, 98, 98, 98, 98, 98, 98, 98, 12, 0, 0, 0, 98, 98, 98, 98,
        98, 98, 98, 98, 98, 98, 98, 98, 98, 98, 98, 98, 98, 98, 98, 98, 98, 98, 2, 0, 0, 0, 98, 0,
        0, 79, 91, 3, 43, 3, 3, 63, 0, 0, 0, 0, 0, 0, 0, 164, 164, 228, 255, 255, 255,
    ];
    for body in BODIES {
        body(kept_a_block);
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
