//! What is measured of an allocator in WebAssembly.
//!
//! Without features, the module exports nothing but the three calls, and its size is that of the
//! allocator. With `workloads`, it exports loops that a host measures; with the target feature
//! `atomics`, those for threads.

#![no_std]
#![cfg_attr(target_feature = "atomics", feature(thread_local))]

extern crate alloc;
extern crate contender;

#[cfg(not(feature = "workloads"))]
mod calls;
#[cfg(all(feature = "workloads", not(target_feature = "atomics")))]
mod replay;
#[cfg(feature = "workloads")]
mod steady;
#[cfg(all(feature = "workloads", target_feature = "atomics"))]
mod threads;
