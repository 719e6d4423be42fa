//! Loops that do the same all the time, for as long as the host likes.
//!
//! A byte of each block is written when it is obtained and read before it is freed, so that no
//! call can be left out by the compiler. Each thread of a module with threads has its own objects.

use alloc::alloc::{alloc, dealloc, realloc};
use core::alloc::Layout;
use core::ptr;

/// As many objects as `fill` may make.
const OBJECTS: usize = 1 << 16;

/// The last size of a buffer in `doubling`.
const LARGE: usize = 1 << 20;

#[derive(Clone, Copy)]
struct Object {
    ptr: *mut u8,
    size: usize,
}

#[cfg_attr(target_feature = "atomics", thread_local)]
static mut LIVE: [Object; OBJECTS] = [Object { ptr: ptr::null_mut(), size: 0 }; OBJECTS];
#[cfg_attr(target_feature = "atomics", thread_local)]
static mut FILLED: u32 = 0;
#[cfg_attr(target_feature = "atomics", thread_local)]
pub(crate) static mut STATE: u64 = 0x9e37_79b9_7f4a_7c15;

/// The next number of a xorshift generator: cheap beside any allocator.
fn random() -> u32 {
    // SAFETY: one thread, and no reference outlives the expression.
    unsafe {
        let mut x = STATE;
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        STATE = x;
        (x >> 32) as u32
    }
}

/// A random number below `bound`.
pub(crate) fn below(bound: u32) -> usize {
    ((u64::from(random()) * u64::from(bound)) >> 32) as usize
}

fn layout(size: usize) -> Layout {
    // SAFETY: the alignment is a power of two, and sizes are small.
    unsafe { Layout::from_size_align_unchecked(size, 8) }
}

pub(crate) fn obtain(size: usize) -> *mut u8 {
    // SAFETY: no size is zero; a block has at least one byte.
    unsafe {
        let block = alloc(layout(size));
        if block.is_null() {
            core::arch::wasm32::unreachable();
        }
        block.write_volatile(1);
        block
    }
}

/// # Safety
/// - `block` is live and of this size.
pub(crate) unsafe fn give_back(block: *mut u8, size: usize) {
    // SAFETY: required of the caller.
    unsafe {
        block.read_volatile();
        dealloc(block, layout(size));
    }
}

/// An object of 32 bytes is allocated and freed.
#[no_mangle]
extern "C" fn pair(times: u32) {
    for _ in 0..times {
        let block = obtain(32);
        // SAFETY: just obtained.
        unsafe { give_back(block, 32) };
    }
}

/// Makes the objects that `churn` replaces.
#[no_mangle]
extern "C" fn fill(objects: u32) {
    for index in 0..objects as usize {
        let size = 8 + below(251);
        // SAFETY: one thread, and no other reference.
        unsafe { LIVE[index] = Object { ptr: obtain(size), size } };
    }
    // SAFETY: as above.
    unsafe { FILLED = objects };
}

/// One of the objects, at random, is freed, and one of 8 to 258 bytes allocated.
#[no_mangle]
extern "C" fn churn(times: u32) {
    for _ in 0..times {
        // SAFETY: one thread, and no other reference; what `fill` has put into the table is live.
        unsafe {
            let object = &mut *(&raw mut LIVE).cast::<Object>().add(below(FILLED));
            give_back(object.ptr, object.size);
            let size = 8 + below(251);
            *object = Object { ptr: obtain(size), size };
        }
    }
}

/// A buffer doubles from 16 bytes to 1 MiB and is freed.
#[no_mangle]
extern "C" fn doubling(times: u32) {
    for _ in 0..times {
        let (mut block, mut size) = (obtain(16), 16);
        while size < LARGE {
            // SAFETY: the block is live and of this size.
            unsafe {
                block = realloc(block, layout(size), 2 * size);
                if block.is_null() {
                    core::arch::wasm32::unreachable();
                }
                block.write_volatile(1);
            }
            size *= 2;
        }
        // SAFETY: as above.
        unsafe { give_back(block, size) };
    }
}
