//! The mutex of the crate spin as the lock of a global allocator.

#[macro_use]
#[path = "common/churn.rs"]
mod churn;

global_allocator!(spin::Mutex<()>, scans: cfg!(feature = "error-scanning"));
