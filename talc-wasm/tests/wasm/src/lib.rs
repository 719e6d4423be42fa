//! A module that exports allocators to its tests, which are written in JavaScript.
//!
//! Without the target feature `atomics` it has those for one thread, several of them in one memory:
//! each is a stranger that grows the memory in between to the others. With it, it has the one for
//! threads, and what the threads of the test do.

#![no_std]

#[cfg(any(not(target_feature = "atomics"), feature = "one_thread"))]
mod single;
#[cfg(target_feature = "atomics")]
mod threads;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    core::arch::wasm32::unreachable()
}
