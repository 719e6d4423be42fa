//! rlsf: two-level segregated fit, constant time.

use super::{Contender, Kind};
use crate::arena::Region;
use std::alloc::Layout;
use std::ptr::{slice_from_raw_parts_mut, NonNull};

/// 32 bins for each power of two, all of them up to the largest address: what its documentation
/// asks for if a heap is to be extended, at the price of 15 KiB of tables.
pub struct Rlsf {
    tlsf: rlsf::Tlsf<'static, u64, u32, 59, 32>,
    end: *mut u8,
}

fn block(base: *mut u8, size: usize) -> Option<NonNull<[u8]>> {
    NonNull::new(slice_from_raw_parts_mut(base, size))
}

impl Contender for Rlsf {
    const NAME: &'static str = "rlsf";
    const KIND: Kind = Kind::Peer;
    const GROWS: bool = true;

    unsafe fn over(arena: Region) -> Option<Self> {
        let mut tlsf = rlsf::Tlsf::new();
        // SAFETY: the arena is ours alone for as long as this allocator is used.
        let used = unsafe { tlsf.insert_free_block_ptr(block(arena.base, arena.size)?) }?;
        Some(Self { tlsf, end: arena.base.wrapping_add(used.get()) })
    }

    #[inline]
    unsafe fn alloc(&mut self, layout: Layout) -> *mut u8 {
        self.tlsf.allocate(layout).map_or(std::ptr::null_mut(), NonNull::as_ptr)
    }

    #[inline]
    unsafe fn dealloc(&mut self, ptr: *mut u8, layout: Layout) {
        // SAFETY: `ptr` is live, hence not null, and was allocated with this alignment.
        unsafe { self.tlsf.deallocate(NonNull::new_unchecked(ptr), layout.align()) };
    }

    #[inline]
    unsafe fn realloc(&mut self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: `ptr` is live and was allocated with this alignment, which is kept.
        unsafe {
            let new_layout = Layout::from_size_align_unchecked(new_size, layout.align());
            let moved = self.tlsf.reallocate(NonNull::new_unchecked(ptr), new_layout);
            moved.map_or(std::ptr::null_mut(), NonNull::as_ptr)
        }
    }

    unsafe fn extend(&mut self, new_end: *mut u8) -> bool {
        let size = new_end as usize - self.end as usize;
        let Some(block) = block(self.end, size) else { return false };
        // SAFETY: the bytes follow the pool and belong to us.
        let used = unsafe { self.tlsf.append_free_block_ptr(block) };
        self.end = self.end.wrapping_add(used);
        true
    }
}

// The tables must be what the doc comment says.
const _: () = assert!(std::mem::size_of::<Rlsf>() < 16 << 10);
