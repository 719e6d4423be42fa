//! The size of the largest gap is what an allocation finds, and how scattered memory is follows from it.
#![cfg(feature = "counters")]

use std::alloc::Layout;
use std::mem::size_of;

use talc_core::{
    Bins, CompactBins, DefaultBinning, RawTalc, SmallBinning, COMPACT_SEARCH_LIMIT, SEAL,
    SEARCH_LIMIT,
};
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
    what_no_allocation_finds_does_not_count::<SmallBinning>(COMPACT_SEARCH_LIMIT);
    what_no_allocation_finds_does_not_count::<CompactBins<8, 4, 4096, 16>>(COMPACT_SEARCH_LIMIT);
}

/// A heap full of the smallest chunks, of which runs are freed: so gaps can be anywhere.
struct Grid<B> {
    talc: RawTalc<B>,
    /// In the order of their addresses.
    blocks: Vec<usize>,
    _memory: Vec<u128>,
}

impl<B: Binning> Grid<B> {
    const STEP: usize = 32;

    fn new() -> Self {
        let mut memory = vec![0_u128; SIZE / 16];
        let mut talc = <RawTalc<B> as RawTalcExt>::new();
        // SAFETY: nothing else uses the memory.
        unsafe { talc.claim(memory.as_mut_ptr().cast(), SIZE) }.expect("large enough");
        if talc.try_allocate(BETWEEN).unwrap().as_ptr() as usize % Self::STEP != 0 {
            talc.try_allocate(of_chunk(48)).unwrap();
        }
        let next = || talc.try_allocate(BETWEEN).map(|block| block.as_ptr() as usize);
        let mut blocks: Vec<usize> = std::iter::from_fn(next).collect();
        blocks.sort_unstable();
        Self { talc, blocks, _memory: memory }
    }

    /// Frees chunks that follow each other: `count` of them, the first of which is so far above a multiple of `align`.
    fn make_gap(&mut self, count: usize, align: usize, above: usize) {
        let first = self
            .blocks
            .windows(count + 1)
            .position(|run| run[0] % align == above && run[count] == run[0] + count * Self::STEP);
        let first = first.expect("there is room");
        // One more stays between this gap and the next one.
        for block in self.blocks.drain(first..=first + count).take(count) {
            // SAFETY: it is live, with this layout.
            unsafe { self.talc.deallocate(block as *mut u8, BETWEEN) };
        }
    }
}

/// Over-aligned allocations look at no more gaps than others, and at the first one of each other bin.
#[test]
fn over_aligned_allocations_look_at_few_gaps() {
    let aligned = of_chunk(1056).align_to(256).unwrap();
    for others in [0, SEARCH_LIMIT - 1, SEARCH_LIMIT] {
        let mut grid = Grid::<DefaultBinning>::new();
        grid.make_gap(33, 256, 0);
        for _ in 0..others {
            grid.make_gap(33, 256, 32);
        }
        assert_eq!(grid.talc.try_allocate(aligned).is_some(), others < SEARCH_LIMIT, "{others}");
    }
}

/// With compact bins, too, there is room in the bin of the size, if the larger gaps are not aligned for it.
#[test]
fn over_aligned_allocations_look_below_with_a_table_inside() {
    let aligned = of_chunk(1056).align_to(512).unwrap();
    let mut grid = Grid::<CompactBins<8, 4, 0, 0>>::new();
    grid.make_gap(33, 512, 0);
    grid.make_gap(41, 512, 32);
    assert!(grid.talc.try_allocate(aligned).is_some());
}

/// In the last bin, where what is left of a heap is, too, a large allocation takes the smaller gap.
#[test]
fn large_allocations_leave_the_rest_of_a_heap_whole() {
    const MIB: usize = 1 << 20;
    let of = |size| Layout::from_size_align(size, 8).unwrap();
    let mut memory = vec![0_u128; MIB];
    // The last bin begins at 2 MiB.
    let mut talc = RawTalc::<Bins<8, 4, 1>>::new();
    // SAFETY: nothing else uses the memory; what is freed is live, with that layout.
    unsafe {
        talc.claim(memory.as_mut_ptr().cast(), 16 * MIB).expect("large enough");
        let gap = talc.try_allocate(of(3 * MIB)).unwrap();
        talc.try_allocate(of(100)).unwrap();
        let top = talc.try_allocate(of(MIB)).unwrap();
        talc.deallocate(gap.as_ptr(), of(3 * MIB));
        // What is left is the first one of the list now.
        talc.deallocate(top.as_ptr(), of(MIB));
        assert_eq!(talc.try_allocate(of(2 * MIB)), Some(gap));
    }
}
