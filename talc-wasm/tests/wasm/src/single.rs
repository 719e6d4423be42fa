//! The allocators for one thread.

use core::alloc::{GlobalAlloc, Layout};

use talc_wasm::{WasmArenaTalc, WasmDynamicTalc, WasmFastTalc, WasmSmallTalc};

static DYNAMIC: WasmDynamicTalc = talc_wasm::new_wasm_dynamic_allocator();
static SMALL: WasmSmallTalc = talc_wasm::new_wasm_small_allocator();
static FAST: WasmFastTalc = talc_wasm::new_wasm_fast_allocator();
static ARENA: WasmArenaTalc = {
    static mut HEAP: [u8; 1 << 20] = [0; 1 << 20];
    // SAFETY: nothing else uses `HEAP`.
    unsafe { talc_wasm::new_wasm_arena_allocator(&raw mut HEAP) }
};

/// Calls `f` with the allocator that a test calls `which`.
macro_rules! with {
    ($which:expr, |$talc:ident| $result:expr) => {
        match $which {
            0 => {
                let $talc = &DYNAMIC;
                $result
            }
            1 => {
                let $talc = &SMALL;
                $result
            }
            2 => {
                let $talc = &FAST;
                $result
            }
            3 => {
                let $talc = &ARENA;
                $result
            }
            _ => core::arch::wasm32::unreachable(),
        }
    };
}

/// A layout as callers in other languages may ask for it: larger than Rust allows, too.
fn layout(size: usize, align: usize) -> Layout {
    // SAFETY: tests pass powers of two. That sizes may be too large is what some of them are about;
    // this is built without the checks of debug builds, and Talc promises to answer null.
    unsafe { Layout::from_size_align_unchecked(size, align) }
}

#[no_mangle]
extern "C" fn alloc(which: u32, size: usize, align: usize) -> *mut u8 {
    // SAFETY: Talc allocates size 0, too.
    with!(which, |talc| unsafe { talc.alloc(layout(size, align)) })
}

#[no_mangle]
extern "C" fn alloc_zeroed(which: u32, size: usize, align: usize) -> *mut u8 {
    // SAFETY: as for `alloc`.
    with!(which, |talc| unsafe { talc.alloc_zeroed(layout(size, align)) })
}

/// # Safety
/// That of `GlobalAlloc::dealloc`.
#[no_mangle]
unsafe extern "C" fn dealloc(which: u32, block: *mut u8, size: usize, align: usize) {
    // SAFETY: required of the caller.
    with!(which, |talc| unsafe { talc.dealloc(block, layout(size, align)) });
}

/// # Safety
/// That of `GlobalAlloc::realloc`.
#[no_mangle]
unsafe extern "C" fn realloc(
    which: u32,
    block: *mut u8,
    size: usize,
    align: usize,
    new_size: usize,
) -> *mut u8 {
    // SAFETY: required of the caller.
    with!(which, |talc| unsafe { talc.realloc(block, layout(size, align), new_size) })
}

/// Whether every invariant holds.
#[no_mangle]
extern "C" fn is_sound(which: u32) -> bool {
    with!(which, |talc| talc.audit().is_ok())
}

/// How many allocations are live.
#[no_mangle]
extern "C" fn live(which: u32) -> usize {
    with!(which, |talc| talc.counters().allocation_count)
}

/// How many heaps there are.
#[no_mangle]
extern "C" fn heaps(which: u32) -> usize {
    with!(which, |talc| talc.counters().heap_count)
}
