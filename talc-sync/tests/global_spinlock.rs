//! `RawSpinlock`, the lock in the box, as that of a global allocator.

#[macro_use]
#[path = "common/churn.rs"]
mod churn;

use talc_sync::RawSpinlock;

global_allocator!(RawSpinlock, scans: cfg!(feature = "error-scanning"));
