//! Collections over `&talc` and over an allocator by value, through allocator-api2 0.4: its own,
//! and those of a crate that builds on it.
#![cfg(feature = "allocator-api2")]
#![allow(clippy::undocumented_unsafe_blocks)] // Each arena is used by one allocator alone.

use allocator_api2::boxed::Box;
use allocator_api2::vec::Vec;
use blink_alloc::BlinkAlloc;
use talc::base::binning::SmallBinning;
use talc::source::{AllocatorSource, Claim, GlobalAllocSource};
use talc::{TalcCell, TalcLock};

/// An allocator over memory that is never freed.
fn cell(bytes: usize) -> TalcCell<Claim> {
    let memory = vec![0_u64; bytes / 8].leak();
    TalcCell::new(unsafe { Claim::new(memory.as_mut_ptr().cast(), bytes) })
}

#[test]
fn vectors_grow_and_shrink() {
    let talc = cell(1 << 18);
    let mut numbers = Vec::new_in(&talc);
    let mut texts = Vec::new_in(&talc);
    for n in 0..2000_u32 {
        numbers.push(n);
        if n % 100 == 0 {
            let mut text = Vec::new_in(&talc);
            text.extend_from_slice(n.to_string().as_bytes());
            texts.push(text);
        }
    }
    numbers.retain(|n| n % 3 == 0);
    numbers.shrink_to_fit();
    assert!(numbers.iter().copied().eq((0..2000).step_by(3)));
    assert_eq!(numbers.capacity(), numbers.len());
    assert_eq!(texts[19], b"1900");
    let cloned = texts.clone();
    drop(texts);
    assert_eq!(cloned.iter().map(|text| text.len()).sum::<usize>(), 1 + 3 * 9 + 4 * 10);
}

#[test]
fn boxes_of_any_size_and_alignment() {
    #[repr(align(512))]
    struct Aligned([u8; 700]);
    let talc = cell(1 << 16);
    let aligned = Box::new_in(Aligned([9; 700]), &talc);
    assert_eq!(std::ptr::addr_of!(*aligned) as usize % 512, 0);
    let nothing = Box::new_in((), &talc);
    let text: Box<dyn AsRef<str>, _> =
        allocator_api2::unsize_box!(Box::new_in(String::from("a string"), &talc));
    assert_eq!(text.as_ref().as_ref(), "a string");
    assert_eq!(*nothing, ());
    assert!(aligned.0.iter().all(|&byte| byte == 9));
    let moved = Box::into_inner(aligned);
    assert_eq!(moved.0, [9; 700]);
}

#[test]
fn running_out_is_an_error_and_not_the_end() {
    let talc = cell(1 << 14);
    let mut numbers = Vec::<u64, _>::new_in(&talc);
    assert!(numbers.try_reserve(1 << 12).is_err());
    assert!(numbers.try_reserve(usize::MAX / 16).is_err());
    numbers.extend(0..500);
    assert!(numbers.try_reserve(1 << 12).is_err());
    assert!(numbers.iter().copied().eq(0..500), "what failed changed nothing");
    drop(numbers);
    assert!(Box::try_new_in([0_u64; 1000], &talc).is_ok());
}

#[test]
fn an_allocator_can_be_owned_by_its_collection() {
    let mut numbers = Vec::new_in(cell(1 << 14));
    numbers.extend(0..100);
    let moved = std::thread::spawn(move || {
        numbers.extend(100..200);
        numbers
    });
    assert!(moved.join().unwrap().iter().copied().eq(0..200));
}

#[cfg(feature = "spinning_top")]
#[test]
fn an_allocator_in_an_allocator() {
    let outer = TalcLock::<talc::RawSpinlock, _>::new(GlobalAllocSource::new(std::alloc::System));
    let mut kept = Vec::new_in(&outer);
    kept.resize(10, 1);
    {
        let source = AllocatorSource::with_block_size(&outer, 1 << 12);
        let inner = talc::cell::TalcCell::<_, SmallBinning>::new(source);
        let lists: std::vec::Vec<_> = (0..100)
            .map(|n| {
                let mut list = Vec::new_in(&inner);
                list.resize(n * 10, n);
                list
            })
            .collect();
        assert!(lists.iter().enumerate().all(|(n, list)| list.iter().all(|&m| m == n)));
    }
    // All blocks of the inner one came back.
    let mut large = 0;
    outer.lock().visit(|part| {
        if let talc::base::Part::Allocated { size, .. } = part {
            large += usize::from(size >= 1 << 12);
        }
    });
    assert_eq!(large, 0);
    assert_eq!(kept, [1; 10]);
}

#[test]
fn a_bump_allocator_on_top() {
    let talc = cell(1 << 18);
    let before = talc.largest_gap();
    let mut blink = BlinkAlloc::new_in(&talc);
    for round in 0..3 {
        let lists: std::vec::Vec<_> = (0..50)
            .map(|n| {
                let mut list = Vec::new_in(&blink);
                list.resize(n + 1, n * round);
                list
            })
            .collect();
        assert!(lists.iter().enumerate().all(|(n, list)| list.iter().all(|&m| m == n * round)));
        drop(lists);
        blink.reset();
    }
    drop(blink);
    assert!(before.is_none() && talc.largest_gap().unwrap() > (1 << 18) - 4608);
}
