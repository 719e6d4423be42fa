//! One region of memory, mapped once and lent to each allocator in turn.

use std::alloc::{alloc_zeroed, dealloc, handle_alloc_error, Layout};
use std::ptr::NonNull;

/// Every arena begins at a multiple of this, so that its address favours no allocator.
pub const ARENA_ALIGN: usize = 1 << 21;

/// Part of an arena, for an allocator to manage.
#[derive(Clone, Copy, Debug)]
pub struct Region {
    /// First byte.
    pub base: *mut u8,
    /// Length in bytes.
    pub size: usize,
}

impl Region {
    /// Returns the first `size` bytes of this region, or all of it if it is shorter.
    pub fn first(self, size: usize) -> Self {
        Self { base: self.base, size: size.min(self.size) }
    }

    /// Returns the address just past the last byte.
    pub fn end(self) -> *mut u8 {
        self.base.wrapping_add(self.size)
    }
}

/// Owns the memory behind a [`Region`].
pub struct Arena {
    base: NonNull<u8>,
    layout: Layout,
}

impl Arena {
    /// Maps `size` bytes and touches each page, so that no allocator pays for page faults.
    pub fn new(size: usize) -> Self {
        let arena = Self::untouched(size);
        for offset in (0..size).step_by(4096) {
            // SAFETY: `offset < size`, inside the block just allocated.
            unsafe { arena.base.as_ptr().add(offset).write_volatile(1) };
        }
        arena
    }

    /// Maps `size` bytes, of which only those that are used take memory.
    pub fn untouched(size: usize) -> Self {
        let layout = Layout::from_size_align(size.max(1), ARENA_ALIGN).expect("arena size");
        // SAFETY: the layout's size is not zero.
        let base = unsafe { alloc_zeroed(layout) };
        let Some(base) = NonNull::new(base) else { handle_alloc_error(layout) };
        Self { base, layout }
    }

    /// Returns all of the arena. Only one allocator at a time may use it.
    pub fn region(&mut self) -> Region {
        Region { base: self.base.as_ptr(), size: self.layout.size() }
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout.
        unsafe { dealloc(self.base.as_ptr(), self.layout) };
    }
}
