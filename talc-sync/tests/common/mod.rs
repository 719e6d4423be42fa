//! What several of these tests need: the wrappers and the allocation traits as parameters of one
//! test body, and memory with a pattern in it.
#![allow(dead_code, unreachable_pub, unused_imports)] // Every test has a copy, and uses a part of it.
#![allow(clippy::undocumented_unsafe_blocks)] // Who calls vouches for the pointers.

pub mod stress;
#[path = "../../../talc-sources/tests/common/support.rs"]
mod support;
pub use support::*;

use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr::{slice_from_raw_parts_mut, NonNull};
use std::sync::atomic::{AtomicUsize, Ordering};

use talc_sync::sharded::ShardHint;
use talc_sync::talc_sources::talc_core::Part;
use talc_sync::talc_sources::{Claim, Source, Talc};
use talc_sync::{lock_api::RawMutex, TalcCell, TalcLock, TalcSharded, TalcSyncCell};

/// Memory for a heap, and a source that claims it. Give it to the allocator, and keep the memory.
pub fn arena(size: usize) -> (Vec<u64>, Claim) {
    let mut memory = vec![0xA5A5_A5A5_A5A5_A5A5_u64; size / 8];
    let claim = unsafe { Claim::new(memory.as_mut_ptr().cast(), memory.len() * 8) };
    (memory, claim)
}

/// A wrapper: what all of them have in common.
pub trait Wrapper: GlobalAlloc {
    type Source: Source;
    fn new(source: Self::Source) -> Self;
    fn gap(&self) -> usize;
    fn check(&self);
}

impl<S: Source> Wrapper for TalcCell<S> {
    type Source = S;
    fn new(source: S) -> Self {
        Self::new(source)
    }
    fn gap(&self) -> usize {
        TalcCell::largest_gap(self).unwrap_or(0)
    }
    fn check(&self) {
        assert_eq!(self.audit(), Ok(()));
    }
}

impl<S: Source> Wrapper for TalcSyncCell<S> {
    type Source = S;
    fn new(source: S) -> Self {
        unsafe { Self::new(TalcCell::new(source)) }
    }
    fn gap(&self) -> usize {
        TalcCell::largest_gap(self).unwrap_or(0)
    }
    fn check(&self) {
        assert_eq!(self.audit(), Ok(()));
    }
}

impl<R: RawMutex, S: Source> Wrapper for TalcLock<R, S> {
    type Source = S;
    fn new(source: S) -> Self {
        Self::new(source)
    }
    fn gap(&self) -> usize {
        Talc::largest_gap(&self.lock()).unwrap_or(0)
    }
    fn check(&self) {
        assert_eq!(self.lock().audit(), Ok(()));
    }
}

impl<R: RawMutex, S: Source, H: ShardHint, const SHARDS: usize> Wrapper
    for TalcSharded<R, S, H, SHARDS>
{
    type Source = S;
    fn new(source: S) -> Self {
        Self::new(source)
    }
    fn gap(&self) -> usize {
        self.trim();
        Talc::largest_gap(&self.lock()).unwrap_or(0)
    }
    fn check(&self) {
        assert_eq!(self.audit(), Ok(()));
    }
}

/// A wrapper that threads share.
pub trait Shared: Wrapper<Source = Claim> + Sync {
    /// Checks it unless it is locked.
    fn try_check(&self);
    fn into_talc(self) -> Talc<Claim>;
}

impl<R: RawMutex + Send + Sync> Shared for TalcLock<R, Claim> {
    fn try_check(&self) {
        if let Some(guard) = self.try_lock() {
            assert_eq!(guard.audit(), Ok(()));
        }
    }
    fn into_talc(self) -> Talc<Claim> {
        self.into_inner()
    }
}

impl<R: RawMutex + Send + Sync, H: ShardHint, const SHARDS: usize> Shared
    for TalcSharded<R, Claim, H, SHARDS>
{
    fn try_check(&self) {
        assert_eq!(self.audit(), Ok(()));
    }
    fn into_talc(self) -> Talc<Claim> {
        self.into_inner()
    }
}

/// Returns how many chunks and slots are in use.
pub fn allocations_of<S: Source>(talc: &mut Talc<S>) -> usize {
    talc.trim();
    let mut allocations = 0;
    talc.visit(|part| match part {
        Part::Allocated { .. } => allocations += 1,
        Part::Slab { slots, free_slots, .. } => allocations += slots - free_slots,
        _ => {}
    });
    allocations
}

/// The system's allocator, which counts the bytes that it has handed out. Each test has one of its own.
pub struct Counted<const TEST: usize>;

static HELD: [AtomicUsize; 4] =
    [AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0)];

impl<const TEST: usize> Counted<TEST> {
    pub fn held() -> usize {
        HELD[TEST].load(Ordering::Relaxed)
    }
}

unsafe impl<const TEST: usize> GlobalAlloc for Counted<TEST> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD[TEST].fetch_add(layout.size(), Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        HELD[TEST].fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(ptr, layout) };
    }
}

/// A hint that is another one at each call.
pub struct WrongHint;

impl ShardHint for WrongHint {
    fn hint() -> usize {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        NEXT.fetch_add(0x9E37, Ordering::Relaxed)
    }
}

/// A trait to allocate through. Sizes of zero are allowed where [`ZERO_SIZED`](Self::ZERO_SIZED).
pub trait Interface<W> {
    /// Whether sizes may be zero, and alignments may change.
    const ZERO_SIZED: bool;
    fn allocate(talc: &W, layout: Layout) -> Option<NonNull<[u8]>>;
    fn allocate_zeroed(talc: &W, layout: Layout) -> Option<NonNull<[u8]>>;
    unsafe fn deallocate(talc: &W, block: NonNull<u8>, layout: Layout);
    unsafe fn grow(talc: &W, block: NonNull<u8>, old: Layout, new: Layout)
        -> Option<NonNull<[u8]>>;
    unsafe fn grow_zeroed(
        talc: &W,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Option<NonNull<[u8]>>;
    unsafe fn shrink(
        talc: &W,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Option<NonNull<[u8]>>;
}

/// `GlobalAlloc`. It has no `grow_zeroed`, so that is what its users do instead.
pub struct ByGlobalAlloc;

impl<W: GlobalAlloc> Interface<W> for ByGlobalAlloc {
    const ZERO_SIZED: bool = false;
    fn allocate(talc: &W, layout: Layout) -> Option<NonNull<[u8]>> {
        assert!(layout.size() > 0);
        slice(unsafe { talc.alloc(layout) }, layout)
    }
    fn allocate_zeroed(talc: &W, layout: Layout) -> Option<NonNull<[u8]>> {
        assert!(layout.size() > 0);
        slice(unsafe { talc.alloc_zeroed(layout) }, layout)
    }
    unsafe fn deallocate(talc: &W, block: NonNull<u8>, layout: Layout) {
        unsafe { talc.dealloc(block.as_ptr(), layout) }
    }
    unsafe fn grow(
        talc: &W,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Option<NonNull<[u8]>> {
        assert!(new.size() > 0 && old.align() == new.align());
        slice(unsafe { talc.realloc(block.as_ptr(), old, new.size()) }, new)
    }
    unsafe fn grow_zeroed(
        talc: &W,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Option<NonNull<[u8]>> {
        let grown = unsafe { Self::grow(talc, block, old, new) }?;
        let added = grown.cast::<u8>().as_ptr().wrapping_add(old.size());
        unsafe { added.write_bytes(0, new.size() - old.size()) };
        Some(grown)
    }
    unsafe fn shrink(
        talc: &W,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Option<NonNull<[u8]>> {
        unsafe { Self::grow(talc, block, old, new) }
    }
}

fn slice(block: *mut u8, layout: Layout) -> Option<NonNull<[u8]>> {
    NonNull::new(block)
        .map(|_| NonNull::new(slice_from_raw_parts_mut(block, layout.size())).unwrap())
}

/// An `Allocator` trait, which stands at `$trait`.
macro_rules! by_allocator {
    ($(#[$attribute:meta])* $name:ident, $trait:path) => {
        $(#[$attribute])*
        pub struct $name;

        $(#[$attribute])*
        impl<W: $trait> Interface<W> for $name {
            const ZERO_SIZED: bool = true;
            fn allocate(talc: &W, layout: Layout) -> Option<NonNull<[u8]>> {
                talc.allocate(layout).ok()
            }
            fn allocate_zeroed(talc: &W, layout: Layout) -> Option<NonNull<[u8]>> {
                talc.allocate_zeroed(layout).ok()
            }
            unsafe fn deallocate(talc: &W, block: NonNull<u8>, layout: Layout) {
                unsafe { talc.deallocate(block, layout) }
            }
            unsafe fn grow(
                talc: &W,
                block: NonNull<u8>,
                old: Layout,
                new: Layout,
            ) -> Option<NonNull<[u8]>> {
                unsafe { talc.grow(block, old, new) }.ok()
            }
            unsafe fn grow_zeroed(
                talc: &W,
                block: NonNull<u8>,
                old: Layout,
                new: Layout,
            ) -> Option<NonNull<[u8]>> {
                unsafe { talc.grow_zeroed(block, old, new) }.ok()
            }
            unsafe fn shrink(
                talc: &W,
                block: NonNull<u8>,
                old: Layout,
                new: Layout,
            ) -> Option<NonNull<[u8]>> {
                unsafe { talc.shrink(block, old, new) }.ok()
            }
        }
    };
}

by_allocator!(ByAllocator, allocator_api2::alloc::Allocator);
by_allocator!(
    #[cfg(all(feature = "allocator-api2-02", not(feature = "nightly")))]
    ByAllocator02,
    allocator_api2_02::alloc::Allocator
);
by_allocator!(
    #[cfg(feature = "nightly")]
    ByCoreAllocator,
    core::alloc::Allocator
);

/// Makes a test of each generic function, for each wrapper and each trait it is allocated through.
#[allow(unused_macros)]
macro_rules! for_each_wrapper_and_interface {
    ($($body:ident),* $(,)?) => {
        mod talc_cell {
            type Wrapper = talc_sync::TalcCell<talc_sync::talc_sources::Claim>;
            for_each_wrapper_and_interface!(@interfaces $($body)*);
        }
        mod talc_sync_cell {
            type Wrapper = talc_sync::TalcSyncCell<talc_sync::talc_sources::Claim>;
            for_each_wrapper_and_interface!(@interfaces $($body)*);
        }
        mod talc_lock {
            type Wrapper =
                talc_sync::TalcLock<talc_sync::RawSpinlock, talc_sync::talc_sources::Claim>;
            for_each_wrapper_and_interface!(@interfaces $($body)*);
        }
        mod talc_sharded {
            type Wrapper = talc_sync::TalcSharded<
                talc_sync::RawSpinlock,
                talc_sync::talc_sources::Claim,
                talc_sync::sharded::ByThread,
                3,
            >;
            for_each_wrapper_and_interface!(@interfaces $($body)*);
        }
    };
    (@interfaces $($body:ident)*) => {
        for_each_wrapper_and_interface!(@tests global_alloc ByGlobalAlloc: $($body)*);
        for_each_wrapper_and_interface!(@tests allocator ByAllocator: $($body)*);
        #[cfg(all(feature = "allocator-api2-02", not(feature = "nightly")))]
        for_each_wrapper_and_interface!(@tests allocator_02 ByAllocator02: $($body)*);
        #[cfg(feature = "nightly")]
        for_each_wrapper_and_interface!(@tests core_allocator ByCoreAllocator: $($body)*);
    };
    (@tests $name:ident $interface:ident: $($body:ident)*) => {
        mod $name {
            $(#[test] fn $body() {
                crate::$body::<super::Wrapper, crate::common::$interface>();
            })*
        }
    };
}
pub fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

/// Fills memory with bytes that tell their place and a seed.
pub unsafe fn fill(block: *mut u8, size: usize, seed: usize) {
    for n in 0..size {
        unsafe { block.add(n).write(pattern(n, seed)) };
    }
}

/// Asserts that memory is as [`fill`] left it.
pub unsafe fn verify(block: *const u8, size: usize, seed: usize) {
    for n in 0..size {
        assert_eq!(unsafe { block.add(n).read() }, pattern(n, seed), "byte {n} of {size}");
    }
}

fn pattern(n: usize, seed: usize) -> u8 {
    (n.wrapping_mul(31) ^ (n >> 8) ^ seed.wrapping_mul(77)) as u8
}
