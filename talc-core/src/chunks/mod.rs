//! The lower tier: gaps become chunks, and chunks gaps.

mod allocate;
mod free;
mod gap;
pub(crate) mod search;
