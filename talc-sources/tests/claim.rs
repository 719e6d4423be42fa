//! The source Claim: one region, claimed when it is first needed and never twice.
#![allow(clippy::undocumented_unsafe_blocks)] // Regions are local, frees of what was allocated.

mod common;

use std::ptr::null_mut;

use common::{bytes, impossible_layouts};
use talc_sources::min_first_heap_size;
use talc_sources::talc_core::{DefaultBinning, SmallBinning};
use talc_sources::{Claim, Source, Talc};

const MINIMUM: usize = min_first_heap_size::<DefaultBinning>();

#[test]
fn claims_when_it_is_first_needed() {
    let mut region = [0x55_u8; 10_000];
    let mut talc = Talc::<_>::new(unsafe { Claim::new(region.as_mut_ptr(), region.len()) });
    assert!(talc.source().is_ready());
    assert!(!talc.is_metadata_established());
    assert!(talc.source_mut().take_claim().is_none(), "there is no heap yet");
    unsafe {
        assert!(talc.try_allocate(bytes(1)).is_none(), "this does not ask the source");
        assert!(talc.source().is_ready());

        let block = talc.allocate(bytes(1000)).unwrap();
        assert!(!talc.source().is_ready() && talc.is_metadata_established());
        assert_eq!(talc.audit(), Ok(()));
        talc.deallocate(block.as_ptr(), bytes(1000));

        // There is never any more.
        assert!(talc.allocate(bytes(10_000)).is_none());
        assert!(talc.allocate(bytes(1000)).is_some());
    }
}

#[test]
fn the_heap_end_is_taken_once_and_can_be_used() {
    let mut region = [0_u8; 10_000];
    let range = region.as_mut_ptr_range();
    let mut talc = Talc::<_>::new(unsafe { Claim::array(&raw mut region) });
    unsafe {
        let block = talc.allocate(bytes(1000)).unwrap().as_ptr();
        let end = talc.source_mut().take_claim().expect("the region was claimed");
        assert!(end.as_ptr() <= range.end && end.as_ptr() > range.end.wrapping_sub(16));
        assert_eq!(talc.source_mut().take_claim(), None, "only once");

        let low = talc.truncate(end, null_mut()).expect("the table stays");
        assert!(low.as_ptr() > block && low < end);
        assert!(talc.allocate(bytes(2000)).is_none());
        assert_eq!(talc.extend(low, range.end), end);
        assert!(talc.allocate(bytes(1000)).is_some());
    }
    assert_eq!(talc.audit(), Ok(()));
}

#[test]
fn standby_has_nothing() {
    let mut region = [0x55_u8; 10_000];
    let mut talc = Talc::<_>::new(Claim::standby());
    assert!(!talc.source().is_ready());
    assert!(talc.allocate(bytes(1)).is_none());
    assert!(talc.source_mut().take_claim().is_none());

    // A claim that is ready can be prevented, and one on standby can be given a region.
    *talc.source_mut() = unsafe { Claim::array(&raw mut region) };
    *talc.source_mut() = Claim::standby();
    assert!(talc.allocate(bytes(1)).is_none());
    assert!(region.iter().all(|&byte| byte == 0x55));

    *talc.source_mut() = unsafe { Claim::array(&raw mut region) };
    assert!(talc.allocate(bytes(1)).is_some());
}

#[test]
fn a_second_region_adds_a_heap() {
    let mut regions = [[0_u8; 10_000]; 2];
    let [first, second] = &mut regions;
    let mut talc = Talc::<_>::new(unsafe { Claim::array(first) });
    unsafe {
        assert!(talc.allocate(bytes(7000)).is_some());
        assert!(talc.allocate(bytes(7000)).is_none());
        *talc.source_mut() = Claim::array(second);
        assert!(talc.allocate(bytes(7000)).is_some());
        assert!(talc.allocate(bytes(7000)).is_none());
    }
    assert_eq!(talc.audit(), Ok(()));
}

#[test]
fn a_region_that_is_too_small_stays_untouched() {
    let mut region = [0x55_u8; MINIMUM + 200];
    for size in 0..MINIMUM - 32 {
        let mut talc = Talc::<_>::new(unsafe { Claim::new(region.as_mut_ptr().add(1), size) });
        assert!(talc.allocate(bytes(1)).is_none());
        assert!(!talc.is_metadata_established());
        assert!(talc.source_mut().take_claim().is_none(), "nothing was claimed");
        assert_eq!(talc.audit(), Ok(()));
        // It does not claim twice.
        assert!(talc.allocate(bytes(1)).is_none());
    }
    assert!(region.iter().all(|&byte| byte == 0x55));

    // The documented minimum is enough for the heap, wherever it is, and for nothing more.
    for offset in 0..32 {
        let base = unsafe { region.as_mut_ptr().add(offset) };
        let mut talc = Talc::<_>::new(unsafe { Claim::new(base, MINIMUM) });
        assert!(talc.allocate(bytes(100)).is_none());
        assert!(talc.is_metadata_established());
        assert!(talc.source_mut().take_claim().is_some());
        assert_eq!(talc.audit(), Ok(()));
    }
    assert!(region[MINIMUM + 32..].iter().all(|&byte| byte == 0x55));
}

#[test]
fn regions_are_kept_to() {
    // At each offset, the heap is filled completely, and no byte outside of the region changes.
    let mut memory = [0x55_u8; 4096];
    for offset in 0..32 {
        let size = 3500 + offset;
        let base = unsafe { memory.as_mut_ptr().add(offset + 64) };
        let mut talc = Talc::<_, SmallBinning>::new(unsafe { Claim::new(base, size) });
        let mut allocated = 0;
        while let Some(block) = talc.allocate(bytes(40)) {
            unsafe { block.as_ptr().write_bytes(0x55, 40) };
            allocated += 40;
        }
        assert!(allocated > 1000);
        assert_eq!(talc.audit(), Ok(()));
        let (below, above) = (&memory[..offset + 64], &memory[offset + 64 + size..]);
        assert!(below.iter().chain(above).all(|&byte| byte == 0x55));
        memory.fill(0x55);
    }
}

#[test]
fn arrays_of_any_type_and_statics() {
    static mut WORDS: [u64; 1000] = [0; 1000];
    let mut talc = Talc::<_>::new(unsafe { Claim::array(&raw mut WORDS) });
    // All eight bytes of each element count.
    assert!(talc.allocate(bytes(5000)).is_some());
    assert!(talc.allocate(bytes(5000)).is_none());
    let end = talc.source_mut().take_claim().unwrap().as_ptr() as usize;
    assert_eq!(end, (&raw mut WORDS as usize + 8000) & !15);

    let mut empty: [u8; 0] = [];
    let mut talc = Talc::<_>::new(unsafe { Claim::array(&raw mut empty) });
    assert!(talc.allocate(bytes(1)).is_none());
}

#[test]
fn impossible_layouts_get_none() {
    let mut region = [0_u8; 10_000];
    let mut talc = Talc::<_>::new(unsafe { Claim::array(&raw mut region) });
    for layout in impossible_layouts() {
        assert_eq!(talc.allocate(layout), None, "{layout:?}");
        assert!(!unsafe { talc.try_grow_in_place_of_new(layout.size()) });
    }
    assert_eq!(talc.audit(), Ok(()));
}

trait Grows {
    unsafe fn try_grow_in_place_of_new(&mut self, new_size: usize) -> bool;
}

impl<S: Source> Grows for Talc<S> {
    /// Allocates a little, tries to grow that to `new_size`, and frees it.
    unsafe fn try_grow_in_place_of_new(&mut self, new_size: usize) -> bool {
        unsafe {
            let block = self.allocate(bytes(10)).unwrap().as_ptr();
            let grown = self.try_grow_in_place(block, bytes(10), new_size)
                || self.try_realloc_in_place(block, bytes(10), new_size);
            self.deallocate(block, bytes(10));
            grown
        }
    }
}
