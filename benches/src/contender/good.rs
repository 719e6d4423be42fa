//! good_memory_allocator: small bins after dlmalloc, one list for everything larger.

use super::{Contender, Kind};
use crate::arena::Region;
use good_memory_allocator::Allocator;
use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr::NonNull;

/// Kept in memory of the system's, because the heap points back into the allocator, which must
/// not move; and not in a `Box`, which would ask for that memory from itself where this is the
/// global allocator.
pub struct Good(NonNull<Allocator>);

impl Contender for Good {
    const NAME: &'static str = "good_memory";
    const KIND: Kind = Kind::Peer;

    unsafe fn over(arena: Region) -> Option<Self> {
        if arena.size < 64 {
            return None;
        }
        // SAFETY: the layout's size is not zero; the block is fresh and fits an `Allocator`; the
        // arena is ours alone and the allocator stays where it is.
        unsafe {
            let inner = System.alloc(Layout::new::<Allocator>()).cast::<Allocator>();
            let mut inner = NonNull::new(inner)?;
            inner.write(Allocator::empty());
            inner.as_mut().init(arena.base as usize, arena.size);
            Some(Self(inner))
        }
    }

    #[inline]
    unsafe fn alloc(&mut self, layout: Layout) -> *mut u8 {
        // SAFETY: the size is not zero.
        unsafe { self.0.as_mut().alloc(layout) }
    }

    #[inline]
    unsafe fn dealloc(&mut self, ptr: *mut u8, _: Layout) {
        // SAFETY: `ptr` is live.
        unsafe { self.0.as_mut().dealloc(ptr) };
    }

    #[inline]
    unsafe fn realloc(&mut self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: `ptr` is live and has this layout.
        unsafe { self.0.as_mut().realloc(ptr, layout, new_size) }
    }
}

impl Drop for Good {
    fn drop(&mut self) {
        // SAFETY: allocated in `over` with this layout; the allocator itself has nothing to drop.
        unsafe { System.dealloc(self.0.as_ptr().cast(), Layout::new::<Allocator>()) };
    }
}
