// These links lead to items. Those with the same names in the README, for its other readers, lead to
// docs.rs; of several definitions, the first one counts.
//! [`WasmBinning`]: crate::WasmBinning
//! [`WasmFastBinning`]: crate::WasmFastBinning
//! [`WasmFastTalc`]: crate::WasmFastTalc
//! [`WasmGrowAndClaim`]: crate::WasmGrowAndClaim
//! [`WasmGrowAndExtend`]: crate::WasmGrowAndExtend
#![cfg_attr(feature = "spinning_top", doc = "[`WasmShardedTalc`]: crate::WasmShardedTalc")]
//! [`WasmSmallBinning`]: crate::WasmSmallBinning
//! [`WasmSmallTalc`]: crate::WasmSmallTalc
//!
#![doc = include_str!("../README.md")]
#![no_std]
#![cfg_attr(docsrs, feature(doc_cfg))]
// The intrinsics of this target are not stable, and neither is the target.
#![cfg_attr(target_arch = "wasm64", feature(simd_wasm64))]

#[cfg(test)]
extern crate std;

mod allocators;
mod binning;
mod grow;
mod memory;
#[cfg(test)]
mod simulated;
#[cfg(feature = "spinning_top")]
mod threaded;

pub use allocators::{
    new_wasm_arena_allocator, new_wasm_dynamic_allocator, new_wasm_fast_allocator,
    new_wasm_small_allocator, WasmArenaTalc, WasmDynamicTalc, WasmFastTalc, WasmSmallTalc,
};
pub use binning::{WasmBinning, WasmFastBinning, WasmSmallBinning};
pub use grow::{WasmGrowAndClaim, WasmGrowAndExtend};
#[cfg(feature = "spinning_top")]
#[cfg_attr(docsrs, doc(cfg(feature = "spinning_top")))]
pub use threaded::{
    new_wasm_sharded_allocator, new_wasm_threaded_allocator, ByStack, WasmShardedTalc,
    WasmThreadedTalc,
};
