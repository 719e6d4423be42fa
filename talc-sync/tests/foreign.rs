//! What a source calls that others have written: it may panic, and it may come back to the very
//! allocator that it serves.
#![allow(clippy::undocumented_unsafe_blocks)] // Layouts are those of what they are given with.
#![allow(clippy::incompatible_msrv)] // The MSRV is that of the library.
#![cfg_attr(feature = "nightly", feature(allocator_api))]

#[macro_use]
mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use allocator_api2::alloc::{AllocError, Allocator};
use allocator_api2::vec::Vec as ApiVec;
use common::{arena, in_a_process_that_aborts, layout, panic_message};
use talc_sync::lock_api::{GuardNoSend, RawMutex};
use talc_sync::talc_sources::talc_core::{Part, RawTalc};
use talc_sync::talc_sources::{AllocatorSource, Claim, GlobalAllocSource, OutOfMemory, Source};
use talc_sync::{RawSpinlock, TalcCell, TalcLock, TalcSyncCell};

const MIB: usize = 1 << 20;

thread_local! {
    /// Whether `Fussy` panics when a block comes back.
    static PANICS: Cell<bool> = const { Cell::new(false) };
}

/// The system's allocator, which panics when it is told to, as safe code in there might.
struct Fussy;

unsafe impl Allocator for Fussy {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        allocator_api2::alloc::System.allocate(layout)
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        unsafe { allocator_api2::alloc::System.deallocate(block, layout) };
        assert!(!PANICS.get(), "no release");
    }
}

/// Claims its region, and panics whenever the top of its heap falls free.
struct Region(Claim);

unsafe impl Source for Region {
    unsafe fn acquire(&mut self, talc: &mut RawTalc, layout: Layout) -> Result<(), OutOfMemory> {
        unsafe { self.0.acquire(talc, layout) }
    }

    unsafe fn release(&mut self, _: &mut RawTalc, _: NonNull<u8>) {
        assert!(!PANICS.get(), "no release");
    }
}

fn heaps<S: Source>(talc: &TalcCell<S>) -> usize {
    let mut heaps = 0;
    unsafe { talc.visit(|part| heaps += usize::from(matches!(part, Part::Base(_)))) };
    heaps
}

/// A region that is never given back.
fn region() -> Region {
    let (memory, claim) = arena(32 * MIB);
    memory.leak();
    Region(claim)
}

/// Each way of resizing a `Vec`, of which some make the source release something.
fn resizing_does_not_unwind<A: Allocator>(first: usize, make: impl Fn() -> A) {
    let resizes: [fn(&mut ApiVec<u8, A>); 3] = [
        |vec| vec.reserve_exact(8 * MIB),
        |vec| vec.shrink_to(10),
        |vec| {
            vec.clear();
            vec.shrink_to_fit();
        },
    ];
    for (n, resize) in resizes.into_iter().enumerate() {
        let said = in_a_process_that_aborts(first + n, || {
            let mut vec = ApiVec::with_capacity_in(2 * MIB, make());
            vec.extend_from_slice(&[7; 5]);
            PANICS.set(true);
            resize(&mut vec);
            PANICS.set(false);
            eprintln!("nothing was released");
            std::process::abort();
        });
        if let Some(said) = said {
            let panicked = said.contains("no release") && said.contains("must not panic");
            assert!(panicked || said.contains("nothing was released"), "{said}");
            // To zero, there is always something to be released.
            assert!(panicked || n < 2, "{said}");
        }
    }
}

#[test]
fn a_block_source_that_panics_does_not_unwind_into_a_vec() {
    /// The first block holds the table, and stays.
    fn with_first_block<A: Allocator>(talc: A) -> A {
        talc.allocate(layout(8, 8)).unwrap();
        talc
    }
    let source = || AllocatorSource::new(Fussy);
    resizing_does_not_unwind(0, || with_first_block(TalcCell::<_>::new(source())));
    resizing_does_not_unwind(10, || with_first_block(TalcLock::<RawSpinlock, _>::new(source())));
}

#[test]
fn a_region_that_panics_does_not_unwind_into_a_vec() {
    resizing_does_not_unwind(0, || TalcCell::<_>::new(region()));
    resizing_does_not_unwind(10, || TalcLock::<RawSpinlock, _>::new(region()));
}

/// Who frees knows that the allocation is gone: a panic may pass, and leaves all sound.
#[test]
#[cfg_attr(panic = "abort", ignore = "panics do not unwind here")]
fn a_panic_may_pass_a_deallocation() {
    let talc = TalcCell::<_>::new(AllocatorSource::new(Fussy));
    let kept = talc.allocate(layout(100, 8)).unwrap().cast();
    let vec = ApiVec::<u8, _>::with_capacity_in(2 * MIB, &talc);
    PANICS.set(true);
    assert_eq!(panic_message(|| drop(vec)), "no release");
    PANICS.set(false);
    assert_eq!(talc.audit(), Ok(()));
    assert_eq!(heaps(&talc), 1);
    let again = ApiVec::<u8, _>::with_capacity_in(2 * MIB, &talc);
    drop(again);
    unsafe { Allocator::deallocate(&talc, kept, layout(100, 8)) };
    assert_eq!(talc.audit(), Ok(()));
}

thread_local! {
    static SELF_SERVED: TalcCell<AllocatorSource<Itself>> =
        const { TalcCell::new(AllocatorSource::with_block_size(Itself, 1 << 16)) };
    /// What `Itself` does apart from asking the allocator that it backs.
    static HABIT: Cell<Habit> = const { Cell::new(Habit::Fails) };
    /// A block of `SELF_SERVED`.
    static BLOCK: Cell<Option<NonNull<u8>>> = const { Cell::new(None) };
}

#[derive(Clone, Copy)]
enum Habit {
    /// It has nothing of its own.
    Fails,
    /// It has the system to ask.
    HasMore,
    /// It frees what it has no business to free now.
    Frees,
    /// It resizes what it should not.
    Resizes,
    /// It looks at the heaps.
    Looks,
}

/// An allocator that uses the one that it backs.
struct Itself;

unsafe impl Allocator for Itself {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        SELF_SERVED.with(|talc| {
            assert!(Allocator::allocate(talc, layout).is_err(), "this is refused");
            assert!(unsafe { talc.alloc(layout) }.is_null(), "and this");
            let small = common::layout(100, 8);
            match HABIT.get() {
                Habit::Fails => return Err(AllocError),
                Habit::HasMore => {}
                Habit::Frees => unsafe {
                    Allocator::deallocate(talc, BLOCK.get().unwrap(), small);
                },
                Habit::Resizes => unsafe {
                    let block = BLOCK.get().unwrap();
                    let larger = common::layout(5000, 8);
                    assert!(Allocator::grow(talc, block, small, larger).is_err());
                    assert!(Allocator::shrink(talc, block, small, common::layout(9, 8)).is_err());
                    assert!(talc.realloc(block.as_ptr(), small, 5000).is_null());
                },
                Habit::Looks => talc.trim(),
            }
            allocator_api2::alloc::System.allocate(layout)
        })
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        // Not when the allocator itself is dropped with its thread.
        let _ = SELF_SERVED.try_with(|talc| assert!(Allocator::allocate(talc, layout).is_err()));
        unsafe { allocator_api2::alloc::System.deallocate(block, layout) };
    }
}

#[test]
#[cfg_attr(panic = "abort", ignore = "panics do not unwind here")]
fn a_cell_refuses_its_own_source() {
    let large = layout(100_000, 8);
    SELF_SERVED.with(|talc| {
        assert!(talc.allocate(large).is_err(), "from itself it gets nothing");
        HABIT.set(Habit::HasMore);
        let block = talc.allocate(layout(100, 8)).unwrap().cast();
        BLOCK.set(Some(block));
        HABIT.set(Habit::Resizes);
        let first = talc.allocate(large).unwrap().cast();
        for habit in [Habit::Frees, Habit::Looks] {
            HABIT.set(habit);
            let message = panic_message(|| talc.allocate(large));
            assert!(message.contains("its source has come back"), "{message}");
            assert_eq!(talc.audit(), Ok(()));
        }
        // Nothing of that has happened, and it works as before.
        HABIT.set(Habit::HasMore);
        let second = talc.allocate(large).unwrap().cast();
        unsafe {
            Allocator::deallocate(talc, block, layout(100, 8));
            Allocator::deallocate(talc, first, large);
            Allocator::deallocate(talc, second, large);
        }
        assert_eq!(talc.audit(), Ok(()));
        assert_eq!(heaps(talc), 1);
    });
}

/// Forwards to the allocator in the static that it backs, and to the system if that refuses.
struct Forward;

static SYNC_CELL: TalcSyncCell<GlobalAllocSource<Forward>> =
    unsafe { TalcSyncCell::new(TalcCell::new(GlobalAllocSource::new(Forward))) };
static REFUSALS: AtomicUsize = AtomicUsize::new(0);

unsafe impl GlobalAlloc for Forward {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        assert!(unsafe { SYNC_CELL.alloc(layout) }.is_null());
        REFUSALS.fetch_add(1, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        unsafe { System.dealloc(block, layout) };
    }
}

#[test]
fn a_sync_cell_refuses_its_own_source() {
    let large = layout(3 * MIB, 8);
    for _ in 0..3 {
        let block = unsafe { SYNC_CELL.alloc(large) };
        assert!(!block.is_null());
        unsafe { SYNC_CELL.dealloc(block, large) };
    }
    assert_eq!(REFUSALS.load(Ordering::Relaxed), 1, "the block of the table stays");
    assert_eq!(SYNC_CELL.audit(), Ok(()));
}

/// A lock that says that it would wait for ever, instead of doing so: these tests have one thread each.
struct NeverWaits(AtomicBool);

unsafe impl RawMutex for NeverWaits {
    #[allow(clippy::declare_interior_mutable_const)] // As the trait has it.
    const INIT: Self = Self(AtomicBool::new(false));
    type GuardMarker = GuardNoSend;

    fn lock(&self) {
        assert!(self.try_lock(), "this thread waits for itself");
    }

    fn try_lock(&self) -> bool {
        !self.0.swap(true, Ordering::Acquire)
    }

    unsafe fn unlock(&self) {
        self.0.store(false, Ordering::Release);
    }
}

thread_local! {
    static LOCKED: TalcLock<NeverWaits, AllocatorSource<Polite>> =
        const { TalcLock::new(AllocatorSource::new(Polite)) };
    static IS_POLITE: Cell<bool> = const { Cell::new(true) };
}

/// Asks the allocator that it backs, if it is not locked; or without asking.
struct Polite;

unsafe impl Allocator for Polite {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        LOCKED.with(|talc| {
            assert!(talc.try_lock().is_none());
            if !IS_POLITE.get() {
                return Allocator::allocate(talc, layout);
            }
            allocator_api2::alloc::System.allocate(layout)
        })
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        unsafe { allocator_api2::alloc::System.deallocate(block, layout) };
    }
}

#[test]
#[cfg_attr(panic = "abort", ignore = "panics do not unwind here")]
fn a_lock_is_locked_for_its_own_source() {
    LOCKED.with(|talc| {
        IS_POLITE.set(false);
        let message = panic_message(|| Allocator::allocate(talc, layout(100, 8)));
        assert_eq!(message, "this thread waits for itself");
        IS_POLITE.set(true);
        let block = Allocator::allocate(talc, layout(100, 8)).unwrap().cast();
        unsafe { Allocator::deallocate(talc, block, layout(100, 8)) };
        assert_eq!(talc.lock().audit(), Ok(()));
    });
}
