//! The linear memory of a WebAssembly module. On other targets there is none to grow, except in
//! tests, which simulate one.

/// The size of a page in bytes.
pub(crate) const PAGE: usize = 64 << 10;

/// What `memory.grow` returns if it fails.
const FAILED: usize = usize::MAX;

/// Grows the memory by `pages`, and returns its size before that, in pages. Returns `None` if it cannot
/// grow so far.
#[inline]
pub(crate) fn grow(pages: usize) -> Option<usize> {
    match target::memory_grow::<0>(pages) {
        FAILED => None,
        old => Some(old),
    }
}

/// Returns the address of a page.
#[inline]
pub(crate) fn address(page: usize) -> *mut u8 {
    (target::origin() + page * PAGE) as *mut u8
}

#[cfg(target_family = "wasm")]
mod target {
    #[cfg(target_arch = "wasm32")]
    pub(super) use core::arch::wasm32::memory_grow;
    #[cfg(target_arch = "wasm64")]
    pub(super) use core::arch::wasm64::memory_grow;

    /// Returns the address at which the memory begins.
    #[inline]
    pub(super) fn origin() -> usize {
        0
    }
}

#[cfg(all(not(target_family = "wasm"), test))]
use crate::simulated as target;

#[cfg(all(not(target_family = "wasm"), not(test)))]
mod target {
    #[inline]
    pub(super) fn memory_grow<const MEMORY: u32>(_pages: usize) -> usize {
        super::FAILED
    }

    #[inline]
    pub(super) fn origin() -> usize {
        0
    }
}
