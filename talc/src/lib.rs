#![doc = include_str!("guide/links.md")]
#![doc = include_str!("../README.md")]
#![no_std]
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod guide;

pub use talc_core::{DefaultBinning, SmallBinning};
pub use talc_sources::{min_first_heap_layout, min_first_heap_size};

#[cfg(feature = "lock_api")]
#[cfg_attr(docsrs, doc(cfg(feature = "lock_api")))]
pub use talc_sync::lock_api;
pub use talc_sync::{Failures, OomHook};

#[cfg(feature = "critical-section")]
#[cfg_attr(docsrs, doc(cfg(feature = "critical-section")))]
pub use talc_sync::RawCriticalSection;
#[cfg(feature = "spinning_top")]
#[cfg_attr(docsrs, doc(cfg(feature = "spinning_top")))]
pub use talc_sync::RawSpinlock;
#[cfg(feature = "std")]
#[cfg_attr(docsrs, doc(cfg(feature = "std")))]
pub use talc_sync::RawYieldLock;

/// [`cell::TalcCell`] with the default binning.
pub type TalcCell<S> = cell::TalcCell<S, DefaultBinning>;

/// [`sync::TalcLock`] with the default binning.
#[cfg(feature = "lock_api")]
#[cfg_attr(docsrs, doc(cfg(feature = "lock_api")))]
pub type TalcLock<R, S> = sync::TalcLock<R, S, DefaultBinning>;

#[cfg(feature = "lock_api")]
#[cfg_attr(docsrs, doc(cfg(feature = "lock_api")))]
pub use talc_sync::{TalcSharded, TinyTalc};

/// What the wrappers contain: the driver [`Talc`](base::Talc), and the algorithm,
/// [`RawTalc`](base::RawTalc).
pub mod base {
    #[cfg(feature = "audit")]
    #[cfg_attr(docsrs, doc(cfg(feature = "audit")))]
    pub use talc_core::Fault;
    pub use talc_core::{
        set_key, Counters, Finding, Misuse, NoRoom, Part, RawTalc, Reserved, Snapshot, CHECKS,
        CHUNK_UNIT, COMPACT_SEARCH_LIMIT, SEAL, SEARCH_LIMIT,
    };
    pub use talc_sources::{Incident, RawTalcExt, Report, ReportHook, Talc};

    /// How gaps are sorted by size.
    pub mod binning {
        pub use talc_core::{Bins, CompactBins, DefaultBinning, SmallBinning};
        pub use talc_sources::Binning;
    }
}

/// Allocating on one thread, without a lock.
pub mod cell {
    pub use talc_sync::cell::{TalcCell, TalcSyncCell};
}

/// Allocating from many threads, under one lock or several.
#[cfg(feature = "lock_api")]
#[cfg_attr(docsrs, doc(cfg(feature = "lock_api")))]
pub mod sync {
    pub use talc_sync::lock::{TalcGuard, TalcLock};
    #[cfg(feature = "lock_api-05")]
    #[cfg_attr(docsrs, doc(cfg(feature = "lock_api-05")))]
    pub use talc_sync::lock_api_05;
    #[cfg(feature = "std")]
    #[cfg_attr(docsrs, doc(cfg(feature = "std")))]
    pub use talc_sync::sharded::ByThread;
    pub use talc_sync::sharded::{ShardHint, TalcSharded};
    pub use talc_sync::{Having, Region, Regions};
}

/// Sources: where memory comes from.
pub mod source {
    #[cfg(feature = "allocator-api2")]
    #[cfg_attr(docsrs, doc(cfg(feature = "allocator-api2")))]
    pub use talc_sources::AllocatorSource;
    pub use talc_sources::{
        Chain, Claim, GlobalAllocSource, Manual, OutOfMemory, Replaceable, Source,
    };
}

/// Allocating in WebAssembly modules.
#[cfg(feature = "wasm")]
#[cfg_attr(docsrs, doc(cfg(feature = "wasm")))]
pub mod wasm {
    pub use talc_wasm::*;
}
