//! Growing downwards: where an allocation moves, what moves with it, and what is refused.

use std::alloc::Layout;

use talc_core::RawTalc;

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 8).unwrap()
}

/// Sizes here are too large for slots.
fn allocate<const N: usize>(talc: &mut RawTalc, sizes: [usize; N]) -> [*mut u8; N] {
    sizes.map(|size| talc.try_allocate(layout(size)).unwrap().as_ptr())
}

#[test]
fn an_allocation_moves_down_with_its_contents() {
    let mut memory = vec![0_u64; 4096];
    let mut talc = <RawTalc>::new();
    // SAFETY: nothing else uses the memory; blocks are resized and freed with their layouts.
    unsafe {
        talc.claim(memory.as_mut_ptr().cast(), memory.len() * 8).unwrap();
        let [below, block, _above] = allocate(&mut talc, [1000, 2000, 1000]);
        for at in 0..2000 {
            block.add(at).write(at as u8);
        }
        assert_eq!(talc.try_grow_downwards(block, layout(2000), 2500), None, "no gap below");
        talc.deallocate(below, layout(1000));
        assert_eq!(talc.try_grow_downwards(block, layout(2000), 3100), None, "too small a gap");
        assert_eq!(talc.audit(), Ok(()));

        let moved = talc.try_grow_downwards(block, layout(2000), 2500).unwrap().as_ptr();
        assert_eq!(moved, below);
        assert!((0..2000).all(|at| moved.add(at).read() == at as u8));
        assert_eq!(talc.audit(), Ok(()));
        // The rest is above it now.
        assert!(talc.try_grow_in_place(moved, layout(2500), 2900));
        assert_eq!(talc.audit(), Ok(()));
    }
}

#[test]
fn the_gap_above_is_used_too() {
    let mut memory = vec![0_u64; 4096];
    let mut talc = <RawTalc>::new();
    // SAFETY: as above.
    unsafe {
        talc.claim(memory.as_mut_ptr().cast(), memory.len() * 8).unwrap();
        let [below, block, above, _hem] = allocate(&mut talc, [1000, 2000, 1000, 600]);
        talc.deallocate(below, layout(1000));
        talc.deallocate(above, layout(1000));
        let moved = talc.try_grow_downwards(block, layout(2000), 3900).unwrap().as_ptr();
        assert_eq!(moved, below);
        assert_eq!(talc.audit(), Ok(()));
        talc.deallocate(moved, layout(3900));
        assert_eq!(talc.audit(), Ok(()));
    }
}

#[test]
fn slots_and_alignments_stay() {
    let mut memory = vec![0_u64; 32 << 10];
    let mut talc = <RawTalc>::new();
    // SAFETY: as above.
    unsafe {
        talc.claim(memory.as_mut_ptr().cast(), memory.len() * 8).unwrap();
        let [slot] = allocate(&mut talc, [16]);
        assert_eq!(talc.try_grow_downwards(slot, layout(16), 100), None);

        // The only aligned address below is taken.
        let aligned = Layout::from_size_align(2000, 4096).unwrap();
        let block = talc.try_allocate(aligned).unwrap().as_ptr();
        assert_eq!(talc.try_grow_downwards(block, aligned, 2100), None);
        assert_eq!(talc.try_grow_downwards(block, aligned, usize::MAX), None);
        assert_eq!(talc.audit(), Ok(()));
    }
}

#[test]
fn the_error_says_what_is_missing() {
    assert_eq!(talc_core::NoRoom.to_string(), "no room to grow in place");
}
