//! OomHook: when the hook is called, and what it may do.
#![allow(clippy::undocumented_unsafe_blocks)] // Regions are local, frees of what was allocated.
#![cfg_attr(feature = "nightly", feature(allocator_api))]

mod common;

use std::alloc::{GlobalAlloc, Layout};
use std::cell::RefCell;
use std::ptr::NonNull;

use allocator_api2::alloc::Allocator;
use common::{arena, fill, layout, panic_message, verify, WrongHint};
use talc_sync::talc_sources::Claim;
use talc_sync::{
    Having, OomHook, RawSpinlock, Region, Regions, TalcCell, TalcLock, TalcSharded, TalcSyncCell,
    TinyTalc,
};

/// What a hook is to do: it is a function, and knows nothing of the test otherwise.
type Plan = Box<dyn FnMut(Layout, usize) -> bool>;

thread_local! {
    static PLAN: RefCell<Option<Plan>> = const { RefCell::new(None) };
}

fn plan(plan: impl FnMut(Layout, usize) -> bool + 'static) {
    PLAN.with(|cell| *cell.borrow_mut() = Some(Box::new(plan)));
}

/// Without a plan, the hook must not be called.
fn hook(layout: Layout, attempts: usize) -> bool {
    let mut plan = PLAN.with(|cell| cell.borrow_mut().take()).expect("no call is planned");
    let result = plan(layout, attempts);
    PLAN.with(|cell| {
        cell.borrow_mut().get_or_insert(plan);
    });
    result
}

fn no_more_calls() {
    PLAN.with(|cell| *cell.borrow_mut() = None);
}

const ARENA: usize = 16 << 10;
const BLOCK: usize = 1500;

type Lock = OomHook<TalcLock<RawSpinlock, Claim>>;

/// Fills an allocator through `inner`, which never calls the hook. The caller owns the blocks.
fn fill_up(allocate: impl Fn(Layout) -> *mut u8) -> Vec<NonNull<u8>> {
    std::iter::from_fn(|| NonNull::new(allocate(layout(BLOCK, 8)))).collect()
}

type Two = Regions<RawSpinlock, 2>;

const NEAR: u32 = 1;
const FAR: u32 = 2;

/// Two regions, each of half the size; they live for ever.
fn two() -> Two {
    Regions::new([NEAR, FAR].map(|attributes| {
        let memory = Vec::leak(vec![0_u128; ARENA / 2 / 16]);
        unsafe { Region::new(memory.as_mut_ptr().cast(), ARENA / 2, attributes) }
    }))
}

/// A body for each allocator that can have a hook.
macro_rules! for_each_allocator {
    ($body:ident) => {{
        let (_memory, claim) = arena(ARENA);
        $body(OomHook::new(TalcLock::<RawSpinlock, _>::new(claim), hook));
        let (_memory, claim) = arena(ARENA);
        $body(OomHook::new(TalcSharded::<RawSpinlock, _, WrongHint, 3>::new(claim), hook));
        let (_memory, claim) = arena(ARENA);
        $body(OomHook::new(TalcCell::<_>::new(claim), hook));
        let (_memory, claim) = arena(ARENA);
        $body(OomHook::new(unsafe { TalcSyncCell::new(TalcCell::<_>::new(claim)) }, hook));
        $body(OomHook::new(two(), hook));
        let regions: &'static Two = Box::leak(Box::new(two()));
        $body(OomHook::new(regions.having(FAR), hook));
    }};
}

trait Hooked: GlobalAlloc {
    fn alloc_without_hook(&self, layout: Layout) -> *mut u8;
    fn refused(&self) -> (usize, Option<Layout>);
}

macro_rules! hooked {
    ($($wrapper:ty),*) => {$(
        impl Hooked for OomHook<$wrapper> {
            fn alloc_without_hook(&self, layout: Layout) -> *mut u8 {
                unsafe { self.inner().alloc(layout) }
            }
            fn refused(&self) -> (usize, Option<Layout>) {
                (self.failures().count, self.failures().last)
            }
        }
    )*};
}
hooked!(
    TalcLock<RawSpinlock, Claim>,
    TalcSharded<RawSpinlock, Claim, WrongHint, 3>,
    TalcCell<Claim>,
    TalcSyncCell<Claim>,
    Two,
    Having<'static, RawSpinlock, 2>
);

#[test]
fn what_the_hook_frees_is_found() {
    fn body<T: Hooked + 'static>(talc: T) {
        let talc: &'static T = Box::leak(Box::new(talc));
        let mut blocks = fill_up(|layout| talc.alloc_without_hook(layout));
        assert!(blocks.len() > 3);
        let kept = blocks.pop().unwrap();
        unsafe { fill(kept.as_ptr(), BLOCK, 7) };
        // One block does not suffice for what is asked; the hook is called until there is a gap.
        let wanted = layout(3 * BLOCK, 8);
        let calls = std::rc::Rc::new(std::cell::Cell::new(0));
        let count = calls.clone();
        plan(move |layout, attempts| {
            assert_eq!((layout, attempts), (wanted, count.get()));
            count.set(attempts + 1);
            let Some(block) = blocks.pop() else { return false };
            unsafe { talc.dealloc(block.as_ptr(), self::layout(BLOCK, 8)) };
            true
        });
        let grown = unsafe { talc.realloc(kept.as_ptr(), layout(BLOCK, 8), 3 * BLOCK) };
        assert!(!grown.is_null());
        assert!(calls.get() > 0);
        unsafe { verify(grown, BLOCK, 7) };
        assert_eq!(talc.refused(), (0, None));

        // When nothing is left to be freed, it is refused, and what is to be resized is as it was.
        let too_much = layout(2 * ARENA, 8);
        calls.set(0);
        plan(move |_, attempts| attempts < 2);
        let refused = unsafe { talc.realloc(grown, layout(3 * BLOCK, 8), too_much.size()) };
        assert!(refused.is_null());
        unsafe { verify(grown, BLOCK, 7) };
        assert_eq!(talc.refused(), (1, Some(too_much)));
        assert!(unsafe { talc.alloc_zeroed(too_much) }.is_null());
        assert_eq!(talc.refused(), (2, Some(too_much)));
        no_more_calls();

        // Without the hook, and with impossible layouts, it is not called, and nothing is counted.
        assert!(talc.alloc_without_hook(too_much).is_null());
        let odd = layout(1000, 8);
        unsafe {
            talc.dealloc(grown, layout(3 * BLOCK, 8));
            let block = talc.alloc(odd);
            assert!(!block.is_null());
            talc.dealloc(block, odd);
        }
        assert_eq!(talc.refused().0, 2);
    }
    for_each_allocator!(body);
}

#[test]
fn allocations_in_the_hook_do_not_call_it() {
    fn body<T: Hooked + 'static>(talc: T) {
        let talc: &'static T = Box::leak(Box::new(talc));
        let large = layout(2 * ARENA, 8);
        let smaller = layout(2 * ARENA - 8, 8);
        plan(move |layout, _| {
            assert_eq!(layout, large);
            assert!(unsafe { talc.alloc(smaller) }.is_null());
            assert_eq!(talc.refused(), (1, Some(smaller)));
            // What there is memory for is not refused.
            let block = unsafe { talc.alloc(self::layout(100, 8)) };
            assert!(!block.is_null());
            unsafe { talc.dealloc(block, self::layout(100, 8)) };
            false
        });
        assert!(unsafe { talc.alloc(large) }.is_null());
        assert_eq!(talc.refused(), (2, Some(large)));
        no_more_calls();
    }
    for_each_allocator!(body);
}

#[test]
#[cfg_attr(target_family = "wasm", ignore = "there are no threads here")]
fn other_threads_are_refused_while_it_runs() {
    let (_memory, claim) = arena(ARENA);
    let talc: &'static Lock = Box::leak(Box::new(OomHook::new(TalcLock::new(claim), hook)));
    let large = layout(2 * ARENA, 8);
    plan(move |_, _| {
        let refused = std::thread::spawn(move || unsafe { talc.alloc(large) }.is_null());
        assert!(refused.join().unwrap());
        false
    });
    assert!(unsafe { talc.alloc(large) }.is_null());
    assert_eq!(talc.failures().count, 2);
    no_more_calls();
}

#[test]
#[cfg_attr(panic = "abort", ignore = "panics do not unwind here")]
fn it_may_panic() {
    let (_memory, claim) = arena(ARENA);
    let talc = Lock::new(TalcLock::new(claim), hook);
    let large = layout(2 * ARENA, 8);
    for _ in 0..2 {
        plan(|_, _| panic!("out of memory"));
        let message = panic_message(|| Allocator::allocate(&talc, large).map(drop));
        assert_eq!(message, "out of memory");
        no_more_calls();
    }
    // It is called again afterwards, and nothing is locked.
    plan(|_, _| false);
    assert!(Allocator::allocate(&talc, large).is_err());
    no_more_calls();
    assert_eq!(talc.failures().count, 1);
    assert_eq!(talc.inner().lock().audit(), Ok(()));
    assert!(format!("{talc:?}").contains("TalcLock"));
    assert!(talc.into_inner().try_lock().is_some());
}

#[test]
fn collections_get_what_it_frees() {
    let (_memory, claim) = arena(ARENA);
    let talc = Lock::new(TalcLock::new(claim), |_, _| false);
    let mut numbers = allocator_api2::vec::Vec::new_in(&talc);
    numbers.extend(0..1000_u32);
    assert!(numbers.try_reserve(ARENA).is_err());
    assert_eq!(talc.failures().count, 1);
    assert_eq!(numbers.iter().sum::<u32>(), 499_500);
}

/// A heap that was not claimed yet, and a hook inside, are tried before the hook is called.
#[test]
fn what_is_inside_comes_first() {
    static TINY: OomHook<TinyTalc<RawSpinlock, 4096>> =
        OomHook::new(unsafe { TinyTalc::new() }, hook);
    let some = layout(100, 8);
    // It has no heap before this.
    let block = unsafe { TINY.alloc(some) };
    assert!(!block.is_null());
    unsafe { TINY.dealloc(block, some) };
    plan(|_, _| false);
    assert!(unsafe { TINY.alloc(layout(5000, 8)) }.is_null());
    assert_eq!(TINY.failures().count, 1);
    no_more_calls();

    let (_memory, claim) = arena(ARENA);
    let inner = Lock::new(TalcLock::new(claim), |_, attempts| attempts < 2);
    let outer = OomHook::new(inner, hook);
    plan(|_, attempts| {
        assert_eq!(attempts, 2);
        false
    });
    assert!(unsafe { outer.alloc(layout(2 * ARENA, 8)) }.is_null());
    assert_eq!((outer.failures().count, outer.inner().failures().count), (1, 1));
    no_more_calls();
}

#[test]
fn regions_are_all_tried_first_and_none_is_locked() {
    let talc: &'static OomHook<Two> = Box::leak(Box::new(OomHook::new(two(), hook)));
    let block = layout(BLOCK, 8);
    let blocks = fill_up(|layout| unsafe { talc.inner().alloc(layout) });
    for freed in &blocks {
        unsafe { talc.dealloc(freed.as_ptr(), block) };
    }
    // Nothing is planned, so the hook must not be called as long as any region has room.
    let blocks: Vec<*mut u8> = blocks.iter().map(|_| unsafe { talc.alloc(block) }).collect();
    let (first, last) = (blocks[0], blocks[blocks.len() - 1]);
    let [near, far] = talc.inner().regions();
    assert!(near.contains(first) && far.contains(last));

    plan(move |wanted, attempts| {
        assert_eq!((wanted, attempts), (layout(BLOCK, 8), 0));
        for region in talc.inner().regions() {
            assert_eq!(region.talc().try_lock().expect("it is not locked").audit(), Ok(()));
        }
        unsafe { talc.dealloc(last, block) };
        true
    });
    assert_eq!(unsafe { talc.alloc(block) }, last);
    no_more_calls();
    assert_eq!(talc.failures().count, 0);
}

#[test]
fn those_with_attributes_have_a_hook_of_their_own() {
    let talc: &'static OomHook<Two> = Box::leak(Box::new(OomHook::new(two(), |_, _| false)));
    let far: &'static OomHook<_> =
        Box::leak(Box::new(OomHook::new(talc.inner().having(FAR), hook)));
    let block = layout(BLOCK, 8);
    let blocks = fill_up(|layout| unsafe { far.inner().alloc(layout) });
    let freed = blocks[1].as_ptr();
    // There is room, but not where it has to be.
    plan(move |_, _| {
        // Only this hook is running.
        assert!(unsafe { far.alloc(layout(BLOCK + 8, 8)) }.is_null());
        assert!(unsafe { talc.alloc(layout(ARENA, 8)) }.is_null());
        unsafe { talc.dealloc(freed, block) };
        true
    });
    assert_eq!(unsafe { far.alloc(block) }, freed);
    no_more_calls();
    assert_eq!(far.failures().last, Some(layout(BLOCK + 8, 8)));
    assert_eq!(talc.failures().last, Some(layout(ARENA, 8)));
    assert_eq!((far.failures().count, talc.failures().count), (1, 1));
    unsafe {
        fill(freed, BLOCK, 3);
        // What is to grow stays where the attributes hold.
        plan(|_, _| false);
        assert!(far.realloc(freed, block, 3 * BLOCK).is_null());
        no_more_calls();
        verify(freed, BLOCK, 3);
        let moved = talc.realloc(freed, block, 3 * BLOCK);
        assert!(talc.inner().regions()[0].contains(moved));
        verify(moved, BLOCK, 3);
    }
}
