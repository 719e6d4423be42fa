//! The three calls of an allocator, exported.

use core::alloc::Layout;

/// Most programs only use alignments that are known at compile time, and few above 8. Code for
/// others goes away, unless the module is built to take any.
fn layout(size: usize, align: usize) -> Layout {
    let align = if cfg!(feature = "any-alignment") { align } else { 8 };
    // SAFETY: the host passes powers of two, and sizes that do not overflow.
    unsafe { Layout::from_size_align_unchecked(size, align) }
}

/// # Safety
/// - `align` is a power of two, and `size` is not zero.
#[no_mangle]
unsafe extern "C" fn alloc(size: usize, align: usize) -> *mut u8 {
    // SAFETY: required of the caller.
    unsafe { alloc::alloc::alloc(layout(size, align)) }
}

/// # Safety
/// - `ptr` is a live block of this size and alignment.
#[no_mangle]
unsafe extern "C" fn dealloc(ptr: *mut u8, size: usize, align: usize) {
    // SAFETY: required of the caller.
    unsafe { alloc::alloc::dealloc(ptr, layout(size, align)) }
}

/// # Safety
/// - As for `dealloc`, and `new_size` is not zero.
#[no_mangle]
unsafe extern "C" fn realloc(ptr: *mut u8, size: usize, align: usize, new_size: usize) -> *mut u8 {
    // SAFETY: required of the caller.
    unsafe { alloc::alloc::realloc(ptr, layout(size, align), new_size) }
}
