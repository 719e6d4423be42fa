//! A heap in which nothing is in use can be given back without `trim`, whatever slabs are kept in
//! it; and the deallocation that leaves nothing in use returns its end, if there are no magazines.

use std::alloc::Layout;
use std::ptr::{null_mut, NonNull};

use talc_core::{Bins, CompactBins, DefaultBinning, RawTalc, SmallBinning, CHUNK_UNIT};
use talc_sources::{Binning, RawTalcExt};

const SIZE: usize = 256 << 10;
/// Whether compact bins notice that a slab falls empty. WebAssembly takes no memory back.
const WATCHES: bool = cfg!(not(target_family = "wasm"));

#[repr(align(4096))]
struct Memory([u8; SIZE]);

fn memory() -> Box<Memory> {
    Box::new(Memory([0; SIZE]))
}

/// Fills the first heap, so that objects of `size` bytes are in the second one; frees these in
/// order or in reverse, and takes the second heap back.
fn a_second_heap_goes_back<B: Binning>(size: usize, reversed: bool) {
    let (mut first, mut second) = (memory(), memory());
    let mut talc = RawTalc::<B>::with_complete_table();
    let layout = Layout::from_size_align(size, 8).unwrap();
    // SAFETY: nothing else uses the memory; blocks are freed once, with their layout.
    unsafe {
        talc.claim(first.0.as_mut_ptr(), SIZE / 4).unwrap();
        let mut fill = Vec::new();
        while let Some(block) = talc.try_allocate(Layout::new::<[u64; 20]>()) {
            fill.push(block);
        }
        let range = second.0.as_mut_ptr_range();
        let end = talc.claim(range.start, SIZE).unwrap();
        let mut blocks: Vec<_> = (0..300).map(|_| talc.try_allocate(layout).unwrap()).collect();
        assert!(blocks.iter().any(|block| range.contains(&block.as_ptr())));
        assert!(talc.reserved(end).any);
        if reversed {
            blocks.reverse();
        }
        let mut is_said = false;
        for block in blocks {
            if let Some(touched) = talc.deallocate(block.as_ptr(), layout) {
                is_said |= touched == end && !talc.watch(touched).any;
            }
        }
        assert!(is_said);
        let reserved = talc.reserved(end);
        assert!(!reserved.any && reserved.up_to.as_ptr() < range.start.wrapping_add(64));
        assert_eq!(talc.audit(), Ok(()));
        assert_eq!(talc.truncate(end, null_mut()), None, "{size} bytes");
        assert_eq!(talc.audit(), Ok(()));
        // The region is its owner's again, who may write to it.
        second.0.fill(0xAB);
        for block in fill {
            talc.deallocate(block.as_ptr(), Layout::new::<[u64; 20]>());
        }
        assert_eq!(talc.audit(), Ok(()));
    }
}

#[test]
fn second_heaps_go_back() {
    for size in (0..=17).map(|n| 16 * n + 8) {
        for reversed in [false, true] {
            a_second_heap_goes_back::<DefaultBinning>(size, reversed);
            a_second_heap_goes_back::<Bins<32, 8, 2, 256, 3>>(size, reversed);
            if WATCHES {
                a_second_heap_goes_back::<CompactBins<8, 4, 4096, 16>>(size, reversed);
            }
            a_second_heap_goes_back::<SmallBinning>(size, reversed);
        }
    }
}

/// The deallocation that leaves nothing in use returns the heap end, even if slabs of other classes
/// are kept above and below, and were used again after they had fallen empty.
#[test]
fn the_last_deallocation_says_so() {
    the_last_one_says_so::<Bins<64, 16, 4, 4096, 16>>();
    the_last_one_says_so::<Bins<32, 8, 2, 256, 3>>();
    if WATCHES {
        the_last_one_says_so::<CompactBins<8, 4, 4096, 16>>();
    }
    the_last_one_says_so::<SmallBinning>();
}

fn the_last_one_says_so<B: Binning>() {
    let mut memory = memory();
    let mut talc = RawTalc::<B>::new();
    let layouts = [8, 24, 40, 100, 250].map(|size| Layout::from_size_align(size, 8).unwrap());
    // SAFETY: nothing else uses the memory; blocks are freed once, with their layout.
    unsafe {
        let end = talc.claim(memory.0.as_mut_ptr(), SIZE).unwrap();
        for round in 0..200 {
            let mut live: Vec<(NonNull<u8>, Layout)> = (0..1 + round % 7)
                .map(|n| layouts[(round * 3 + n) % layouts.len()])
                .map(|layout| (talc.try_allocate(layout).unwrap(), layout))
                .collect();
            // As the owner of a heap that was free does.
            talc.watch(end);
            let first = round % live.len();
            live.rotate_left(first);
            let mut said = None;
            for (block, layout) in live {
                said = talc.deallocate(block.as_ptr(), layout);
                if said.is_some() {
                    talc.watch(end);
                }
            }
            assert_eq!(said, Some(end), "round {round}");
            assert_eq!(talc.audit(), Ok(()));
        }
    }
}

/// What the documentation of `truncate` says about its result, for every end.
#[test]
fn a_truncation_is_as_exact_as_documented() {
    fn check<B: Binning>() {
        let mut memory = memory();
        let base = memory.0.as_mut_ptr();
        let mut talc = RawTalc::<B>::new();
        // SAFETY: nothing else uses the memory; the end is current.
        unsafe {
            let mut end = talc.claim(base, SIZE / 8).unwrap();
            let block = talc.try_allocate(Layout::new::<[u8; 1000]>()).unwrap();
            end = talc.truncate(end, null_mut()).unwrap();
            let lowest = end.as_ptr() as usize;
            let mut worst = 0;
            for free in (CHUNK_UNIT..300).step_by(16) {
                for target in lowest - 100..lowest + free + 20 {
                    end = talc.extend(end, base.wrapping_add(lowest - base as usize + free));
                    assert_eq!(end.as_ptr() as usize, lowest + free);
                    end = talc.truncate(end, target as *mut u8).expect("something is in use");
                    let new = end.as_ptr() as usize;
                    let target = target.clamp(lowest, lowest + free);
                    assert!(new >= lowest && new <= target && target - new < CHUNK_UNIT + 16);
                    worst = worst.max(target - new);
                    end = talc.truncate(end, null_mut()).unwrap();
                }
            }
            assert_eq!(worst, if CHUNK_UNIT > 16 { CHUNK_UNIT + 15 } else { 15 });
            talc.deallocate(block.as_ptr(), Layout::new::<[u8; 1000]>());
        }
        assert_eq!(talc.audit(), Ok(()));
    }
    check::<DefaultBinning>();
    check::<SmallBinning>();
}
