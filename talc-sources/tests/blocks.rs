//! GlobalAllocSource and AllocatorSource, through the same tests: blocks come from the backing
//! allocator when they are needed, go back when they fall empty, and never leak.
#![allow(clippy::undocumented_unsafe_blocks)] // Frees are of what the same test allocated.

mod common;

use std::alloc::Layout;

use common::{bytes, impossible_layouts, rounds, Backing, BlockSource, Random};
use talc_sources::min_first_heap_size;
use talc_sources::talc_core::DefaultBinning;
use talc_sources::Talc;

/// What the tests use: the table and 3000 bytes may fit, the table and 3500 bytes do not.
const BLOCK: usize = 4096;

common::for_each_block_source! {
    takes_a_block_when_needed,
    fails_cleanly_at_each_call,
    gives_free_blocks_back,
    empty_slabs_keep_no_block,
    keeps_one_block_beside_many,
    a_used_spare_makes_room_for_another,
    returns_oversized_blocks_at_once,
    a_pair_at_the_edge_does_not_thrash,
    a_hole_is_room,
    impossible_layouts_get_none,
    over_aligned_layouts_fit,
    any_power_of_two_is_a_block_size,
    random_use_leaks_nothing,
    resizing_in_place_gives_blocks_back,
}

fn talc<K: BlockSource>(backing: &Backing) -> Talc<K::Source<'_>> {
    Talc::new(K::over(backing, BLOCK))
}

fn takes_a_block_when_needed<K: BlockSource>() {
    let backing = Backing::new();
    let mut talc = talc::<K>(&backing);
    assert_eq!(backing.calls(), 0, "nothing may be taken before it is needed");
    unsafe {
        assert!(talc.try_allocate(bytes(10)).is_none(), "this does not ask the source");
        assert_eq!(backing.calls(), 0);

        let block = talc.allocate(bytes(10)).unwrap();
        assert!(backing.owns(block.as_ptr(), 10));
        assert_eq!((backing.calls(), backing.bytes()), (1, BLOCK));

        // As long as allocations fit, the same block serves them.
        let again = talc.allocate(bytes(10)).unwrap();
        assert_eq!(backing.calls(), 1);

        // A larger allocation than the usual block takes a multiple of it.
        let large = talc.allocate(bytes(3 * BLOCK)).unwrap();
        assert!(backing.owns(large.as_ptr(), 3 * BLOCK));
        assert_eq!((backing.calls(), backing.bytes()), (2, BLOCK + 4 * BLOCK));
        for (block, size) in [(block, 10), (again, 10), (large, 3 * BLOCK)] {
            talc.deallocate(block.as_ptr(), bytes(size));
        }
        assert_eq!(talc.audit(), Ok(()));
    }
    drop(talc);
    assert_eq!(backing.blocks(), 0);
}

/// The backing fails for good after `n` calls, for every `n` up to what the sequence needs.
fn fails_cleanly_at_each_call<K: BlockSource>() {
    let sizes = [100, 3000, 3000, 10_000, 8, 3000, 20_000];
    let mut needed = None;
    for lasts_for in 0.. {
        let backing = Backing::new();
        backing.set_lasts_for(Some(lasts_for));
        let mut talc = talc::<K>(&backing);
        let mut live = Vec::new();
        let mut failures = 0;
        for (n, &size) in sizes.iter().enumerate() {
            match talc.allocate(bytes(size)) {
                Some(block) => {
                    unsafe { block.as_ptr().write_bytes(n as u8, size) };
                    live.push((n, block));
                }
                None => failures += 1,
            }
            assert_eq!(talc.audit(), Ok(()));
        }
        assert_eq!(backing.blocks(), backing.calls().min(lasts_for));

        // What failed works once there is memory again.
        backing.set_lasts_for(None);
        let late = talc.allocate(bytes(30_000)).expect("there is memory again");
        unsafe { talc.deallocate(late.as_ptr(), bytes(30_000)) };
        for (n, block) in live {
            for offset in 0..sizes[n] {
                assert_eq!(unsafe { block.as_ptr().add(offset).read() }, n as u8);
            }
            unsafe { talc.deallocate(block.as_ptr(), bytes(sizes[n])) };
        }
        assert_eq!(talc.audit(), Ok(()));
        drop(talc);
        assert_eq!(backing.blocks(), 0, "a leak if the backing lasts for {lasts_for} calls");
        if failures == 0 {
            needed = Some(lasts_for);
            break;
        }
    }
    assert!(needed.unwrap() >= 4, "the sequence must need several blocks");
}

/// All blocks but that of the table are returned, in whatever order they fall free, and without
/// `trim`.
fn gives_free_blocks_back<K: BlockSource>() {
    let layout = bytes(3500);
    for order in [[0, 1, 2, 3, 4], [4, 3, 2, 1, 0], [2, 0, 4, 1, 3]] {
        let backing = Backing::new();
        let mut talc = talc::<K>(&backing);
        // The table and five allocations, none of which share a block.
        let table = talc.allocate(bytes(8)).unwrap();
        let blocks: Vec<_> = (0..5).map(|_| talc.allocate(layout).unwrap()).collect();
        assert_eq!(backing.blocks(), 6);
        for (freed, n) in order.into_iter().enumerate() {
            unsafe { talc.deallocate(blocks[n].as_ptr(), layout) };
            assert_eq!(backing.blocks(), 5 - freed, "after {} frees", freed + 1);
            assert_eq!(talc.audit(), Ok(()));
        }
        unsafe { talc.deallocate(table.as_ptr(), bytes(8)) };
        assert_eq!(backing.bytes(), BLOCK);
    }
}

/// Small objects come from slabs, which are kept when they are empty; but no block is kept for
/// them.
fn empty_slabs_keep_no_block<K: BlockSource>() {
    let sizes = [8, 16, 40, 100, 200, 256, 300, 1000];
    for order in 0..4 {
        for block_size in [BLOCK, 2 * BLOCK, 16 * BLOCK] {
            let backing = Backing::new();
            let mut talc = Talc::<_>::new(K::over(&backing, block_size));
            let mut live: Vec<_> = (0..1200_usize)
                .map(|n| {
                    let layout = bytes(sizes[(n / 50) % sizes.len()]);
                    (talc.allocate(layout).unwrap(), layout)
                })
                .collect();
            assert!(backing.blocks() > 1);
            match order {
                0 => {}
                1 => live.reverse(),
                2 => live.sort_by_key(|(_, layout)| layout.size()),
                _ => {
                    let mut random = Random(11);
                    for n in (1..live.len()).rev() {
                        live.swap(n, random.below(n + 1));
                    }
                }
            }
            for (block, layout) in live {
                unsafe { talc.deallocate(block.as_ptr(), layout) };
            }
            assert_eq!(backing.blocks(), 1, "order {order}, blocks of {block_size}");
            assert_eq!(talc.audit(), Ok(()));
        }
    }
}

fn keeps_one_block_beside_many<K: BlockSource>() {
    let backing = Backing::new();
    let mut talc = talc::<K>(&backing);
    let layout = bytes(3500);
    let table = talc.allocate(bytes(1000)).unwrap();
    let blocks: Vec<_> = (0..12).map(|_| talc.allocate(layout).unwrap()).collect();
    let held = backing.blocks();
    let mut blocks = blocks.into_iter();
    for _ in 0..3 {
        unsafe { talc.deallocate(blocks.next().unwrap().as_ptr(), layout) };
    }
    assert_eq!(backing.blocks(), held - 2, "one of three is kept");
    let calls = backing.calls();
    let block = talc.allocate(layout).unwrap();
    assert_eq!(backing.calls(), calls, "and used before anything new is taken");
    for block in blocks.chain([block]) {
        unsafe { talc.deallocate(block.as_ptr(), layout) };
    }
    assert_eq!(backing.blocks(), 1);
    unsafe { talc.deallocate(table.as_ptr(), bytes(1000)) };
}

/// One block is in use while the other is not, in turns.
fn a_used_spare_makes_room_for_another<K: BlockSource>() {
    let backing = Backing::new();
    let mut talc = talc::<K>(&backing);
    let layout = bytes(3500);
    unsafe {
        // So that there is no room in the block of the table.
        let small = talc.allocate(bytes(1000)).unwrap();
        let mut a = talc.allocate(layout).unwrap();
        let mut b = talc.allocate(layout).unwrap();
        assert_eq!(backing.blocks(), 3);
        for _ in 0..100 {
            talc.deallocate(a.as_ptr(), layout); // Its block is the spare one...
            a = talc.allocate(layout).unwrap(); // ... which is in use again,
            talc.deallocate(b.as_ptr(), layout); // so that this one may be spare now.
            b = talc.allocate(layout).unwrap();
            assert!(backing.calls() <= 4 && backing.blocks() == 3);
        }
        talc.deallocate(a.as_ptr(), layout);
        talc.deallocate(b.as_ptr(), layout);
        assert!(backing.blocks() <= 2);
        talc.deallocate(small.as_ptr(), bytes(1000));
        assert_eq!(backing.blocks(), 1, "where there is room, none is spare");
    }
    assert_eq!(talc.audit(), Ok(()));
}

fn returns_oversized_blocks_at_once<K: BlockSource>() {
    let backing = Backing::new();
    let mut talc = talc::<K>(&backing);
    let small = talc.allocate(bytes(8)).unwrap();
    for size in [BLOCK, 5 * BLOCK, 100 * BLOCK + 1] {
        let large = talc.allocate(bytes(size)).unwrap();
        assert_eq!(backing.blocks(), 2);
        unsafe { talc.deallocate(large.as_ptr(), bytes(size)) };
        assert_eq!((backing.blocks(), backing.bytes()), (1, BLOCK));
    }
    unsafe { talc.deallocate(small.as_ptr(), bytes(8)) };
}

fn a_pair_at_the_edge_does_not_thrash<K: BlockSource>() {
    for size in [8, 100, 256, 300, 1000, 3000] {
        let backing = Backing::new();
        let mut talc = talc::<K>(&backing);
        let layout = bytes(size);
        let mut live = Vec::new();
        // Fills the first blocks, up to where the next allocation takes another one.
        while backing.blocks() < 3 {
            live.push(talc.allocate(layout).unwrap());
        }
        let (calls, frees) = (backing.calls(), backing.frees());
        for _ in 0..1000 {
            let edge = live.pop().unwrap();
            unsafe { talc.deallocate(edge.as_ptr(), layout) };
            live.push(talc.allocate(layout).unwrap());
        }
        assert!(backing.calls() <= calls + 1 && backing.frees() <= frees + 1, "{size} bytes");
        for block in live {
            unsafe { talc.deallocate(block.as_ptr(), layout) };
        }
        assert_eq!(backing.blocks(), 1, "{size} bytes");
    }
}

/// The spare block goes back when there is room elsewhere, even if that is a hole below something in use.
fn a_hole_is_room<K: BlockSource>() {
    const BLOCK: usize = 1 << 16;
    let backing = Backing::new();
    let mut talc = Talc::<_>::new(K::over(&backing, BLOCK));
    let edge = bytes(BLOCK / 2);
    unsafe {
        // Two chunks next to each other, and one above them.
        let [low, high] = [(); 2].map(|_| talc.allocate(bytes(BLOCK / 3)).unwrap());
        let top = talc.allocate(bytes(1000)).unwrap();
        assert_eq!(backing.blocks(), 1);
        for _ in 0..3 {
            let block = talc.allocate(edge).unwrap();
            talc.deallocate(block.as_ptr(), edge);
        }
        assert_eq!(backing.blocks(), 2, "no spare: this shows nothing");
        talc.deallocate(low.as_ptr(), bytes(BLOCK / 3));
        assert_eq!(backing.blocks(), 2, "a third of a block is not enough");
        talc.deallocate(high.as_ptr(), bytes(BLOCK / 3));
        assert_eq!(backing.blocks(), 1);
        talc.deallocate(top.as_ptr(), bytes(1000));
    }
    assert_eq!(talc.audit(), Ok(()));
}

fn impossible_layouts_get_none<K: BlockSource>() {
    for with_table in [false, true] {
        let backing = Backing::new();
        let mut talc = talc::<K>(&backing);
        if with_table {
            talc.allocate(bytes(1)).unwrap();
        }
        backing.set_lasts_for(Some(0));
        backing.take_largest();
        for layout in impossible_layouts() {
            assert_eq!(talc.allocate(layout), None, "{layout:?}");
            // If anything was asked for, it would have been enough, and not much more.
            let (asked, overhead) = (backing.take_largest(), 2 * layout.align() + 3 * BLOCK);
            assert!(asked == 0 || (asked > layout.size() && asked - layout.size() <= overhead));
        }
        assert_eq!(talc.audit(), Ok(()));
    }
}

fn over_aligned_layouts_fit<K: BlockSource>() {
    let backing = Backing::new();
    let mut talc = talc::<K>(&backing);
    let mut live = Vec::new();
    for shift in 0..20 {
        for size in [1, 40, 5000] {
            let layout = Layout::from_size_align(size, 1 << shift).unwrap();
            let block = talc.allocate(layout).unwrap();
            assert_eq!(block.as_ptr() as usize % layout.align(), 0, "{layout:?}");
            assert!(backing.owns(block.as_ptr(), size));
            live.push((block, layout));
        }
        assert_eq!(talc.audit(), Ok(()));
    }
    // One call must be enough for each of them.
    assert!(backing.calls() <= live.len());
    for (block, layout) in live {
        unsafe { talc.deallocate(block.as_ptr(), layout) };
    }
    assert_eq!(backing.blocks(), 1);
}

fn any_power_of_two_is_a_block_size<K: BlockSource>() {
    for shift in 0..24 {
        let backing = Backing::new();
        let mut talc = Talc::<_>::new(K::over(&backing, 1 << shift));
        let sizes = [1, 100, 5000];
        let live = sizes.map(|size| talc.allocate(bytes(size)).unwrap());
        assert!(backing.take_largest() >= min_first_heap_size::<DefaultBinning>());
        assert_eq!(backing.bytes() % (1 << shift), 0);
        for (block, size) in live.into_iter().zip(sizes) {
            unsafe { talc.deallocate(block.as_ptr(), bytes(size)) };
        }
        assert_eq!(talc.audit(), Ok(()));
    }
    // A block as large as half of the address space cannot exist, and is not asked for.
    let backing = Backing::new();
    let mut talc = Talc::<_>::new(K::over(&backing, 1 << (usize::BITS - 1)));
    assert!(talc.allocate(bytes(1)).is_none());
    assert_eq!(backing.calls(), 0);
}

fn random_use_leaks_nothing<K: BlockSource>() {
    let mut random = Random(0x1234_5678_9ABC);
    for _ in 0..rounds(10) {
        let backing = Backing::new();
        let mut talc = talc::<K>(&backing);
        let mut live = Vec::new();
        for step in 0..400_usize {
            backing.set_lasts_for((random.below(4) == 0).then_some(0));
            if random.below(5) < 3 {
                let size = random.size(14);
                let layout = Layout::from_size_align(size, 1 << random.below(9)).unwrap();
                if let Some(block) = talc.allocate(layout) {
                    assert!(backing.owns(block.as_ptr(), size));
                    unsafe { block.as_ptr().write_bytes(step as u8, size) };
                    live.push((block.as_ptr(), layout, step as u8));
                }
            } else if !live.is_empty() {
                let (block, layout, value) = live.swap_remove(random.below(live.len()));
                for offset in [0, layout.size() / 2, layout.size() - 1] {
                    assert_eq!(unsafe { block.add(offset).read() }, value);
                }
                unsafe { talc.deallocate(block, layout) };
            }
            assert_eq!(talc.audit(), Ok(()));
        }
        // Half of the rounds leave their allocations to be dropped with the blocks.
        for (block, layout, _) in live.into_iter().step_by(2) {
            unsafe { talc.deallocate(block, layout) };
        }
        drop(talc);
        assert_eq!(backing.blocks(), 0);
    }
}

fn resizing_in_place_gives_blocks_back<K: BlockSource>() {
    let backing = Backing::new();
    let mut talc = talc::<K>(&backing);
    unsafe {
        let block = talc.allocate(bytes(3 * BLOCK)).unwrap().as_ptr();
        let held = backing.blocks();
        talc.shrink(block, bytes(3 * BLOCK), 10);
        assert!(talc.try_grow_in_place(block, bytes(10), 2 * BLOCK));
        assert!(talc.try_realloc_in_place(block, bytes(2 * BLOCK), 20));
        assert!(talc.try_realloc_in_place(block, bytes(20), 3 * BLOCK));
        assert!(!talc.try_realloc_in_place(block, bytes(3 * BLOCK), 30 * BLOCK));
        assert_eq!((backing.calls(), backing.blocks()), (held, held), "in place means in place");
        assert_eq!(talc.audit(), Ok(()));
        talc.deallocate(block, bytes(3 * BLOCK));
    }
    assert_eq!(backing.blocks(), 1, "the table's");
}
