//! `TalcSharded`: threads, shards that are taken, hints that are wrong, and memory that comes back.
#![allow(clippy::undocumented_unsafe_blocks)] // Blocks belong to the thread that has them.
#![cfg_attr(feature = "nightly", feature(allocator_api))]

#[macro_use]
mod common;

use std::alloc::{GlobalAlloc, Layout};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Barrier;

#[cfg(any(debug_assertions, feature = "hardened"))]
use common::panic_message;
use common::stress::stress;
use common::{allocations_of, arena, fill, layout, rounds, verify, Counted, Random, WrongHint};
use talc_sync::lock_api::{GuardSend, RawMutex};
use talc_sync::sharded::{ByThread, ShardHint};
use talc_sync::talc_sources::talc_core::SEAL;
use talc_sync::talc_sources::{Claim, GlobalAllocSource, Source};
use talc_sync::{RawSpinlock, RawYieldLock, TalcSharded};

type Sharded<const SHARDS: usize = 4> = TalcSharded<RawSpinlock, Claim, ByThread, SHARDS>;

#[test]
fn threads_share_shards() {
    stress::<Sharded<1>>(4, 800);
    stress::<Sharded<2>>(6, 1500);
    stress::<TalcSharded<RawYieldLock, Claim, ByThread, 4>>(6, 1500);
    stress::<TalcSharded<spin::Mutex<()>, Claim, ByThread, 17>>(4, 800);
}

#[test]
fn hints_may_be_wrong() {
    stress::<TalcSharded<RawSpinlock, Claim, WrongHint, 1>>(4, 500);
    stress::<TalcSharded<RawSpinlock, Claim, WrongHint, 3>>(4, 1500);
    stress::<TalcSharded<RawYieldLock, Claim, WrongHint, 8>>(6, 1500);
}

#[test]
fn threads_have_numbers_of_their_own() {
    let mine = ByThread::hint();
    assert_eq!(mine, ByThread::hint());
    let others: Vec<_> =
        (0..4).map(|_| std::thread::spawn(ByThread::hint).join().unwrap()).collect();
    for (n, other) in others.iter().enumerate() {
        assert!(*other != mine && !others[..n].contains(other), "{mine}, {others:?}");
    }
}

/// A spinlock of which some thread can take all that are locked without waiting, for good.
struct Stuck(AtomicBool);

static IS_STUCK: AtomicBool = AtomicBool::new(false);

unsafe impl RawMutex for Stuck {
    #[allow(clippy::declare_interior_mutable_const)] // Required by the trait.
    const INIT: Self = Self(AtomicBool::new(false));
    type GuardMarker = GuardSend;

    fn lock(&self) {
        while self.0.swap(true, Ordering::Acquire) {
            std::thread::yield_now();
        }
    }
    fn try_lock(&self) -> bool {
        !IS_STUCK.load(Ordering::Relaxed) && !self.0.swap(true, Ordering::Acquire)
    }
    unsafe fn unlock(&self) {
        self.0.store(false, Ordering::Release);
    }
}

/// As if all holders of shards had been preempted: everything goes on, in the shared heap.
#[test]
fn holders_that_never_wake_stop_nobody() {
    let (_memory, claim) = arena(1 << 20);
    let talc = TalcSharded::<Stuck, Claim, ByThread, 2>::new(claim);
    let mut live = Vec::new();
    let mut random = Random(5);
    for round in 0..rounds(4000) {
        IS_STUCK.store(round % 200 >= 100, Ordering::Relaxed);
        if round % 7 < 4 {
            let layout = layout(random.size(11), 8);
            let block = unsafe { talc.alloc(layout) };
            assert!(!block.is_null());
            unsafe { fill(block, layout.size(), round) };
            live.push((block, layout, round));
        } else if !live.is_empty() {
            let (block, layout, seed) = live.swap_remove(random.below(live.len()));
            unsafe {
                verify(block, layout.size(), seed);
                talc.dealloc(block, layout);
            }
        }
        if round % 50 == 0 {
            assert_eq!(talc.audit(), Ok(()));
            talc.trim();
        }
    }
    for (block, layout, _) in live {
        unsafe { talc.dealloc(block, layout) };
    }
    IS_STUCK.store(false, Ordering::Relaxed);
    assert_eq!(allocations_of(&mut talc.into_inner()), 0);
}

/// What is in shards is handed out before anything is refused, whoever has put it there.
#[cfg(not(feature = "cache-aligned-allocations"))] // It puts nothing there.
#[test]
fn nothing_is_refused_for_what_shards_hold() {
    let (_memory, claim) = arena(1 << 20);
    let talc = Sharded::<4>::new(claim);
    let fill_up = |layout: Layout| {
        let blocks = std::iter::from_fn(|| {
            let block = unsafe { talc.alloc(layout) };
            (!block.is_null()).then_some(block as usize)
        });
        blocks.collect::<Vec<_>>()
    };
    let free = |blocks: &[usize], layout| {
        for &block in blocks {
            unsafe { talc.dealloc(block as *mut u8, layout) };
        }
    };
    let small = layout(64, 8);
    let count = fill_up(small);
    assert!(count.len() * (64 + SEAL) > 900_000, "{} blocks", count.len());
    std::thread::scope(|scope| {
        for quarter in count.chunks(count.len() / 4 + 1) {
            scope.spawn(move || free(quarter, small));
        }
    });
    let large = layout(900_000, 8);
    let block = unsafe { talc.alloc(large) };
    assert!(!block.is_null(), "what is in shards is in the way");
    unsafe { talc.dealloc(block, large) };
    let again = fill_up(small);
    assert!(again.len() + 40 > count.len(), "{} instead of {}", again.len(), count.len());
    free(&again, small);
    assert_eq!(talc.audit(), Ok(()));
}

/// A block may be smaller than what its magazine hands out next, if layouts were not rounded.
#[test]
fn every_size_gets_all_of_its_bytes() {
    for bytes in [20 << 10, 1 << 20] {
        let (_memory, claim) = arena(bytes);
        let talc = Sharded::<1>::new(claim);
        let mut random = Random(bytes as u64);
        let mut live: Vec<(*mut u8, usize, usize)> = Vec::new();
        for round in 0..rounds(20_000) {
            let full = live.len() > 100 || random.below(8) == 0;
            let most = if random.below(4) == 0 { 1100 } else { 70 };
            let size = 1 + random.below(most);
            if full && !live.is_empty() {
                let (block, size, seed) = live.swap_remove(random.below(live.len()));
                unsafe {
                    verify(block, size, seed);
                    talc.dealloc(block, layout(size, 1));
                }
            } else if random.below(3) == 0 && !live.is_empty() {
                let entry = random.below(live.len());
                let (block, old, seed) = &mut live[entry];
                unsafe {
                    let moved = talc.realloc(*block, layout(*old, 1), size);
                    if !moved.is_null() {
                        verify(moved, size.min(*old), *seed);
                        fill(moved, size, *seed);
                        (*block, *old) = (moved, size);
                    }
                }
            } else {
                // The guard does not round. What it allocates need not be freed there, unless that is counted,
                // or has a seal where its bytes end.
                let is_counted = cfg!(feature = "counters");
                let changes = cfg!(feature = "cache-aligned-allocations");
                let from_guard = !is_counted && !changes && SEAL == 0 && random.below(4) == 0;
                let layout = layout(size, 1);
                let block = if from_guard {
                    talc.lock().allocate(layout).map_or(std::ptr::null_mut(), |ptr| ptr.as_ptr())
                } else {
                    unsafe { talc.alloc(layout) }
                };
                if !block.is_null() {
                    unsafe { fill(block, size, round) };
                    live.push((block, size, round));
                }
            }
            if round % 500 == 0 {
                assert_eq!(talc.audit(), Ok(()));
            }
        }
        for (block, size, seed) in live {
            unsafe {
                verify(block, size, seed);
                talc.dealloc(block, layout(size, 1));
            }
        }
        assert_eq!(allocations_of(&mut talc.into_inner()), 0);
    }
}

#[test]
fn sizes_of_zero_are_blocks() {
    let (_memory, claim) = arena(1 << 17);
    let talc = Sharded::<2>::new(claim);
    let layout = layout(0, 1);
    unsafe {
        let [a, b] = [(); 2].map(|()| talc.alloc(layout));
        assert!(!a.is_null() && !b.is_null() && a != b);
        talc.dealloc(a, layout);
        talc.dealloc(b, layout);
    }
    assert_eq!(allocations_of(&mut talc.into_inner()), 0);
}

#[cfg(any(debug_assertions, feature = "hardened"))]
#[test]
fn a_double_free_is_found() {
    use std::sync::atomic::AtomicUsize;

    static REPORTS: AtomicUsize = AtomicUsize::new(0);
    let (_memory, claim) = arena(1 << 20);
    let talc = Sharded::<2>::new(claim);
    talc.set_report_hook(Some(|_| {
        REPORTS.fetch_add(1, Ordering::Relaxed);
    }));
    let layout = layout(40, 8);
    let [first, second] = [(); 2]
        .map(|()| allocator_api2::alloc::Allocator::allocate(&talc, layout).unwrap().cast::<u8>());
    let free = |block| unsafe {
        allocator_api2::alloc::Allocator::deallocate(&talc, block, layout);
    };
    free(first);
    free(second);
    for block in [first, second] {
        let message = panic_message(|| free(block));
        assert!(message.contains("free already"), "{message}");
    }
    // In another thread, it goes to another shard.
    std::thread::scope(|scope| {
        let block = first.as_ptr() as usize;
        let talc = &talc;
        let result = scope
            .spawn(move || unsafe {
                let block = std::ptr::NonNull::new(block as *mut u8).unwrap();
                allocator_api2::alloc::Allocator::deallocate(talc, block, layout);
            })
            .join();
        assert!(result.is_err());
    });
    assert_eq!(REPORTS.load(Ordering::Relaxed), 3);
    assert_eq!(talc.audit(), Ok(()));
}

static PANICS: AtomicBool = AtomicBool::new(false);

/// One that may panic after it has freed something.
struct Moody;

unsafe impl GlobalAlloc for Moody {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        unsafe { Counted::<1>.alloc(layout) }
    }
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        unsafe { Counted::<1>.dealloc(ptr, layout) };
        assert!(!PANICS.load(Ordering::Relaxed), "moody");
    }
}

/// Everything is freed, in several orders and by several threads, and nothing but the block with the table
/// is held, without a call of `trim`.
#[test]
fn memory_comes_back_from_shards() {
    const BLOCK: usize = 1 << 16;
    let source = GlobalAllocSource::with_block_size(Counted::<0>, BLOCK);
    let talc = TalcSharded::<RawYieldLock, _, ByThread, 4>::new(source);
    fn check<S: Source>(talc: &TalcSharded<RawYieldLock, S, ByThread, 4>, order: usize) {
        assert_eq!(talc.audit(), Ok(()));
        assert_eq!(Counted::<0>::held(), BLOCK, "order {order}");
    }
    for order in 0..6 {
        let mut random = Random(1 + order as u64);
        let mut live: Vec<_> = (0..rounds(3000).max(1500))
            .map(|n| {
                let size = 1 + random.below(if n % 5 == 0 { 1024 } else { 120 });
                let layout = layout(size, 8);
                (unsafe { talc.alloc(layout) } as usize, layout)
            })
            .collect();
        assert!(Counted::<0>::held() > 2 * BLOCK);
        match order % 3 {
            0 => {}
            1 => live.reverse(),
            _ => {
                for n in (1..live.len()).rev() {
                    live.swap(n, random.below(n + 1));
                }
            }
        }
        let free = |block: &(usize, Layout)| unsafe { talc.dealloc(block.0 as *mut u8, block.1) };
        if order < 3 {
            live.iter().for_each(free);
        } else {
            // Threads take turns, so that none is in a shard when another one looks.
            for part in live.chunks(live.len() / 7 + 1) {
                std::thread::scope(|scope| {
                    scope.spawn(|| part.iter().for_each(free));
                });
            }
        }
        check(&talc, order);
    }
    // And all at a time: what a shard held that was locked then comes back with the next block.
    let barrier = Barrier::new(5);
    std::thread::scope(|scope| {
        for thread in 0..5 {
            let (talc, barrier) = (&talc, &barrier);
            scope.spawn(move || {
                let mut random = Random(1 + thread);
                barrier.wait();
                let live: Vec<_> = (0..rounds(2000).max(600))
                    .map(|_| {
                        let layout = layout(1 + random.below(300), 8);
                        (unsafe { talc.alloc(layout) }, layout)
                    })
                    .collect();
                for (block, layout) in live {
                    unsafe { talc.dealloc(block, layout) };
                }
            });
        }
    });
    for _ in 0..8 {
        let one = layout(8, 8);
        std::thread::scope(|scope| {
            scope.spawn(|| unsafe { talc.dealloc(talc.alloc(one), one) });
        });
    }
    check(&talc, 6);
    drop(talc);
    assert_eq!(Counted::<0>::held(), 0);
}

/// As [`memory_comes_back_from_shards`], after blocks have grown beyond what shards serve, or shrunk to
/// it, which is done in the shared heap.
#[test]
fn memory_comes_back_after_blocks_have_left_their_class() {
    const BLOCK: usize = 1 << 16;
    fn check<const TEST: usize>(from: usize, to: usize) {
        let source = GlobalAllocSource::with_block_size(Counted::<TEST>, BLOCK);
        let talc = TalcSharded::<RawSpinlock, _, ByThread, 2>::new(source);
        let resize = |(block, size): (*mut u8, usize), new: usize| unsafe {
            (talc.realloc(block, layout(size, 8), new), new)
        };
        let free =
            |(block, size): (*mut u8, usize)| unsafe { talc.dealloc(block, layout(size, 8)) };
        let many = |count: usize, size: usize| -> Vec<_> {
            (0..count).map(|_| (unsafe { talc.alloc(layout(size, 8)) }, size)).collect()
        };
        for _ in 0..5 {
            let blocks = many(1000, from);
            let blocks: Vec<_> = blocks.into_iter().map(|block| resize(block, to)).collect();
            blocks.into_iter().for_each(free);
            assert_eq!(talc.audit(), Ok(()));
            assert_eq!(Counted::<TEST>::held(), BLOCK, "{from} to {to}");
            for size in [24, 100, 1000] {
                many(300_000 / size, size).into_iter().for_each(free);
                assert_eq!(Counted::<TEST>::held(), BLOCK, "{size} after {from} to {to}");
            }
        }
    }
    check::<2>(1000, 3000);
    check::<3>(3000, 1000);
}

/// A source that panics when memory goes back: the block is freed nevertheless, and shards lose nothing.
#[test]
fn a_source_may_panic_while_a_shard_is_emptied() {
    let source = GlobalAllocSource::with_block_size(Moody, 1 << 14);
    let talc = TalcSharded::<RawSpinlock, _, ByThread, 2>::new(source);
    let size = layout(100, 8);
    let live: Vec<_> = (0..rounds(2000).max(600))
        .map(|_| allocator_api2::alloc::Allocator::allocate(&talc, size).unwrap().cast::<u8>())
        .collect();
    let mut panics = 0;
    PANICS.store(true, Ordering::Relaxed);
    for block in live {
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| unsafe {
            allocator_api2::alloc::Allocator::deallocate(&talc, block, size);
        }));
        panics += usize::from(result.is_err());
    }
    PANICS.store(false, Ordering::Relaxed);
    assert!(panics > 0, "this shows nothing");
    assert_eq!(talc.audit(), Ok(()));
    assert_eq!(allocations_of(&mut talc.into_inner()), 0);
    assert_eq!(Counted::<1>::held(), 0);
}

#[cfg(all(feature = "counters", not(feature = "cache-aligned-allocations")))]
#[test]
fn counters_are_those_of_the_callers() {
    let (_memory, claim) = arena(1 << 20);
    let talc = Sharded::<3>::new(claim);
    let mut random = Random(3);
    let (mut live, mut bytes, mut made) = (Vec::new(), 0, 0);
    for _ in 0..rounds(5000) {
        if live.len() < 300 && random.below(2) == 0 {
            let layout = layout(8 * (2 + random.below(200)), 8);
            live.push((unsafe { talc.alloc(layout) }, layout));
            bytes += layout.size();
            made += 1;
        } else if !live.is_empty() {
            let (block, layout) = live.swap_remove(random.below(live.len()));
            unsafe { talc.dealloc(block, layout) };
            bytes -= layout.size();
        }
        let counters = talc.counters();
        assert_eq!(counters.allocation_count, live.len());
        assert_eq!(counters.allocated_bytes, bytes);
        assert_eq!(counters.total_allocation_count, made);
        assert!(counters.available_bytes + bytes <= counters.claimed_bytes);
    }
}
