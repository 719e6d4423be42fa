#![doc = include_str!("../README.md")]
#![no_std]
#![cfg_attr(feature = "nightly", feature(allocator_api))]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "std")]
extern crate std;

pub mod cell;
mod glue;
mod heap_api;
#[cfg(feature = "lock_api")]
#[cfg_attr(docsrs, doc(cfg(feature = "lock_api")))]
pub mod lock;
#[cfg(feature = "lock_api-05")]
#[cfg_attr(docsrs, doc(cfg(feature = "lock_api-05")))]
pub mod lock_api_05;
mod traits;
#[cfg(feature = "std")]
mod yield_lock;

pub use cell::{TalcCell, TalcSyncCell};
#[cfg(feature = "lock_api")]
pub use lock::{TalcGuard, TalcLock};

/// The version of lock_api that [`TalcLock`] is bound by.
#[cfg(feature = "lock_api")]
pub use ::lock_api;

/// A spinlock: the lock in the box. It is that of the crate spinning_top.
///
/// Suitable where threads run on cores of their own, or where contention is rare. Under an operating
/// system, where the holder can lose its core to those that wait, prefer `RawYieldLock` of the
/// feature `std`. Code that interrupts a holder of the lock and then waits for it waits forever:
/// interrupt handlers that allocate need a lock that masks interrupts.
#[cfg(feature = "spinning_top")]
#[cfg_attr(docsrs, doc(cfg(feature = "spinning_top")))]
pub use spinning_top::RawSpinlock;

#[cfg(feature = "std")]
#[cfg_attr(docsrs, doc(cfg(feature = "std")))]
pub use yield_lock::RawYieldLock;

/// The layer below, whose types appear in this crate's.
pub use talc_sources;
