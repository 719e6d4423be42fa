//! Address space for the heaps: regions with holes between them, in which nothing can be read.

use std::ptr::null_mut;
use std::sync::OnceLock;

/// The size of a region, and of the hole above it.
pub const REGION: usize = 8 << 20;

/// How many regions there may be.
const REGIONS: usize = 4;

struct Space(*mut u8);

// SAFETY: an address.
unsafe impl Send for Space {}
// SAFETY: an address.
unsafe impl Sync for Space {}

/// Returns the address of a region, in which nothing can be read yet.
pub fn closed(number: usize) -> *mut u8 {
    static SPACE: OnceLock<Space> = OnceLock::new();
    assert!(number < REGIONS);
    let space = SPACE.get_or_init(|| {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a fresh mapping.
        let base =
            unsafe { libc::mmap(null_mut(), 2 * REGIONS * REGION, libc::PROT_NONE, flags, -1, 0) };
        assert_ne!(base, libc::MAP_FAILED);
        // At the same place within the blocks of all sizes, wherever the mapping is.
        let base = base.cast::<u8>();
        Space(base.wrapping_add(base.align_offset(REGION)))
    });
    space.0.wrapping_add(2 * number * REGION)
}

/// Returns the address of a region that can be used.
pub fn region(number: usize) -> *mut u8 {
    let base = closed(number);
    open(base, REGION);
    base
}

/// Makes memory usable.
pub fn open(base: *mut u8, size: usize) {
    // SAFETY: a part of the mapping.
    let result = unsafe { libc::mprotect(base.cast(), size, libc::PROT_READ | libc::PROT_WRITE) };
    assert_eq!(result, 0);
}

/// Takes away what was made usable.
pub fn close(base: *mut u8, size: usize) {
    // SAFETY: a part of the mapping.
    let result = unsafe { libc::mprotect(base.cast(), size, libc::PROT_NONE) };
    assert_eq!(result, 0);
}
