//! TinyTalc: the heap inside of the static, under the test of a global allocator and alone.
#![allow(clippy::undocumented_unsafe_blocks)] // Frees are of what the same test allocated.

#[path = "../../talc-sources/tests/common/support.rs"]
#[allow(dead_code, unreachable_pub)] // A part of it is used here.
mod support;

use std::alloc::{GlobalAlloc, Layout};

use support::{rounds, Random};
use talc_sync::{RawSpinlock, TinyTalc};

const SIZE: usize = 16 << 10;

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 4).unwrap()
}

#[cfg(not(any(
    debug_assertions,
    feature = "hardened",
    feature = "counters",
    feature = "error-scanning"
)))]
#[test]
fn little_comes_on_top() {
    let beside = std::mem::size_of::<TinyTalc<RawSpinlock, SIZE>>() - SIZE;
    let limit = if usize::BITS == 64 { 656 } else { 288 };
    assert!(beside <= limit, "{beside} bytes");
}

#[test]
fn all_of_it_can_be_had_again_and_again() {
    static TALC: TinyTalc<RawSpinlock, SIZE> = unsafe { TinyTalc::new() };
    // It refuses what does not fit before it has a heap, and afterwards.
    assert!(unsafe { TALC.alloc(layout(SIZE)) }.is_null());
    let mut random = Random(3);
    for _ in 0..rounds(200).max(2) {
        let mut live = Vec::new();
        let mut bytes = 0;
        loop {
            let size = 1 + random.below(200);
            let block = unsafe { TALC.alloc(layout(size)) };
            if block.is_null() {
                break;
            }
            let address = block as usize;
            let heap = std::ptr::addr_of!(TALC) as usize;
            assert!(address >= heap && address + size <= heap + std::mem::size_of_val(&TALC));
            unsafe { block.write_bytes(size as u8, size) };
            bytes += size;
            live.push((block, size));
        }
        // Unless each allocation has cache lines of its own.
        let part = if cfg!(feature = "cache-aligned-allocations") { 4 } else { 1 };
        assert!(bytes > SIZE * 3 / 4 / part, "{bytes} bytes");
        while !live.is_empty() {
            let (block, size) = live.swap_remove(random.below(live.len()));
            assert!((0..size).all(|n| unsafe { block.add(n).read() } == size as u8));
            if random.below(4) == 0 {
                let new = 1 + random.below(300);
                let moved = unsafe { TALC.realloc(block, layout(size), new) };
                if !moved.is_null() {
                    let kept = size.min(new);
                    assert!((0..kept).all(|n| unsafe { moved.add(n).read() } == size as u8));
                    unsafe { moved.write_bytes(new as u8, new) };
                    live.push((moved, new));
                    continue;
                }
            }
            unsafe { TALC.dealloc(block, layout(size)) };
        }
        assert_eq!(TALC.lock().audit(), Ok(()));
        assert!(TALC.lock().largest_gap().unwrap() > SIZE - 200);
    }
    assert!(format!("{TALC:?}").contains("16384"));
}

#[test]
fn one_without_room_refuses() {
    static TALC: TinyTalc<RawSpinlock, 16> = unsafe { TinyTalc::new() };
    for _ in 0..2 {
        assert!(unsafe { TALC.alloc(layout(1)) }.is_null());
    }
}
