//! The global allocators for modules with threads.

use core::ptr::addr_of;

use talc_sync::sharded::ShardHint;
use talc_sync::{RawSpinlock, TalcLock, TalcSharded};

use crate::{WasmBinning, WasmGrowAndExtend};

/// The allocator that [`new_wasm_threaded_allocator`] creates.
pub type WasmThreadedTalc = TalcLock<RawSpinlock, WasmGrowAndExtend, WasmBinning>;

/// Creates a global allocator for WebAssembly with threads: for modules with a shared memory, which are
/// built with the target feature `atomics`. The memory grows as needed.
///
/// A thread that finds the allocator locked spins. It cannot sleep, because the main thread of a browser
/// must not wait. Large blocks are copied without holding the lock.
///
/// If threads allocate at the same time, [`WasmShardedTalc`] is several times faster, in about three times
/// the bytes.
///
/// Unlike the allocators for one thread, this one also compiles without `atomics`, where it still takes its lock,
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

/// The allocator that [`new_wasm_sharded_allocator`] creates.
pub type WasmShardedTalc = TalcSharded<RawSpinlock, WasmGrowAndExtend, ByStack, 4, WasmBinning>;

/// Creates a global allocator for WebAssembly with threads that allocate at the same time: like
/// [`new_wasm_threaded_allocator`], with four shards in front of the heap. The memory grows as needed.
///
/// Small blocks, of up to 512 bytes, come from shards, which threads share without waiting: see
/// [`TalcSharded`]. A thread that finds the heap behind them locked spins.
///
/// # Example
///
/// ```
/// # #[cfg(target_family = "wasm")]
/// #[global_allocator]
/// static TALC: talc_wasm::WasmShardedTalc = talc_wasm::new_wasm_sharded_allocator();
/// ```
#[inline]
pub const fn new_wasm_sharded_allocator() -> WasmShardedTalc {
    TalcSharded::new(WasmGrowAndExtend::new())
}

/// Tells threads apart by where their stacks are. It needs neither std nor thread-local values, which a thread
/// does not have yet when memory for them is allocated.
///
/// Two threads may get the same number, and one thread two of them, if its calls are nested deeply.
#[derive(Debug, Clone, Copy)]
pub struct ByStack;

impl ShardHint for ByStack {
    #[inline]
    fn hint() -> usize {
        // Stacks often begin just above a multiple of 64 KiB. Half of it away from there, calls of different
        // depths are on the same side.
        const HALF: usize = 32 << 10;
        let local = 0_u8;
        let part = (addr_of!(local) as usize).wrapping_add(HALF) / (2 * HALF);
        // Whatever the distance of stacks is, the upper half depends on all bits.
        ((part as u32).wrapping_mul(0x9e37_79b9) >> 24) as usize
    }
}
