//! What only compact bins do, and `claim_or_extend`, which serves the same sources.

use std::alloc::Layout;
use std::ptr::{null_mut, NonNull};

use talc_core::{CompactBins, DefaultBinning, Part, RawTalc, SEAL};
use talc_core::{SmallBinning, CHUNK_UNIT};
use talc_sources::{min_first_heap_size, Binning, RawTalcExt};

type WithSlabs = CompactBins<8, 4, 4096, 16>;

#[repr(align(4096))]
struct Memory([u8; 256 << 10]);

fn memory() -> Box<Memory> {
    Box::new(Memory([0; 256 << 10]))
}

fn slabs<B: Binning>(talc: &RawTalc<B>) -> usize {
    let mut slabs = 0;
    talc.visit(|part| slabs += usize::from(matches!(part, Part::Slab { .. })));
    slabs
}

#[test]
fn an_allocator_with_its_table_inside_may_be_moved() {
    let mut memory = memory();
    let mut talc = RawTalc::<WithSlabs>::new();
    let layouts = [8, 40, 300, 5000].map(|size| Layout::from_size_align(size, 8).unwrap());
    // SAFETY: nothing else uses the memory; blocks are freed once, with their layouts.
    unsafe {
        talc.claim(memory.0.as_mut_ptr(), memory.0.len()).unwrap();
        let mut live = Vec::new();
        for round in 0..200 {
            let layout = layouts[round % layouts.len()];
            live.push((talc.try_allocate(layout).unwrap(), layout));
            if round % 3 == 0 {
                let (block, layout) = live.swap_remove(round / 2 % live.len());
                talc.deallocate(block.as_ptr(), layout);
            }
            let mut moved = Box::new(talc);
            assert_eq!(moved.audit(), Ok(()));
            talc = std::mem::take(&mut *moved);
        }
        for (block, layout) in live {
            talc.deallocate(block.as_ptr(), layout);
        }
    }
    while talc.trim().is_some() {}
    assert_eq!(slabs(&talc), 0);
    assert_eq!(talc.counters().fragment_count, 1);
    assert_eq!(talc.audit(), Ok(()));
}

#[test]
fn slabs_open_at_once_and_close_when_they_are_empty() {
    let mut memory = memory();
    let mut talc = RawTalc::<WithSlabs>::new();
    let layout = Layout::new::<[u8; 256 - SEAL]>();
    // SAFETY: nothing else uses the memory; blocks are freed once, with their layout.
    unsafe {
        talc.claim(memory.0.as_mut_ptr(), memory.0.len()).unwrap();
        assert_eq!(slabs(&talc), 0);
        let blocks: Vec<_> = (0..46).map(|_| talc.try_allocate(layout).unwrap()).collect();
        assert_eq!(slabs(&talc), 4);
        for block in blocks {
            talc.deallocate(block.as_ptr(), layout);
        }
        // The one that the class allocates from is kept until `trim`.
        assert_eq!(slabs(&talc), 1);
    }
    while talc.trim().is_some() {}
    assert_eq!(slabs(&talc), 0);
    assert_eq!(talc.counters().fragment_count, 1);
    assert_eq!(talc.audit(), Ok(()));
}

/// If no slab fits, small objects are chunks, so that all memory is used.
#[test]
fn a_heap_without_room_for_a_slab_is_filled_all_the_same() {
    let mut memory = memory();
    let mut talc = RawTalc::<WithSlabs>::new();
    // SAFETY: nothing else uses the memory.
    unsafe { talc.claim(memory.0.as_mut_ptr(), 2048).unwrap() };
    let mut blocks = 0;
    while talc.try_allocate(Layout::new::<[u8; 24 - SEAL]>()).is_some() {
        blocks += 1;
    }
    assert!(blocks * 32 > 2048 - 100, "{blocks}");
    assert_eq!(slabs(&talc), 0);
    assert_eq!(talc.audit(), Ok(()));
}

#[test]
fn without_a_table_in_it_every_heap_can_be_given_back() {
    let mut memory = memory();
    let mut talc = RawTalc::<SmallBinning>::new();
    assert!(talc.is_metadata_established());
    assert_eq!(talc.try_allocate(Layout::new::<u8>()), None);
    for _ in 0..2 {
        // SAFETY: nothing else uses the memory; the end is current.
        unsafe {
            let end = talc.claim(memory.0.as_mut_ptr(), memory.0.len()).unwrap();
            let block = talc.try_allocate(Layout::new::<[u8; 1000]>()).unwrap();
            talc.deallocate(block.as_ptr(), Layout::new::<[u8; 1000]>());
            assert!(!talc.reserved(end).any);
            assert_eq!(talc.truncate(end, null_mut()), None);
        }
        assert_eq!(talc.counters().heap_count, 0);
        assert_eq!(talc.try_allocate(Layout::new::<u8>()), None);
        assert_eq!(talc.audit(), Ok(()));
    }
}

const PAGE: usize = 4096;

/// What [`claim_or_extend_size`](RawTalc::claim_or_extend_size) asks for is enough and, if the test
/// can tell, not a page too much.
fn regions_join_or_not<B: Binning>() {
    assert!(min_first_heap_size::<B>() <= PAGE);
    // A heap that has grown may need a larger table.
    let table = if RawTalc::<B>::new().is_metadata_established() { 0 } else { 2600 };
    for size in (1..3 * PAGE).step_by(61).chain(PAGE - 80..PAGE + 80) {
        for (align, is_foreign) in [(8, false), (256, false), (8, true)] {
            let mut memory = memory();
            let base = memory.0.as_mut_ptr();
            let mut talc = RawTalc::<B>::new();
            let layout = Layout::from_size_align(size, align).unwrap();
            // SAFETY: nothing else uses the memory; the end is current.
            unsafe {
                let grow = |talc: &mut RawTalc<B>, end: Option<NonNull<u8>>, next: &mut usize| {
                    let bytes = talc.claim_or_extend_size(end, layout).unwrap();
                    let pages = bytes.saturating_sub(1) / PAGE + 1;
                    let end = talc.claim_or_extend(end, base.wrapping_add(*next), pages * PAGE);
                    *next += pages * PAGE;
                    assert_eq!(end.as_ptr(), base.wrapping_add(*next));
                    (end, pages)
                };
                let mut next = 0;
                let (end, _) = grow(&mut talc, None, &mut next);
                talc.try_allocate(layout).expect("the first heap has what was asked for");
                // Little is left of it.
                while talc.try_allocate(Layout::new::<[u8; 500]>()).is_some() {}
                let free = talc.largest_gap().map_or(0, |gap| gap + CHUNK_UNIT);
                let heaps = talc.counters().heap_count;
                if is_foreign {
                    next += PAGE;
                }
                let (end, pages) = grow(&mut talc, Some(end), &mut next);
                if !is_foreign {
                    talc.try_allocate(layout).expect("what was asked for is enough");
                    assert!((pages - 1) * PAGE < size + align + free + CHUNK_UNIT + table);
                }
                assert_eq!(talc.counters().heap_count, heaps + usize::from(is_foreign));
                assert!(talc.reserved(end).up_to <= end);
            }
            assert_eq!(talc.audit(), Ok(()));
        }
    }
}

#[test]
fn regions_join_or_become_heaps() {
    regions_join_or_not::<SmallBinning>();
    regions_join_or_not::<WithSlabs>();
    regions_join_or_not::<DefaultBinning>();
}

/// A layout of a slab's size and alignment is no slab: it may leave less above it than a chunk
/// needs.
#[test]
fn a_layout_of_the_size_of_a_slab() {
    fn check<B: Binning>() {
        for heap in (8176 - 64..8176 + 64).step_by(8) {
            let mut memory = memory();
            let mut talc = RawTalc::<B>::new();
            let word = std::mem::size_of::<usize>();
            for size in [4096 - word, 4096, 4096 - 2 * word] {
                let layout = Layout::from_size_align(size, 4096).unwrap();
                // SAFETY: nothing else uses the memory; the end is current.
                unsafe {
                    let Some(end) = talc.claim(memory.0.as_mut_ptr(), heap) else { continue };
                    let more = talc.extend_size(end, layout).unwrap();
                    let end = talc.extend(end, end.as_ptr().wrapping_add(more));
                    let block = talc.try_allocate(layout).expect("that is enough");
                    assert_eq!(talc.audit(), Ok(()));
                    talc.deallocate(block.as_ptr(), layout);
                    assert_eq!(talc.audit(), Ok(()));
                    assert_eq!(talc.truncate(end, null_mut()), None);
                }
            }
        }
    }
    check::<WithSlabs>();
    check::<SmallBinning>();
}

/// Exactly what is asked for is enough, in a region with the required alignment.
#[test]
fn what_is_asked_for_without_an_end_is_enough() {
    fn check<B: Binning>() {
        for size in 1..1700 {
            for align in [1, 8, 16, 32, 64, 256] {
                let mut memory = memory();
                let mut talc = RawTalc::<B>::new();
                let layout = Layout::from_size_align(size, align).unwrap();
                // SAFETY: nothing else uses the memory.
                unsafe {
                    let asked = talc.claim_or_extend_size(None, layout).unwrap();
                    assert!(asked >= min_first_heap_size::<B>());
                    let _end = talc.claim_or_extend(None, memory.0.as_mut_ptr(), asked);
                }
                assert!(talc.try_allocate(layout).is_some(), "{layout:?}");
            }
        }
    }
    check::<SmallBinning>();
    check::<WithSlabs>();
    check::<DefaultBinning>();
}
