//! Heaps in a snapshot: reading them, and drawing them.
#![allow(clippy::incompatible_msrv)] // This is for a computer, with a compiler of today.

pub(crate) mod draw;
pub(crate) mod read;
