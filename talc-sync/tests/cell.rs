//! TalcCell and TalcSyncCell: their methods, sources that panic, and the debug check for an
//! allocator that is called from its own source.
#![allow(clippy::undocumented_unsafe_blocks)] // Regions are local, frees of what was allocated.
#![cfg_attr(feature = "nightly", feature(allocator_api))]

#[macro_use]
mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ptr::{null, null_mut};
use std::rc::Rc;

use allocator_api2::alloc::{AllocError, Allocator};
use common::{arena, layout, panic_message, Wrapper};
use talc_sync::talc_sources::talc_core::{Part, RawTalc};
use talc_sync::talc_sources::{Claim, GlobalAllocSource, Manual, OutOfMemory, Replaceable, Source};
use talc_sync::{RawSpinlock, TalcCell, TalcLock, TalcSyncCell};

#[test]
fn heaps_are_managed_through_a_shared_reference() {
    let (mut memory, _) = arena(1 << 17);
    // Between these sizes, the table does not move.
    let (base, size) = (memory.as_mut_ptr().cast::<u8>(), 100 << 10);
    let talc = TalcCell::<Manual>::new(Manual);
    unsafe {
        assert!(talc.alloc(layout(1000, 8)).is_null());
        let end = talc.claim(base, 70 << 10).expect("large enough");
        let block = talc.alloc(layout(1000, 8));
        let further = talc.extend(end, base.add(size));
        assert!(further > end && talc.largest_gap().unwrap() > size / 2);
        let end = talc.truncate(further, null_mut()).expect("something is allocated");
        assert_eq!(talc.reserved(end).up_to, end);
        assert!(talc.reserved(end).any);
        // A cache line begins somewhere above the table.
        assert!(talc.largest_gap().is_none() || cfg!(feature = "cache-aligned-allocations"));
        assert_eq!(talc.resize(end, base.add(size)), Some(further));
        let mut parts = Vec::new();
        talc.visit(|part| parts.push(part));
        if cfg!(feature = "cache-aligned-allocations") && matches!(parts[2], Part::Gap { .. }) {
            parts.remove(2);
        }
        assert!(matches!(
            parts[..],
            [
                Part::Base(_),
                Part::Table { .. },
                Part::Allocated { .. },
                Part::Gap { .. },
                Part::End(_)
            ]
        ));
        talc.dealloc(block, layout(1000, 8));
    }
    assert_eq!(talc.audit(), Ok(()));
    // Debug shows no heaps, so that what it is written into may be allocated here.
    assert_eq!(format!("{talc:?}"), "TalcCell { .. }");
}

#[test]
fn the_source_is_replaced_and_returned() {
    let (_first, first) = arena(1 << 13);
    let (_second, second) = arena(1 << 13);
    let mut talc = TalcCell::<Claim>::new(first);
    let large = layout(5000, 8);
    unsafe {
        let block = talc.alloc(large);
        assert!(!block.is_null() && talc.alloc(large).is_null());
        let mut old = talc.replace_source(second);
        assert!(!old.is_ready() && old.take_claim().is_some());
        // What the old source brought is as valid as before, whatever becomes of the source.
        let _ = old;
        block.write_bytes(1, 5000);
        let more = talc.alloc(large);
        assert!(!more.is_null());
        talc.dealloc(block, large);
        talc.dealloc(more, large);
    }
    assert!(talc.get_mut().source_mut().take_claim().is_some());
    let inner = talc.into_inner();
    assert_eq!(inner.audit(), Ok(()));
    assert_eq!(common::stress::allocations(&inner), 0);
}

#[cfg(feature = "counters")]
#[test]
fn counters_are_a_copy() {
    let (_memory, claim) = arena(1 << 14);
    let talc = TalcCell::<Claim>::new(claim);
    let block = unsafe { talc.alloc(layout(1000, 8)) };
    let counters = talc.counters();
    unsafe { talc.dealloc(block, layout(1000, 8)) };
    assert_eq!((counters.allocation_count, talc.counters().allocation_count), (1, 0));
    assert_eq!(talc.counters().total_allocated_bytes, counters.total_allocated_bytes);
}

/// Counts what it is asked, in a place that its clones share.
#[derive(Clone, Default)]
struct Counting(Rc<Cell<u32>>);

unsafe impl Source for Counting {
    unsafe fn acquire(&mut self, _: &mut RawTalc, _: Layout) -> Result<(), OutOfMemory> {
        self.0.set(self.0.get() + 1);
        Err(OutOfMemory)
    }
}

#[test]
fn the_source_can_be_cloned() {
    let talc = TalcCell::<_>::new(Counting::default());
    let clone = talc.clone_source();
    assert!(unsafe { talc.alloc(layout(1, 1)) }.is_null());
    assert_eq!(clone.0.get(), 1);
}

#[test]
fn a_sync_cell_has_the_methods_of_the_cell() {
    let (_memory, claim) = arena(1 << 14);
    let talc = unsafe { TalcSyncCell::new(TalcCell::<Claim>::new(claim)) };
    let block = unsafe { talc.alloc(layout(10, 8)) };
    assert!(talc.replace_source(Claim::standby()).take_claim().is_some());
    assert!(talc.largest_gap().is_some());
    unsafe { talc.dealloc(block, layout(10, 8)) };
    assert_eq!(talc.audit(), Ok(()));
    assert_eq!(format!("{talc:?}"), "TalcSyncCell { .. }");
}

#[test]
#[cfg_attr(panic = "abort", ignore = "panics do not unwind here")]
fn new_wasm_is_for_wasm() {
    let message = panic_message(|| TalcSyncCell::<Manual>::new_wasm(Manual));
    assert_eq!(message, "talc: new_wasm is for WebAssembly without threads; use a TalcLock here");
}

#[test]
#[cfg_attr(panic = "abort", ignore = "panics do not unwind here")]
fn heaps_by_hand_are_reported() {
    if !talc_sync::talc_sources::talc_core::CHECKS {
        return; // Nobody looks.
    }
    let talc = TalcCell::<_>::new(GlobalAllocSource::new(System));
    let mut region = [0_u8; 4096];
    let message = panic_message(|| unsafe { talc.claim(region.as_mut_ptr(), 4096) });
    assert!(message.contains("manages its heaps itself"), "{message}");
    // The cell is not taken for being in use.
    assert!(!unsafe { talc.alloc(layout(10, 8)) }.is_null());
    assert_eq!(talc.audit(), Ok(()));
}

/// Panics when it is asked the first time; brings memory when it is asked again.
struct PanicsOnce(Claim, bool);

unsafe impl Source for PanicsOnce {
    unsafe fn acquire(&mut self, talc: &mut RawTalc, layout: Layout) -> Result<(), OutOfMemory> {
        assert!(std::mem::replace(&mut self.1, true), "not this time");
        unsafe { self.0.acquire(talc, layout) }
    }
}

#[test]
#[cfg_attr(panic = "abort", ignore = "panics do not unwind here")]
fn a_panic_of_the_source_leaves_the_allocator_usable() {
    fn check<W: Wrapper<Source = PanicsOnce> + Allocator>() {
        let (_memory, claim) = arena(1 << 14);
        let talc = W::new(PanicsOnce(claim, false));
        let message = panic_message(|| talc.allocate(layout(100, 8)));
        assert_eq!(message, "not this time");
        talc.check();
        let block = talc.allocate(layout(100, 8)).expect("there is memory now").cast();
        let block = unsafe { talc.grow(block, layout(100, 8), layout(200, 8)) }.unwrap().cast();
        unsafe { talc.deallocate(block, layout(200, 8)) };
        talc.check();
    }
    check::<TalcCell<PanicsOnce>>();
    check::<TalcSyncCell<PanicsOnce>>();
    check::<TalcLock<RawSpinlock, PanicsOnce>>();
}

/// Uses the allocator that it serves, which sources must not do.
struct Reenters {
    /// Shared with the test, which tells where the allocator is.
    talc: Rc<Cell<*const TalcCell<Reenters>>>,
    misdeed: fn(&TalcCell<Reenters>),
}

unsafe impl Source for Reenters {
    unsafe fn acquire(&mut self, _: &mut RawTalc, _: Layout) -> Result<(), OutOfMemory> {
        (self.misdeed)(unsafe { &*self.talc.get() });
        Err(OutOfMemory)
    }
}

unsafe impl Replaceable for Reenters {}

#[test]
#[cfg_attr(panic = "abort", ignore = "panics do not unwind here")]
fn a_cell_that_is_in_use_says_since_where() {
    if !cfg!(debug_assertions) {
        return; // Nobody looks in release builds: it would be undefined behaviour.
    }
    let misdeeds: [fn(&TalcCell<Reenters>); 5] = [
        |talc| assert!(talc.allocate(layout(8, 8)).is_err()),
        |talc| assert!(talc.audit().is_ok()),
        |talc| assert!(talc.largest_gap().is_none()),
        |talc| {
            let place = Rc::new(Cell::new(null()));
            drop(talc.replace_source(Reenters { talc: place, misdeed: |_| {} }));
        },
        |talc| {
            let _ = unsafe { talc.claim(null_mut(), 0) };
        },
    ];
    for misdeed in misdeeds {
        let place = Rc::new(Cell::new(null()));
        let talc = TalcCell::<_>::new(Reenters { talc: place.clone(), misdeed });
        place.set(&raw const talc);
        let (line, message) =
            (line!(), panic_message(|| Allocator::allocate(&talc, layout(10, 8))));
        assert!(message.starts_with("talc: this TalcCell is in use already"), "{message}");
        let first = format!("cell.rs:{line}:");
        assert!(message.contains(&first), "where the first use was: {message}");

        // It can be used again.
        assert_eq!(talc.audit(), Ok(()));
        let old = talc.replace_source(Reenters { talc: place, misdeed: |_| {} });
        drop(old);
        assert_eq!(talc.allocate(layout(10, 8)), Err(AllocError));
    }
}
