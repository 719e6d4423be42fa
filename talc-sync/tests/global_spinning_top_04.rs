//! A lock of lock_api 0.5, that of spinning_top 0.4, as that of a global allocator.
#![cfg(feature = "lock_api-05")]

#[macro_use]
#[path = "common/churn.rs"]
mod churn;

use spinning_top_04::RawSpinlock;
use talc_sync::lock_api_05::Compat;

global_allocator!(Compat<RawSpinlock>, scans: cfg!(feature = "error-scanning"));
