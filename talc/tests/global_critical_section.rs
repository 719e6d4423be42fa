//! The lock over the crate critical-section that the guide shows, as that of a global allocator.
//! On a computer, that crate masks no interrupts; it locks a mutex of the standard library,
//! which allocates on some systems when it is first locked.
#![cfg(all(feature = "lock_api", target_os = "linux"))]
#![allow(clippy::declare_interior_mutable_const)] // As the trait has it.

#[macro_use]
#[path = "../../talc-sync/tests/common/churn.rs"]
mod churn;

use core::cell::Cell;
use core::sync::atomic::{AtomicBool, Ordering};
use critical_section::RestoreState;
use talc::lock_api::{GuardNoSend, RawMutex};

global_allocator!(CriticalSection, scans: cfg!(feature = "error-scanning-std"));

#[test]
fn the_guide_has_this_lock() {
    let (_, lock) =
        include_str!("global_critical_section.rs").split_once("// From the guide:\n").unwrap();
    assert!(include_str!("../src/guide/locks.md").contains(lock));
}

// From the guide:
/// A lock that is held from within a critical section.
struct CriticalSection {
    /// Critical sections can be nested, so one alone would let its holder in again.
    is_locked: AtomicBool,
    before: Cell<RestoreState>,
}

// SAFETY: `before` is used in critical sections only.
unsafe impl Sync for CriticalSection {}

// SAFETY: there is one holder at a time, from the store of `true` to that of `false`, and both are
// made in the holder's critical section.
unsafe impl RawMutex for CriticalSection {
    const INIT: Self =
        Self { is_locked: AtomicBool::new(false), before: Cell::new(RestoreState::invalid()) };
    type GuardMarker = GuardNoSend;

    fn try_lock(&self) -> bool {
        // SAFETY: released below, or by `unlock`.
        let before = unsafe { critical_section::acquire() };
        if self.is_locked.load(Ordering::Relaxed) {
            // SAFETY: entered above.
            unsafe { critical_section::release(before) };
            return false;
        }
        self.is_locked.store(true, Ordering::Relaxed);
        self.before.set(before);
        true
    }

    fn lock(&self) {
        while !self.try_lock() {
            core::hint::spin_loop();
        }
    }

    unsafe fn unlock(&self) {
        let before = self.before.get();
        self.is_locked.store(false, Ordering::Relaxed);
        // SAFETY: entered by `try_lock`.
        unsafe { critical_section::release(before) };
    }
}
