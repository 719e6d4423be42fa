//! The core over heaps that are managed by hand.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::fuzz_core(bytes));
