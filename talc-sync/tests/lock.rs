//! TalcLock: its methods, the guard, and what is `Send` and `Sync`.
#![allow(clippy::undocumented_unsafe_blocks)] // Regions are local, frees of what was allocated.
#![cfg_attr(feature = "nightly", feature(allocator_api))]

#[macro_use]
mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr::null_mut;
use std::rc::Rc;

use common::{arena, layout, panic_message};
use talc_sync::talc_sources::talc_core::{Part, RawTalc, SmallBinning};
use talc_sync::talc_sources::{Claim, GlobalAllocSource, Manual, OutOfMemory, Source};
use talc_sync::{RawSpinlock, TalcCell, TalcGuard, TalcLock, TalcSyncCell};

type Lock = TalcLock<RawSpinlock, Claim>;

#[test]
fn try_lock_does_not_wait() {
    let (_memory, claim) = arena(1 << 14);
    let talc = Lock::new(claim);
    {
        let guard = talc.try_lock().expect("nobody has it");
        assert!(talc.try_lock().is_none());
        assert!(format!("{talc:?}").contains("is_locked: true"));
        assert!(!guard.is_metadata_established());
    }
    assert!(format!("{talc:?}").contains("is_locked: false"));
    let guard = talc.lock();
    assert!(talc.try_lock().is_none());
    drop(guard);
    assert!(talc.try_lock().is_some());
}

#[test]
fn the_guard_manages_heaps() {
    let (mut memory, _) = arena(1 << 14);
    let (base, size) = (memory.as_mut_ptr().cast::<u8>(), 1 << 14);
    let talc = TalcLock::<RawSpinlock, Manual>::new(Manual);
    assert!(unsafe { talc.alloc(layout(1000, 8)) }.is_null());
    let (end, block);
    unsafe {
        end = talc.lock().claim(base, size / 2).expect("large enough");
        block = talc.alloc(layout(1000, 8));
        assert!(!block.is_null());
        assert!(talc.alloc(layout(size / 2, 8)).is_null());

        let mut guard = talc.lock();
        let further = guard.extend(end, base.add(size));
        assert!(further > end);
        let end = guard.truncate(further, null_mut()).expect("something is allocated");
        assert_eq!(guard.reserved(end).up_to, end);
        let end = guard.resize(end, base.add(size)).unwrap();
        assert_eq!(end, further);
        assert!(guard.extend_size(end, layout(size, 8)).is_some());
        assert!(guard.claim_size(layout(size, 8)).unwrap() > size);
        assert!(guard.largest_gap().unwrap() > size / 2);
        assert!(format!("{:?}", *guard).contains("allocations: 1"));
        let mut allocated = 0;
        guard.visit(|part| allocated += usize::from(matches!(part, Part::Allocated { .. })));
        assert_eq!(allocated, 1);
        // The driver's own methods, under the same lock.
        let more = guard.talc_mut().allocate(layout(size / 2, 8)).unwrap();
        guard.talc_mut().deallocate(more.as_ptr(), layout(size / 2, 8));
        assert_eq!(guard.audit(), Ok(()));
    }
    unsafe { talc.dealloc(block, layout(1000, 8)) };
}

#[test]
fn the_source_can_be_looked_at_and_replaced() {
    let (_first, first) = arena(1 << 13);
    let (_second, second) = arena(1 << 13);
    let mut talc = Lock::new(first);
    assert!(talc.lock().source().is_ready());
    let large = layout(5000, 8);
    unsafe {
        assert!(!talc.alloc(large).is_null());
        assert!(talc.lock().source_mut().take_claim().is_some());
        assert!(talc.alloc(large).is_null());
        let old = std::mem::replace(talc.lock().source_mut(), second);
        assert!(!old.is_ready());
        assert!(!talc.alloc(large).is_null());
    }
    assert!(talc.get_mut().source_mut().take_claim().is_some());
    assert_eq!(talc.get_mut().audit(), Ok(()));
}

#[test]
fn get_mut_and_into_inner_need_no_lock() {
    let (_memory, claim) = arena(1 << 14);
    let mut talc = Lock::new(claim);
    let block = talc.get_mut().allocate(layout(1000, 8)).unwrap().as_ptr();
    // A guard that was forgotten leaves the lock locked, and that does not matter here.
    std::mem::forget(talc.lock());
    assert!(talc.try_lock().is_none());
    assert_eq!(talc.get_mut().audit(), Ok(()));
    let mut inner = talc.into_inner();
    unsafe { inner.deallocate(block, layout(1000, 8)) };
    assert_eq!(inner.audit(), Ok(()));
    assert_eq!(common::stress::allocations(&inner), 0);
}

#[cfg(feature = "counters")]
#[test]
fn counters_are_seen_through_the_guard() {
    let (_memory, claim) = arena(1 << 14);
    let talc = Lock::new(claim);
    let block = unsafe { talc.alloc(layout(1000, 8)) };
    let before = *talc.lock().counters();
    unsafe { talc.dealloc(block, layout(1000, 8)) };
    // Whole cache lines are what is then allocated.
    let size =
        if cfg!(feature = "cache-aligned-allocations") { before.allocated_bytes } else { 1000 };
    assert_eq!((before.allocation_count, before.allocated_bytes), (1, size));
    let guard = talc.lock();
    assert_eq!((guard.counters().allocation_count, guard.counters().allocated_bytes), (0, 0));
    assert!(guard.counters().peak_allocated_bytes == size && size >= 1000);
}

#[test]
fn other_binnings_and_locks() {
    let (_memory, claim) = arena(1 << 14);
    let talc = TalcLock::<spin::Mutex<()>, Claim, SmallBinning>::new(claim);
    let block = unsafe { talc.alloc(layout(1000, 64)) };
    assert!(!block.is_null());
    unsafe { talc.dealloc(block, layout(1000, 64)) };
    assert_eq!(talc.lock().audit(), Ok(()));

    static TALC: TalcLock<spinning_top::RawSpinlock, GlobalAllocSource<System>> =
        TalcLock::new(GlobalAllocSource::new(System));
    let block = unsafe { TALC.alloc(layout(1000, 64)) };
    assert!(!block.is_null());
    unsafe { TALC.dealloc(block, layout(1000, 64)) };
}

#[test]
#[cfg_attr(panic = "abort", ignore = "panics do not unwind here")]
fn heaps_by_hand_are_reported_and_the_lock_is_free_again() {
    if !talc_sync::talc_sources::talc_core::CHECKS {
        return; // Nobody looks.
    }
    let talc = TalcLock::<RawSpinlock, _>::new(GlobalAllocSource::new(System));
    let mut region = [0_u8; 4096];
    let message = panic_message(|| unsafe { talc.lock().claim(region.as_mut_ptr(), 4096) });
    assert!(message.contains("manages its heaps itself"), "{message}");
    assert!(talc.try_lock().is_some());
    assert!(!unsafe { talc.alloc(layout(10, 8)) }.is_null());
    assert_eq!(talc.lock().audit(), Ok(()));
}

/// A source that must stay on its thread.
struct Homebound(#[allow(dead_code)] Rc<()>);

unsafe impl Source for Homebound {
    unsafe fn acquire(&mut self, _: &mut RawTalc, _: Layout) -> Result<(), OutOfMemory> {
        Err(OutOfMemory)
    }
}

/// Says of a type whether it has a trait, also where it has not.
macro_rules! implements {
    ($type:ty: $bound:path) => {{
        #[allow(dead_code)]
        trait No {
            const ANSWER: bool = false;
        }
        impl<T> No for T {}
        struct Yes<T>(core::marker::PhantomData<T>);
        #[allow(dead_code)]
        impl<T: $bound> Yes<T> {
            const ANSWER: bool = true;
        }
        Yes::<$type>::ANSWER
    }};
}

#[test]
fn what_threads_may_share() {
    assert!(implements!(TalcLock<RawSpinlock, Claim>: Sync));
    assert!(implements!(TalcLock<RawSpinlock, Claim>: Send));
    assert!(implements!(TalcLock<spin::Mutex<()>, GlobalAllocSource<System>>: Sync));
    assert!(!implements!(TalcLock<RawSpinlock, Homebound>: Sync));
    assert!(!implements!(TalcLock<RawSpinlock, Homebound>: Send));

    assert!(implements!(TalcCell<Claim>: Send));
    assert!(!implements!(TalcCell<Claim>: Sync));
    assert!(!implements!(TalcCell<Homebound>: Send));
    assert!(implements!(TalcSyncCell<Claim>: Sync));
    assert!(!implements!(TalcSyncCell<Homebound>: Sync), "its maker promised one thread at a time");
    assert!(!implements!(TalcSyncCell<Homebound>: Send));
    assert!(implements!(TalcSyncCell<GlobalAllocSource<System>>: Sync));

    // The guard lends the driver out for looking only: nobody can exchange it.
    assert!(!implements!(TalcGuard<'static, RawSpinlock, Claim>: std::ops::DerefMut));
    assert!(implements!(TalcGuard<'static, RawSpinlock, Claim>: std::ops::Deref));
}
