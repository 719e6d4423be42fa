#![doc = include_str!("../README.md")]
#![no_std]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod grow;
mod memory;

pub use grow::{WasmGrowAndClaim, WasmGrowAndExtend};

use talc_sources::talc_core::Bins;
use talc_sources::Claim;
use talc_sync::TalcSyncCell;

/// A binning for WebAssembly: one 64-bit bitmap, which `wasm32` has instructions for, and so less
/// code than the default.
pub type WasmBinning = Bins<8, 4, 1>;

/// What [`new_wasm_arena_allocator`] makes.
pub type WasmArenaTalc = TalcSyncCell<Claim, WasmBinning>;

/// A global allocator for WebAssembly without threads, over a fixed region of memory.
///
/// # Panics
/// On any other target, at compile time if the value is that of a static.
///
/// # Safety
/// That of [`Claim::array`].
///
/// # Example
///
/// ```
/// # #[cfg(all(target_family = "wasm", not(target_feature = "atomics")))]
/// #[global_allocator]
/// static TALC: talc_wasm::WasmArenaTalc = {
///     static mut HEAP: [u8; 1 << 20] = [0; 1 << 20];
///     // SAFETY: nothing else uses `HEAP`.
///     unsafe { talc_wasm::new_wasm_arena_allocator(&raw mut HEAP) }
/// };
/// ```
pub const unsafe fn new_wasm_arena_allocator<T, const N: usize>(
    arena: *mut [T; N],
) -> WasmArenaTalc {
    // SAFETY: required of the caller.
    TalcSyncCell::new_wasm(unsafe { Claim::array(arena) })
}

/// What [`new_wasm_dynamic_allocator`] makes.
pub type WasmDynamicTalc = TalcSyncCell<WasmGrowAndExtend, WasmBinning>;

/// A global allocator for WebAssembly without threads, over memory that grows as needed.
///
/// # Panics
/// On any other target, at compile time if the value is that of a static.
///
/// # Example
///
/// ```
/// # #[cfg(all(target_family = "wasm", not(target_feature = "atomics")))]
/// #[global_allocator]
/// static TALC: talc_wasm::WasmDynamicTalc = talc_wasm::new_wasm_dynamic_allocator();
/// ```
pub const fn new_wasm_dynamic_allocator() -> WasmDynamicTalc {
    TalcSyncCell::new_wasm(WasmGrowAndExtend::new())
}
