//! No allocator: what is left of a module's size when there is none.

use core::alloc::{GlobalAlloc, Layout};

struct None;

// SAFETY: a request may fail, and nothing is ever allocated.
unsafe impl GlobalAlloc for None {
    unsafe fn alloc(&self, _layout: Layout) -> *mut u8 {
        core::ptr::null_mut()
    }

    unsafe fn dealloc(&self, _ptr: *mut u8, _layout: Layout) {}

    unsafe fn realloc(&self, _ptr: *mut u8, _layout: Layout, _new_size: usize) -> *mut u8 {
        core::ptr::null_mut()
    }
}

#[global_allocator]
static GLOBAL: None = None;
