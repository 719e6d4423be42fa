//! A program for talc 5.1.1: `base::Talc` without a wrapper, sizes and counters.
#![allow(clippy::undocumented_unsafe_blocks)]

use core::alloc::Layout;
use core::ptr::null_mut;

use talc::base::binning::DefaultBinning;
use talc::base::{Counters, Reserved, Talc, CHUNK_UNIT};
use talc::source::{Claim, GlobalAllocSource, Manual};
use talc::wasm::WasmBinning;
use talc::{min_first_heap_layout, min_first_heap_size};

#[test]
fn primitives() {
    let mut memory = vec![0_u8; 20_000];
    let mut talc = Talc::<_, DefaultBinning>::new(Manual);
    let end = unsafe { talc.claim(memory.as_mut_ptr(), memory.len()) }.unwrap();
    let layout = Layout::from_size_align(1000, 8).unwrap();
    unsafe {
        let first = talc.allocate(layout).unwrap();
        let second = talc.try_allocate(layout).unwrap();
        first.as_ptr().write_bytes(1, 1000);
        second.as_ptr().write_bytes(2, 1000);

        // The second one is in the way of the first.
        assert!(!talc.try_grow_in_place(first.as_ptr(), layout, 2000));
        assert!(talc.try_grow_in_place(second.as_ptr(), layout, 2000));
        let larger = Layout::from_size_align(2000, 8).unwrap();
        assert!(talc.try_realloc_in_place(second.as_ptr(), larger, 500));
        let smaller = Layout::from_size_align(500, 8).unwrap();
        talc.shrink(second.as_ptr(), smaller, 100);
        assert!((0..100).all(|n| second.as_ptr().add(n).read() == 2));
        assert!((0..1000).all(|n| first.as_ptr().add(n).read() == 1));

        let huge = Layout::from_size_align(1 << 20, 8).unwrap();
        assert_eq!(talc.try_allocate(huge), None);
        assert_eq!(talc.allocate(huge), None);

        let Reserved { up_to, any } = talc.reserved(end);
        assert!(any && up_to.as_ptr() > second.as_ptr() && up_to < end);
        talc.deallocate(first.as_ptr(), layout);
        assert_eq!(talc.counters().fragment_count, 2);
        talc.deallocate(second.as_ptr(), Layout::from_size_align(100, 8).unwrap());
    }
    assert_eq!(talc.counters().fragment_count, 1);
    assert_eq!(talc.counters().allocation_count, 0);
}

#[test]
fn the_smallest_first_heap() {
    fn check(mut memory: Vec<u8>, mut claim: impl FnMut(*mut u8, usize) -> bool) {
        assert!(!claim(memory.as_mut_ptr(), 31));
        assert!(claim(memory.as_mut_ptr(), memory.len()));
    }

    const SIZE: usize = min_first_heap_size::<DefaultBinning>();
    static mut ARENA: [u8; SIZE] = [0; SIZE];
    let mut talc = Talc::<_, DefaultBinning>::new(Manual);
    assert!(!talc.is_metadata_established());
    assert!(unsafe { talc.claim((&raw mut ARENA).cast(), SIZE) }.is_some());
    assert!(talc.is_metadata_established());

    for offset in 0..16 {
        let mut memory = vec![0_u8; SIZE + 16];
        let mut talc = Talc::<_, DefaultBinning>::new(Manual);
        let base = memory.as_mut_ptr().wrapping_add(offset);
        assert!(unsafe { talc.claim(base, SIZE) }.is_some());
    }

    let layout = min_first_heap_layout::<DefaultBinning>();
    assert!(layout.size() <= SIZE);
    let mut talc = Talc::<_, DefaultBinning>::new(Manual);
    unsafe {
        let memory = std::alloc::alloc(layout);
        assert!(talc.claim(memory, layout.size()).is_some());
        std::alloc::dealloc(memory, layout);
    }

    let mut default = Talc::<_, DefaultBinning>::new(Manual);
    check(vec![0; SIZE], |base, size| unsafe { default.claim(base, size) }.is_some());
    let mut wasm = Talc::<_, WasmBinning>::new(Manual);
    let memory = vec![0; min_first_heap_size::<WasmBinning>()];
    check(memory, |base, size| unsafe { wasm.claim(base, size) }.is_some());
}

#[test]
fn heaps_change_their_size() {
    let mut memory = vec![0_u8; 30_000];
    let base = memory.as_mut_ptr();
    let top = base.wrapping_add(memory.len());
    let mut talc = Talc::<_, WasmBinning>::new(Manual);
    unsafe {
        let end = talc.claim(base, 10_000).unwrap();
        // Not upwards when truncating, nor downwards when extending, nor by too little.
        assert_eq!(talc.truncate(end, top), Some(end));
        assert_eq!(talc.extend(end, base), end);
        assert_eq!(talc.extend(end, end.as_ptr().wrapping_add(CHUNK_UNIT / 2 - 1)), end);

        let end = talc.resize(end, top).unwrap();
        assert!((top as usize) - (end.as_ptr() as usize) < CHUNK_UNIT);
        let layout = Layout::from_size_align(25_000, 16).unwrap();
        let block = talc.allocate(layout).unwrap();
        let end = talc.truncate(end, null_mut()).unwrap();
        assert!(end.as_ptr() as usize >= block.as_ptr() as usize + 25_000);
        assert_eq!(talc.reserved(end), Reserved { up_to: end, any: true });
        talc.deallocate(block.as_ptr(), layout);
        let lower = talc.truncate(end, base.wrapping_add(20_000)).unwrap();
        assert!(lower.as_ptr() <= base.wrapping_add(20_000));
        let claimed = talc.counters().claimed_bytes;
        assert!((20_000 - 2 * CHUNK_UNIT..=20_000).contains(&claimed));
    }
}

#[test]
fn counters_add_up() {
    static mut ARENA: [usize; 4000] = [0; 4000];
    let mut talc = Talc::<_, DefaultBinning>::new(unsafe { Claim::array(&raw mut ARENA) });
    assert_eq!(*talc.counters(), Counters::default());
    let layout = Layout::new::<[u8; 333]>();
    let blocks: Vec<_> = (0..5).map(|_| talc.allocate(layout).unwrap()).collect();
    for block in &blocks[..2] {
        unsafe { talc.deallocate(block.as_ptr(), layout) };
    }
    let counters = talc.counters();
    assert_eq!((counters.allocation_count, counters.total_allocation_count), (3, 5));
    assert_eq!((counters.allocated_bytes, counters.total_allocated_bytes), (999, 1665));
    assert_eq!(counters.total_freed_bytes(), 666);
    assert_eq!((counters.heap_count, counters.total_heap_count), (1, 1));
    assert_eq!(counters.total_claimed_bytes, counters.claimed_bytes as u64);
    assert_eq!(counters.total_released_bytes(), 0);
    assert_eq!(
        counters.claimed_bytes,
        counters.allocated_bytes + counters.available_bytes + counters.overhead_bytes()
    );
    assert!(!format!("{counters}\n{talc:?}").is_empty());
}

#[test]
fn automatic_sources() {
    let mut talc = Talc::<_, WasmBinning>::new(GlobalAllocSource::new(std::alloc::System));
    for size in [1, 1000, 100_000, 3 << 20] {
        let layout = Layout::from_size_align(size, 1).unwrap();
        unsafe {
            let block = talc.allocate(layout).unwrap();
            block.as_ptr().write_bytes(0xff, size);
            talc.deallocate(block.as_ptr(), layout);
        }
    }
    let _: Box<dyn Send> = Box::new(talc);
}
