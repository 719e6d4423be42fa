//! The peaks of the counters: the most that was allocated, and the least that was available.
#![cfg(feature = "counters")]

use std::alloc::Layout;

use talc_core::{Bins, CompactBins, DefaultBinning, RawTalc, SmallBinning};
use talc_sources::{Binning, RawTalcExt};

const SIZE: usize = 1 << 18;

/// What the test sees after each operation.
#[derive(Debug, PartialEq)]
struct Peaks {
    most: usize,
    least: usize,
}

fn they_are_what_was_seen<B: Binning>() {
    let mut memory = vec![0_u128; SIZE / 16];
    let mut talc = <RawTalc<B> as RawTalcExt>::new();
    assert_eq!(talc.counters().least_available_bytes(), 0);
    // SAFETY: nothing else uses the memory.
    unsafe { talc.claim(memory.as_mut_ptr().cast(), SIZE) }.expect("large enough");
    let available = talc.counters().available_bytes;
    let mut seen = Peaks { most: 0, least: available };
    let mut live: Vec<(*mut u8, Layout)> = Vec::new();
    let mut random = 7_u32;
    for step in 0..4000 {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let number = (random >> 8) as usize;
        // It fills, and empties again.
        let allocates = if step % 1000 < 500 { number % 4 != 0 } else { number % 4 == 0 };
        if allocates {
            let layout = Layout::from_size_align(1 + number / 4 % 900, 8).unwrap();
            if let Some(block) = talc.try_allocate(layout) {
                live.push((block.as_ptr(), layout));
            }
        } else if !live.is_empty() {
            let index = number / 4 % live.len();
            let (block, layout) = live.swap_remove(index);
            let smaller = layout.size() / 2 + 1;
            // SAFETY: the block is live and has this layout.
            unsafe {
                if number % 3 == 0 && smaller < layout.size() {
                    let _ = talc.shrink(block, layout, smaller);
                    live.push((block, Layout::from_size_align(smaller, 8).unwrap()));
                } else if number % 3 == 1
                    && talc.try_grow_in_place(block, layout, layout.size() + 40)
                {
                    let grown = Layout::from_size_align(layout.size() + 40, 8).unwrap();
                    live.push((block, grown));
                } else {
                    let _ = talc.deallocate(block, layout);
                }
            }
        }
        let counters = talc.counters();
        seen.most = seen.most.max(counters.allocated_bytes);
        seen.least = seen.least.min(counters.available_bytes);
        let told =
            Peaks { most: counters.peak_allocated_bytes, least: counters.least_available_bytes() };
        assert_eq!(told, seen, "after step {step}");
        if step == 1700 {
            seen = Peaks { most: counters.allocated_bytes, least: counters.available_bytes };
            talc.reset_peaks();
        }
    }
    assert!(seen.least < available / 2);
    for (block, layout) in live {
        // SAFETY: the block is live and has this layout.
        unsafe { talc.deallocate(block, layout) };
    }
    assert!(talc.counters().to_string().contains("least bytes"));
}

#[test]
fn with_each_shape() {
    they_are_what_was_seen::<DefaultBinning>();
    they_are_what_was_seen::<SmallBinning>();
    they_are_what_was_seen::<CompactBins<8, 4, 4096, 16>>();
    they_are_what_was_seen::<Bins<32, 8, 2, 256, 3, 8>>();
}
