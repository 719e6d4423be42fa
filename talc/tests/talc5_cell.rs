//! A program for talc 5.1.1: private heaps in a `TalcCell`, and `TalcSyncCell` as a static.
#![allow(clippy::undocumented_unsafe_blocks)]

use std::alloc::GlobalAlloc;
use std::fmt;
use std::ptr::{null_mut, NonNull};

use allocator_api2::alloc::{AllocError, Allocator, Layout};
use allocator_api2::boxed::Box;
use allocator_api2::vec::Vec;
use talc::cell::TalcSyncCell;
use talc::source::{AllocatorSource, Claim, GlobalAllocSource, Manual};
use talc::{min_first_heap_size, DefaultBinning, TalcCell};

#[test]
fn a_heap_is_resized_under_a_vector() {
    let mut memory = [0_u8; min_first_heap_size::<DefaultBinning>() + 40_000];
    let top = memory.as_mut_ptr_range().end;
    let talc = TalcCell::new(Manual);
    let half = memory.len() / 2;
    let end = unsafe { talc.claim(memory.as_mut_ptr(), half) }.unwrap();

    let mut numbers = Vec::with_capacity_in(100, &talc);
    numbers.extend(0..1000_usize);
    numbers.truncate(100);
    numbers.shrink_to_fit();

    let end = unsafe { talc.extend(end, top) };
    numbers.extend(100..2000);
    let reserved = unsafe { talc.reserved(end) };
    assert!(reserved.any);
    let wanted = reserved.up_to.as_ptr().wrapping_add(200).min(top);
    let end = unsafe { talc.resize(end, wanted) }.unwrap();
    assert!(end.as_ptr() <= wanted && end >= reserved.up_to);

    assert!(numbers.iter().copied().eq(0..2000));
    drop(numbers);
    let end = unsafe { talc.truncate(end, null_mut()) }.expect("the metadata stays");
    assert_eq!(talc.counters().claimed_bytes, talc.counters().overhead_bytes());
    assert_eq!(talc.counters().available_bytes, 0);
    assert_eq!(unsafe { talc.resize(end, end.as_ptr()) }, Some(end));
}

#[test]
fn many_heaps_come_and_go() {
    let mut memory = vec![0_u8; 100_000];
    let base = memory.as_mut_ptr();
    let talc = TalcCell::new(Manual);
    let _first = unsafe { talc.claim(base, 20_000) }.unwrap();
    assert_eq!(unsafe { talc.claim(base.wrapping_add(20_000), 8) }, None);
    let ends: std::vec::Vec<_> = (1..5)
        .map(|n| unsafe { talc.claim(base.wrapping_add(n * 20_000), 20_000) }.unwrap())
        .collect();
    assert_eq!(talc.counters().heap_count, 5);

    let blocks: std::vec::Vec<_> = (0_u8..5).map(|n| Box::new_in([n; 15_000], &talc)).collect();
    for &end in &ends {
        assert!(unsafe { talc.reserved(end) }.any);
    }
    assert!(blocks.iter().enumerate().all(|(n, block)| block.iter().all(|&b| b == n as u8)));
    drop(blocks);
    for end in ends {
        assert!(!unsafe { talc.reserved(end) }.any);
        assert_eq!(unsafe { talc.truncate(end, null_mut()) }, None);
    }
    assert_eq!(talc.counters().heap_count, 1);
    assert_eq!(talc.counters().total_heap_count, 5);
    assert!(talc.counters().total_released_bytes() > 79_000);
}

#[test]
fn sources_are_replaced() {
    static mut ONE: [u8; 10_000] = [0; 10_000];
    static mut TWO: [u8; 10_000] = [0; 10_000];
    let talc = TalcCell::new(unsafe { Claim::array(&raw mut ONE) });

    // Prevents the claim, and then permits it after all.
    let source = talc.replace_source(Claim::standby());
    assert!(source.is_ready());
    assert!(talc.allocate(Layout::new::<u64>()).is_err());
    assert!(!talc.replace_source(source).is_ready());
    let number = Box::new_in(42_u64, &talc);

    // The claim was made: its heap end is here.
    let mut source = talc.replace_source(unsafe { Claim::new((&raw mut TWO).cast(), 10_000) });
    assert!(!source.is_ready());
    let end = source.take_claim().unwrap();
    assert_eq!(source.take_claim(), None);
    assert!(unsafe { talc.reserved(end) }.any);

    let large = (0..2).map(|_| Box::new_in([1_u8; 7000], &talc)).collect::<std::vec::Vec<_>>();
    assert_eq!(talc.counters().heap_count, 2);
    assert_eq!(*number, 42);
    drop(large);

    let manual = TalcCell::new(Manual);
    assert_eq!(manual.clone_source(), Manual);
}

/// An allocator of one's own: another heap.
#[derive(Clone, Copy)]
struct Outer<'a>(&'a TalcCell<Claim>);

impl fmt::Debug for Outer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Outer")
    }
}

unsafe impl Allocator for Outer<'_> {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        self.0.allocate(layout)
    }

    unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: Layout) {
        unsafe { self.0.deallocate(ptr, layout) }
    }
}

#[test]
fn a_heap_in_a_heap() {
    static mut MEMORY: [u8; 1 << 20] = [0; 1 << 20];
    let outer = TalcCell::new(unsafe { Claim::array(&raw mut MEMORY) });
    {
        let inner = TalcCell::new(AllocatorSource::with_block_size(Outer(&outer), 1 << 14));
        let mut lines = Vec::new_in(&inner);
        for n in 0..300_usize {
            let mut line = Vec::new_in(&inner);
            line.extend((0..n).map(|byte| byte as u8));
            lines.push(line);
        }
        lines.retain(|line| line.len() % 2 == 0);
        assert!(lines.iter().all(|line| line.iter().enumerate().all(|(n, &byte)| byte == n as u8)));
        assert!(outer.counters().allocation_count > 0);
        assert!(inner.counters().heap_count > 1);
    }
    assert_eq!(outer.counters().allocation_count, 0);
}

#[test]
fn blocks_of_the_system() {
    let talc = TalcCell::new(GlobalAllocSource::with_block_size(std::alloc::System, 1 << 16));
    let large = Box::new_in([3_u8; 100_000], &talc);
    let mut small = Vec::new_in(&talc);
    small.extend((0..1000_u16).map(|n| Box::new_in(n, &talc)));
    assert!(small.iter().enumerate().all(|(n, number)| **number == n as u16));
    assert_eq!(large[99_999], 3);
    assert!(talc.counters().claimed_bytes > 100_000);
    drop((large, small));
    assert_eq!(talc.counters().allocation_count, 0);
}

#[test]
fn the_allocator_trait_by_hand() {
    static mut MEMORY: [u8; 100_000] = [0; 100_000];
    let talc = TalcCell::new(unsafe { Claim::array(&raw mut MEMORY) });
    let empty = Layout::from_size_align(0, 1024).unwrap();
    let small = Layout::from_size_align(10, 2).unwrap();
    let large = Layout::from_size_align(5000, 512).unwrap();
    unsafe {
        let block = Allocator::allocate(&talc, empty).unwrap().cast::<u8>();
        assert_eq!(block.as_ptr() as usize % 1024, 0);
        let block = Allocator::grow(&talc, block, empty, small).unwrap().cast::<u8>();
        block.as_ptr().write_bytes(9, 10);
        let block = Allocator::grow_zeroed(&talc, block, small, large).unwrap().cast::<u8>();
        assert_eq!(block.as_ptr() as usize % 512, 0);
        assert!((0..5000).all(|n| block.as_ptr().add(n).read() == if n < 10 { 9 } else { 0 }));
        let block = Allocator::shrink(&talc, block, large, small).unwrap().cast::<u8>();
        assert!((0..10).all(|n| block.as_ptr().add(n).read() == 9));
        Allocator::deallocate(&talc, block, small);
    }
    assert_eq!(talc.counters().allocation_count, 0);
    let text = format!("{} {:?}", talc.counters(), talc.counters());
    assert!(text.contains("allocation_count: 0"));
}

#[test]
fn by_value_in_a_collection() {
    static mut MEMORY: [u8; 50_000] = [0; 50_000];
    let talc = TalcCell::new(unsafe { Claim::array(&raw mut MEMORY) });
    let mut list = Vec::new_in(talc);
    list.extend(0..1000_i32);
    assert_eq!(list.iter().sum::<i32>(), 499_500);
    assert_eq!(list.allocator().counters().allocation_count, 1);
}

static ONE_THREAD: TalcSyncCell<Claim, DefaultBinning> = unsafe {
    static mut ARENA: [u8; 20_000] = [0; 20_000];
    TalcSyncCell::new(TalcCell::new(Claim::array(&raw mut ARENA)))
};

#[test]
fn a_static_without_a_lock() {
    let layout = Layout::new::<[u16; 300]>();
    unsafe {
        let block = ONE_THREAD.alloc(layout);
        assert!(!block.is_null());
        let block = ONE_THREAD.realloc(block, layout, 6000);
        assert!(!block.is_null());
        ONE_THREAD.dealloc(block, Layout::from_size_align(6000, layout.align()).unwrap());
    }
}

#[test]
#[should_panic]
fn new_wasm_is_for_wasm() {
    let _ = TalcSyncCell::<_, talc::wasm::WasmBinning>::new_wasm(talc::wasm::WasmGrowAndClaim);
}

/// The heaps of 2,048 and 2,500 bytes that the documentation of talc 5.1.1 has.
#[test]
fn heaps_may_be_small() {
    static mut HEAP: [u8; 2048] = [0; 2048];
    let talc = TalcCell::new(unsafe { Claim::array(&raw mut HEAP) });
    let mut numbers = Vec::<u32, _>::with_capacity_in(42, &talc);
    numbers.extend(0..42);

    static mut ARENA: [u8; 5000] = [0; 5000];
    let talc = TalcCell::new(Manual);
    let base = (&raw mut ARENA).cast::<u8>();
    let end = unsafe { talc.claim(base, 2500) }.unwrap();
    let block = Box::new_in([1_u8; 500], &talc);
    let higher = unsafe { talc.extend(end, base.wrapping_add(5000)) };
    assert!(higher > end);
    let larger = Box::new_in([2_u8; 1500], &talc);
    assert_eq!((block[499], larger[1499]), (1, 2));
}
