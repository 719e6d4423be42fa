//! The global allocator for modules with threads.

use talc_sync::{RawSpinlock, TalcLock};

use crate::{WasmBinning, WasmGrowAndExtend};

/// What [`new_wasm_threaded_allocator`] makes.
pub type WasmThreadedTalc = TalcLock<RawSpinlock, WasmGrowAndExtend, WasmBinning>;

/// A global allocator for WebAssembly with threads: for modules with a shared memory, built with
/// the target feature `atomics`. The memory grows as needed.
///
/// Threads that meet at the lock spin. They cannot sleep: the main thread of a browser must not
/// wait. Large blocks are copied without the lock held.
///
/// Unlike the others, it also compiles without `atomics` and for other targets. There, its lock is a lock
/// all the same, but on targets other than WebAssembly it has no memory to bring.
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
