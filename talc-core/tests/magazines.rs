//! Magazines: what was freed last comes first, and nothing is held back that is needed elsewhere.

mod common;

use std::alloc::Layout;
use std::ptr::null_mut;

use common::Random;
use talc_core::{Bins, CompactBins, DefaultBinning, Magazine, Misuse, Part, RawTalc, SEAL};
use talc_sources::{Binning, RawTalcExt};

const SIZE: usize = 4 << 20;

#[derive(Clone)]
#[repr(align(4096))]
struct Page(#[allow(dead_code)] [u8; 4096]);

fn memory() -> Vec<Page> {
    vec![Page([0; 4096]); SIZE / 4096]
}

fn base(memory: &mut [Page]) -> *mut u8 {
    memory.as_mut_ptr().cast()
}

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 8).unwrap()
}

/// Asserts that everything that is kept is given back, if nothing is in use.
fn assert_trims_to_one_gap(talc: &mut RawTalc) {
    while talc.trim().is_some() {}
    assert_eq!(talc.audit(), Ok(()));
    let mut gaps = 0;
    talc.visit(|part| gaps += usize::from(matches!(part, Part::Gap { .. })));
    assert_eq!(gaps, 1);
}

type Compact = CompactBins<8, 4, 4096, 16, 112>;

#[test]
fn what_was_freed_last_comes_first() {
    fn check<B: Binning>() {
        let mut memory = memory();
        let mut talc = RawTalc::<B>::new();
        // SAFETY: nothing else uses the memory; blocks are freed once, with their layout.
        unsafe {
            talc.claim(base(&mut memory), SIZE).unwrap();
            assert!(talc.has_magazines());
            for size in [8, 100, 256 - SEAL, 300, 1000, 2000] {
                let layout = layout(size);
                // With the least room that a magazine of this size has in such a heap.
                let blocks = [(); 20].map(|()| talc.try_allocate(layout).unwrap());
                talc.deallocate(blocks[3].as_ptr(), layout);
                let again = talc.try_allocate(layout);
                assert_eq!(again, Some(blocks[3]), "{size} bytes");
                for block in blocks {
                    talc.deallocate(block.as_ptr(), layout);
                }
                assert_eq!(talc.audit(), Ok(()));
            }
        }
    }
    check::<DefaultBinning>();
    check::<Compact>();
}

/// Where a slab is not worth it, small blocks are chunks, and they are kept as well.
#[test]
fn small_chunks_are_kept_where_there_is_no_slab() {
    let is_chunk = |talc: &RawTalc, block: *mut u8| {
        let mut is_chunk = false;
        talc.visit(|part| {
            if let Part::Allocated { payload, .. } = part {
                is_chunk |= payload.as_ptr() == block;
            }
        });
        is_chunk
    };
    let mut memory = memory();
    let mut talc = <RawTalc>::new();
    // SAFETY: nothing else uses the memory; blocks are freed once, with their layout.
    unsafe {
        talc.claim(base(&mut memory), 256 << 10).unwrap();
        assert!(talc.has_magazines());
        // The first classes get all the slabs that such a heap has room for.
        let sizes = (1..=16).map(|class| 16 * class - SEAL);
        let blocks: Vec<_> =
            sizes.map(|size| (size, talc.try_allocate(layout(size)).unwrap())).collect();
        let chunks: Vec<_> =
            blocks.iter().filter(|(_, block)| is_chunk(&talc, block.as_ptr())).collect();
        assert!(chunks.len() > 8 && chunks.len() < 16, "{}", chunks.len());
        for &&(size, block) in &chunks {
            let layout = layout(size);
            let other = talc.try_allocate(layout).unwrap();
            talc.deallocate(block.as_ptr(), layout);
            assert_eq!(talc.audit(), Ok(()));
            assert!(!is_chunk(&talc, block.as_ptr()));
            assert_eq!(talc.misuse(block.as_ptr(), layout), Some(Misuse::AlreadyFree));
            assert_eq!(talc.misuse(other.as_ptr(), layout), None);
            // What was freed last comes first, though a gap of that size was there as well.
            assert_eq!(talc.try_allocate(layout), Some(block), "{size} bytes");
            assert_eq!(talc.misuse(block.as_ptr(), layout), None);
            assert_eq!(talc.audit(), Ok(()));
            talc.deallocate(other.as_ptr(), layout);
        }
        for (size, block) in blocks {
            talc.deallocate(block.as_ptr(), layout(size));
        }
        assert_eq!(talc.audit(), Ok(()));
        assert_trims_to_one_gap(&mut talc);
    }
}

/// No slot is aligned to 16 bytes, which is what C's `malloc` promises: such blocks are chunks, however small, and kept.
#[test]
fn aligned_chunks_are_kept_though_slots_could_hold_them() {
    let mut memory = memory();
    let mut talc = <RawTalc>::new();
    // SAFETY: nothing else uses the memory; blocks are freed once, with their layout.
    unsafe {
        talc.claim(base(&mut memory), SIZE).unwrap();
        for size in 1..600 {
            let aligned = Layout::from_size_align(size, 16).unwrap();
            let [first, second, third] = [(); 3].map(|()| talc.try_allocate(aligned).unwrap());
            // If these were gaps, they would be joined.
            talc.deallocate(first.as_ptr(), aligned);
            talc.deallocate(second.as_ptr(), aligned);
            assert_eq!(talc.audit(), Ok(()));
            assert_eq!(talc.misuse(second.as_ptr(), aligned), Some(Misuse::AlreadyFree));
            assert_eq!(talc.try_allocate(aligned), Some(second), "{size} bytes");
            assert_eq!(talc.try_allocate(aligned), Some(first), "{size} bytes");
            assert_eq!(talc.misuse(second.as_ptr(), aligned), None);
            for block in [third, second, first] {
                talc.deallocate(block.as_ptr(), aligned);
            }
            // They are for all layouts of that size, of which those that slots could hold are counted.
            let smaller = talc.try_allocate(layout(size)).unwrap();
            assert_eq!(talc.audit(), Ok(()));
            talc.deallocate(smaller.as_ptr(), layout(size));
            assert_eq!(talc.audit(), Ok(()));
        }
        assert_trims_to_one_gap(&mut talc);
    }
}

/// Gaps that are not quite large enough for a slab are not in the way of one.
#[test]
fn small_objects_get_slots_whatever_was_there_before() {
    const LIVE: usize = 1000;
    let mut memory = vec![Page([0; 4096]); 4096];
    let size_of_memory = memory.len() * 4096;
    let mut talc = <RawTalc>::new();
    let mut random = Random(1);
    // SAFETY: nothing else uses the memory; blocks are freed once, with their layout.
    unsafe {
        talc.claim(base(&mut memory), size_of_memory).unwrap();
        for largest in [512, 1000, 128] {
            let mut blocks = Vec::new();
            for _ in 0..10 * LIVE {
                if blocks.len() == LIVE {
                    let (block, layout): (std::ptr::NonNull<u8>, _) =
                        blocks.swap_remove(random.below(LIVE));
                    talc.deallocate(block.as_ptr(), layout);
                }
                let layout = layout(8 + random.below(largest - 7));
                let block = talc.try_allocate(layout).unwrap();
                blocks.push((block, layout));
            }
            let mut chunks = 0;
            talc.visit(|part| {
                chunks += usize::from(matches!(part, Part::Allocated { payload, .. }
                    if blocks.iter().any(|(block, layout)| *block == payload && layout.size() <= 128)));
            });
            assert!(chunks < LIVE / 100, "sizes to {largest}: {chunks}");
            for (block, layout) in blocks {
                talc.deallocate(block.as_ptr(), layout);
            }
        }
        assert_eq!(talc.audit(), Ok(()));
    }
}

/// Whoever does not ask for a ready slot first must not lose those that are.
#[test]
fn ready_slots_are_not_lost() {
    fn check<B: Binning>() {
        let mut memory = memory();
        let mut talc = RawTalc::<B>::new();
        // SAFETY: nothing else uses the memory; blocks are freed once, with their layout.
        unsafe {
            talc.claim(base(&mut memory), SIZE).unwrap();
            let blocks = [(); 100].map(|()| talc.try_allocate_anew(layout(40)).unwrap());
            assert_eq!(talc.audit(), Ok(()));
            for block in blocks {
                talc.deallocate(block.as_ptr(), layout(40));
            }
            let mut in_use = 0;
            talc.visit(|part| {
                if let Part::Slab { slots, free_slots, .. } = part {
                    in_use += slots - free_slots;
                }
            });
            assert_eq!(in_use, 0);
        }
        assert_eq!(talc.audit(), Ok(()));
    }
    check::<DefaultBinning>();
    check::<Compact>();
}

/// Fills the heap with blocks of one size, frees them all, and fills it with blocks of another size: as many
/// as without magazines.
#[test]
fn nothing_is_refused_for_the_sake_of_a_magazine() {
    fn blocks<B: Binning>(first: usize, then: usize) -> usize {
        let mut memory = memory();
        let mut talc = RawTalc::<B>::new();
        let mut count = 0;
        // SAFETY: nothing else uses the memory; blocks are freed once, with their layout.
        unsafe {
            talc.claim(base(&mut memory), SIZE).unwrap();
            let mut live = Vec::new();
            while let Some(block) = talc.try_allocate(layout(first)) {
                live.push(block);
            }
            for block in live {
                talc.deallocate(block.as_ptr(), layout(first));
            }
            // Twice, as slabs that are kept go by `trim` only.
            for _ in 0..2 {
                while talc.try_allocate(layout(then)).is_some() {
                    count += 1;
                }
                while talc.trim().is_some() {}
            }
            assert_eq!(talc.audit(), Ok(()));
        }
        count
    }
    for (first, then) in [(16, 3000), (500, 20_000), (1500, 300_000), (100, 1500), (2000, 8)] {
        let with = blocks::<Bins<64, 16, 4, 4096, 16, 112>>(first, then);
        let without = blocks::<Bins<64, 16, 4, 4096, 16>>(first, then);
        // The heads of the magazines are in the table, and what is kept may be where a slab would be.
        assert!(with + 1 + with / 500 >= without, "{first}, {then}: {with} of {without}");
    }
}

#[test]
fn a_heap_goes_back_with_what_is_in_magazines() {
    fn check<B: Binning>() {
        let (mut first, mut second) = (memory(), memory());
        let mut talc = RawTalc::<B>::new();
        // SAFETY: nothing else uses the memory; blocks are freed once, with their layout.
        unsafe {
            talc.claim(base(&mut first), SIZE / 8).unwrap();
            let end = talc.claim(base(&mut second), SIZE).unwrap();
            let sizes = [8, 40, 256 - SEAL, 300, 500, 1000, 2000];
            let mut live = Vec::new();
            for index in 0..2000 {
                let layout = layout(sizes[index % sizes.len()]);
                live.push((talc.try_allocate(layout).unwrap(), layout));
            }
            for (block, layout) in live {
                talc.deallocate(block.as_ptr(), layout);
            }
            let reserved = talc.reserved(end);
            let is_table_here = talc.table_size() != 0 && reserved.any;
            assert!(is_table_here || !reserved.any, "what is in magazines is not in use");
            assert_eq!(talc.truncate(end, null_mut()).is_none(), !is_table_here);
            assert_eq!(talc.audit(), Ok(()));
        }
    }
    check::<DefaultBinning>();
    check::<Compact>();
}

/// Where there is little room, what is kept goes back to the gaps, at most one chunk in each call. Once there is room,
/// chunks are kept again.
#[test]
fn magazines_of_chunks_are_closed_by_and_by() {
    let mut memory = memory();
    let mut talc = <RawTalc>::new();
    let gaps = |talc: &RawTalc| {
        let mut gaps = 0_usize;
        talc.visit(|part| gaps += usize::from(matches!(part, Part::Gap { .. })));
        gaps
    };
    // Whether a chunk that is freed is kept, and so not joined with the gap above it.
    let keeps = |talc: &mut RawTalc| {
        // SAFETY: the block is freed once, with its layout.
        unsafe {
            let block = talc.try_allocate(layout(1900)).unwrap();
            let before = gaps(talc);
            talc.deallocate(block.as_ptr(), layout(1900));
            gaps(talc) > before
        }
    };
    // SAFETY: nothing else uses the memory; blocks are freed once, with their layout.
    unsafe {
        talc.claim(base(&mut memory), SIZE).unwrap();
        let mut live = Vec::new();
        for size in (300..1800).step_by(16) {
            live.extend([(); 4].map(|()| (talc.try_allocate(layout(size)).unwrap(), size)));
        }
        for (block, size) in live {
            talc.deallocate(block.as_ptr(), layout(size));
        }
        assert!(keeps(&mut talc));
        let most = gaps(&talc);
        assert!(most > 300);
        let large = layout(SIZE / 8 * 5);
        let block = talc.try_allocate(large).unwrap();
        assert!(!keeps(&mut talc));
        let mut before = gaps(&talc);
        assert!(before + 10 > most, "many at once");
        for _ in 0..most {
            let block = talc.try_allocate(layout(3000)).unwrap();
            talc.deallocate(block.as_ptr(), layout(3000));
            let now = gaps(&talc);
            assert!(now + 3 >= before, "{now} of {before}: more than one at once");
            before = now;
            assert_eq!(talc.audit(), Ok(()));
        }
        assert!(before < 10, "{before} are left");
        assert!(!keeps(&mut talc));
        talc.deallocate(block.as_ptr(), large);
        assert!(keeps(&mut talc));
        // Those that are opened again before they are empty keep what they have.
        let blocks = [(); 4].map(|()| talc.try_allocate(layout(1000)).unwrap().as_ptr());
        for block in blocks {
            talc.deallocate(block, layout(1000));
        }
        let block = talc.try_allocate(large).unwrap();
        assert_eq!(talc.audit(), Ok(()));
        assert!(!keeps(&mut talc));
        talc.deallocate(block.as_ptr(), large);
        assert_eq!(talc.try_allocate(layout(1000)).map(|block| block.as_ptr()), Some(blocks[3]));
        assert_eq!(talc.audit(), Ok(()));
    }
}

/// Seen by the user, what is in a magazine is free.
#[test]
fn counters_and_walks_see_free_memory() {
    let mut memory = memory();
    let mut talc = <RawTalc>::new();
    let free = |talc: &RawTalc| {
        let mut free = 0;
        talc.visit(|part| match part {
            Part::Gap { size, .. } => free += size + size_of::<usize>(),
            Part::Slab { slot_size, free_slots, .. } => free += slot_size * free_slots,
            _ => {}
        });
        free
    };
    // SAFETY: nothing else uses the memory; blocks are freed once, with their layout.
    unsafe {
        talc.claim(base(&mut memory), SIZE).unwrap();
        for size in [8, 256 - SEAL, 300, 2000] {
            let block = talc.try_allocate(layout(size)).unwrap();
            let before = free(&talc);
            assert_eq!(talc.counters().available_bytes, before);
            talc.deallocate(block.as_ptr(), layout(size));
            assert!(free(&talc) >= before + size);
            assert_eq!(talc.counters().available_bytes, free(&talc));
        }
        assert_eq!(talc.counters().allocation_count, 0);
    }
}

#[test]
fn a_block_in_a_magazine_is_not_freed_again() {
    let mut memory = memory();
    let mut talc = <RawTalc>::new();
    // SAFETY: nothing else uses the memory; `misuse` accepts what was an allocation.
    unsafe {
        talc.claim(base(&mut memory), SIZE).unwrap();
        for size in [8, 256 - SEAL, 300, 2000] {
            let layout = layout(size);
            let blocks = [(); 2].map(|()| talc.try_allocate(layout).unwrap().as_ptr());
            for block in blocks {
                assert_eq!(talc.misuse(block, layout), None);
                talc.deallocate(block, layout);
            }
            for block in blocks {
                assert_eq!(talc.misuse(block, layout), Some(Misuse::AlreadyFree), "{size} bytes");
            }
        }
    }
}

/// In heaps that come and go, nothing is kept: the deallocation that leaves nothing in use says so.
#[test]
fn heaps_that_come_and_go_have_no_magazines() {
    let mut memory = memory();
    let mut talc = <RawTalc>::with_complete_table();
    // SAFETY: nothing else uses the memory; blocks are freed once, with their layout.
    unsafe {
        let end = talc.claim(base(&mut memory), SIZE).unwrap();
        assert!(!talc.has_magazines());
        for size in [8, 300, 2000] {
            let block = talc.try_allocate(layout(size)).unwrap();
            talc.watch(end);
            assert_eq!(talc.deallocate(block.as_ptr(), layout(size)), Some(end), "{size} bytes");
        }
    }
    assert_eq!(talc.audit(), Ok(()));
    assert!(!RawTalc::<Bins<64, 16, 4, 4096, 16>>::new().has_magazines());
}

/// Those that callers keep blocks in themselves.
#[test]
fn a_magazine_has_at_least_half_of_the_room_that_was_asked_for() {
    let most = Magazine::MAX_ROOM;
    let rooms = (0..20).chain([most / 2, most - 1, most, most + 1, 2 * most, usize::MAX]);
    for asked in rooms {
        let mut blocks = vec![[0_usize; 2]; most + 1];
        let mut magazine = Magazine::with_room(asked);
        assert!(magazine.is_empty());
        let pushed: Vec<*mut u8> = blocks
            .iter_mut()
            .map(|block| block.as_mut_ptr().cast())
            // SAFETY: blocks are aligned, as large as they must be, and nothing else uses them.
            .take_while(|&block| unsafe { Magazine::push(&mut magazine, block) })
            .collect();
        let limit = asked.min(most);
        assert!((limit.div_ceil(2)..=limit).contains(&pushed.len()), "{} of {asked}", pushed.len());
        let mut seen = Vec::new();
        assert!(magazine.all(|block| {
            seen.push(block);
            true
        }));
        let popped: Vec<*mut u8> =
            // SAFETY: it is a magazine.
            std::iter::from_fn(|| unsafe { Magazine::pop(&mut magazine) }.map(|block| block.as_ptr()))
                .collect();
        assert!(pushed.iter().rev().eq(&popped) && seen == popped, "the last one in is first out");
        assert!(magazine.is_empty());
    }
}
