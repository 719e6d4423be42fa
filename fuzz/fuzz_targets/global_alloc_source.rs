//! The driver over `GlobalAllocSource`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::fuzz_global_alloc_source(bytes));
