//! Sources that bring memory which is in use, or is no region: debug builds report it by name, with the
//! lock free, and the allocator can be used as before.
#![allow(clippy::undocumented_unsafe_blocks)] // Regions are local, frees of what was allocated.
#![allow(clippy::incompatible_msrv)] // The MSRV is that of the library.
#![cfg_attr(feature = "nightly", feature(allocator_api))]
#![cfg(all(debug_assertions, not(feature = "error-scanning")))]

mod common;

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::ptr::{null_mut, NonNull};

use allocator_api2::alloc::{AllocError, Allocator};
use common::{fill, layout, panic_message, verify, Wrapper, WrongHint};
use talc_sync::talc_sources::talc_core::RawTalc;
use talc_sync::talc_sources::{AllocatorSource, Chain, Claim, GlobalAllocSource};
use talc_sync::talc_sources::{OutOfMemory, Source};
use talc_sync::{
    OomHook, RawSpinlock, Region, Regions, TalcCell, TalcLock, TalcSharded, TalcSyncCell,
};

const OVERLAP: &str = "talc: this region overlaps a heap (is it claimed twice?)";
const UNSUITABLE: &str = "talc: this region is not aligned to 16 bytes, or too small for a heap";

const SIZE: usize = 64 << 10;

#[repr(align(4096))]
struct Memory([u8; SIZE]);

thread_local! {
    /// What the next call brings: an offset into the memory, and a size.
    static NEXT: Cell<(isize, usize)> = const { Cell::new((0, 0)) };
    static MEMORY: *mut u8 = Box::leak(Box::new(Memory([0; SIZE]))).0.as_mut_ptr();
}

/// Sets what the next call brings, once.
fn bring(offset: isize, size: usize) {
    NEXT.set((offset, size));
}

/// Returns what was set, once.
fn brought() -> Option<(*mut u8, usize)> {
    let (offset, size) = NEXT.take();
    (size > 0).then(|| (MEMORY.with(|memory| memory.wrapping_offset(offset)), size))
}

/// Claims whatever was set.
struct Claims;

unsafe impl Source for Claims {
    unsafe fn acquire(&mut self, talc: &mut RawTalc, _: Layout) -> Result<(), OutOfMemory> {
        let (base, size) = brought().ok_or(OutOfMemory)?;
        unsafe { talc.claim(base, size) }.map(|_| ()).ok_or(OutOfMemory)
    }
}

/// Extends its heap by whatever was set, or claims it.
struct Extends(Option<NonNull<u8>>);

unsafe impl Send for Extends {}

unsafe impl Source for Extends {
    unsafe fn acquire(&mut self, talc: &mut RawTalc, _: Layout) -> Result<(), OutOfMemory> {
        let (base, size) = brought().ok_or(OutOfMemory)?;
        self.0 = Some(unsafe { talc.claim_or_extend(self.0, base, size) });
        if talc.has_report() {
            return Err(OutOfMemory);
        }
        Ok(())
    }
}

/// Brings whatever was set as a block.
struct Blocks;

unsafe impl GlobalAlloc for Blocks {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match brought() {
            Some((base, size)) if size >= layout.size() => base,
            _ => null_mut(),
        }
    }
    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

unsafe impl Allocator for Blocks {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        let block = NonNull::new(unsafe { self.alloc(layout) }).ok_or(AllocError)?;
        Ok(NonNull::slice_from_raw_parts(block, layout.size()))
    }
    unsafe fn deallocate(&self, _: NonNull<u8>, _: Layout) {}
}

/// Brings a sound region, then what is wrong, then a sound one again.
fn check<W: Wrapper + Allocator>(source: W::Source, wrong: &[(isize, usize, &str)]) {
    let talc = W::new(source);
    let (small, large) = (layout(1000, 8), layout(9000, 8));
    bring(16 << 10, 16 << 10);
    let kept = Allocator::allocate(&talc, small).unwrap().cast::<u8>();
    let others =
        [(); 3].map(|()| Allocator::allocate(&talc, layout(500, 16)).unwrap().cast::<u8>());
    unsafe {
        fill(kept.as_ptr(), 1000, 1);
        Allocator::deallocate(&talc, others[1], layout(500, 16));
    }
    let _filled = Allocator::allocate(&talc, large).unwrap();
    for &(offset, size, sentence) in wrong {
        bring(offset, size);
        let message = panic_message(|| Allocator::allocate(&talc, large));
        assert!(message.starts_with(sentence), "{offset:#x}, {size:#x}: {message}");
        talc.check();
        unsafe { verify(kept.as_ptr(), 1000, 1) };
    }
    bring(48 << 10, 16 << 10);
    let block = Allocator::allocate(&talc, large).expect("sound memory again").cast();
    unsafe {
        Allocator::deallocate(&talc, block, large);
        Allocator::deallocate(&talc, kept, small);
    }
    talc.check();
}

/// The same region, parts of it, and what reaches into it from below and above.
const OVERLAPPING: [(isize, usize, &str); 6] = [
    (16 << 10, 16 << 10, OVERLAP),
    (17 << 10, 14 << 10, OVERLAP),
    ((16 << 10) + 16, 16 << 10, OVERLAP),
    (4 << 10, 13 << 10, OVERLAP),
    (31 << 10, 16 << 10, OVERLAP),
    (4 << 10, 48 << 10, OVERLAP),
];

macro_rules! for_each_wrapper {
    ($source:expr, $type:ty, $wrong:expr) => {{
        check::<TalcCell<$type>>($source, $wrong);
        check::<TalcSyncCell<$type>>($source, $wrong);
        check::<TalcLock<RawSpinlock, $type>>($source, $wrong);
        check::<TalcSharded<RawSpinlock, $type, WrongHint, 1>>($source, $wrong);
        check::<TalcSharded<RawSpinlock, $type, WrongHint, 5>>($source, $wrong);
    }};
}

#[test]
fn a_source_that_claims_what_is_in_use() {
    for_each_wrapper!(Claims, Claims, &OVERLAPPING);
}

#[test]
fn a_source_that_extends_into_what_is_in_use() {
    for_each_wrapper!(Extends(None), Extends, &OVERLAPPING);
}

#[test]
fn a_source_that_extends_by_what_is_no_region() {
    let wrong = [
        ((40 << 10) + 8, 8 << 10, UNSUITABLE),
        ((40 << 10) + 1, 8 << 10, UNSUITABLE),
        (40 << 10, 64, UNSUITABLE),
        (40 << 10, 1, UNSUITABLE),
    ];
    for_each_wrapper!(Extends(None), Extends, &wrong);
}

/// Blocks are claimed up to a footer, so each is larger than what is asked for. `OVERLAPPING` without
/// those that are too small for that.
#[test]
fn an_allocator_that_hands_out_what_is_in_use() {
    let wrong = [OVERLAPPING[0], OVERLAPPING[2], OVERLAPPING[4], OVERLAPPING[5]];
    let by_global = || unsafe { GlobalAllocSource::with_block_size_unchecked(Blocks, 16 << 10) };
    let by_allocator = || AllocatorSource::with_block_size(Blocks, 16 << 10);
    for_each_wrapper!(by_global(), GlobalAllocSource<Blocks>, &wrong);
    for_each_wrapper!(by_allocator(), AllocatorSource<Blocks>, &wrong);
}

/// The region of a chain is in use where the other source claims.
#[test]
fn a_chain_whose_parts_overlap() {
    let first = || {
        let memory = MEMORY.with(|memory| memory.wrapping_add(16 << 10));
        unsafe { Claim::new(memory, 16 << 10) }
    };
    for_each_wrapper!(Chain::new(first(), Claims), Chain<Claims>, &OVERLAPPING);
}

/// Under a hook, the report comes instead of the hook.
#[test]
fn a_hook_that_claims_what_is_in_use() {
    static mut HEAP: [u128; 1 << 10] = [0; 1 << 10];
    type Talc = OomHook<TalcLock<RawSpinlock, Claim>>;
    static TALC: Talc =
        OomHook::new(TalcLock::new(unsafe { Claim::array(&raw mut HEAP) }), |_, _| {
            unsafe { TALC.inner().lock().claim((&raw mut HEAP).cast(), 16 << 10) }.is_some()
        });
    let kept = Allocator::allocate(&TALC, layout(1000, 8)).unwrap().cast::<u8>();
    let message = panic_message(|| Allocator::allocate(&TALC, layout(20_000, 8)));
    assert!(message.starts_with(OVERLAP), "{message}");
    assert_eq!(TALC.inner().lock().audit(), Ok(()));
    unsafe { Allocator::deallocate(&TALC, kept, layout(1000, 8)) };
    assert!(Allocator::allocate(&TALC, layout(9000, 8)).is_ok());
}

#[test]
fn regions_that_overlap() {
    let memory = MEMORY.with(|memory| *memory);
    for (offset, size) in [(0, 16 << 10), (8 << 10, 16 << 10), (8 << 10, 1 << 10)] {
        let regions: Regions<RawSpinlock, 2> = Regions::new(unsafe {
            [Region::new(memory, 16 << 10, 0), Region::new(memory.wrapping_add(offset), size, 0)]
        });
        let message = panic_message(|| regions.allocate(layout(100, 8)));
        assert_eq!(message, "talc: region 1 overlaps another one");
    }
}
