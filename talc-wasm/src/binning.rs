//! The shapes of the ready-made allocators: every number that they are tuned by stands here.

use talc_sources::talc_core::CompactBins;

use crate::WasmGrowAndExtend;

/// The default binning for WebAssembly: one bitmap word of 64 bits, which `wasm32` has instructions
/// for, and slabs of 4 KiB for sizes of up to 256 bytes. Less code than with other binnings.
pub type WasmBinning = CompactBins<8, 4, 4096, 16>;

/// The binning for least code: [`WasmBinning`] without slabs.
pub type WasmSmallBinning = CompactBins<8, 4>;

/// The binning for speed: slabs of 16 KiB for sizes of up to 384 bytes.
pub type WasmFastBinning = CompactBins<8, 4, 16384, 24>;

/// The source for speed: each growth brings at least an eighth of what it has brought before.
pub(crate) type FastSource = WasmGrowAndExtend<8>;
