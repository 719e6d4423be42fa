//! When slabs come and go.

use std::alloc::Layout;

use talc_core::{Part, RawTalc, SEAL};

fn slabs(talc: &RawTalc) -> usize {
    let mut slabs = 0;
    talc.visit(|part| slabs += usize::from(matches!(part, Part::Slab { .. })));
    slabs
}

#[test]
fn empty_slabs_are_kept_for_any_size_until_trim() {
    let mut memory = vec![0_u64; 128 << 10];
    let mut talc = <RawTalc>::new();
    let (large, small) = (Layout::new::<[u8; 200]>(), Layout::new::<[u8; 40]>());
    // SAFETY: nothing else uses the memory; blocks are freed once, with their layout.
    unsafe {
        talc.claim(memory.as_mut_ptr().cast(), memory.len() * 8).unwrap();
        let blocks: Vec<_> = (0..60).map(|_| talc.try_allocate(large).unwrap()).collect();
        let most = slabs(&talc);
        assert!(most >= 3);
        for block in blocks {
            talc.deallocate(block.as_ptr(), large);
        }
        assert_eq!(slabs(&talc), most);
        // Another size takes one of them, and finds its slots intact.
        let other = talc.try_allocate(small).unwrap();
        assert_eq!(slabs(&talc), most);
        assert_eq!(talc.audit(), Ok(()));
        talc.deallocate(other.as_ptr(), small);
        while talc.trim().is_some() {}
        assert_eq!(slabs(&talc), 0);
        assert_eq!(talc.audit(), Ok(()));
    }
}

#[test]
fn a_small_heap_has_slabs_only_where_they_are_filled() {
    let mut memory = vec![0_u64; 6 << 10];
    let mut talc = <RawTalc>::new();
    let layout = Layout::new::<[u8; 16 - SEAL]>();
    // SAFETY: nothing else uses the memory.
    unsafe { talc.claim(memory.as_mut_ptr().cast(), memory.len() * 8).unwrap() };
    for _ in 0..200 {
        talc.try_allocate(layout).unwrap();
    }
    assert_eq!(slabs(&talc), 0);
    for _ in 0..200 {
        talc.try_allocate(layout).unwrap();
    }
    assert_eq!(slabs(&talc), 1);
    assert_eq!(talc.audit(), Ok(()));
}

/// Where middling objects are slots.
#[test]
#[cfg(target_pointer_width = "64")]
fn middling_objects_have_slabs_while_heaps_are_roomy() {
    const SIZE: usize = 8 << 20;
    let layout = Layout::new::<[u8; 400]>();
    let mut memory = vec![0_u64; SIZE / 8];
    for (size, kept, first) in [(SIZE, 0, 20), (1 << 20, 12, 40), (1 << 20, 750_000, 0)] {
        let mut talc = <RawTalc>::new();
        // SAFETY: nothing else uses the memory; blocks are freed once, with their layout.
        unsafe {
            talc.claim(memory.as_mut_ptr().cast(), size).unwrap();
            // With this, the heap is not roomy.
            let large = Layout::array::<u8>(kept).unwrap();
            let large = (talc.try_allocate(large).unwrap(), large);
            let blocks: Vec<_> = (0..200).map(|_| talc.try_allocate(layout).unwrap()).collect();
            let slots = blocks.iter().filter(|block| block.as_ptr() as usize % 16 == 8).count();
            if first == 0 {
                assert_eq!(slots, 0, "no slab where there is little room");
            } else {
                assert!(slots >= 200 - first, "{size} bytes: {slots} slots");
            }
            assert_eq!(talc.audit(), Ok(()));
            for block in blocks {
                talc.deallocate(block.as_ptr(), layout);
                assert_eq!(talc.audit(), Ok(()));
            }
            talc.deallocate(large.0.as_ptr(), large.1);
            while talc.trim().is_some() {}
            assert_eq!(slabs(&talc), 0);
            assert_eq!(talc.audit(), Ok(()));
            let whole = size - 4300;
            assert!(talc.largest_gap().unwrap() > whole, "all of it is free again");
        }
    }
}

/// Middling chunks that become gaps leave the count of those that would fill slabs.
#[test]
#[cfg(target_pointer_width = "64")]
fn middling_objects_that_have_left_open_no_slabs() {
    const SIZE: usize = 2 << 20;
    let layout = Layout::new::<[u8; 400]>();
    let mut memory = vec![0_u64; SIZE / 8];
    let mut talc = <RawTalc>::new();
    // SAFETY: nothing else uses the memory; blocks are freed once, with their layout.
    unsafe {
        talc.claim(memory.as_mut_ptr().cast(), SIZE).unwrap();
        for _ in 0..1000 {
            let blocks = [(); 12].map(|()| talc.try_allocate(layout).unwrap());
            for block in blocks {
                talc.deallocate(block.as_ptr(), layout);
            }
        }
        assert_eq!(slabs(&talc), 0);
        assert_eq!(talc.audit(), Ok(()));
    }
}
