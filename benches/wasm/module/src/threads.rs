//! What threads need, and the loop in which one frees what another one has allocated.

use crate::steady::{below, give_back, obtain, STATE};
use alloc::alloc::{alloc, Layout};
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

/// Where threads leave blocks, which begin with their size.
static EXCHANGE: [AtomicPtr<u8>; 1024] = [const { AtomicPtr::new(ptr::null_mut()) }; 1024];

/// How many threads have ever called `meet`.
static MET: AtomicU32 = AtomicU32::new(0);

/// Memory for the stack of a thread, or for its thread-local values; it stays allocated.
///
/// # Safety
/// - `align` is a power of two, and `size` is not zero.
#[no_mangle]
unsafe extern "C" fn reserve(size: usize, align: usize) -> *mut u8 {
    // SAFETY: required of the caller.
    unsafe { alloc(Layout::from_size_align_unchecked(size, align)) }
}

/// Lets the calling thread have other random numbers than those with other numbers.
#[no_mangle]
extern "C" fn seed(thread: u32) {
    // SAFETY: the thread's own, and no reference outlives the expression.
    unsafe { STATE ^= u64::from(thread) << 32 };
    for _ in 0..20 {
        below(1);
    }
}

/// Waits until as many threads are here, spinning: so that they go on at the same time.
#[no_mangle]
extern "C" fn meet(threads: u32) {
    let all = (MET.fetch_add(1, Ordering::AcqRel) / threads + 1) * threads;
    while MET.load(Ordering::Acquire) < all {}
}

/// A block of 8 to 258 bytes is allocated and left at a random place, and the block that was there
/// is freed: by whichever thread comes by.
#[no_mangle]
extern "C" fn hand_off(times: u32) {
    for _ in 0..times {
        let size = 8 + below(251);
        let block = obtain(size);
        // SAFETY: a block is its finder's, and has room for its size.
        unsafe {
            block.cast::<usize>().write(size);
            let other = EXCHANGE[below(1024)].swap(block, Ordering::AcqRel);
            if !other.is_null() {
                let size = other.cast::<usize>().read();
                give_back(other, size);
            }
        }
    }
}
