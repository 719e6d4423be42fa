//! Global allocators that are ready to use, for modules without threads.

use talc_sources::Claim;
use talc_sync::TalcSyncCell;

use crate::binning::FastSource;
use crate::{WasmBinning, WasmFastBinning, WasmGrowAndExtend, WasmSmallBinning};

/// The allocator that [`new_wasm_arena_allocator`] creates.
pub type WasmArenaTalc = TalcSyncCell<Claim, WasmBinning>;

/// Creates a global allocator for WebAssembly without threads, over a fixed region of memory.
///
/// It never grows the memory. With the target feature `atomics`, a program that uses it does not compile;
/// use a `TalcLock` over a [`Claim`] there.
///
/// # Panics
/// On targets other than WebAssembly. For a static, that is an error at compile time.
///
/// # Safety
/// As for [`Claim::array`].
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
#[inline]
pub const unsafe fn new_wasm_arena_allocator<T, const N: usize>(
    arena: *mut [T; N],
) -> WasmArenaTalc {
    // SAFETY: required of the caller.
    TalcSyncCell::new_wasm(unsafe { Claim::array(arena) })
}

/// Declares an allocator over memory that grows: its type and its constructor.
macro_rules! growing {
    ($(#[$about:meta])* $name:ident = $source:ty, $binning:ty; $constructor:ident($value:expr)) => {
        #[doc = concat!("The allocator that [`", stringify!($constructor), "`] creates.")]
        pub type $name = TalcSyncCell<$source, $binning>;

        $(#[$about])*
        ///
        /// With the target feature `atomics`, which means threads, a program that uses it does not
        /// compile; use `new_wasm_threaded_allocator` there.
        ///
        /// # Panics
        /// On targets other than WebAssembly. For a static, that is an error at compile time.
        ///
        /// # Example
        ///
        /// ```
        /// # #[cfg(all(target_family = "wasm", not(target_feature = "atomics")))]
        /// #[global_allocator]
        #[doc = concat!(
            "static TALC: talc_wasm::", stringify!($name), " = talc_wasm::", stringify!($constructor), "();"
        )]
        /// ```
        // Inline, so that it is compiled, and so refused, only where it is used.
        #[inline]
        pub const fn $constructor() -> $name {
            TalcSyncCell::new_wasm($value)
        }
    };
}

growing! {
    /// Creates a global allocator for WebAssembly without threads, over memory that grows as needed. Use
    /// it unless you have a reason to use another one.
    WasmDynamicTalc = WasmGrowAndExtend, WasmBinning;
    new_wasm_dynamic_allocator(WasmGrowAndExtend::new())
}

growing! {
    /// Creates a global allocator for WebAssembly without threads that adds the fewest bytes to the
    /// module.
    ///
    /// It has no slabs. The features `disable-grow-in-place` and `disable-realloc-in-place` make it
    /// smaller still.
    WasmSmallTalc = WasmGrowAndExtend, WasmSmallBinning;
    new_wasm_small_allocator(WasmGrowAndExtend::new())
}

growing! {
    /// Creates a global allocator for WebAssembly without threads that is faster and takes more memory.
    ///
    /// Its slabs are larger than those of the default and hold larger sizes. It grows the memory less
    /// often, and by more.
    WasmFastTalc = FastSource, WasmFastBinning;
    new_wasm_fast_allocator(FastSource::in_steps())
}
