//! A list of calls, written into the module's memory by the host, is replayed.
//!
//! The list and the table of live blocks are statics, so they are no part of any heap.

use alloc::alloc::{alloc, dealloc, realloc};
use core::alloc::Layout;
use core::ptr;

/// A call: the block's number above 6 bits of alignment (its binary logarithm) and 2 bits of kind;
/// and the size that is asked for.
type Call = [u32; 2];

const ALLOC: u32 = 0;
const FREE: u32 = 1;

/// As many calls as the longest trace has twice, and some. Whoever writes a list sees to it that
/// it and its blocks fit.
const CALLS: usize = 1 << 21;
/// As many blocks as are ever live at once, and some.
const BLOCKS: usize = 1 << 18;

#[derive(Clone, Copy)]
struct Block {
    ptr: *mut u8,
    size: usize,
}

static mut LIST: [Call; CALLS] = [[0; 2]; CALLS];
static mut LIVE: [Block; BLOCKS] = [Block { ptr: ptr::null_mut(), size: 0 }; BLOCKS];
static mut NEXT: usize = 0;

/// Where the host writes the list.
#[no_mangle]
extern "C" fn list() -> *mut Call {
    (&raw mut LIST).cast()
}

fn layout(size: usize, call: Call) -> Layout {
    // SAFETY: alignments in lists are powers of two, and sizes far below the largest.
    unsafe { Layout::from_size_align_unchecked(size, 1 << (call[0] >> 2 & 63)) }
}

/// The next calls of the list. They must be there, and be about blocks that are live.
#[no_mangle]
extern "C" fn replay(times: u32) {
    // SAFETY: one thread, and no other reference; the host has written the list, which keeps the
    // rules: what it frees or resizes is live, and no size is zero.
    unsafe {
        let first = list().add(NEXT);
        NEXT += times as usize;
        for index in 0..times as usize {
            let call = first.add(index).read();
            let block = &mut *(&raw mut LIVE).cast::<Block>().add((call[0] >> 8) as usize);
            let size = call[1] as usize;
            match call[0] & 3 {
                ALLOC => block.ptr = alloc(layout(size, call)),
                FREE => {
                    block.ptr.read_volatile();
                    dealloc(block.ptr, layout(block.size, call));
                    continue;
                }
                _ => block.ptr = realloc(block.ptr, layout(block.size, call), size),
            }
            if block.ptr.is_null() {
                core::arch::wasm32::unreachable();
            }
            block.ptr.write_volatile(1);
            block.size = size;
        }
    }
}
