//! Broken rules that are recognised, and pointers that belong to no allocation.

use std::alloc::Layout;

use talc_core::{CompactBins, DefaultBinning, Misuse, RawTalc, SmallBinning};
use talc_sources::{Binning, RawTalcExt};

/// Pointers that were never allocated: nothing outside of the heaps is read.
fn foreign_pointers_are_not_read<B: Binning>() {
    let mut memory = vec![0_u64; 4 << 10];
    let mut talc = RawTalc::<B>::new();
    let (base, size) = (memory.as_mut_ptr().cast::<u8>(), memory.len() * 8);
    let layouts = [(8, 8), (40, 8), (200, 8), (5000, 16)];
    let foreign = |talc: &RawTalc<B>| {
        let (low, high) = (base as usize, base as usize + size);
        let nowhere = [0, 8, 16, 24, 4096, 4104, usize::MAX & !7, usize::MAX & !15, usize::MAX];
        let other = 1 << (usize::BITS - 2);
        let far = [low ^ other, (low ^ other) + 8, (high ^ other) + 16, (high ^ other) + 24];
        let near = [
            low.wrapping_sub(4096 + 8),
            low.wrapping_sub(1 << 20),
            high + 4096 + 8,
            high + (1 << 20),
        ];
        for addr in nowhere.into_iter().chain(far).chain(near) {
            for (size, align) in layouts {
                let layout = Layout::from_size_align(size, align).unwrap();
                // SAFETY: not between the lowest heap base and the highest heap end.
                let misuse = unsafe { talc.misuse(addr as *mut u8, layout) };
                assert_eq!(misuse, Some(Misuse::NotAnAllocation), "{addr:#x}");
            }
        }
    };
    foreign(&talc);
    // SAFETY: nothing else uses the memory.
    unsafe { talc.claim(base, size) }.unwrap();
    foreign(&talc);
    for (size, align) in layouts {
        talc.try_allocate(Layout::from_size_align(size, align).unwrap()).unwrap();
    }
    foreign(&talc);
}

#[test]
fn foreign_pointers() {
    // With compact bins, only debug builds know the bounds of the heaps.
    if talc_core::CHECKS {
        foreign_pointers_are_not_read::<SmallBinning>();
        foreign_pointers_are_not_read::<CompactBins<8, 4, 4096, 16>>();
    }
    foreign_pointers_are_not_read::<DefaultBinning>();
}

/// An address in a slab is no allocation if no slot starts there, or if the slot was freed or its
/// slab was closed.
#[test]
fn what_is_no_allocation_in_a_heap() {
    let mut memory = vec![0_u64; 32 << 10];
    let mut talc = <RawTalc>::new();
    let layout = Layout::new::<[u64; 5]>();
    // SAFETY: nothing else uses the memory; blocks are freed once, with their layout.
    unsafe {
        talc.claim(memory.as_mut_ptr().cast(), memory.len() * 8).unwrap();
        let blocks: Vec<_> =
            (0..300).map(|_| talc.try_allocate(layout).unwrap().as_ptr()).collect();
        for &block in &blocks {
            assert_eq!(talc.misuse(block, layout), None);
            assert_eq!(talc.misuse(block.wrapping_add(16), layout), Some(Misuse::NotAnAllocation));
            let larger = Layout::new::<[u64; 7]>();
            assert_eq!(talc.misuse(block, larger), Some(Misuse::WrongSize));
            let aligned = Layout::from_size_align(40, 64).unwrap();
            assert_eq!(talc.misuse(block, aligned), Some(Misuse::WrongAlignment));
        }
        for &block in &blocks {
            talc.deallocate(block, layout);
            assert_eq!(talc.misuse(block, layout), Some(Misuse::AlreadyFree));
        }
        while talc.trim().is_some() {}
        for &block in &blocks {
            assert!(talc.misuse(block, layout).is_some());
        }
    }
}

/// A layout that needs as large a chunk as the right one: where headers have room for it, they know better.
#[test]
#[cfg(all(target_pointer_width = "64", any(debug_assertions, feature = "hardened")))]
fn a_layout_that_is_wrong_by_a_word() {
    let mut memory = vec![0_u64; 8 << 10];
    let mut talc = <RawTalc>::new();
    // SAFETY: nothing else uses the memory; the block is live.
    unsafe {
        talc.claim(memory.as_mut_ptr().cast(), memory.len() * 8).unwrap();
        for words in 600..640 {
            let layout = |words: usize| Layout::from_size_align(words * 8, 8).unwrap();
            let block = talc.try_allocate(layout(words)).unwrap().as_ptr();
            for wrong in [words - 1, words + 1] {
                assert_eq!(talc.misuse(block, layout(wrong)), Some(Misuse::WrongSize));
            }
            talc.deallocate(block, layout(words));
        }
    }
}

/// An owner who unmaps a heap without truncating it first breaks a rule, but freeing what is in
/// other heaps does not read there.
#[test]
#[cfg(any(debug_assertions, feature = "hardened"))]
fn other_heaps_are_not_looked_at() {
    let mut memory = vec![0_u64; 32 << 10];
    let gone = Layout::from_size_align(64 << 20, 4096).unwrap();
    let mut talc = <RawTalc>::new();
    // SAFETY: nothing else uses the memory; blocks are freed once, with their layout.
    unsafe {
        let unmapped = std::alloc::alloc(gone);
        talc.claim(unmapped, 1 << 12).unwrap();
        talc.claim(memory.as_mut_ptr().cast(), memory.len() * 8).unwrap();
        let layouts = [8, 40, 100, 300, 5000].map(|size| Layout::from_size_align(size, 8).unwrap());
        let blocks = layouts.map(|layout| {
            // Nothing in the heap that will be unmapped.
            let range = memory.as_ptr_range();
            loop {
                let block = talc.try_allocate(layout).unwrap().as_ptr();
                if range.contains(&block.cast_const().cast()) {
                    return (block, layout);
                }
            }
        });
        for (block, layout) in blocks {
            talc.deallocate(block, layout);
        }
        std::alloc::dealloc(unmapped, gone);
    }
}

/// Returns what was found, without where.
#[cfg(any(debug_assertions, feature = "hardened"))]
fn found(talc: &mut RawTalc) -> Option<Misuse> {
    talc.take_report().map(|finding| finding.misuse)
}

/// Each broken rule of the methods that take a heap end or a region has its message, and nothing is
/// done.
#[test]
#[cfg(any(debug_assertions, feature = "hardened"))]
fn heap_ends_and_regions() {
    // Aligned, so that 8 bytes further on is not.
    let mut memory = vec![0_u128; 2 << 10];
    let base = memory.as_mut_ptr().cast::<u8>();
    let mut talc = <RawTalc>::new();
    // SAFETY: nothing else uses the memory; rules are only broken in ways that are reported.
    unsafe {
        let end = talc.claim(base, 8 << 10).unwrap();
        talc.defer_reports(true);
        let wrong =
            [1, 8, 16, 4096].map(|by| std::ptr::NonNull::new_unchecked(end.as_ptr().sub(by)));
        for wrong in wrong {
            assert_eq!(talc.extend(wrong, end.as_ptr().add(4096)), wrong);
            assert_eq!(found(&mut talc), Some(Misuse::NotAHeapEnd));
            assert_eq!(talc.truncate(wrong, std::ptr::null_mut()), Some(wrong));
            assert_eq!(found(&mut talc), Some(Misuse::NotAHeapEnd));
            assert!(talc.reserved(wrong).any);
        }
        let odd = base.wrapping_add((8 << 10) + 8);
        let _ = talc.claim_or_extend(None, odd, 8 << 10);
        assert_eq!(found(&mut talc), Some(Misuse::UnsuitableRegion));
        let _ = talc.claim_or_extend(None, end.as_ptr(), 16);
        assert_eq!(found(&mut talc), Some(Misuse::UnsuitableRegion));
        let layout = Layout::new::<[u8; 500]>();
        let block = talc.try_allocate(layout).unwrap().as_ptr();
        assert!(!talc.try_grow_in_place(block, layout, 400));
        assert_eq!(found(&mut talc), Some(Misuse::WrongDirection));
        talc.shrink(block, layout, 600);
        assert_eq!(found(&mut talc), Some(Misuse::WrongDirection));
        talc.deallocate(block, layout);
        assert!(!talc.has_report());
        talc.deallocate(block, layout);
        assert_eq!(found(&mut talc), Some(Misuse::AlreadyFree));
    }
    assert_eq!(talc.audit(), Ok(()));
    // WebAssembly does not unwind.
    #[cfg(panic = "unwind")]
    {
        let message = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            talc.defer_reports(false);
            // SAFETY: nothing is done but report it.
            unsafe { talc.deallocate(base.wrapping_add(1), Layout::new::<u8>()) }
        }));
        let message = message.unwrap_err();
        assert!(message.downcast_ref::<String>().unwrap().contains("not allocated here"));
    }
}
