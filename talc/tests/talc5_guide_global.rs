//! The global allocator of talc 5's guide, word for word: a program without a test harness, whose
//! threads and messages would not fit into its heap in every configuration.
#![allow(clippy::undocumented_unsafe_blocks)]

#[rustfmt::skip] // As it stands there.
use talc::{*, source::Claim};

#[global_allocator]
static TALC: TalcLock<spinning_top::RawSpinlock, Claim> = TalcLock::new(unsafe {
    static mut INITIAL_HEAP: [u8; min_first_heap_size::<DefaultBinning>() + 100000] =
        [0; min_first_heap_size::<DefaultBinning>() + 100000];

    Claim::array(&raw mut INITIAL_HEAP)
});

fn main() {
    let mut vec = Vec::with_capacity(100);
    vec.extend(0..300usize);
}
