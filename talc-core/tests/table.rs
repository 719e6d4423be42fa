//! The table in a heap: it is as large as the heaps need, and moves when a larger heap comes.

use std::alloc::Layout;
use std::ptr::{null_mut, NonNull};

use talc_core::{Bins, DefaultBinning, Part, RawTalc, CHUNK_UNIT};

const SIZE: usize = 1 << 20;

#[repr(align(4096))]
struct Memory([u8; SIZE]);

fn memory() -> Box<Memory> {
    Box::new(Memory([0; SIZE]))
}

/// Where the table is.
fn table(talc: &RawTalc) -> usize {
    let mut table = 0;
    talc.visit(|part| {
        if let Part::Table { payload, .. } = part {
            table = payload.as_ptr() as usize;
        }
    });
    table
}

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 8).unwrap()
}

/// Blocks with contents, which are checked when they are freed.
#[derive(Default)]
struct Blocks(Vec<(NonNull<u8>, Layout)>);

impl Blocks {
    fn fill(&mut self, talc: &mut RawTalc, sizes: impl Iterator<Item = usize>) {
        for size in sizes {
            let Some(block) = talc.try_allocate(layout(size)) else { return };
            // SAFETY: just allocated.
            unsafe { block.as_ptr().write_bytes(size as u8, size) };
            self.0.push((block, layout(size)));
        }
    }

    fn free(&mut self, talc: &mut RawTalc, mut is_chosen: impl FnMut(usize) -> bool) {
        let mut index = 0;
        self.0.retain(|&(block, layout)| {
            // SAFETY: live, filled above, and freed once.
            unsafe {
                let contents = std::slice::from_raw_parts(block.as_ptr(), layout.size());
                assert!(contents.iter().all(|&byte| byte == layout.size() as u8));
                index += 1;
                if is_chosen(index) {
                    talc.deallocate(block.as_ptr(), layout);
                }
            }
            !is_chosen(index)
        });
    }
}

/// In the guide, under "Sizes and costs".
#[test]
fn it_is_as_large_as_documented() {
    let mut memory = memory();
    let sizes = [2, 4, 8, 16, 32, 64, 1024].map(|kibibytes| {
        let mut talc = <RawTalc>::new();
        // SAFETY: nothing else uses the memory.
        unsafe { talc.claim(memory.0.as_mut_ptr(), kibibytes << 10) }.unwrap();
        talc.table_size()
    });
    if cfg!(target_pointer_width = "64") {
        assert_eq!(sizes, [992, 1120, 1248, 1792, 1920, 2048, 4224]);
    } else if cfg!(target_family = "wasm") {
        assert_eq!(sizes, [320, 352, 384, 624, 848, 1360, 1360]);
    } else {
        assert_eq!(sizes, [304, 336, 368, 608, 832, 1360, 1360]);
    }
}

#[test]
fn a_heap_that_grows_moves_it_seldom() {
    for (first, step) in [(800, 700), (2048, 512), (4096, 4096), (4096, 100)] {
        let mut memory = memory();
        let base = memory.0.as_mut_ptr();
        let mut talc = <RawTalc>::new();
        let mut blocks = Blocks::default();
        // SAFETY: nothing else uses the memory; the end is current.
        unsafe {
            let mut end = talc.claim(base, first).unwrap();
            let mut places = vec![table(&talc)];
            let mut size = first;
            while size + step <= 200 << 10 {
                blocks.fill(&mut talc, (1..).map(|n| n * 37 % 400));
                blocks.free(&mut talc, |index| index % 3 == 0);
                size += step;
                let higher = talc.extend(end, base.wrapping_add(size));
                assert_eq!(talc.audit(), Ok(()));
                end = higher;
                if *places.last().unwrap() != table(&talc) {
                    places.push(table(&talc));
                }
            }
            assert!(end.as_ptr() as usize > base as usize + (100 << 10));
            // It moves each time that the heap has doubled, up to 64 KiB; or more often, as long as
            // a step is too small for that.
            let most = if step < 2048 { 30 } else { 6 };
            assert!(places.len() <= most, "moved {} times from {first}", places.len() - 1);
            blocks.free(&mut talc, |_| true);
            assert_eq!(talc.audit(), Ok(()));
            // Wherever it has been, it ends up at the bottom.
            let end = talc.truncate(end, null_mut()).expect("the table stays");
            assert_eq!(end.as_ptr() as usize, talc.reserved(end).up_to.as_ptr() as usize);
            assert!(end.as_ptr() as usize <= base as usize + talc.table_size() + 64);
            assert_eq!(talc.largest_gap(), None);
        }
        assert_eq!(talc.audit(), Ok(()));
    }
}

#[test]
fn a_larger_heap_takes_it_and_the_first_one_goes() {
    let (mut first, mut second) = (memory(), memory());
    let mut talc = <RawTalc>::new();
    let mut blocks = Blocks::default();
    // SAFETY: nothing else uses the memory; the ends are current.
    unsafe {
        let base = first.0.as_mut_ptr();
        let end = talc.claim(base, 3000).unwrap();
        blocks.fill(&mut talc, std::iter::repeat(300));
        blocks.free(&mut talc, |index| index % 2 == 0);
        let before = talc.table_size();
        let second_end = talc.claim(second.0.as_mut_ptr(), SIZE).unwrap();
        assert!(talc.table_size() > before);
        assert_eq!(talc.audit(), Ok(()));
        // Older gaps are still found.
        let block = talc.try_allocate(layout(300)).unwrap();
        let first_range = base as usize..end.as_ptr() as usize;
        assert!(first_range.contains(&(block.as_ptr() as usize)));
        talc.deallocate(block.as_ptr(), layout(300));
        blocks.free(&mut talc, |_| true);
        assert!(!talc.reserved(end).any);
        assert_eq!(talc.truncate(end, null_mut()), None);
        assert!(talc.reserved(second_end).any);
    }
    assert_eq!(talc.audit(), Ok(()));
}

#[test]
fn it_stays_in_a_heap_with_room_and_the_larger_one_goes() {
    let (mut first, mut second) = (memory(), memory());
    let mut talc = <RawTalc>::new();
    // SAFETY: nothing else uses the memory; the end is current.
    unsafe {
        talc.claim(first.0.as_mut_ptr(), 16 << 10).unwrap();
        let before = talc.table_size();
        let end = talc.claim(second.0.as_mut_ptr(), SIZE).unwrap();
        assert!(talc.table_size() > before);
        assert!(!talc.reserved(end).any);
        assert_eq!(talc.truncate(end, null_mut()), None);
    }
    assert_eq!(talc.audit(), Ok(()));
}

#[test]
fn a_complete_one_never_moves() {
    let (mut first, mut second) = (memory(), memory());
    let mut talc = <RawTalc>::with_complete_table();
    // SAFETY: nothing else uses the memory; the ends are current.
    unsafe {
        let size = talc.claim_size(layout(1000)).unwrap();
        // Once, as another borrow of the memory would end the allocator's.
        let base = first.0.as_mut_ptr();
        let end = talc.claim(base, size).unwrap();
        assert!(talc.try_allocate(layout(1000)).is_some());
        let place = table(&talc);
        let _end = talc.extend(end, base.wrapping_add(SIZE));
        talc.claim(second.0.as_mut_ptr(), SIZE).unwrap();
        assert_eq!(table(&talc), place);
    }
    // If there is no room for a complete one, the table has what fits.
    let mut third = memory();
    let mut talc = <RawTalc>::with_complete_table();
    let least = DefaultBinning::MIN_FIRST_HEAP_SIZE;
    // SAFETY: nothing else uses the memory.
    assert!(unsafe { talc.claim(third.0.as_mut_ptr(), least) }.is_some());
    assert_eq!(talc.audit(), Ok(()));
}

/// Without room for a larger table, nothing happens; with what is asked for, the heap is extended.
#[test]
fn without_room_the_end_stays() {
    let mut memory = memory();
    let base = memory.0.as_mut_ptr();
    let mut talc = <RawTalc>::new();
    // SAFETY: nothing else uses the memory; the end is current.
    unsafe {
        let end = talc.claim(base, 2000).unwrap();
        while talc.try_allocate(layout(8)).is_some() {}
        let place = table(&talc);
        let same = talc.extend(end, end.as_ptr().wrapping_add(300));
        assert_eq!((same, table(&talc)), (end, place));
        assert_eq!(talc.audit(), Ok(()));
        let more = talc.extend_size(end, layout(300)).unwrap();
        assert!(more < 2000);
        let higher = talc.extend(end, end.as_ptr().wrapping_add(more));
        assert!(higher > end && table(&talc) != place);
        assert!(talc.try_allocate(layout(300)).is_some());
    }
    assert_eq!(talc.audit(), Ok(()));
}

/// Once nothing is in use below it, a truncation moves it to the start of its heap.
#[test]
fn a_truncation_moves_it_down() {
    let mut memory = memory();
    let base = memory.0.as_mut_ptr();
    let mut talc = <RawTalc>::new();
    // SAFETY: nothing else uses the memory; the end is current.
    unsafe {
        let end = talc.claim(base, 2000).unwrap();
        let lowest = table(&talc);
        let block = talc.try_allocate(layout(900)).unwrap();
        let end = talc.extend(end, base.wrapping_add(20_000));
        assert!(table(&talc) > block.as_ptr() as usize);
        assert!(talc.reserved(end).up_to > block);
        talc.deallocate(block.as_ptr(), layout(900));
        let up_to = talc.reserved(end).up_to;
        let end = talc.truncate(end, null_mut()).expect("the table stays");
        assert_eq!(end, up_to);
        let is_up = table(&talc) - lowest;
        // Its books of slabs, if it has them now, are in front of it.
        assert!(is_up < 300, "{is_up} bytes above the start");
        assert_eq!(talc.audit(), Ok(()));
        let end = talc.extend(end, base.wrapping_add(20_000));
        assert!(talc.try_allocate(layout(9000)).is_some());
        assert!(talc.reserved(end).any);
    }
    assert_eq!(talc.audit(), Ok(()));
}

/// Heaps of every size that may be the first or the second one.
#[test]
fn any_two_heaps() {
    let (mut first, mut second) = (memory(), memory());
    let least = DefaultBinning::MIN_FIRST_HEAP_SIZE;
    for one in (least..3000).step_by(97).chain([10_000, 70_000]) {
        for other in (CHUNK_UNIT + 48..3000).step_by(61).chain([9_000, 80_000]) {
            let mut talc = <RawTalc>::new();
            // SAFETY: nothing else uses the memory.
            unsafe {
                talc.claim(first.0.as_mut_ptr(), one).unwrap();
                let claimed = talc.claim(second.0.as_mut_ptr(), other);
                assert!(claimed.is_some(), "{other} bytes beside {one}");
            }
            assert_eq!(talc.audit(), Ok(()));
        }
    }
}

/// An allocator without slabs moves its table, too.
#[test]
fn without_slabs() {
    let mut memory = memory();
    let base = memory.0.as_mut_ptr();
    let mut talc = RawTalc::<Bins<8, 4, 2>>::new();
    // SAFETY: nothing else uses the memory; the end is current.
    unsafe {
        let end = talc.claim(base, Bins::<8, 4, 2>::MIN_FIRST_HEAP_SIZE).unwrap();
        let end = talc.extend(end, base.wrapping_add(SIZE));
        assert_eq!(end.as_ptr(), base.wrapping_add(SIZE));
        assert!(talc.try_allocate(layout(SIZE / 2)).is_some());
    }
    assert_eq!(talc.audit(), Ok(()));
}

/// Also where the table takes all of a gap, as almost all of it is needed.
#[test]
fn what_is_asked_for_is_enough() {
    let mut memory = memory();
    let base = memory.0.as_mut_ptr();
    macro_rules! check {
        ($($binning:ty),*) => {$(
            for first in (<$binning>::MIN_FIRST_HEAP_SIZE..2600).step_by(16) {
                for size in (1..5000).step_by(119) {
                    let mut talc = RawTalc::<$binning>::new();
                    // SAFETY: nothing else uses the memory; the end is current.
                    unsafe {
                        let end = talc.claim(base, first).unwrap();
                        let more = talc.extend_size(end, layout(size)).unwrap();
                        let higher = talc.extend(end, end.as_ptr().wrapping_add(more));
                        assert!(higher > end, "{more} bytes above {first}");
                    }
                    assert!(talc.try_allocate(layout(size)).is_some(), "{size} above {first}");
                }
            }
        )*};
    }
    check!(DefaultBinning, Bins<1, 1, 1>, Bins<8, 4, 2>, Bins<16, 16, 4, 512, 8>);
}
