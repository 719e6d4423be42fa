//! What is measured of an allocator in WebAssembly.
//!
//! Without features, the module exports nothing but the three calls, and its size is that of the
//! allocator. With `workloads`, it exports loops that a host measures.

#![no_std]

extern crate alloc;
extern crate contender;

#[cfg(not(feature = "workloads"))]
mod calls;
#[cfg(feature = "workloads")]
mod replay;
#[cfg(feature = "workloads")]
mod steady;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}
