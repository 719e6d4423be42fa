//! Freed blocks that are kept back: what comes back when, what is found meanwhile, and that nothing is lost.

use std::alloc::Layout;

use talc_core::RawTalc;

#[repr(align(65536))]
struct Memory([u8; 65536]);

fn over(memory: &mut Memory, quarantine: usize) -> RawTalc {
    let mut talc = <RawTalc>::new().deferring();
    // SAFETY: nothing else uses the memory.
    unsafe { talc.claim(memory.0.as_mut_ptr(), memory.0.len()) }.unwrap();
    talc.set_quarantine(quarantine);
    talc
}

fn sound(talc: &mut RawTalc) {
    assert_eq!(talc.take_report(), None);
    #[cfg(feature = "audit")]
    assert_eq!(talc.audit(), Ok(()));
}

#[cfg(not(all(feature = "hardened-full", not(miri))))]
#[test]
fn without_the_feature_there_is_none() {
    let mut memory = Box::new(Memory([0; 65536]));
    let mut talc = over(&mut memory, 64);
    assert!(!talc.has_quarantine());
    let layout = Layout::new::<[u64; 30]>();
    let block = talc.try_allocate(layout).unwrap();
    // SAFETY: allocated above.
    unsafe { talc.deallocate(block.as_ptr(), layout) };
    assert_eq!(talc.try_allocate(layout), Some(block));
    sound(&mut talc);
}

#[cfg(all(feature = "hardened-full", not(miri)))]
mod with_quarantine {
    use super::*;
    use talc_core::{Misuse, Part};

    const WORD: usize = std::mem::size_of::<usize>();

    /// A slot, a small chunk, and a chunk that fills 8 KiB.
    const LAYOUTS: [Layout; 3] =
        [Layout::new::<[u64; 5]>(), Layout::new::<[u64; 100]>(), Layout::new::<[u64; 1000]>()];

    fn gaps(talc: &RawTalc) -> usize {
        let mut gaps = 0;
        talc.visit(|part| gaps += usize::from(matches!(part, Part::Gap { .. })));
        gaps
    }

    #[test]
    fn what_was_freed_first_comes_back_first() {
        let mut memory = Box::new(Memory([0; 65536]));
        for layout in LAYOUTS {
            let mut talc = over(&mut memory, 3);
            let blocks = [(); 4].map(|()| talc.try_allocate(layout).unwrap().as_ptr());
            // SAFETY: allocated above, freed once each.
            unsafe {
                for block in &blocks[..3] {
                    talc.deallocate(*block, layout);
                    assert_eq!(talc.misuse(*block, layout), Some(Misuse::AlreadyFree));
                    let other = talc.try_allocate(layout).unwrap().as_ptr();
                    assert!(!blocks.contains(&other), "it is kept back");
                }
                talc.deallocate(blocks[3], layout);
            }
            let next = talc.try_allocate(layout).unwrap().as_ptr();
            // With few bins, a gap of just the size need not be the first one that is looked at.
            let is_exact = layout == LAYOUTS[0] || cfg!(target_pointer_width = "64");
            assert!(next == blocks[0] || !is_exact);
            assert!(!blocks[1..].contains(&next));
            sound(&mut talc);
            // The heap can still be given back, and the memory be used again.
            while talc.trim().is_some() {}
            sound(&mut talc);
        }
    }

    #[test]
    fn larger_blocks_are_not_kept_back() {
        let mut memory = Box::new(Memory([0; 65536]));
        let mut talc = over(&mut memory, 3);
        let layout = Layout::new::<[u64; 1100]>();
        let block = talc.try_allocate(layout).unwrap();
        // SAFETY: allocated above.
        unsafe { talc.deallocate(block.as_ptr(), layout) };
        assert_eq!(talc.try_allocate(layout), Some(block));
        sound(&mut talc);
    }

    /// Without a quarantine, the second owner's memory would be freed.
    #[test]
    fn a_second_free_is_found_although_the_memory_would_be_in_use_again() {
        let mut memory = Box::new(Memory([0; 65536]));
        for layout in LAYOUTS {
            let mut talc = over(&mut memory, 16);
            let block = talc.try_allocate(layout).unwrap().as_ptr();
            // SAFETY: freed twice, which is what is to be found.
            unsafe {
                talc.deallocate(block, layout);
                assert_ne!(talc.try_allocate(layout).unwrap().as_ptr(), block);
                sound(&mut talc);
                talc.deallocate(block, layout);
            }
            let finding = talc.take_report().unwrap();
            assert_eq!((finding.misuse, finding.address), (Misuse::AlreadyFree, block as usize));
            sound(&mut talc);
        }
    }

    /// At each word of a block: behind its links, the write is found itself; there, the damage is. At the latest when
    /// everything is freed, and nothing else is lost.
    #[test]
    fn writes_while_it_is_kept_back_are_found() {
        let mut memory = Box::new(Memory([0; 65536]));
        for layout in LAYOUTS {
            for offset in (0..layout.size()).step_by(WORD) {
                let mut talc = over(&mut memory, 2);
                let blocks = [(); 5].map(|()| talc.try_allocate(layout).unwrap().as_ptr());
                // SAFETY: written to while it is free, which is what is to be found.
                unsafe {
                    talc.deallocate(blocks[0], layout);
                    talc.deallocate(blocks[1], layout);
                    blocks[1].add(offset).cast::<usize>().write(0x0101_0101);
                    for block in &blocks[2..] {
                        talc.deallocate(*block, layout);
                    }
                }
                let finding = talc.take_report().unwrap();
                let (misuse, address) = if offset < 2 * WORD {
                    (Misuse::Damaged, blocks[1] as usize)
                } else {
                    (Misuse::WrittenWhileFree, blocks[1] as usize + offset)
                };
                assert_eq!((finding.misuse, finding.address), (misuse, address), "{offset}");
                talc.mute_damage();
                while talc.trim().is_some() {}
                assert_eq!(talc.take_report(), None);
            }
        }
    }

    /// Whatever is in the quarantine is handed out before an allocation fails.
    #[test]
    fn nothing_is_refused_for_what_is_kept_back() {
        let mut memory = Box::new(Memory([0; 65536]));
        for layout in LAYOUTS {
            let mut talc = over(&mut memory, usize::MAX);
            for _ in 0..3 {
                let mut blocks: Vec<_> = std::iter::from_fn(|| talc.try_allocate(layout)).collect();
                sound(&mut talc);
                let count = blocks.len();
                for block in blocks.drain(..) {
                    // SAFETY: allocated above.
                    unsafe { talc.deallocate(block.as_ptr(), layout) };
                }
                sound(&mut talc);
                #[cfg(feature = "counters")]
                assert_eq!(talc.counters().allocated_bytes, 0);
                blocks.extend(std::iter::from_fn(|| talc.try_allocate(layout)));
                assert_eq!(blocks.len(), count);
                for block in blocks {
                    // SAFETY: allocated above.
                    unsafe { talc.deallocate(block.as_ptr(), layout) };
                }
                // One that needs all of it, once no slab is kept.
                while talc.trim().is_some() {}
                let all = Layout::new::<[u8; 60_000]>();
                let block = talc.try_allocate(all).unwrap();
                // SAFETY: allocated above.
                unsafe { talc.deallocate(block.as_ptr(), all) };
                sound(&mut talc);
            }
        }
    }

    /// A slot that is kept back is the only memory left, and its slab does not fall empty.
    #[test]
    fn one_slot_is_not_refused() {
        let mut memory = Box::new(Memory([0; 65536]));
        let layout = LAYOUTS[0];
        let mut talc = over(&mut memory, 16);
        let blocks: Vec<_> = std::iter::from_fn(|| talc.try_allocate(layout)).collect();
        let slot = *blocks.iter().find(|block| block.as_ptr() as usize % 16 == 8).unwrap();
        for _ in 0..3 {
            // SAFETY: allocated above.
            unsafe { talc.deallocate(slot.as_ptr(), layout) };
            assert_eq!(talc.try_allocate(layout), Some(slot));
            assert_eq!(talc.try_allocate(layout), None);
            sound(&mut talc);
        }
    }

    #[test]
    fn a_smaller_quarantine_gives_back_what_is_too_much() {
        let mut memory = Box::new(Memory([0; 65536]));
        let layout = LAYOUTS[1];
        let mut talc = over(&mut memory, 16);
        let blocks = [(); 16].map(|()| talc.try_allocate(layout).unwrap().as_ptr());
        for block in blocks {
            // SAFETY: allocated above.
            unsafe { talc.deallocate(block, layout) };
        }
        assert!(gaps(&talc) >= 16);
        talc.set_quarantine(0);
        assert!(talc.has_quarantine());
        while talc.trim().is_some() {}
        assert!(!talc.has_quarantine());
        assert!(gaps(&talc) <= 2);
        let block = talc.try_allocate(layout).unwrap();
        // SAFETY: allocated above.
        unsafe { talc.deallocate(block.as_ptr(), layout) };
        assert_eq!(talc.try_allocate(layout), Some(block));
        sound(&mut talc);
    }
}
