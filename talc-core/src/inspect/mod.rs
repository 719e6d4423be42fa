//! Inspecting an allocator: visiting everything, checking everything, and asking what fits.
//! Nothing here changes a heap.

#[cfg(feature = "audit")]
pub(crate) mod audit;
mod gaps;
pub(crate) mod snapshot;
pub(crate) mod visit;
