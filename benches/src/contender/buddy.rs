//! buddy-alloc: a binary buddy system with bitmaps.

use super::{Contender, Kind};
use crate::arena::Region;
use buddy_alloc::buddy_alloc::{BuddyAlloc, BuddyAllocParam};
use std::alloc::Layout;

/// Blocks of 16 bytes and their doublings.
///
/// Its blocks are aligned to 16 bytes and no more, whatever their size, because the bookkeeping in
/// front of them has any length. A larger alignment is reached by asking for more and, as its
/// `free` needs the block's own address, keeping that in the word before the payload.
pub struct Buddy(BuddyAlloc);

const LEAF: usize = 16;

impl Contender for Buddy {
    const NAME: &'static str = "buddy-alloc";
    const KIND: Kind = Kind::Peer;

    unsafe fn over(arena: Region) -> Option<Self> {
        // Bookkeeping takes a list node, an entry and two bits per leaf and level.
        if arena.size < 4096 {
            return None;
        }
        // SAFETY: the arena is ours alone and large enough for the bookkeeping.
        Some(Self(unsafe { BuddyAlloc::new(BuddyAllocParam::new(arena.base, arena.size, LEAF)) }))
    }

    #[inline]
    unsafe fn alloc(&mut self, layout: Layout) -> *mut u8 {
        if layout.align() <= LEAF {
            return self.0.malloc(layout.size());
        }
        let block = self.0.malloc(layout.size() + layout.align());
        if block.is_null() {
            return block;
        }
        let up = layout.align() - (block as usize & (layout.align() - 1));
        // SAFETY: LEAF <= up <= align, and the block has `size + align` bytes, so both the word
        // before the payload and the payload lie inside it.
        unsafe {
            let payload = block.add(up);
            payload.cast::<*mut u8>().sub(1).write(block);
            payload
        }
    }

    #[inline]
    unsafe fn dealloc(&mut self, ptr: *mut u8, layout: Layout) {
        if layout.align() <= LEAF {
            self.0.free(ptr);
        } else {
            // SAFETY: `alloc` wrote the block's address there.
            self.0.free(unsafe { ptr.cast::<*mut u8>().sub(1).read() });
        }
    }
}
