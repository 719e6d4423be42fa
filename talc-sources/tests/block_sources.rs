//! The block sources as types and values: `Send`, constructors, moves, drop order, other binnings,
//! and that their heaps must not be managed by hand.
#![allow(clippy::undocumented_unsafe_blocks)] // Frees are of what the same test allocated.

mod common;

use std::alloc::{Layout, System};
use std::cell::RefCell;
use std::ptr::{null_mut, NonNull};
use std::rc::Rc;

use allocator_api2::alloc::{AllocError, Allocator};
use common::{bytes, panic_message, Backing, BlockSource, ByGlobalAlloc};
use talc_sources::talc_core::{CompactBins, DefaultBinning, SmallBinning};
use talc_sources::{AllocatorSource, Binning, GlobalAllocSource, Replaceable, Source, Talc};

common::for_each_block_source! {
    heaps_by_hand_are_a_broken_rule,
    a_talc_may_move_anywhere,
    looking_changes_nothing,
}

const fn is_send<T: Send>() {}

/// Checked when this compiles.
const _: () = {
    is_send::<GlobalAllocSource<System>>();
    is_send::<AllocatorSource<allocator_api2::alloc::System>>();
    is_send::<AllocatorSource<&'static Backing>>();
    is_send::<Talc<GlobalAllocSource<System>>>();
    is_send::<Talc<AllocatorSource<&'static Backing>, SmallBinning>>();
};

/// Tells whether a type is `Replaceable` and `Send`, even if it is not.
macro_rules! implements {
    ($type:ty: $bound:path) => {{
        #[allow(dead_code)]
        trait No {
            const ANSWER: bool = false;
        }
        impl<T> No for T {}
        struct Yes<T>(core::marker::PhantomData<T>);
        #[allow(dead_code)]
        impl<T: $bound> Yes<T> {
            const ANSWER: bool = true;
        }
        Yes::<$type>::ANSWER
    }};
}

#[test]
fn safe_code_cannot_replace_a_block_source() {
    // It would free blocks that are in use.
    assert!(!implements!(GlobalAllocSource<System>: Replaceable));
    assert!(!implements!(AllocatorSource<&'static Backing>: Replaceable));
    assert!(implements!(talc_sources::Manual: Replaceable));
    assert!(implements!(talc_sources::Claim: Replaceable));
}

#[test]
fn a_source_is_no_more_sendable_than_its_allocator() {
    assert!(!implements!(AllocatorSource<Watched>: Send));
    assert!(!implements!(Talc<AllocatorSource<Watched>>: Send));
}

#[test]
#[cfg_attr(target_family = "wasm", ignore = "there are no threads here")]
fn constructors_work_in_statics() {
    static SMALL: std::sync::Mutex<Talc<GlobalAllocSource<System>, SmallBinning>> =
        std::sync::Mutex::new(Talc::new(GlobalAllocSource::with_block_size(System, 1 << 12)));
    const SOURCE: GlobalAllocSource<System> = GlobalAllocSource::new(System);

    let block = SMALL.lock().unwrap().allocate(bytes(10));
    let from_elsewhere = block.unwrap().as_ptr() as usize;
    std::thread::spawn(move || unsafe {
        SMALL.lock().unwrap().deallocate(from_elsewhere as *mut u8, bytes(10));
    })
    .join()
    .unwrap();
    assert!(Talc::<_>::new(SOURCE).allocate(bytes(10)).is_some());
}

#[test]
#[cfg_attr(panic = "abort", ignore = "panics do not unwind here")]
fn block_sizes_must_be_powers_of_two() {
    let sentence = "talc: block_size must be a power of two";
    for size in [0, 3, 4095, (1 << 20) + 1, usize::MAX] {
        let message = panic_message(|| GlobalAllocSource::with_block_size(System, size));
        assert_eq!(message, sentence);
        let backing = Backing::new();
        let message = panic_message(|| AllocatorSource::with_block_size(&backing, size));
        assert_eq!(message, sentence);
    }
}

/// Managing heaps panics in debug builds; inspecting them is allowed.
fn heaps_by_hand_are_a_broken_rule<K: BlockSource>() {
    let backing = Backing::new();
    let mut talc = Talc::<_>::new(K::over(&backing, 4096));
    let block = talc.allocate(bytes(100)).unwrap().as_ptr();
    assert!(!<K::Source<'_> as Source>::MANUAL_HEAPS);
    if talc_core::CHECKS && cfg!(panic = "unwind") {
        let mut region = [0_u8; 4096];
        let end = NonNull::from(&mut region).cast();
        let (base, size) = (region.as_mut_ptr(), region.len());
        let messages = [
            panic_message(|| unsafe { talc.claim(base, size) }),
            panic_message(|| unsafe { talc.extend(end, base) }),
            panic_message(|| unsafe { talc.truncate(end, null_mut()) }),
            panic_message(|| unsafe { talc.resize(end, null_mut()) }),
        ];
        for message in messages {
            assert_eq!(
                message,
                "talc: the source of this allocator manages its heaps itself, so they must not \
                 be claimed, extended, truncated or resized by hand"
            );
        }
        assert!(region.iter().all(|&byte| byte == 0));
    }
    // The allocator is still usable.
    unsafe { talc.deallocate(block, bytes(100)) };
    assert_eq!(talc.audit(), Ok(()));
}

fn a_talc_may_move_anywhere<K: BlockSource>() {
    let backing = Backing::new();
    let talcs = (0..3).map(|n| {
        let mut talc = Talc::<_>::new(K::over(&backing, 4096));
        let block = talc.allocate(bytes(5000)).unwrap().as_ptr();
        unsafe { block.write_bytes(n, 5000) };
        (talc, block)
    });
    let mut moved: Vec<_> = talcs.collect();
    moved.rotate_left(1);
    let (mut talc, block) = *Box::new(moved.remove(1));
    assert_eq!(unsafe { block.add(4999).read() }, 2);
    unsafe {
        talc.deallocate(block, bytes(5000));
        assert_eq!(talc.audit(), Ok(()));
        let block = talc.allocate(bytes(5000)).unwrap().as_ptr();
        // Whole allocators can be swapped: each one keeps its source.
        core::mem::swap(&mut talc, &mut moved[0].0);
        moved[0].0.deallocate(block, bytes(5000));
        assert_eq!(moved[0].0.audit(), Ok(()));
    }
    drop(moved);
    assert!(backing.blocks() > 0);
    drop(talc);
    assert_eq!(backing.blocks(), 0);
}

fn looking_changes_nothing<K: BlockSource>() {
    let backing = Backing::new();
    let mut talc = Talc::<_>::new(K::over(&backing, 4096));
    assert!(!talc.is_metadata_established());
    assert_eq!(talc.largest_gap(), None);
    assert!(talc.claim_size(bytes(1)).is_some());
    let text = format!("{talc:?}");
    assert!(text.contains("heaps: []") && text.contains("Source"), "{text}");
    assert_eq!(backing.calls(), 0);

    let block = talc.allocate(bytes(1000)).unwrap().as_ptr();
    let text = format!("{talc:?}");
    assert!(text.contains("allocations: 1") && text.contains("gaps: 1"), "{text}");
    assert!(talc.largest_gap().unwrap() < 4096);
    let mut parts = 0;
    talc.visit(|_| parts += 1);
    assert_eq!(parts, 5, "base, table, allocation, gap, end");
    assert_eq!(backing.calls(), 1);
    unsafe { talc.deallocate(block, bytes(1000)) };
}

#[test]
fn other_binnings_work() {
    fn check<B: Binning>() {
        let backing = Backing::new();
        let source =
            unsafe { GlobalAllocSource::with_block_size_unchecked(ByGlobalAlloc(&backing), 512) };
        let mut talc = Talc::<_, B>::new(source);
        let mut live = Vec::new();
        for size in (1..5000).step_by(61) {
            live.push((talc.allocate(bytes(size)).unwrap(), size));
        }
        for (block, size) in live {
            unsafe { talc.deallocate(block.as_ptr(), bytes(size)) };
        }
        assert_eq!(talc.audit(), Ok(()));
        assert!(backing.blocks() <= 1, "that of the table");
    }
    check::<SmallBinning>();
    check::<CompactBins<8, 4, 512, 8>>();
    check::<DefaultBinning>();
}

/// If no block holds the table, the only block may fall free each time.
#[test]
fn a_pair_in_the_only_block_does_not_thrash() {
    fn check<B: Binning>() {
        for size in [8, 100, 300, 3000] {
            let backing = Backing::new();
            let mut talc = Talc::<_, B>::new(AllocatorSource::with_block_size(&backing, 4096));
            for _ in 0..1000 {
                let block = talc.allocate(bytes(size)).unwrap().as_ptr();
                unsafe { talc.deallocate(block, bytes(size)) };
            }
            assert!(backing.calls() <= 2 && backing.blocks() <= 1, "{size} bytes");
        }
    }
    check::<SmallBinning>();
    check::<CompactBins<8, 4, 512, 8>>();
    check::<DefaultBinning>();
}

/// An allocator that records what happens to it.
struct Watched(Rc<RefCell<Vec<&'static str>>>);

unsafe impl Allocator for Watched {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        self.0.borrow_mut().push("allocate");
        allocator_api2::alloc::System.allocate(layout)
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        self.0.borrow_mut().push("deallocate");
        unsafe { allocator_api2::alloc::System.deallocate(block, layout) }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.0.borrow_mut().push("drop");
    }
}

#[test]
fn the_allocator_is_dropped_after_its_blocks() {
    let events = Rc::new(RefCell::new(Vec::new()));
    let mut talc = Talc::<_>::new(AllocatorSource::with_block_size(Watched(events.clone()), 4096));
    for _ in 0..2 {
        assert!(talc.allocate(bytes(7000)).is_some());
    }
    drop(talc);
    assert_eq!(*events.borrow(), ["allocate", "allocate", "deallocate", "deallocate", "drop"]);

    // Without any block, too.
    events.borrow_mut().clear();
    drop(Talc::<_>::new(AllocatorSource::new(Watched(events.clone()))));
    assert_eq!(*events.borrow(), ["drop"]);
}
