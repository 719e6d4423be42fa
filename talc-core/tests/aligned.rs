//! Over-aligned layouts among many gaps that do not fit.

use std::alloc::Layout;

use talc_core::{Bins, CompactBins, DefaultBinning, RawTalc, SEARCH_LIMIT};
use talc_sources::{Binning, RawTalcExt};

fn a_claim_of_that_size_suffices<B: Binning>() {
    let mut memory = vec![0_u64; 32 << 10];
    let mut more = vec![0_u64; 16 << 10];
    let mut talc = RawTalc::<B>::new();
    // SAFETY: nothing else uses the memory; each block is freed once, with its layout.
    unsafe {
        talc.claim(memory.as_mut_ptr().cast(), memory.len() * 8).unwrap();
        // Gaps of many sizes, each below a block that stays.
        let blocks: Vec<_> = (0..4 * SEARCH_LIMIT)
            .map(|index| {
                let layout = Layout::from_size_align(300 + 8 * index, 8).unwrap();
                let gap = talc.try_allocate(layout).unwrap();
                talc.try_allocate(Layout::new::<[u8; 400]>()).unwrap();
                (gap, layout)
            })
            .collect();
        for (block, layout) in blocks {
            talc.deallocate(block.as_ptr(), layout);
        }
        let page = Layout::from_size_align(1, 16 << 10).unwrap();
        while talc.try_allocate(page).is_some() {}
        let size = talc.claim_size(page).unwrap();
        talc.claim(more.as_mut_ptr().cast(), size).unwrap();
        assert!(talc.try_allocate(page).is_some());
        assert_eq!(talc.audit(), Ok(()));
    }
}

#[test]
fn claiming_what_the_core_asks_for_is_enough_with_slabs() {
    a_claim_of_that_size_suffices::<DefaultBinning>();
}

#[test]
fn claiming_what_the_core_asks_for_is_enough_without() {
    a_claim_of_that_size_suffices::<Bins<8, 4, 1>>();
}

#[test]
fn claiming_what_the_core_asks_for_is_enough_in_compact_bins() {
    a_claim_of_that_size_suffices::<CompactBins<8, 4, 4096, 16>>();
    a_claim_of_that_size_suffices::<CompactBins<8, 4>>();
}
