//! A key of one's own for what is linked in free memory. In a process of its own, as there is one key.

use std::alloc::Layout;
use std::panic::catch_unwind;

use fuzz::campaign::{run_core, Length, CORE_SHAPES};
use talc_core::{set_key, RawTalc};

const KEY: usize = 0x0123_4567_89AB_CDE0_u64 as usize;

#[repr(align(4096))]
struct Memory([u8; 65536]);

#[test]
fn it_is_set_once_and_links_are_combined_with_it() {
    // SAFETY: the only test in this program, before anything is claimed.
    unsafe { set_key(KEY) };
    let mut memory = Box::new(Memory([0; 65536]));
    let mut talc = <RawTalc>::new();
    let layout = Layout::new::<[u64; 1000]>();
    // SAFETY: nothing else uses the memory; blocks are allocated here, and freed once. What a freed one has is read
    // through the memory's own pointer.
    unsafe {
        let base = memory.0.as_mut_ptr();
        talc.claim(base, 65536).unwrap();
        // Every other one, so that gaps of one size are left.
        let blocks = [(); 5].map(|()| talc.try_allocate(layout).unwrap().as_ptr());
        while talc.trim().is_some() {}
        talc.deallocate(blocks[1], layout);
        talc.deallocate(blocks[3], layout);
        let links = |block: *mut u8| {
            let place = base.add(block as usize - base as usize).cast::<usize>();
            [place.read(), place.add(1).read()]
        };
        let key = if cfg!(feature = "hardened-full") { KEY | 1 } else { 0 };
        let [next, back] = links(blocks[3]);
        assert_eq!((next, back), (blocks[1] as usize ^ key, key));
        assert_eq!(links(blocks[1])[1], blocks[3] as usize ^ key);
    }
    if cfg!(feature = "hardened-full") {
        // SAFETY: it panics instead.
        catch_unwind(|| unsafe { set_key(1) }).unwrap_err();
    }

    let length = Length { operations: if cfg!(miri) { 50 } else { 5_000 }, check_every: 100 };
    for seed in 0..CORE_SHAPES {
        run_core(seed + 3 * CORE_SHAPES, length);
    }
}
