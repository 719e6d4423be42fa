//! The binnings of the ready-made allocators, with all the numbers that tune them.

use talc_sources::talc_core::CompactBins;

use crate::WasmGrowAndExtend;

/// The default binning for WebAssembly: one bitmap word of 64 bits, for which `wasm32` has instructions,
/// slabs of 4 KiB for sizes up to 256 bytes, and magazines of slots. It takes less code than the default
/// binning of other targets.
pub type WasmBinning = CompactBins<8, 4, 4096, 16, 1>;

/// The binning for the least code: [`WasmBinning`] without slabs.
pub type WasmSmallBinning = CompactBins<8, 4>;

/// The binning for speed: [`WasmBinning`] with slabs of 16 KiB, for sizes up to 384 bytes.
pub type WasmFastBinning = CompactBins<8, 4, 16384, 24, 1>;

/// The source for speed: it grows the memory by at least an eighth of what it has already grown it by.
pub(crate) type FastSource = WasmGrowAndExtend<8>;
