//! The global allocator of a module, chosen by a feature; and the panic handler, unless there is std.

#![no_std]

#[cfg(feature = "std")]
extern crate std;

#[cfg(not(any(
    feature = "talc",
    feature = "talc-small",
    feature = "talc-fast",
    feature = "talc-arena",
    feature = "talc-threaded",
    feature = "talc-sharded",
    feature = "system",
    feature = "talc5",
    feature = "rlsf",
    feature = "rlsf-small",
    feature = "dlmalloc",
    feature = "lol_alloc",
    feature = "wasmalloc",
)))]
mod none;

#[cfg(feature = "talc")]
#[global_allocator]
static GLOBAL: talc::wasm::WasmDynamicTalc = talc::wasm::new_wasm_dynamic_allocator();

#[cfg(feature = "talc-small")]
#[global_allocator]
static GLOBAL: talc::wasm::WasmSmallTalc = talc::wasm::new_wasm_small_allocator();

#[cfg(feature = "talc-fast")]
#[global_allocator]
static GLOBAL: talc::wasm::WasmFastTalc = talc::wasm::new_wasm_fast_allocator();

#[cfg(feature = "talc-arena")]
#[global_allocator]
static GLOBAL: talc::wasm::WasmArenaTalc = {
    // Enough for every workload; a module's memory is not touched before it is used.
    static mut ARENA: [u8; 64 << 20] = [0; 64 << 20];
    // SAFETY: nothing else uses the arena.
    unsafe { talc::wasm::new_wasm_arena_allocator(&raw mut ARENA) }
};

#[cfg(feature = "talc-threaded")]
#[global_allocator]
static GLOBAL: talc::wasm::WasmThreadedTalc = talc::wasm::new_wasm_threaded_allocator();

#[cfg(feature = "talc-sharded")]
#[global_allocator]
static GLOBAL: talc::wasm::WasmShardedTalc = talc::wasm::new_wasm_sharded_allocator();

#[cfg(feature = "system")]
#[global_allocator]
static GLOBAL: std::alloc::System = std::alloc::System;

#[cfg(feature = "talc5")]
#[global_allocator]
static GLOBAL: talc5::wasm::WasmDynamicTalc = talc5::wasm::new_wasm_dynamic_allocator();

#[cfg(feature = "rlsf")]
#[global_allocator]
static GLOBAL: rlsf::GlobalTlsf = rlsf::GlobalTlsf::new();

#[cfg(feature = "rlsf-small")]
#[global_allocator]
static GLOBAL: rlsf::SmallGlobalTlsf = rlsf::SmallGlobalTlsf::new();

#[cfg(feature = "dlmalloc")]
#[global_allocator]
static GLOBAL: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

#[cfg(feature = "lol_alloc")]
#[global_allocator]
static GLOBAL: lol_alloc::AssumeSingleThreaded<lol_alloc::FreeListAllocator> =
    // SAFETY: the module has one thread.
    unsafe { lol_alloc::AssumeSingleThreaded::new(lol_alloc::FreeListAllocator::new()) };

#[cfg(feature = "wasmalloc")]
#[global_allocator]
static GLOBAL: wasmalloc::WasmAlloc = wasmalloc::WasmAlloc::new();

#[cfg(not(feature = "std"))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}
