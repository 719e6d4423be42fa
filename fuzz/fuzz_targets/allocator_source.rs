//! The driver over `AllocatorSource`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::fuzz_allocator_source(bytes));
