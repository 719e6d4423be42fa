// These links lead to items. Those with the same names in the README, for its other readers, lead to
// docs.rs; of several definitions, the first one counts.
//! [`Binning`]: crate::Binning
//! [`Chain`]: crate::Chain
//! [`Claim`]: crate::Claim
//! [`GlobalAllocSource`]: crate::GlobalAllocSource
//! [`Manual`]: crate::Manual
//! [`Replaceable`]: crate::Replaceable
//! [`Source`]: crate::Source
//! [`Talc`]: crate::Talc
#![cfg_attr(feature = "allocator-api2", doc = "[`AllocatorSource`]: crate::AllocatorSource")]
//!
#![doc = include_str!("../README.md")]
#![no_std]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod allocator;
mod binning;
mod blocks;
mod chain;
mod claim;
mod driver;
mod global_alloc;
mod reports;
mod source;

#[cfg(feature = "allocator-api2")]
#[cfg_attr(docsrs, doc(cfg(feature = "allocator-api2")))]
pub use allocator::AllocatorSource;
pub use binning::{min_first_heap_layout, min_first_heap_size, Binning, RawTalcExt};
pub use chain::Chain;
pub use claim::Claim;
pub use driver::Talc;
pub use global_alloc::GlobalAllocSource;
#[doc(hidden)]
pub use reports::AbortOnDrop;
pub use reports::{Incident, Report, ReportHook};
pub use source::{Manual, OutOfMemory, Replaceable, Source};

/// The core, whose types appear in this crate's.
pub use talc_core;
