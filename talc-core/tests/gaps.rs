//! The size of the largest gap is what an allocation finds, and how scattered memory is follows from it.
#![cfg(feature = "counters")]

use std::alloc::Layout;
use std::mem::size_of;

use talc_core::{CompactBins, DefaultBinning, RawTalc, SmallBinning, SEAL, SEARCH_LIMIT};
use talc_sources::{Binning, RawTalcExt};

/// Too little for slabs and magazines, so that all is chunks.
const SIZE: usize = 56 << 10;

const fn of_chunk(size: usize) -> Layout {
    match Layout::from_size_align(size - SEAL - size_of::<usize>(), 16) {
        Ok(layout) => layout,
        Err(_) => panic!(),
    }
}

/// Two sizes whose gaps are in one bin, and one for what must stay between them.
const SMALLER: Layout = of_chunk(1040);
const LARGER: Layout = of_chunk(1056);
const BETWEEN: Layout = of_chunk(32);

/// `limit` is how many gaps of a bin an allocation looks at.
fn what_no_allocation_finds_does_not_count<B: Binning>(limit: usize) {
    // One more than may hide the larger gap.
    for smaller in [0, limit - 1, limit] {
        let mut memory = vec![0_u128; SIZE / 16];
        let mut talc = <RawTalc<B> as RawTalcExt>::new();
        assert_eq!((talc.largest_gap(), talc.fragmentation()), (None, 0));
        // SAFETY: nothing else uses the memory.
        unsafe { talc.claim(memory.as_mut_ptr().cast(), SIZE) }.expect("large enough");
        assert_eq!(talc.fragmentation(), 0, "one gap is not scattered");

        let mut blocks = Vec::new();
        for index in 0..=smaller {
            let layout = if index == 0 { LARGER } else { SMALLER };
            blocks.push((talc.try_allocate(layout).expect("there is room"), layout));
            talc.try_allocate(BETWEEN).expect("there is room");
        }
        while let Some(size) = talc.largest_gap() {
            talc.try_allocate(Layout::from_size_align(size, 16).unwrap()).expect("it is there");
        }
        assert_eq!((talc.counters().available_bytes, talc.fragmentation()), (0, 0));

        for (block, layout) in blocks {
            // SAFETY: it is live, with this layout.
            let _ = unsafe { talc.deallocate(block.as_ptr(), layout) };
        }
        let found = if smaller < limit { LARGER } else { SMALLER };
        assert_eq!(talc.largest_gap(), Some(found.size()), "behind {smaller} others");
        let largest = found.size() + SEAL + size_of::<usize>();
        let available = 1056 + smaller * 1040;
        assert_eq!(talc.counters().available_bytes, available);
        let scattered = (available - largest) * 1000 / available;
        assert_eq!(talc.fragmentation() as usize, scattered);

        let larger = talc.try_allocate(LARGER);
        assert_eq!(larger.is_some(), smaller < limit);
        assert_eq!(talc.try_allocate(SMALLER).is_some(), smaller > 0);
    }
}

#[test]
fn with_each_shape() {
    what_no_allocation_finds_does_not_count::<DefaultBinning>(SEARCH_LIMIT);
    what_no_allocation_finds_does_not_count::<SmallBinning>(1);
    what_no_allocation_finds_does_not_count::<CompactBins<8, 4, 4096, 16>>(1);
}
