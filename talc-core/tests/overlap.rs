//! Memory that a heap has already: debug builds report it, and leave all as it was.
#![cfg(debug_assertions)]

use std::alloc::Layout;
use std::ops::Range;
use std::ptr::NonNull;

use talc_core::{Bins, CompactBins, DefaultBinning, Misuse, Part, RawTalc, SmallBinning};
use talc_sources::{Binning, RawTalcExt};

const WORD: usize = std::mem::size_of::<usize>();

#[repr(align(4096))]
struct Memory([u8; 64 << 10]);

/// Where the heaps are.
fn heaps<B: Binning>(talc: &RawTalc<B>) -> Vec<Range<usize>> {
    let mut heaps: Vec<Range<usize>> = Vec::new();
    talc.visit(|part| match part {
        Part::Base(base) => heaps.push(base.as_ptr() as usize..0),
        Part::End(end) => heaps.last_mut().unwrap().end = end.as_ptr() as usize,
        _ => {}
    });
    heaps
}

/// Where a heap in a region would be.
fn used(base: usize, size: usize) -> Range<usize> {
    let payload = (base + 3 * WORD + 15) & !15;
    payload - 3 * WORD..(base + size) & !15
}

fn overlap(one: &Range<usize>, other: &Range<usize>) -> bool {
    one.start < other.end && other.start < one.end
}

/// Claims regions of all sizes wherever they come to lie, and compares each answer with the list of
/// all heaps.
fn every_overlap_is_found_and_nothing_else<B: Binning>() {
    let mut memory = Box::new(Memory([0xA5; 64 << 10]));
    let start = memory.0.as_mut_ptr();
    let all = memory.0.len();
    let mut talc = RawTalc::<B>::new();
    talc.defer_reports(true);
    let mut random = 0x2545_F491_4F6C_DD1D_u64;
    let mut below = |limit: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random >> 16) as usize % limit
    };
    let (mut reported, mut claimed) = (0, 0);
    for _ in 0..if cfg!(miri) { 40 } else { 4000 } {
        let offset = below(all - 4096);
        let shift = below(6);
        let size = below((all - offset) >> shift) + 1;
        let base = start.wrapping_add(offset);
        let range = used(base as usize, size);
        if range.is_empty() {
            continue;
        }
        let expected = heaps(&talc).iter().any(|heap| overlap(heap, &range));
        let before = memory.0;
        // SAFETY: nothing else uses the memory; what overlaps is reported.
        let end = unsafe { talc.claim(base, size) };
        let report = talc.take_report().map(|finding| finding.misuse);
        if expected {
            reported += 1;
            assert!(end.is_none());
            // Too small for a heap of any kind, and so not looked at.
            let is_small = range.len() < 8 * WORD;
            assert!(report == Some(Misuse::Overlap) || is_small && report.is_none());
            assert!(memory.0 == before, "what is reported is not done");
        } else {
            assert_eq!(report, None, "{range:?} is in no heap");
        }
        assert_eq!(talc.audit(), Ok(()));
        if let Some(end) = end {
            claimed += 1;
            // Chunks of which some are gaps, so that there is something to walk over.
            let layout = Layout::from_size_align(40 + below(200), 16).unwrap();
            let blocks: Vec<_> = (0..20).filter_map(|_| talc.try_allocate(layout)).collect();
            for block in blocks.iter().step_by(2) {
                // SAFETY: freed once.
                unsafe { talc.deallocate(block.as_ptr(), layout) };
            }
            if below(3) > 0 {
                for block in blocks.iter().skip(1).step_by(2) {
                    // SAFETY: freed once.
                    unsafe { talc.deallocate(block.as_ptr(), layout) };
                }
                // SAFETY: the end is current.
                let _ = unsafe { talc.truncate(end, std::ptr::null_mut()) };
            }
        }
        if heaps(&talc).len() > 6 {
            talc = RawTalc::<B>::new();
            talc.defer_reports(true);
        }
    }
    assert!(cfg!(miri) || (reported > 400 && claimed > 100), "{reported} of {claimed}");
}

#[test]
fn every_overlap_is_found() {
    every_overlap_is_found_and_nothing_else::<DefaultBinning>();
    every_overlap_is_found_and_nothing_else::<SmallBinning>();
    every_overlap_is_found_and_nothing_else::<Bins<1, 1, 1, 256, 3>>();
    every_overlap_is_found_and_nothing_else::<CompactBins<8, 4, 512, 8, 4>>();
}

#[test]
fn heaps_do_not_grow_into_others() {
    fn check<B: Binning>() {
        let mut memory = Box::new(Memory([0xA5; 64 << 10]));
        let base = memory.0.as_mut_ptr();
        let at = |offset: usize| base.wrapping_add(offset);
        let mut talc = RawTalc::<B>::new();
        talc.defer_reports(true);
        // SAFETY: nothing else uses the memory; what overlaps is reported.
        unsafe {
            let lower = talc.claim(base, 16 << 10).unwrap();
            let upper = talc.claim(at(32 << 10), 16 << 10).unwrap();
            for new_end in [at((32 << 10) + 64), at(40 << 10), at(64 << 10)] {
                assert_eq!(talc.extend(lower, new_end), lower);
                assert_eq!(talc.take_report().map(|finding| finding.misuse), Some(Misuse::Overlap));
                assert_eq!(talc.resize(lower, new_end), Some(lower));
                assert_eq!(talc.take_report().map(|finding| finding.misuse), Some(Misuse::Overlap));
            }
            // Onto the heap above, into it, and as a heap of its own.
            for (end, base, size) in [
                (Some(lower), lower.as_ptr(), 20 << 10),
                (Some(lower), upper.as_ptr().wrapping_sub(8 << 10), 8 << 10),
                (None, base, 16 << 10),
            ] {
                assert_eq!(
                    talc.claim_or_extend(end, base, size),
                    end.unwrap_or(NonNull::dangling())
                );
                assert_eq!(talc.take_report().map(|finding| finding.misuse), Some(Misuse::Overlap));
                assert_eq!(talc.audit(), Ok(()));
            }
            // Up to the other one is no overlap.
            let lower = talc.extend(lower, at(32 << 10));
            assert_eq!(lower.as_ptr(), at(32 << 10));
            let between = talc.claim_or_extend(Some(lower), at(48 << 10), 8 << 10);
            assert_eq!(talc.extend(between, at(64 << 10)).as_ptr(), at(64 << 10));
            assert_eq!(talc.take_report().map(|finding| finding.misuse), None);
            assert_eq!(talc.audit(), Ok(()));
        }
    }
    check::<DefaultBinning>();
    check::<SmallBinning>();
}

#[cfg(panic = "unwind")]
#[test]
fn the_report_names_it() {
    let mut memory = Box::new(Memory([0xA5; 64 << 10]));
    let base = memory.0.as_mut_ptr();
    let mut talc = <RawTalc>::new();
    // SAFETY: nothing else uses the memory; what overlaps is reported.
    unsafe {
        talc.claim(base, 16 << 10).unwrap();
        let again = std::panic::AssertUnwindSafe(|| talc.claim(base, 16 << 10));
        let message = std::panic::catch_unwind(again).unwrap_err();
        let said = message.downcast_ref::<String>().unwrap();
        assert!(said.starts_with("talc: this region overlaps a heap (is it claimed twice?)"));
    }
    assert_eq!(talc.audit(), Ok(()));
}

/// What is damaged is not followed. Whoever uses it reports it; this says nothing, and claims.
#[test]
fn damage_in_the_heap_below_is_not_followed() {
    for value in [0, 1, 16, 40, 1 << 12, 1 << 20, usize::MAX / 2, usize::MAX - 15, usize::MAX] {
        let mut memory = Box::new(Memory([0xA5; 64 << 10]));
        let base = memory.0.as_mut_ptr();
        let mut talc = <RawTalc>::new();
        talc.defer_reports(true);
        // SAFETY: nothing else uses the memory, apart from the word that is damaged.
        unsafe {
            talc.claim(base, 16 << 10).unwrap();
            talc.claim(base.wrapping_add(48 << 10), 16 << 10).unwrap();
            let lower = heaps(&talc).pop().unwrap();
            let first_header = base.wrapping_add(lower.start + 2 * WORD - base as usize);
            first_header.cast::<usize>().write(value);
            let end = talc.claim(base.wrapping_add(32 << 10), 16 << 10);
            assert_eq!(
                (end.is_some(), talc.take_report().map(|finding| finding.misuse)),
                (true, None),
                "{value:#x}"
            );
        }
    }
}
