//! What several of these tests need: a backing allocator that checks its callers, and layouts at
//! the limits.
#![allow(dead_code, unreachable_pub, unused_imports)] // Every test has a copy, and uses a part of it.
#![allow(clippy::undocumented_unsafe_blocks)] // Blocks are checked in what is recorded of them.

mod support;
pub use support::*;

use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::BTreeMap;
use std::ptr::{null_mut, slice_from_raw_parts_mut, NonNull};
use std::sync::{Mutex, MutexGuard, PoisonError};

use allocator_api2::alloc::{AllocError, Allocator};
use talc_sources::{AllocatorSource, GlobalAllocSource, Source};

/// An allocator over `System` that records each live block with its layout. It panics if a block is
/// freed with another layout, or was written beyond. It fails when it is told to. Dropping it
/// asserts that all blocks have been given back.
#[derive(Default)]
pub struct Backing(Mutex<State>);

#[derive(Default)]
struct State {
    live: BTreeMap<usize, Layout>,
    calls: usize,
    frees: usize,
    largest: usize,
    /// How many calls succeed before all others fail.
    lasts_for: Option<usize>,
}

/// Bytes on both sides of a block that must keep their value.
const GUARD: usize = 64;
const GUARDED: u8 = 0xA7;

impl Backing {
    pub fn new() -> Self {
        Self::default()
    }

    /// Fails after `calls` successful calls, until it is told otherwise.
    pub fn set_lasts_for(&self, calls: Option<usize>) {
        let mut state = self.state();
        state.lasts_for = calls.map(|more| state.calls + more);
    }

    /// Returns how often it was asked for memory.
    pub fn calls(&self) -> usize {
        self.state().calls
    }

    /// Returns how many blocks were given back.
    pub fn frees(&self) -> usize {
        self.state().frees
    }

    /// Returns how many blocks are in use.
    pub fn blocks(&self) -> usize {
        self.state().live.len()
    }

    /// Returns the bytes in blocks that are in use.
    pub fn bytes(&self) -> usize {
        self.state().live.values().map(Layout::size).sum()
    }

    /// Returns the largest size that was asked for since the last call of this.
    pub fn take_largest(&self) -> usize {
        std::mem::take(&mut self.state().largest)
    }

    /// Returns whether all of the `bytes` bytes at `address` are in one block.
    pub fn owns(&self, address: *const u8, bytes: usize) -> bool {
        let address = address as usize;
        let state = self.state();
        let below = state.live.range(..=address).next_back();
        below.map_or(false, |(base, layout)| address + bytes <= base + layout.size())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The layout of a block with its guards. They leave the block aligned.
    fn guarded(layout: Layout) -> Option<Layout> {
        assert!(layout.align() <= GUARD, "blocks of usual alignment are all that is needed");
        Layout::from_size_align(layout.size() + 2 * GUARD, GUARD).ok()
    }

    fn obtain(&self, layout: Layout) -> *mut u8 {
        let mut state = self.state();
        assert!(layout.size() != 0, "zero bytes must not be asked for");
        state.largest = state.largest.max(layout.size());
        state.calls += 1;
        if state.lasts_for.map_or(false, |limit| state.calls > limit) {
            return null_mut();
        }
        let Some(guarded) = Self::guarded(layout) else { return null_mut() };
        let base = unsafe { System.alloc(guarded) };
        if base.is_null() {
            return base;
        }
        unsafe { base.write_bytes(GUARDED, guarded.size()) };
        let block = base.wrapping_add(GUARD);
        assert!(state.live.insert(block as usize, layout).is_none());
        block
    }

    fn give_back(&self, block: *mut u8, layout: Layout) {
        let mut state = self.state();
        let known = state.live.remove(&(block as usize)).expect("not a live block");
        assert_eq!(known, layout, "freed with another layout than it was allocated with");
        state.frees += 1;
        let base = block.wrapping_sub(GUARD);
        let above = block.wrapping_add(layout.size());
        for n in 0..GUARD {
            unsafe {
                assert_eq!(base.add(n).read(), GUARDED, "written below the block");
                assert_eq!(above.add(n).read(), GUARDED, "written above the block");
            }
        }
        unsafe { System.dealloc(base, Self::guarded(layout).unwrap()) };
    }
}

impl Drop for Backing {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(self.blocks(), 0, "blocks have leaked");
        }
    }
}

unsafe impl Allocator for Backing {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        let block = slice_from_raw_parts_mut(self.obtain(layout), layout.size());
        if block.cast::<u8>().is_null() {
            Err(AllocError)
        } else {
            Ok(NonNull::new(block).unwrap())
        }
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        self.give_back(block.as_ptr(), layout);
    }
}

/// The same as a `GlobalAlloc`, which references do not implement.
pub struct ByGlobalAlloc<'a>(pub &'a Backing);

unsafe impl GlobalAlloc for ByGlobalAlloc<'_> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.0.obtain(layout)
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        self.0.give_back(block, layout);
    }
}

/// Makes a source over a backing allocator, with blocks of a given size.
pub trait BlockSource {
    type Source<'a>: Source;

    fn over(backing: &Backing, block_size: usize) -> Self::Source<'_>;
}

pub struct OfGlobalAlloc;
impl BlockSource for OfGlobalAlloc {
    type Source<'a> = GlobalAllocSource<ByGlobalAlloc<'a>>;

    fn over(backing: &Backing, block_size: usize) -> Self::Source<'_> {
        unsafe { GlobalAllocSource::with_block_size_unchecked(ByGlobalAlloc(backing), block_size) }
    }
}

pub struct OfAllocator;
impl BlockSource for OfAllocator {
    type Source<'a> = AllocatorSource<&'a Backing>;

    fn over(backing: &Backing, block_size: usize) -> Self::Source<'_> {
        AllocatorSource::with_block_size(backing, block_size)
    }
}

/// Makes a test of each generic function, for each of the block sources.
#[allow(unused_macros)]
macro_rules! for_each_block_source {
    ($($body:ident),* $(,)?) => {
        mod global_alloc_source {
            $(#[test] fn $body() { super::$body::<super::common::OfGlobalAlloc>(); })*
        }
        mod allocator_source {
            $(#[test] fn $body() { super::$body::<super::common::OfAllocator>(); })*
        }
    };
}
pub(crate) use for_each_block_source;

/// A layout of `size` bytes, aligned to 8.
pub fn bytes(size: usize) -> Layout {
    Layout::from_size_align(size, 8).unwrap()
}

/// Layouts that no machine can satisfy, up to the limits of what `Layout` can say.
pub fn impossible_layouts() -> Vec<Layout> {
    let top = isize::MAX as usize;
    let mut layouts = Vec::new();
    for shift in 0..usize::BITS - 1 {
        let align = 1_usize << shift;
        // `Layout` limits sizes so that they can be rounded up to the alignment.
        let limit = top + 1 - align;
        for size in [limit, limit.saturating_sub(1), top / 2 + 2, top - 15, top - 64, top - 200] {
            if size > top / 2 {
                layouts.extend(Layout::from_size_align(size, align));
            }
        }
    }
    layouts
}
