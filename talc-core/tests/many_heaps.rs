//! Thousands of heaps, which come and go in any order.

mod common;

use std::alloc::Layout;
use std::ptr::{null_mut, NonNull};

use common::work::Work;
use common::Random;
use talc_core::{Bins, CompactBins, DefaultBinning, RawTalc, SmallBinning};
use talc_sources::{Binning, RawTalcExt};

const HEAPS: usize = if cfg!(miri) { 50 } else { 5000 };
/// Bytes for each heap and, between it and the next one, for nothing.
const PLACE: usize = 1024;
/// Each heap holds one of these.
const LAYOUT: Layout = Layout::new::<[u64; 4]>();

fn shuffled(random: &mut Random) -> Vec<usize> {
    let mut order: Vec<_> = (0..HEAPS).collect();
    for index in 1..HEAPS {
        order.swap(index, random.below(index + 1));
    }
    order
}

fn they_come_and_go<B: Binning>() {
    let mut memory = vec![0_u128; HEAPS * PLACE / 16];
    let base = memory.as_mut_ptr().cast::<u8>();
    let inside = base as usize..base as usize + HEAPS * PLACE;
    let mut random = Random(0x4EA9);
    let mut talc = RawTalc::<B>::new();
    let mut work = Work::default();
    let mut ends: Vec<Option<NonNull<u8>>> = vec![None; HEAPS];
    for _ in 0..2 {
        for place in shuffled(&mut random) {
            if ends[place].is_none() {
                // Large enough for a table, if it is the first one.
                let size = PLACE - 16 - random.below(if talc.has_heaps() { 800 } else { 1 });
                // SAFETY: nothing else uses this place.
                ends[place] = unsafe { talc.claim(base.wrapping_add(place * PLACE), size) };
                assert!(ends[place].is_some(), "{size} bytes are a heap");
            }
        }
        assert_eq!(talc.audit(), Ok(()));
        while work.allocate(&mut talc, LAYOUT, &inside) {}
        work.check(&talc);
        let mut used = vec![0; HEAPS];
        work.ranges().for_each(|range| used[(range.start - inside.start) / PLACE] += 1);
        // The one that holds the table may be full of it.
        assert!(used.iter().filter(|&&blocks| blocks == 0).count() <= 1);

        while work.len() > 0 {
            work.free(&mut talc, random.below(work.len()));
        }
        work.finish(&mut talc);
        let mut left = 0;
        for place in shuffled(&mut random) {
            // SAFETY: the end is current.
            ends[place] = unsafe { talc.truncate(ends[place].unwrap(), null_mut()) };
            left += usize::from(ends[place].is_some());
        }
        assert_eq!(talc.audit(), Ok(()));
        let holds_table = usize::from(!RawTalc::<B>::new().is_metadata_established());
        assert_eq!(left, holds_table);
        assert_eq!(talc.has_heaps(), left > 0);
    }
}

#[test]
fn with_the_default_binning() {
    they_come_and_go::<DefaultBinning>();
}

#[test]
fn with_small_binning() {
    they_come_and_go::<SmallBinning>();
}

#[test]
fn with_slabs() {
    they_come_and_go::<Bins<32, 8, 2, 256, 3>>();
}

#[test]
fn with_a_table_inside() {
    they_come_and_go::<CompactBins<8, 4, 4096, 16>>();
}
