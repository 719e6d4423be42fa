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
