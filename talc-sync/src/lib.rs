// These links lead to items. Those with the same names in the README, for its other readers, lead to
// docs.rs; of several definitions, the first one counts.
//! [`TalcCell`]: crate::TalcCell
//! [`TalcSyncCell`]: crate::TalcSyncCell
//! [`OomHook`]: crate::OomHook
#![cfg_attr(feature = "lock_api", doc = "[`TalcLock`]: crate::TalcLock")]
#![cfg_attr(feature = "lock_api", doc = "[`TalcGuard`]: crate::TalcGuard")]
#![cfg_attr(feature = "lock_api", doc = "[`ShardHint`]: crate::sharded::ShardHint")]
#![cfg_attr(feature = "lock_api", doc = "[`Regions`]: crate::Regions")]
#![cfg_attr(feature = "lock_api", doc = "[`TalcSharded`]: crate::TalcSharded")]
#![cfg_attr(feature = "lock_api", doc = "[`TinyTalc`]: crate::TinyTalc")]
#![cfg_attr(feature = "lock_api-05", doc = "[`Compat`]: crate::lock_api_05::Compat")]
#![cfg_attr(
    feature = "critical-section",
    doc = "[`RawCriticalSection`]: crate::RawCriticalSection"
)]
#![cfg_attr(feature = "spinning_top", doc = "[`RawSpinlock`]: crate::RawSpinlock")]
#![cfg_attr(feature = "std", doc = "[`RawYieldLock`]: crate::RawYieldLock")]
//!
#![doc = include_str!("../README.md")]
#![no_std]
#![cfg_attr(feature = "nightly", feature(allocator_api))]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "std")]
extern crate std;

pub mod cell;
#[cfg(feature = "critical-section")]
mod critical_section;
mod forward;
mod glue;
#[cfg(feature = "lock_api")]
#[cfg_attr(docsrs, doc(cfg(feature = "lock_api")))]
pub mod lock;
#[cfg(feature = "lock_api-05")]
#[cfg_attr(docsrs, doc(cfg(feature = "lock_api-05")))]
pub mod lock_api_05;
mod oom_hook;
#[cfg(feature = "lock_api")]
mod regions;
#[cfg(feature = "lock_api")]
#[cfg_attr(docsrs, doc(cfg(feature = "lock_api")))]
pub mod sharded;
#[cfg(feature = "lock_api")]
mod tiny;
mod traits;
#[cfg(feature = "std")]
mod yield_lock;

#[cfg(feature = "critical-section")]
#[cfg_attr(docsrs, doc(cfg(feature = "critical-section")))]
pub use crate::critical_section::RawCriticalSection;
pub use cell::{TalcCell, TalcSyncCell};
#[cfg(feature = "lock_api")]
pub use lock::{TalcGuard, TalcLock};
pub use oom_hook::{Failures, OomHook};
#[cfg(feature = "lock_api")]
pub use regions::{Having, Region, Regions};
#[cfg(feature = "lock_api")]
pub use sharded::TalcSharded;
#[cfg(feature = "lock_api")]
#[cfg_attr(docsrs, doc(cfg(feature = "lock_api")))]
pub use tiny::TinyTalc;

/// The version of lock_api whose locks [`TalcLock`] takes.
#[cfg(feature = "lock_api")]
pub use ::lock_api;

/// A spinlock, from the crate spinning_top.
///
/// It is suitable if threads run on cores of their own, or if contention is rare. Under an operating
/// system, the holder can lose its core to the threads that wait; prefer `RawYieldLock` of the feature
/// `std` there. Code that interrupts the holder of the lock and then waits for the lock waits forever:
/// interrupt handlers that allocate need a lock that masks interrupts.
#[cfg(feature = "spinning_top")]
#[cfg_attr(docsrs, doc(cfg(feature = "spinning_top")))]
pub use spinning_top::RawSpinlock;

#[cfg(feature = "std")]
#[cfg_attr(docsrs, doc(cfg(feature = "std")))]
pub use yield_lock::RawYieldLock;

/// The layer below, whose types appear in this crate's.
pub use talc_sources;
