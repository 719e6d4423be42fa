//! `RawCriticalSection` as the lock of a global allocator. On a computer, the crate critical-section masks no
//! interrupts; it locks a mutex of the standard library, which allocates on some systems when it is first
//! locked.
#![cfg(all(feature = "critical-section", target_os = "linux"))]

#[macro_use]
#[path = "common/churn.rs"]
mod churn;

use talc_sync::RawCriticalSection;

global_allocator!(RawCriticalSection, scans: cfg!(feature = "error-scanning"));
