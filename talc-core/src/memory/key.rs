//! The key that marks and links in free memory are combined with, in builds that [fill](crate::tier::FILLS).
//!
//! Where programs are loaded at random addresses, it cannot be guessed. Where they are not, whoever has random numbers
//! can [set](set_key) it.

use core::ptr::addr_of;
use core::sync::atomic::{AtomicUsize, Ordering};

use crate::tier::FILLS;

/// 0 until it is chosen. Odd from then on, so that the sum of it and of aligned addresses is never 0.
static KEY: AtomicUsize = AtomicUsize::new(0);

/// Sets the key that marks and links in free memory are combined with, for all allocators of the program. Its lowest bit
/// does not matter. If this is not called, the key is made of the address at which the program is loaded.
///
/// Call it with a random number before anything is allocated, where programs are always loaded at the same address: in
/// firmware, for example. Does nothing in builds without the feature `hardened-full`.
///
/// # Panics
/// Panics if there is a key already.
///
/// # Safety
/// There must not be a heap, nor a [`Magazine`](crate::Magazine), in the whole program, and no other thread may make one
/// meanwhile.
pub unsafe fn set_key(key: usize) {
    if FILLS {
        let old = KEY.load(Ordering::Relaxed);
        assert!(old == 0, "talc: the key is to be set once, before there is a heap");
        KEY.store(key | 1, Ordering::Relaxed);
    }
}

/// Chooses a key if there is none. Called before anything is combined with it.
pub(crate) fn choose_key() {
    if FILLS && KEY.load(Ordering::Relaxed) == 0 {
        // Whoever else does so meanwhile stores the same.
        KEY.store(default_key(), Ordering::Relaxed);
    }
}

/// Returns an odd number that depends on where the program is loaded.
fn default_key() -> usize {
    // 2^64 divided by the golden ratio, so that all bits differ.
    const SPREAD: usize = 0x9E37_79B9_7F4A_7C15_u64 as usize;
    (addr_of!(KEY) as usize).wrapping_mul(SPREAD) | 1
}

/// Returns the key, which is odd, in builds that have one. Else it is an odd number that depends on where the program is
/// loaded, too.
#[inline]
pub(crate) fn key() -> usize {
    if FILLS {
        KEY.load(Ordering::Relaxed)
    } else {
        // Its address is even.
        !(addr_of!(KEY) as usize)
    }
}
