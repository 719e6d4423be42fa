//! What small heaps hold, beside talc 5.1.1: MIGRATION.md says that it is at least as much.

use std::alloc::{GlobalAlloc, Layout};

#[repr(align(4096))]
struct Memory([u8; 8 << 10]);

/// Defines how many bytes a version hands out in a heap of `size` bytes, until a block of `block`
/// bytes fails.
macro_rules! handed_out {
    ($name:ident, $version:ident) => {
        fn $name(size: usize, block: usize) -> usize {
            let mut memory = Box::new(Memory([0; 8 << 10]));
            let talc = $version::TalcCell::new($version::source::Manual);
            // SAFETY: nothing else uses the memory.
            if unsafe { talc.claim(memory.0.as_mut_ptr(), size) }.is_none() {
                return 0;
            }
            let layout = Layout::from_size_align(block, 8).unwrap();
            // SAFETY: the layout has a size.
            let allocate = || !unsafe { GlobalAlloc::alloc(&talc, layout) }.is_null();
            (0..).take_while(|_| allocate()).count() * block
        }
    };
}

handed_out!(now, talc);
handed_out!(before, talc5);

#[test]
fn small_heaps_hold_as_much_as_before() {
    for size in [2 << 10, 4 << 10, 8 << 10] {
        for block in 1..=1100 {
            let (now, before) = (now(size, block), before(size, block));
            assert!(now >= before, "blocks of {block} bytes in {size}: {now}, before {before}");
        }
    }
}

#[test]
fn a_first_heap_needs_no_more_than_before() {
    let now = talc::min_first_heap_size::<talc::DefaultBinning>();
    let before = talc5::min_first_heap_size::<talc5::DefaultBinning>();
    assert!(now <= before, "{now}, before {before}");
}
