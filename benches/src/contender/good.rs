//! good_memory_allocator: small bins after dlmalloc, one list for everything larger.

use super::{Contender, Kind};
use crate::arena::Region;
use good_memory_allocator::Allocator;
use std::alloc::Layout;

/// In a box, because the heap points back into the allocator, which must not move.
pub struct Good(Box<Allocator>);

impl Contender for Good {
    const NAME: &'static str = "good_memory";
    const KIND: Kind = Kind::Peer;

    unsafe fn over(arena: Region) -> Option<Self> {
        if arena.size < 64 {
            return None;
        }
        let mut inner = Box::new(Allocator::empty());
        // SAFETY: the arena is ours alone and the allocator stays where it is.
        unsafe { inner.init(arena.base as usize, arena.size) };
        Some(Self(inner))
    }

    #[inline]
    unsafe fn alloc(&mut self, layout: Layout) -> *mut u8 {
        // SAFETY: the size is not zero.
        unsafe { self.0.alloc(layout) }
    }

    #[inline]
    unsafe fn dealloc(&mut self, ptr: *mut u8, _: Layout) {
        // SAFETY: `ptr` is live.
        unsafe { self.0.dealloc(ptr) };
    }

    #[inline]
    unsafe fn realloc(&mut self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: `ptr` is live and has this layout.
        unsafe { self.0.realloc(ptr, layout, new_size) }
    }
}
