//! A program for talc 5.1.1: code that is generic over the source, the lock or the binning.
#![allow(clippy::undocumented_unsafe_blocks)]

use std::alloc::{GlobalAlloc, System};
use std::ptr::NonNull;

use allocator_api2::alloc::Allocator;
use allocator_api2::vec::Vec;
use talc::base::binning::{Binning, DefaultBinning};
use talc::base::{Counters, Reserved};
use talc::lock_api::RawMutex;
use talc::source::{AllocatorSource, Claim, GlobalAllocSource, Manual, Source};
use talc::wasm::{
    WasmArenaTalc, WasmBinning, WasmDynamicTalc, WasmGrowAndClaim, WasmGrowAndExtend,
};
use talc::{cell, sync, TalcCell, TalcLock};

/// Any source.
fn squares<S: Source>(talc: &TalcCell<S>, count: u64) -> Vec<u64, &TalcCell<S>> {
    let mut squares = Vec::new_in(talc);
    squares.extend((0..count).map(|n| n * n));
    squares
}

/// A structure that owns its heap.
struct Arena<S: Source> {
    talc: TalcCell<S>,
    end: Option<NonNull<u8>>,
}

impl<S: Source> Arena<S> {
    const fn new(source: S) -> Self {
        Self { talc: TalcCell::new(source), end: None }
    }

    /// # Safety
    /// That of `claim`, and the source must not forbid it.
    unsafe fn give(&mut self, memory: &'static mut [u8]) {
        self.end = unsafe { self.talc.claim(memory.as_mut_ptr(), memory.len()) };
    }

    fn in_use(&self) -> Option<Reserved> {
        self.end.map(|end| unsafe { self.talc.reserved(end) })
    }
}

impl Arena<Manual> {
    fn manual() -> Self {
        Self::new(Manual)
    }
}

/// Any binning.
fn first_heap<B: Binning>(talc: &mut talc::base::Talc<Manual, B>) -> Option<NonNull<u8>> {
    let size = talc::min_first_heap_size::<B>();
    assert!(talc::min_first_heap_layout::<B>().size() <= size);
    unsafe { talc.claim(std::vec![0_u8; size].leak().as_mut_ptr(), size) }
}

/// Any lock and any source.
fn statistics<R: RawMutex, S: Source>(talc: &TalcLock<R, S>) -> Counters {
    *talc.lock().counters()
}

/// Any lock and any binning.
fn overhead<R: RawMutex, B: Binning>(talc: &sync::TalcLock<R, Claim, B>) -> usize {
    talc.lock().counters().overhead_bytes()
}

/// Any allocator.
fn joined<A: Allocator + Copy>(words: &[&str], allocator: A) -> Vec<u8, A> {
    let mut text = Vec::new_in(allocator);
    words.iter().for_each(|word| text.extend_from_slice(word.as_bytes()));
    text
}

fn is_global_and_shared<T: GlobalAlloc + Allocator + Send + Sync>(_: &T) {}
fn is_private<T: GlobalAlloc + Allocator + Send>(_: &T) {}
fn is_sent<T: Send>() {}

#[test]
fn over_sources() {
    static mut MEMORY: [u8; 50_000] = [0; 50_000];
    let claim = TalcCell::new(unsafe { Claim::array(&raw mut MEMORY) });
    assert_eq!(squares(&claim, 100)[99], 9801);
    let system = TalcCell::new(GlobalAllocSource::new(System));
    assert_eq!(squares(&system, 100_000).len(), 100_000);
    let api = TalcCell::new(AllocatorSource::new(allocator_api2::alloc::System));
    assert_eq!(squares(&api, 10).iter().sum::<u64>(), 285);

    let mut arena = Arena::manual();
    assert!(arena.in_use().is_none());
    unsafe { arena.give(std::vec![0; 20_000].leak()) };
    let before = arena.in_use().unwrap().up_to;
    let numbers = squares(&arena.talc, 100);
    assert!(arena.in_use().unwrap().up_to > before);
    assert!(arena.in_use().unwrap().any);
    drop(numbers);
    assert_eq!(arena.in_use().unwrap().up_to, before);
}

#[test]
fn over_binnings_and_locks() {
    let mut default = talc::base::Talc::<Manual, DefaultBinning>::new(Manual);
    let mut wasm = talc::base::Talc::<Manual, WasmBinning>::new(Manual);
    assert!(first_heap(&mut default).is_some() && first_heap(&mut wasm).is_some());

    static mut ONE: [u8; 10_000] = [0; 10_000];
    static mut TWO: [u8; 10_000] = [0; 10_000];
    let one: TalcLock<spinning_top::RawSpinlock, _> =
        TalcLock::new(unsafe { Claim::array(&raw mut ONE) });
    let two: sync::TalcLock<spin::Mutex<()>, _, WasmBinning> =
        sync::TalcLock::new(unsafe { Claim::array(&raw mut TWO) });
    assert_eq!(joined(&["spin", "ning", " ", "top"], &one)[..], *b"spinning top");
    assert_eq!(joined(&["spin"], &two)[..], *b"spin");
    assert_eq!(statistics(&one).allocation_count, 0);
    assert!(overhead(&one) > overhead(&two));
}

#[test]
fn traits_are_implemented() {
    let lock = TalcLock::<spin::Mutex<()>, _>::new(GlobalAllocSource::new(System));
    is_global_and_shared(&lock);
    is_global_and_shared(&lock_of_manual());
    is_private(&TalcCell::new(Manual));
    is_private(&cell::TalcCell::<_, WasmBinning>::new(Claim::standby()));
    is_sent::<talc::base::Talc<AllocatorSource<allocator_api2::alloc::System>, DefaultBinning>>();
    is_sent::<WasmGrowAndClaim>();
    let _: Option<(WasmArenaTalc, WasmDynamicTalc)> = None;
    let _ = WasmGrowAndExtend::new();
    assert!(!Claim::standby().is_ready());
}

fn lock_of_manual() -> sync::TalcLock<spinning_top::RawSpinlock, Manual, DefaultBinning> {
    sync::TalcLock::new(Manual)
}
