//! The linear memory of a WebAssembly module, and none on other targets.

/// The size of a page in bytes.
pub(crate) const PAGE: usize = 64 << 10;

/// Grows the memory so that `bytes` more are there; answers the address of the first of them, and
/// how many they are, or `None` if it cannot grow so far.
pub(crate) fn grow(bytes: usize) -> Option<(*mut u8, usize)> {
    let pages = bytes / PAGE + usize::from(bytes % PAGE != 0);
    match memory_grow(pages) {
        usize::MAX => None,
        old_pages => Some(((old_pages * PAGE) as *mut u8, pages * PAGE)),
    }
}

#[cfg(target_arch = "wasm32")]
fn memory_grow(pages: usize) -> usize {
    core::arch::wasm32::memory_grow::<0>(pages)
}

#[cfg(target_arch = "wasm64")]
fn memory_grow(pages: usize) -> usize {
    core::arch::wasm64::memory_grow::<0>(pages)
}

#[cfg(not(target_family = "wasm"))]
fn memory_grow(_pages: usize) -> usize {
    usize::MAX
}
