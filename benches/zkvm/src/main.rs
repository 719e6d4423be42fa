//! Replays calls with the allocator that a feature names, and prints how many instructions were retired meanwhile. Without
//! a feature, the allocator only moves a pointer up.
//!
//! The memory of the emulator is zero at first, so nothing clears it.

#![no_std]
#![no_main]
// Everything here is one program over memory that nobody else has.
#![allow(clippy::undocumented_unsafe_blocks, clippy::missing_safety_doc)]

mod allocator;

use core::alloc::Layout;
use core::arch::{asm, global_asm};
use core::hint::black_box;
use core::panic::PanicInfo;

// For its critical section.
use riscv as _;

global_asm!(".section .text.start", ".globl _start", "_start:", "la sp, _stack_top", "call replay",);

/// The calls, as the host has loaded them: how many there are, and four words for each.
const CALLS: *const u32 = 0x8080_0000 as *const u32;

/// The blocks that are live, by the number of their slot.
const BLOCKS: *mut *mut u8 = 0x8200_0000 as *mut *mut u8;

const HEAP: *mut u8 = 0x8400_0000 as *mut u8;
/// How large the heap is to be, as the host has loaded it.
const HEAP_SIZE: *const usize = 0x807f_fff0 as *const usize;

#[no_mangle]
unsafe extern "C" fn replay() -> ! {
    allocator::init(HEAP, HEAP_SIZE.read());
    let count = CALLS.read() as usize;
    let before = retired();
    for index in 0..count {
        let call = CALLS.add(1 + 4 * index);
        // The kind of call and the alignment, the slot, the size, and the new size.
        let [what, slot, size, new_size] = [0, 1, 2, 3].map(|n| call.add(n).read() as usize);
        let place = BLOCKS.add(slot);
        let layout = Layout::from_size_align_unchecked(size, 1 << (what >> 2));
        let block = match what & 3 {
            0 => allocator::alloc(layout),
            1 => {
                allocator::dealloc(place.read(), layout);
                continue;
            }
            _ => allocator::realloc(place.read(), layout, new_size),
        };
        if block.is_null() {
            // The index of the call.
            end("refused", index as u32);
        }
        block.write(1);
        place.write(block);
    }
    end("retired", black_box(retired().wrapping_sub(before)))
}

/// Returns how many instructions were retired since the start, of which the lower half suffices.
fn retired() -> u32 {
    let count;
    unsafe { asm!("csrr {}, minstret", out(reg) count, options(nostack)) };
    count
}

/// Prints a word and a number, and ends the emulator.
fn end(word: &str, number: u32) -> ! {
    let print = |byte: u8| unsafe { (0x1000_0000 as *mut u8).write_volatile(byte) };
    word.bytes().for_each(print);
    print(b' ');
    let mut divisor = 1_000_000_000;
    while divisor > 0 {
        print(b'0' + (number / divisor % 10) as u8);
        divisor /= 10;
    }
    print(b'\n');
    unsafe { (0x0010_0000 as *mut u32).write_volatile(0x5555) };
    loop {}
}

#[panic_handler]
fn panic(_: &PanicInfo) -> ! {
    end("panic", 0)
}
