//! `RawYieldLock` as the lock of a global allocator.

#[macro_use]
#[path = "common/churn.rs"]
mod churn;

use talc_sync::RawYieldLock;

global_allocator!(RawYieldLock, scans: cfg!(feature = "error-scanning"));
