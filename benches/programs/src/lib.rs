//! Programs of many kinds, built from crates that people use.
//!
//! Each one is a function that makes its own input from a fixed seed, does its work, drops
//! everything and returns a checksum. `record` writes down what they ask of the allocator; the
//! `with_*` binaries run them with one allocator each.

mod cli;
mod global;
mod programs;

pub use self::cli::main;
pub use self::global::{Mapped, OverArena};
pub use self::programs::{Program, ALL};
