//! What several of these tests need: address space, and allocations that are checked.
#![allow(dead_code, unreachable_pub, unused_imports)] // Every test has a copy, and uses a part of it.

#[cfg(target_os = "linux")]
pub mod mapping;
#[path = "../../../talc-sources/tests/common/support.rs"]
mod support;
pub mod work;

pub use support::{rounds, Random};
