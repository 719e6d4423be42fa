//! The global allocator for modules with threads.

use talc_sync::{RawSpinlock, TalcLock};

use crate::{WasmBinning, WasmGrowAndExtend};

/// The allocator that [`new_wasm_threaded_allocator`] creates.
pub type WasmThreadedTalc = TalcLock<RawSpinlock, WasmGrowAndExtend, WasmBinning>;

/// Creates a global allocator for WebAssembly with threads: for modules with a shared memory, which are
/// built with the target feature `atomics`. The memory grows as needed.
///
/// A thread that finds the allocator locked spins. It cannot sleep, because the main thread of a browser
/// must not wait. Large blocks are copied without holding the lock.
///
/// Unlike the other allocators, this one also compiles without `atomics`, where it still takes its lock,
/// and for targets other than WebAssembly, where all allocations fail.
///
/// # Example
///
/// ```
/// # #[cfg(target_family = "wasm")]
/// #[global_allocator]
/// static TALC: talc_wasm::WasmThreadedTalc = talc_wasm::new_wasm_threaded_allocator();
/// ```
#[inline]
pub const fn new_wasm_threaded_allocator() -> WasmThreadedTalc {
    TalcLock::new(WasmGrowAndExtend::new())
}
