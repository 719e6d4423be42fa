//! No safe program frees memory that is in use: every safe method of the public API, called while
//! allocations are alive. What safe code must not be able to say at all is in `compile_fail.rs`.
#![forbid(unsafe_code)]
#![cfg(all(feature = "allocator-api2", feature = "spinning_top"))]

use std::alloc::System;

use allocator_api2::alloc::{Allocator, Global};
use allocator_api2::boxed::Box;
use allocator_api2::vec::Vec;
use talc::base::binning::{Binning, SmallBinning};
use talc::base::Talc;
use talc::source::{AllocatorSource, Claim, GlobalAllocSource, Manual, Source};
use talc::{DefaultBinning, RawSpinlock, TalcCell, TalcLock};

const BLOCK: usize = 4096;

/// Enough that it lies in several blocks, some in larger ones.
fn allocations<A: Allocator + Copy>(talc: A) -> Vec<Vec<usize, A>, A> {
    let mut all = Vec::new_in(talc);
    for n in 0..40 {
        let mut numbers = Vec::new_in(talc);
        numbers.extend((0..n * n).map(|i| i ^ n));
        all.push(numbers);
    }
    all
}

fn verify<A: Allocator>(all: &[Vec<usize, A>]) {
    for (n, numbers) in all.iter().enumerate() {
        assert_eq!(numbers.len(), n * n);
        assert!(numbers.iter().enumerate().all(|(i, &number)| number == i ^ n));
    }
}

/// All that a driver offers to those who may only look.
fn look<S: Source<B>, B: Binning>(talc: &Talc<S, B>) {
    assert!(format!("{talc:?}").contains("heaps"));
    assert!(talc.is_metadata_established());
    assert!(talc.claim_size(core::alloc::Layout::new::<u64>()).is_some());
    let _ = talc.largest_gap();
    let mut parts = 0;
    talc.visit(|_| parts += 1);
    assert!(parts >= 3);
    let _: &S = talc.source();
    assert!(!talc.has_report());
    #[cfg(feature = "counters")]
    assert!(talc.counters().claimed_bytes > 0 && !talc.counters().to_string().is_empty());
    #[cfg(feature = "audit")]
    assert!(talc.audit().is_ok());
}

fn check_cell<S: Source<B>, B: Binning>(source: S) {
    let talc = talc::cell::TalcCell::<S, B>::new(source);
    let mut all = allocations(&talc);
    let leaked: &mut [u8; 1000] = Box::leak(Box::new_in([7; 1000], &talc));
    for _ in 0..3 {
        assert!(!format!("{talc:?}").is_empty());
        let _ = talc.largest_gap();
        #[cfg(feature = "counters")]
        assert!(talc.counters().allocated_bytes > 1000);
        #[cfg(feature = "audit")]
        assert!(talc.audit().is_ok());
        verify(&all);
        all.swap_remove(11);
        all = allocations(&talc);
    }
    assert!(leaked.iter().all(|&byte| byte == 7));
    verify(&all);
    drop(all);
    let mut talc = talc;
    look(talc.get_mut());
    let inner = talc.into_inner();
    look(&inner);
}

fn check_lock<S: Source<B> + Send, B: Binning>(source: S) {
    let talc = talc::sync::TalcLock::<RawSpinlock, S, B>::new(source);
    let all = allocations(&talc);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| verify(&allocations(&talc)));
        }
        for _ in 0..20 {
            look(&talc.lock());
            if let Some(guard) = talc.try_lock() {
                look(&guard);
            }
            assert!(!format!("{talc:?}").is_empty());
        }
    });
    // A guard that is never dropped: what was allocated stays as it is.
    core::mem::forget(talc.lock());
    verify(&all);
    core::mem::forget(all);
    let mut talc = talc;
    look(talc.get_mut());
    look(&talc.into_inner());
}

#[test]
fn all_safe_methods_leave_allocations_alone() {
    check_cell::<_, DefaultBinning>(GlobalAllocSource::with_block_size(System, BLOCK));
    check_cell::<_, SmallBinning>(AllocatorSource::with_block_size(Global, BLOCK));
    check_lock::<_, SmallBinning>(GlobalAllocSource::with_block_size(System, BLOCK));
    check_lock::<_, DefaultBinning>(AllocatorSource::with_block_size(Global, BLOCK));

    // From an allocator of its own kind.
    let outer = TalcLock::<RawSpinlock, _>::new(GlobalAllocSource::new(System));
    check_cell::<_, DefaultBinning>(AllocatorSource::with_block_size(&outer, BLOCK));
    check_lock::<_, DefaultBinning>(AllocatorSource::with_block_size(&outer, BLOCK));
    look(&outer.lock());
}

#[test]
fn allocators_may_move_with_what_they_own() {
    let mut numbers = Vec::new_in(TalcCell::new(GlobalAllocSource::with_block_size(System, BLOCK)));
    numbers.extend(0..10_000);
    let mut moved = std::vec![numbers];
    moved.reserve(100);
    let mut numbers = moved.pop().unwrap();
    numbers.shrink_to(100);
    assert!(numbers.iter().copied().eq(0..10_000));
    assert!(numbers.allocator().largest_gap().is_some());
    let other = TalcCell::new(GlobalAllocSource::with_block_size(System, BLOCK));
    let mut others = Vec::new_in(other);
    others.extend([1, 2, 3]);
    core::mem::swap(&mut numbers, &mut others);
    assert_eq!(numbers, [1, 2, 3]);
    drop(numbers);
    assert_eq!(others.iter().sum::<i32>(), 49_995_000);

    // A leaked box takes its allocator with it, and lives on.
    let talc = TalcCell::new(AllocatorSource::with_block_size(Global, BLOCK));
    let leaked: &'static mut [u64] = Vec::leak({
        let mut numbers = Vec::new_in(talc);
        numbers.resize(1000, 5);
        numbers
    });
    assert_eq!(leaked.iter().sum::<u64>(), 5000);
    // Freed blocks come only with the end of the allocator: the box first, the allocator after it.
    let (boxed, talc) = {
        let talc = TalcCell::new(GlobalAllocSource::new(System));
        Box::into_raw_with_allocator(Box::new_in([3_u8; 100], talc))
    };
    assert!(!boxed.is_null());
    drop(talc);
}

#[test]
fn sources_that_may_be_replaced_at_any_time() {
    let talc = TalcCell::new(Manual);
    for _ in 0..3 {
        let _: Manual = talc.replace_source(talc.clone_source());
        assert!(Box::try_new_in(1_u8, &talc).is_err());
    }
    let talc = TalcCell::new(Claim::standby());
    assert!(talc.replace_source(Claim::standby()).take_claim().is_none());
    assert!(Box::try_new_in(1_u8, &talc).is_err());

    let mut talc = TalcLock::<RawSpinlock, Claim>::new(Claim::standby());
    *talc.lock().source_mut() = Claim::standby();
    assert!(!talc.lock().source().is_ready());
    assert!(talc.get_mut().source_mut().take_claim().is_none());
    assert!(Box::try_new_in(1_u8, &talc).is_err());
}

#[test]
fn nothing_is_always_to_be_had() {
    // Zero-sized values need no memory, of an allocator that has none either.
    #[repr(align(4096))]
    #[derive(Clone, Copy, PartialEq, Debug)]
    struct Marker;
    let talc = TalcCell::new(Manual);
    let boxed = Box::new_in(Marker, &talc);
    assert_eq!(std::ptr::addr_of!(*boxed) as usize % 4096, 0);
    let mut markers = Vec::new_in(&talc);
    markers.resize(1000, Marker);
    assert_eq!(markers.as_ptr() as usize % 4096, 0);
    assert_eq!(markers[999], *boxed);
    let empty: Vec<u128, _> = Vec::with_capacity_in(0, &talc);
    assert_eq!(empty.as_ptr() as usize % core::mem::align_of::<u128>(), 0);
}
