//! Every wrapper, through `GlobalAlloc` and each `Allocator` trait: sizes of zero, growing and
//! shrinking, alignments, and running out of memory.
#![cfg_attr(feature = "nightly", feature(allocator_api))]
#![allow(clippy::undocumented_unsafe_blocks)] // Frees are of what the same test allocated.

#[macro_use]
mod common;

use std::alloc::Layout;
use std::ptr::NonNull;

use common::{arena, fill, layout, rounds, verify, Interface, Random, Wrapper};
use talc_sync::talc_sources::Claim;

for_each_wrapper_and_interface! {
    contents_survive_each_resize,
    alignments_may_change,
    zeroed_memory_is_zero,
    grow_zeroed_clears_the_tail_only,
    zero_sizes_take_no_memory,
    failing_to_resize_changes_nothing,
    impossible_layouts_get_none,
    random_use_keeps_contents,
}

/// Beyond this, contents are copied without the lock held.
const LARGE: usize = 16 << 10;

/// An arena that is too small for a slab to be had at once: so gaps say what is allocated.
const SMALL: usize = 60 << 10;

fn contents_survive_each_resize<W: Wrapper<Source = Claim>, I: Interface<W>>() {
    let (_memory, claim) = arena(1 << 18);
    let talc = W::new(claim);
    let sizes = [1, 7, 8, 9, 24, 100, 1000, LARGE - 1, LARGE, LARGE + 1, 3 * LARGE];
    // With something above it, a block has to move to grow; with nothing, it grows in place.
    for is_hemmed in [false, true] {
        for old_size in sizes {
            for new_size in sizes {
                let (old, new) = (layout(old_size, 8), layout(new_size, 8));
                let block = I::allocate(&talc, old).unwrap();
                assert_eq!(block.len(), old_size);
                let block = block.cast::<u8>();
                let hem = is_hemmed.then(|| I::allocate(&talc, layout(8, 8)).unwrap().cast());
                unsafe {
                    fill(block.as_ptr(), old_size, new_size);
                    let moved = if new_size >= old_size {
                        I::grow(&talc, block, old, new)
                    } else {
                        I::shrink(&talc, block, old, new)
                    };
                    let moved = moved.expect("there is room");
                    assert_eq!(moved.len(), new_size);
                    let moved = moved.cast::<u8>();
                    verify(moved.as_ptr(), old_size.min(new_size), new_size);
                    // All of the new size is there to be used.
                    fill(moved.as_ptr(), new_size, 1);
                    I::deallocate(&talc, moved, new);
                    if let Some(hem) = hem {
                        I::deallocate(&talc, hem, layout(8, 8));
                    }
                }
                talc.check();
            }
        }
    }
}

fn alignments_may_change<W: Wrapper<Source = Claim>, I: Interface<W>>() {
    if !I::ZERO_SIZED {
        return; // `GlobalAlloc` keeps the alignment.
    }
    let (_memory, claim) = arena(1 << 18);
    let talc = W::new(claim);
    for old_align in [1, 8, 64, 4096] {
        for new_align in [1, 16, 32, 1024, 1 << 14] {
            for (old_size, new_size) in [(100, 100), (100, 3000), (3000, 100), (20_000, 50_000)] {
                let (old, new) = (layout(old_size, old_align), layout(new_size, new_align));
                let block = I::allocate(&talc, old).unwrap().cast::<u8>();
                assert_eq!(block.as_ptr() as usize % old_align, 0);
                unsafe {
                    fill(block.as_ptr(), old_size, old_align);
                    let moved = if new_size >= old_size {
                        I::grow(&talc, block, old, new)
                    } else {
                        I::shrink(&talc, block, old, new)
                    };
                    let moved = moved.expect("there is room").cast::<u8>();
                    assert_eq!(moved.as_ptr() as usize % new_align, 0);
                    verify(moved.as_ptr(), old_size.min(new_size), old_align);
                    I::deallocate(&talc, moved, new);
                }
                talc.check();
            }
        }
    }
}

fn zeroed_memory_is_zero<W: Wrapper<Source = Claim>, I: Interface<W>>() {
    let (_memory, claim) = arena(SMALL);
    let talc = W::new(claim);
    for _ in 0..2 {
        // The second time, the memory was used before.
        for size in [1, 8, 100, 30_000] {
            let block = I::allocate_zeroed(&talc, layout(size, 8)).unwrap();
            assert!(unsafe { block.as_ref() }.iter().all(|&byte| byte == 0));
            unsafe {
                fill(block.cast().as_ptr(), size, 3);
                I::deallocate(&talc, block.cast(), layout(size, 8));
            }
        }
    }
}

fn grow_zeroed_clears_the_tail_only<W: Wrapper<Source = Claim>, I: Interface<W>>() {
    let (_memory, claim) = arena(1 << 17);
    let talc = W::new(claim);
    // What is grown into is full of ones.
    let all = layout(100_000, 8);
    unsafe {
        let block = I::allocate(&talc, all).unwrap().cast::<u8>();
        block.as_ptr().write_bytes(0xFF, all.size());
        I::deallocate(&talc, block, all);
    }
    for (old_size, new_size) in
        [(0, 50), (1, 1), (1, 40), (100, 101), (64, 20_000), (20_000, 40_000)]
    {
        if old_size == 0 && !I::ZERO_SIZED {
            continue;
        }
        for is_hemmed in [false, true] {
            let (old, new) = (layout(old_size, 8), layout(new_size, 8));
            let block = I::allocate(&talc, old).unwrap().cast::<u8>();
            let hem = is_hemmed.then(|| I::allocate(&talc, layout(8, 8)).unwrap().cast());
            unsafe {
                fill(block.as_ptr(), old_size, 5);
                let grown = I::grow_zeroed(&talc, block, old, new).unwrap();
                assert_eq!(grown.len(), new_size);
                verify(grown.cast().as_ptr(), old_size, 5);
                assert!(grown.as_ref()[old_size..].iter().all(|&byte| byte == 0));
                grown.cast::<u8>().as_ptr().write_bytes(0xFF, new_size);
                I::deallocate(&talc, grown.cast(), new);
                if let Some(hem) = hem {
                    I::deallocate(&talc, hem, layout(8, 8));
                }
            }
        }
    }
    talc.check();
}

fn zero_sizes_take_no_memory<W: Wrapper<Source = Claim>, I: Interface<W>>() {
    if !I::ZERO_SIZED {
        return; // `GlobalAlloc` must not be asked for nothing.
    }
    // Also without any heap, and so without ever asking the source.
    let empty = W::new(Claim::standby());
    let (_memory, claim) = arena(SMALL);
    let talc = W::new(claim);
    let first = I::allocate(&talc, layout(8, 8)).unwrap().cast::<u8>();
    let gap = talc.gap();
    for shift in 0..usize::BITS - 1 {
        let zero = layout(0, 1 << shift);
        for talc in [&empty, &talc] {
            for block in [I::allocate(talc, zero), I::allocate_zeroed(talc, zero)] {
                let block = block.expect("nothing is always to be had");
                assert_eq!(block.len(), 0);
                assert_eq!(block.cast::<u8>().as_ptr() as usize % zero.align(), 0);
                unsafe { I::deallocate(talc, block.cast(), zero) };
            }
            // From nothing to nothing, of another alignment.
            unsafe {
                let block = I::allocate(talc, layout(0, 1)).unwrap().cast();
                let block = I::grow(talc, block, layout(0, 1), zero).unwrap().cast::<u8>();
                assert_eq!(block.as_ptr() as usize % zero.align(), 0);
                let block = I::grow_zeroed(talc, block, zero, zero).unwrap().cast::<u8>();
                let block = I::shrink(talc, block, zero, layout(0, 2)).unwrap().cast::<u8>();
                assert_eq!(block.as_ptr() as usize % 2, 0);
                I::deallocate(talc, block, layout(0, 2));
            }
        }
    }
    assert_eq!(talc.gap(), gap);
    unsafe {
        // From nothing to something and back.
        let zero = layout(0, 1 << 20);
        let block = I::allocate(&talc, zero).unwrap().cast();
        let some = layout(1000, 4096);
        let block = I::grow(&talc, block, zero, some).unwrap().cast::<u8>();
        assert_eq!(block.as_ptr() as usize % 4096, 0);
        fill(block.as_ptr(), 1000, 0);
        assert!(talc.gap() < gap);
        let block = I::shrink(&talc, block, some, zero).unwrap().cast::<u8>();
        assert_eq!(block.as_ptr() as usize % zero.align(), 0);
        assert_eq!(talc.gap(), gap, "all of it was freed");
        I::deallocate(&talc, block, zero);
        assert!(I::grow(&empty, block, zero, some).is_none(), "something needs memory");
        I::deallocate(&talc, first, layout(8, 8));
    }
    talc.check();
}

fn failing_to_resize_changes_nothing<W: Wrapper<Source = Claim>, I: Interface<W>>() {
    let (_memory, claim) = arena(SMALL);
    let talc = W::new(claim);
    for size in [10, 5000, 40_000] {
        let old = layout(size, 8);
        let block = I::allocate(&talc, old).unwrap().cast::<u8>();
        let gap = talc.gap();
        let mut attempts = vec![layout(1 << 20, 8), layout(isize::MAX as usize - 7, 8)];
        if I::ZERO_SIZED {
            attempts.extend([layout(size, 1 << 29), layout(1 << 16, 16), layout(size, 1 << 30)]);
        }
        unsafe {
            fill(block.as_ptr(), size, 9);
            for new in attempts {
                assert!(I::grow(&talc, block, old, new).is_none(), "{new:?}");
                assert!(I::grow_zeroed(&talc, block, old, new).is_none(), "{new:?}");
            }
            if I::ZERO_SIZED {
                assert!(I::shrink(&talc, block, old, layout(1, 1 << 29)).is_none());
            }
            assert_eq!(talc.gap(), gap);
            verify(block.as_ptr(), size, 9);
            I::deallocate(&talc, block, old);
        }
        talc.check();
    }
}

fn impossible_layouts_get_none<W: Wrapper<Source = Claim>, I: Interface<W>>() {
    let (_memory, claim) = arena(1 << 14);
    let talc = W::new(claim);
    for shift in 0..usize::BITS - 1 {
        let align = 1 << shift;
        for less in [0, 1, 15, 16, 64, 300, 4096] {
            let size = (isize::MAX as usize + 1 - align).saturating_sub(less);
            if size > 1 << 16 {
                let layout = Layout::from_size_align(size, align).unwrap();
                assert!(I::allocate(&talc, layout).is_none(), "{layout:?}");
                assert!(I::allocate_zeroed(&talc, layout).is_none(), "{layout:?}");
            }
        }
        if align > 1 << 28 {
            assert!(I::allocate(&talc, layout(1, align)).is_none(), "alignment {align}");
        }
    }
    talc.check();
}

fn random_use_keeps_contents<W: Wrapper<Source = Claim>, I: Interface<W>>() {
    let (_memory, claim) = arena(1 << 17);
    let talc = W::new(claim);
    let mut random = Random(0xD1CE);
    let mut live: Vec<(NonNull<u8>, Layout, usize)> = Vec::new();
    for step in 0..rounds(600) {
        match random.below(4) {
            0 | 1 => {
                let layout = layout(random.size(11), 1 << random.below(8));
                if let Some(block) = I::allocate(&talc, layout) {
                    unsafe { fill(block.cast().as_ptr(), layout.size(), step) };
                    live.push((block.cast(), layout, step));
                }
            }
            2 if !live.is_empty() => {
                let n = random.below(live.len());
                let (block, old, seed) = live[n];
                let align = if I::ZERO_SIZED { 1 << random.below(8) } else { old.align() };
                let new = layout(random.size(11), align);
                unsafe {
                    let resized = if new.size() < old.size() {
                        I::shrink(&talc, block, old, new)
                    } else {
                        I::grow(&talc, block, old, new)
                    };
                    if let Some(block) = resized {
                        let block = block.cast::<u8>();
                        assert_eq!(block.as_ptr() as usize % align, 0);
                        verify(block.as_ptr(), old.size().min(new.size()), seed);
                        fill(block.as_ptr(), new.size(), seed);
                        live[n] = (block, new, seed);
                    }
                }
            }
            _ if !live.is_empty() => {
                let (block, layout, seed) = live.swap_remove(random.below(live.len()));
                unsafe {
                    verify(block.as_ptr(), layout.size(), seed);
                    I::deallocate(&talc, block, layout);
                }
            }
            _ => {}
        }
        if step % 16 == 0 {
            talc.check();
        }
    }
    for (block, layout, seed) in live {
        unsafe {
            verify(block.as_ptr(), layout.size(), seed);
            I::deallocate(&talc, block, layout);
        }
    }
    talc.check();
}
