//! Locks of lock_api 0.5, by way of `Compat`: parking_lot 0.13 and spinning_top 0.4. None of these
//! allocators is the global one, for which parking_lot would not do.
#![cfg(feature = "lock_api-05")]
#![allow(clippy::undocumented_unsafe_blocks)] // Regions are local, frees of what was allocated.
#![cfg_attr(feature = "nightly", feature(allocator_api))]

#[macro_use]
mod common;

use std::alloc::GlobalAlloc;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::stress::stress;
use common::{arena, layout};
use lock_api_05::RawMutex;
use talc_sync::lock_api_05::Compat;
use talc_sync::talc_sources::Claim;
use talc_sync::TalcLock;

#[test]
fn parking_lot() {
    stress::<TalcLock<Compat<parking_lot::RawMutex>, Claim>>(6, 1500);
}

#[test]
fn spinning_top() {
    stress::<TalcLock<Compat<spinning_top_04::RawSpinlock>, Claim>>(4, 800);
}

#[test]
fn try_lock_answers_as_the_lock_does() {
    let (_memory, claim) = arena(1 << 14);
    static TALC: TalcLock<Compat<parking_lot::RawMutex>, Claim> = TalcLock::new(Claim::standby());
    *TALC.lock().source_mut() = claim;
    let guard = TALC.lock();
    assert!(TALC.try_lock().is_none());
    assert!(std::thread::spawn(|| TALC.try_lock().is_none()).join().unwrap());
    drop(guard);
    assert!(std::thread::spawn(|| TALC.try_lock().is_some()).join().unwrap());
    let block = unsafe { TALC.alloc(layout(100, 8)) };
    unsafe { TALC.dealloc(block, layout(100, 8)) };
    assert_eq!(TALC.lock().audit(), Ok(()));
}

/// A lock whose acquisitions have a state, a ticket, that must come back with the release.
struct Tickets {
    lock: parking_lot::RawMutex,
    next: AtomicUsize,
    current: AtomicUsize,
}

/// Must be handed back to `unlock`, by the thread that got it.
struct Ticket(usize, PhantomData<*const ()>);

unsafe impl RawMutex for Tickets {
    #[allow(clippy::declare_interior_mutable_const)] // As the trait has it.
    const INIT: Self = Self {
        lock: parking_lot::RawMutex::INIT,
        next: AtomicUsize::new(1),
        current: AtomicUsize::new(0),
    };
    type Guard = Ticket;

    fn lock(&self) -> Ticket {
        let _held = self.lock.lock();
        let ticket = self.next.fetch_add(1, Ordering::Relaxed);
        assert_eq!(self.current.swap(ticket, Ordering::Relaxed), 0);
        Ticket(ticket, PhantomData)
    }

    fn try_lock(&self) -> Option<Ticket> {
        let _held = self.lock.try_lock()?;
        let ticket = self.next.fetch_add(1, Ordering::Relaxed);
        assert_eq!(self.current.swap(ticket, Ordering::Relaxed), 0);
        Some(Ticket(ticket, PhantomData))
    }

    unsafe fn unlock(&self, ticket: Ticket) {
        assert_eq!(self.current.swap(0, Ordering::Relaxed), ticket.0, "another's ticket");
        unsafe { self.lock.unlock(Default::default()) };
    }

    fn is_locked(&self) -> bool {
        self.lock.is_locked()
    }
}

#[test]
fn the_state_of_an_acquisition_comes_back_with_the_release() {
    stress::<TalcLock<Compat<Tickets>, Claim>>(4, 800);
}
