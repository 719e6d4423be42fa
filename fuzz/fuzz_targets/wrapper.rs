//! The wrappers, over each source.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::fuzz_wrapper(bytes));
