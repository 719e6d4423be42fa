//! How many bytes suffice: for every size and alignment in a small domain, wherever the region begins.

use std::alloc::Layout;
use std::ptr::null_mut;

use talc_core::{Bins, CompactBins, DefaultBinning, RawTalc, SmallBinning};
use talc_sources::{Binning, RawTalcExt};

#[repr(align(4096))]
struct Memory([u8; 16 << 10]);

fn layouts() -> impl Iterator<Item = Layout> {
    let sizes = (0..100).chain((100..1200).step_by(if cfg!(miri) { 367 } else { 41 }));
    sizes.flat_map(|size| (0..9).map(move |log2| Layout::from_size_align(size, 1 << log2).unwrap()))
}

/// What is asked for is enough at every offset, to the byte: one byte less is not at some offset. (Unless the
/// table needs less room then, or there would be no heap; and with 32 bits, where the smallest chunk is a grain,
/// over-aligned layouts are asked a bit more for.) It grows with the size and the alignment.
fn claims_are_enough<B: Binning>(to_the_byte: bool) {
    let mut memory = Box::new(Memory([0; 16 << 10]));
    let base = memory.0.as_mut_ptr();
    let fits = |offset: usize, size: usize, layout: Layout| {
        let mut talc = RawTalc::<B>::new();
        // SAFETY: nothing else uses the memory.
        let end = unsafe { talc.claim(base.wrapping_add(offset), size) };
        end.is_some() && talc.try_allocate(layout).is_some()
    };
    let mut last = Layout::new::<()>();
    let mut last_asked = 0;
    for layout in layouts() {
        let asked = RawTalc::<B>::new().claim_size(layout).unwrap();
        assert!(asked >= last_asked || layout.align() < last.align(), "{last:?}, {layout:?}");
        (last, last_asked) = (layout, asked);
        let mut offsets = (0..layout.align().max(16))
            .step_by(if to_the_byte || layout.size() < 20 { 1 } else { 7 });
        assert!(
            offsets.clone().all(|offset| fits(offset, asked, layout)),
            "{asked} for {layout:?}"
        );
        let is_least = to_the_byte && (usize::BITS == 64 || layout.align() <= 16);
        assert!(
            !is_least || offsets.any(|offset| !fits(offset, asked - 1, layout)),
            "{asked} for {layout:?}"
        );
    }
}

/// The same for what a heap is extended by, with the top of the heap free, or in use.
fn extensions_are_enough<B: Binning>() {
    let mut memory = Box::new(Memory([0; 16 << 10]));
    let base = memory.0.as_mut_ptr();
    for layout in layouts() {
        for filled in [0, 16, 1000] {
            let mut talc = RawTalc::<B>::new();
            // SAFETY: nothing else uses the memory.
            unsafe {
                let end = talc.claim(base, 4096).unwrap();
                let mut blocks = Vec::new();
                while let Some(block) = talc.try_allocate(Layout::new::<[u128; 4]>()) {
                    blocks.push(block);
                    if filled > 0 && blocks.len() * 64 > filled {
                        break;
                    }
                }
                let more = talc.extend_size(end, layout).unwrap();
                let extended = talc.extend(end, end.as_ptr().wrapping_add(more));
                assert_eq!(extended.as_ptr() as usize - end.as_ptr() as usize, more);
                assert!(talc.try_allocate(layout).is_some(), "{more} for {layout:?}");
                // Nothing is lost by it.
                assert!(talc.truncate(extended, null_mut()).is_some());
            }
        }
    }
}

#[test]
fn claim_sizes_suffice() {
    claims_are_enough::<SmallBinning>(true);
    claims_are_enough::<CompactBins<16, 2, 256, 3>>(false);
    claims_are_enough::<DefaultBinning>(false);
    claims_are_enough::<Bins<1, 1, 1, 256, 3>>(false);
}

#[test]
fn extend_sizes_suffice() {
    extensions_are_enough::<SmallBinning>();
    extensions_are_enough::<CompactBins<16, 2, 256, 3>>();
    extensions_are_enough::<DefaultBinning>();
    extensions_are_enough::<Bins<1, 1, 1, 256, 3>>();
}
