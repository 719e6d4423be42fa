//! The sources over a simulated memory.

use core::alloc::GlobalAlloc;
use core::iter::once;
use std::vec::Vec;

use fuzz::{Align, Pick, Shadow, Size};
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use talc_sources::Talc;
use talc_sync::TalcCell;

use super::*;
use crate::simulated::{grow_foreign, grown, growths, memory_pages, reset, set_limit, MAX_PAGES};
use crate::{WasmBinning, WasmFastBinning, WasmSmallBinning};

fn bytes(size: usize) -> Layout {
    Layout::from_size_align(size, 1).unwrap()
}

fn allocate<S: Source<B>, B: Binning>(talc: &mut Talc<S, B>, layout: Layout) -> Option<*mut u8> {
    let block = talc.allocate(layout);
    assert_eq!(talc.audit(), Ok(()));
    block.map(NonNull::as_ptr)
}

fn extending() -> Talc<WasmGrowAndExtend, WasmBinning> {
    Talc::new(WasmGrowAndExtend::new())
}

#[test]
fn growth_joins_the_heap() {
    reset(17, MAX_PAGES);
    let mut talc = extending();
    for pages in 1..20 {
        assert!(allocate(&mut talc, bytes(PAGE)).is_some());
        // One more page each time, and one for the table.
        assert_eq!((memory_pages(), growths()), (17 + pages + 1, pages));
    }
    assert_eq!(talc.counters().heap_count, 1);
}

#[test]
fn each_growth_is_claimed() {
    reset(17, MAX_PAGES);
    let mut talc = Talc::<_, WasmBinning>::new(WasmGrowAndClaim);
    for heaps in 1..5 {
        assert!(allocate(&mut talc, bytes(2 * PAGE)).is_some());
        assert_eq!(talc.counters().heap_count, heaps);
        assert_eq!((memory_pages(), growths()), (17 + 3 * heaps, heaps));
    }
}

#[test]
fn what_is_free_at_the_end_is_counted() {
    reset(1, MAX_PAGES);
    let mut talc = extending();
    // Too large for a slab, which would be at the end.
    allocate(&mut talc, bytes(600)).unwrap();
    assert_eq!(memory_pages(), 2);
    // Most of the first page is free. So one more page is enough for more than one page, and two
    // for more than two.
    let large = allocate(&mut talc, bytes(PAGE + PAGE / 2)).unwrap();
    assert_eq!(memory_pages(), 3);
    // SAFETY: allocated above.
    unsafe { talc.deallocate(large, bytes(PAGE + PAGE / 2)) };
    allocate(&mut talc, bytes(2 * PAGE + PAGE / 2)).unwrap();
    assert_eq!((memory_pages(), growths()), (4, 3));
}

#[test]
fn foreign_growth_begins_a_new_heap() {
    reset(1, MAX_PAGES);
    let mut talc = extending();
    allocate(&mut talc, bytes(PAGE / 2)).unwrap();
    grow_foreign(3);
    // One page would be enough if it joined the heap. It does not, and it is too small as a heap of its
    // own, so it is extended: two growths, but no page is wasted.
    allocate(&mut talc, bytes(PAGE)).unwrap();
    assert_eq!((memory_pages(), growths()), (7, 3));
    assert_eq!(talc.counters().heap_count, 2);
    // From here on, the new heap is extended, and the old one is still used.
    allocate(&mut talc, bytes(PAGE)).unwrap();
    allocate(&mut talc, bytes(PAGE / 4)).unwrap();
    assert_eq!((memory_pages(), growths()), (8, 4));
    assert_eq!(talc.counters().heap_count, 2);
}

/// Whether `layout` would fit if the last growth had been by one page less.
fn fits_in_one_page_less<B: Binning>(layout: Layout) -> bool {
    let grown = grown().pop().unwrap();
    let mut raw = RawTalc::<B>::new();
    // SAFETY: the allocator that used these pages is gone.
    let end = unsafe { raw.claim(grown.start as *mut u8, grown.len() - PAGE) };
    end.is_some() && raw.try_allocate(layout).is_some()
}

/// Sizes near multiples of the page size, less what an allocator needs for itself: each takes one growth,
/// by no more pages than are needed.
fn grows_once_and_by_no_needless_page<S: Source<B>, B: Binning>(source: fn() -> S) {
    for align in [1, 64, 1 << 12] {
        for size in (PAGE - 1500..PAGE + 64).chain(4 * PAGE - 1500..4 * PAGE + 64) {
            let layout = Layout::from_size_align(size, align).unwrap();
            reset(1, MAX_PAGES);
            allocate(&mut Talc::<S, B>::new(source()), layout).unwrap();
            assert_eq!(growths(), 1, "{layout:?}");
            // The place of a large alignment depends on the address of the heap.
            if align == 1 {
                assert!(!fits_in_one_page_less::<B>(layout), "{layout:?} got a needless page");
            }
        }
    }
}

#[test]
fn sizes_near_multiples_of_a_page() {
    grows_once_and_by_no_needless_page::<_, WasmBinning>(WasmGrowAndExtend::new);
    grows_once_and_by_no_needless_page::<_, WasmSmallBinning>(|| WasmGrowAndClaim);
}

#[test]
fn extensions_near_multiples_of_a_page() {
    for size in PAGE - 200..PAGE + 200 {
        reset(1, MAX_PAGES);
        let mut talc = extending();
        allocate(&mut talc, bytes(PAGE / 2)).unwrap();
        let free = talc.largest_gap().unwrap();
        // One page more is enough for exactly that many bytes more.
        allocate(&mut talc, bytes(free + size)).unwrap();
        assert_eq!((memory_pages(), growths()), (if size <= PAGE { 3 } else { 4 }, 2), "{size}");
    }
}

#[test]
fn the_limit_is_survived() {
    reset(1, 4);
    let mut talc = extending();
    let kept = allocate(&mut talc, bytes(PAGE)).unwrap();
    assert_eq!(allocate(&mut talc, bytes(4 * PAGE)), None);
    assert_eq!(memory_pages(), 3, "a growth that is not enough is not done");
    allocate(&mut talc, bytes(PAGE)).unwrap();
    assert_eq!(memory_pages(), 4);
    assert_eq!(allocate(&mut talc, bytes(PAGE)), None);
    // What is free can still be allocated, and so can what is freed, and pages that are granted later.
    allocate(&mut talc, bytes(1000)).unwrap();
    // SAFETY: allocated above.
    unsafe { talc.deallocate(kept, bytes(PAGE)) };
    assert_eq!(allocate(&mut talc, bytes(PAGE)), Some(kept));
    set_limit(6);
    allocate(&mut talc, bytes(PAGE)).unwrap();
}

#[test]
fn no_growth_for_what_cannot_be() {
    let largest = isize::MAX as usize;
    let impossible = (0..200)
        .map(|less| Layout::from_size_align(largest - less, 1).unwrap())
        .chain(
            (0..200).filter_map(|less| Layout::from_size_align(largest / 2 - less, 1 << 20).ok()),
        )
        .chain(once(Layout::from_size_align(0, 1 << (usize::BITS - 1)).unwrap()));
    reset(1, MAX_PAGES);
    let mut talc = extending();
    let mut claiming = Talc::<_, WasmSmallBinning>::new(WasmGrowAndClaim);
    let kept = allocate(&mut talc, bytes(10)).unwrap();
    allocate(&mut claiming, bytes(10)).unwrap();
    for layout in impossible {
        assert_eq!(allocate(&mut talc, layout), None, "{layout:?}");
        assert_eq!(allocate(&mut claiming, layout), None, "{layout:?}");
    }
    assert_eq!(memory_pages(), 3);
    // SAFETY: allocated above.
    unsafe { talc.deallocate(kept, bytes(10)) };
    assert_eq!(talc.audit(), Ok(()));
}

#[test]
fn reallocation_at_the_limit_keeps_the_block() {
    reset(1, 4);
    let talc = TalcCell::<_, WasmBinning>::new(WasmGrowAndExtend::new());
    let (small, large) = (bytes(PAGE), bytes(4 * PAGE));
    // SAFETY: the block is live, written before it is read, and freed once.
    unsafe {
        let block = talc.alloc(small);
        for at in 0..small.size() {
            block.add(at).write(at as u8);
        }
        assert!(talc.realloc(block, small, large.size()).is_null());
        assert_eq!(talc.audit(), Ok(()));
        assert!((0..small.size()).all(|at| block.add(at).read() == at as u8));
        assert_eq!(talc.realloc(block, small, PAGE + 1000), block);
        talc.dealloc(block, bytes(PAGE + 1000));
    }
    assert_eq!(talc.audit(), Ok(()));
}

#[test]
fn steps_are_a_part_of_what_was_grown() {
    // What others have grown does not count.
    reset(80, MAX_PAGES);
    let mut talc = Talc::<_, WasmFastBinning>::new(WasmGrowAndExtend::<8>::in_steps());
    // Too large for a slab, which would be at the end.
    allocate(&mut talc, bytes(600)).unwrap();
    assert_eq!((memory_pages(), growths()), (81, 1));
    // More than a step if more is needed.
    allocate(&mut talc, bytes(40 * PAGE)).unwrap();
    assert_eq!((memory_pages(), growths()), (121, 2));
    // An eighth of 41.
    allocate(&mut talc, bytes(PAGE)).unwrap();
    assert_eq!((memory_pages(), growths()), (126, 3));
    // What is needed if there is no room for the step.
    set_limit(130);
    allocate(&mut talc, bytes(6 * PAGE)).unwrap();
    assert_eq!((memory_pages(), growths()), (128, 4));
    assert_eq!(allocate(&mut talc, bytes(3 * PAGE)), None);
    allocate(&mut talc, bytes(2 * PAGE)).unwrap();
    assert_eq!((memory_pages(), growths()), (130, 5));
    assert_eq!(talc.counters().heap_count, 1);
}

#[derive(Debug, Clone, Copy)]
enum Action {
    Allocate(Size, Align),
    Deallocate(Pick),
    Reallocate(Pick, Size),
    /// Another allocator grows the memory.
    Foreign(u8),
    /// Nobody can grow the memory by more than this from now on.
    Limit(u8),
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let size = || any::<u32>().prop_map(Size);
    let pick = || any::<u16>().prop_map(Pick);
    let action = prop_oneof![
        8 => (size(), any::<u8>()).prop_map(|(size, align)| Action::Allocate(size, Align(align))),
        5 => pick().prop_map(Action::Deallocate),
        3 => (pick(), size()).prop_map(|(block, to)| Action::Reallocate(block, to)),
        1 => (0..4_u8).prop_map(Action::Foreign),
        1 => any::<u8>().prop_map(Action::Limit),
    ];
    proptest::collection::vec(action, 1..300)
}

/// Does one action, and checks contents and every invariant.
fn step<S: Source<B>, B: Binning>(talc: &TalcCell<S, B>, shadow: &mut Shadow, action: Action) {
    match action {
        Action::Allocate(size, align) => {
            if let Ok(layout) = Layout::from_size_align(size.bytes(), align.bytes()) {
                // SAFETY: Talc allocates size 0, too.
                let block = unsafe { talc.alloc(layout) };
                if !block.is_null() {
                    shadow.add(block, layout, &grown());
                }
            }
        }
        Action::Deallocate(pick) => {
            if let Some((block, layout)) = shadow.pick(pick) {
                shadow.remove(block);
                // SAFETY: live until here.
                unsafe { talc.dealloc(block, layout) };
            }
        }
        Action::Reallocate(pick, to) => {
            if let Some((block, layout)) = shadow.pick(pick) {
                if let Ok(new) = Layout::from_size_align(to.bytes(), layout.align()) {
                    // SAFETY: live.
                    let moved = unsafe { talc.realloc(block, layout, new.size()) };
                    if !moved.is_null() {
                        shadow.moved(block, moved, new, &grown());
                    }
                }
            }
        }
        Action::Foreign(pages) => grow_foreign(pages.into()),
        Action::Limit(more) => set_limit(memory_pages() + usize::from(more)),
    }
    assert_eq!(talc.audit(), Ok(()));
    assert_eq!(talc.counters().allocation_count, shadow.len());
    shadow.verify();
}

fn run<S: Source<B>, B: Binning>(source: S, actions: &[Action]) {
    reset(3, MAX_PAGES);
    let talc = TalcCell::<S, B>::new(source);
    let mut shadow = Shadow::default();
    for &action in actions {
        step(&talc, &mut shadow, action);
    }
    while !shadow.is_empty() {
        step(&talc, &mut shadow, Action::Deallocate(Pick(0)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_failure_persistence(FileFailurePersistence::Direct(
        concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/regressions/proptest/grow.txt")
    )))]

    #[test]
    fn extending_source(actions in actions()) {
        run::<_, WasmBinning>(WasmGrowAndExtend::new(), &actions);
    }

    #[test]
    fn source_with_steps(actions in actions()) {
        run::<_, WasmFastBinning>(WasmGrowAndExtend::<4>::in_steps(), &actions);
    }

    #[test]
    fn claiming_source(actions in actions()) {
        run::<_, WasmSmallBinning>(WasmGrowAndClaim, &actions);
    }
}
