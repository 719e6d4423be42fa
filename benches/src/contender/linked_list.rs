//! linked_list_allocator: one list of holes sorted by address, searched first fit.

use super::{Contender, Kind};
use crate::arena::Region;
use linked_list_allocator::Heap;
use std::alloc::Layout;
use std::ptr::NonNull;

/// The usual small allocator of hobby kernels; each operation walks the list.
pub struct LinkedList(Heap);

impl Contender for LinkedList {
    const NAME: &'static str = "linked_list";
    const KIND: Kind = Kind::Peer;
    const GROWS: bool = true;

    unsafe fn over(arena: Region) -> Option<Self> {
        if arena.size < 64 {
            return None;
        }
        // SAFETY: the arena is ours alone.
        Some(Self(unsafe { Heap::new(arena.base, arena.size) }))
    }

    #[inline]
    unsafe fn alloc(&mut self, layout: Layout) -> *mut u8 {
        self.0.allocate_first_fit(layout).map_or(std::ptr::null_mut(), NonNull::as_ptr)
    }

    #[inline]
    unsafe fn dealloc(&mut self, ptr: *mut u8, layout: Layout) {
        // SAFETY: `ptr` is live, hence not null, and has this layout.
        unsafe { self.0.deallocate(NonNull::new_unchecked(ptr), layout) };
    }

    unsafe fn extend(&mut self, new_end: *mut u8) -> bool {
        let by = new_end as usize - self.0.top() as usize;
        // SAFETY: the bytes follow the heap and belong to us.
        unsafe { self.0.extend(by) };
        true
    }
}
