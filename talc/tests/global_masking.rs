//! The lock that masks interrupts which the guide shows, as that of a global allocator. There are no
//! interrupts here: it is a spinlock.
#![cfg(feature = "lock_api")]
#![allow(clippy::declare_interior_mutable_const)] // As the trait has it.

#[macro_use]
#[path = "../../talc-sync/tests/common/churn.rs"]
mod churn;

use core::sync::atomic::{AtomicBool, Ordering};
use talc::lock_api::{GuardNoSend, RawMutex};

global_allocator!(Masking, scans: cfg!(feature = "error-scanning-std"));

#[test]
fn the_guide_has_this_lock() {
    let (_, lock) = include_str!("global_masking.rs").split_once("// From the guide:\n").unwrap();
    assert!(include_str!("../src/guide/locks.md").contains(lock));
}

mod interrupts {
    pub(crate) fn disable() -> bool {
        true
    }

    pub(crate) fn restore(_: bool) {}
}

// From the guide:
/// A spinlock whose holder is not interrupted. `interrupts::disable` returns whether interrupts were
/// enabled.
struct Masking {
    is_locked: AtomicBool,
    were_enabled: AtomicBool,
}

// SAFETY: there is one holder at a time, from the swap that finds `false` to the store of `false`.
unsafe impl RawMutex for Masking {
    const INIT: Self =
        Self { is_locked: AtomicBool::new(false), were_enabled: AtomicBool::new(false) };
    type GuardMarker = GuardNoSend;

    fn try_lock(&self) -> bool {
        let were_enabled = interrupts::disable();
        if self.is_locked.swap(true, Ordering::Acquire) {
            interrupts::restore(were_enabled);
            return false;
        }
        self.were_enabled.store(were_enabled, Ordering::Relaxed);
        true
    }

    fn lock(&self) {
        while !self.try_lock() {
            core::hint::spin_loop();
        }
    }

    unsafe fn unlock(&self) {
        let were_enabled = self.were_enabled.load(Ordering::Relaxed);
        self.is_locked.store(false, Ordering::Release);
        interrupts::restore(were_enabled);
    }
}
