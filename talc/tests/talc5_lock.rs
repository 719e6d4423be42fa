//! A program for talc 5.1.1: `TalcLock` in its own right, and locks through `talc::lock_api`.
#![allow(clippy::undocumented_unsafe_blocks)]

use std::alloc::{GlobalAlloc, System};
use std::sync::atomic::{AtomicBool, Ordering};

use allocator_api2::alloc::{Allocator, Layout};
use allocator_api2::{boxed::Box, vec::Vec};
use spinning_top::RawSpinlock;
use talc::base::{Counters, Reserved, Talc};
use talc::lock_api::{GuardSend, RawMutex};
use talc::source::{Claim, GlobalAllocSource, Manual};
use talc::{DefaultBinning, TalcLock};

/// A lock as a kernel writes it.
struct Flag(AtomicBool);

unsafe impl RawMutex for Flag {
    #[allow(clippy::declare_interior_mutable_const)]
    const INIT: Self = Self(AtomicBool::new(false));

    type GuardMarker = GuardSend;

    fn lock(&self) {
        while !self.try_lock() {
            std::thread::yield_now();
        }
    }

    fn try_lock(&self) -> bool {
        !self.0.swap(true, Ordering::Acquire)
    }

    unsafe fn unlock(&self) {
        self.0.store(false, Ordering::Release);
    }
}

#[test]
fn heaps_are_managed_through_the_guard() {
    let mut memory = std::vec![0_u8; 50_000];
    let range = memory.as_mut_ptr_range();
    let talc = TalcLock::<Flag, _>::new(Manual);
    let layout = Layout::from_size_align(12_000, 64).unwrap();

    assert!(!talc.lock().is_metadata_established());
    assert!(talc.allocate(layout).is_err());
    let end = unsafe { talc.lock().claim(range.start, 20_000) }.unwrap();
    assert!(talc.lock().is_metadata_established());

    let block = talc.allocate(layout).unwrap();
    assert_eq!(block.len(), layout.size());
    assert_eq!(block.cast::<u8>().as_ptr() as usize % 64, 0);
    assert!(talc.allocate(layout).is_err());

    let mut guard = talc.lock();
    let end = unsafe { guard.extend(end, range.end) };
    assert!(range.end as usize - (end.as_ptr() as usize) < talc::base::CHUNK_UNIT);
    let Reserved { up_to, any } = unsafe { guard.reserved(end) };
    assert!(any && up_to < end && up_to.as_ptr() > block.cast::<u8>().as_ptr());
    let wanted = up_to.as_ptr().wrapping_add(1000);
    let end = unsafe { guard.resize(end, wanted) }.unwrap();
    assert!(end.as_ptr() <= wanted && end > up_to);
    drop(guard);

    unsafe { talc.deallocate(block.cast(), layout) };
    let reserved = unsafe { talc.lock().reserved(end) };
    assert!(reserved.up_to < up_to, "only the metadata is left");
}

#[test]
fn try_lock_does_not_wait() {
    static mut MEMORY: [u8; 10_000] = [0; 10_000];
    let talc = TalcLock::<RawSpinlock, _>::new(unsafe { Claim::array(&raw mut MEMORY) });
    let first = talc.try_lock().expect("nobody holds it");
    assert!(talc.try_lock().is_none());
    drop(first);
    assert!(talc.try_lock().is_some());
}

#[test]
fn it_is_taken_apart() {
    static mut MEMORY: [u8; 10_000] = [0; 10_000];
    let mut lock: TalcLock<RawSpinlock, Claim> =
        TalcLock::new(unsafe { Claim::array(&raw mut MEMORY) });
    let layout = Layout::new::<[u32; 25]>();
    let block = lock.get_mut().allocate(layout).unwrap();
    let mut talc: Talc<Claim, DefaultBinning> = lock.into_inner();
    unsafe { talc.deallocate(block.as_ptr(), layout) };
    assert_eq!(talc.counters().allocation_count, 0);
    assert_eq!(talc.counters().total_allocated_bytes, 100);
}

static SHARED: talc::sync::TalcLock<
    RawSpinlock,
    GlobalAllocSource<System>,
    talc::base::binning::DefaultBinning,
> = talc::sync::TalcLock::new(GlobalAllocSource::new(System));

#[test]
fn threads_allocate_from_a_static() {
    let threads: std::vec::Vec<_> = (0..4_u64)
        .map(|thread| {
            std::thread::spawn(move || {
                let mut rows = Vec::new_in(&SHARED);
                for row in 0..200 {
                    let mut cells = Vec::with_capacity_in(4, &SHARED);
                    cells.extend((0..row % 50).map(|cell| cell * thread));
                    rows.push(Box::new_in(cells, &SHARED));
                }
                // Large enough to be copied outside of the lock when it moves.
                let mut bytes = Vec::new_in(&SHARED);
                (0..100_000_u32).for_each(|byte| bytes.push(byte as u8));
                assert!(bytes.iter().enumerate().all(|(n, &byte)| byte == n as u8));
                rows.iter().flat_map(|cells| cells.iter()).sum::<u64>()
            })
        })
        .collect();
    for (thread, handle) in threads.into_iter().enumerate() {
        assert_eq!(handle.join().unwrap(), 4 * 19_600 * thread as u64);
    }
    let counters: Counters = *SHARED.lock().counters();
    assert_eq!(counters.allocation_count, 0);
    assert_eq!(counters.allocated_bytes, 0);
    assert_eq!(counters.total_freed_bytes(), counters.total_allocated_bytes);
}

#[test]
fn global_alloc_by_hand() {
    static mut MEMORY: [u64; 10_000] = [0; 10_000];
    let talc = TalcLock::<spin::Mutex<()>, _>::new(unsafe { Claim::array(&raw mut MEMORY) });
    let layout = Layout::from_size_align(100, 8).unwrap();
    unsafe {
        let zeroed = talc.alloc_zeroed(layout);
        assert!((0..100).all(|n| zeroed.add(n).read() == 0));
        zeroed.write_bytes(7, 100);
        let larger = talc.realloc(zeroed, layout, 30_000);
        assert!((0..100).all(|n| larger.add(n).read() == 7));
        let larger_layout = Layout::from_size_align(30_000, 8).unwrap();
        let smaller = talc.realloc(larger, larger_layout, 10);
        assert!((0..10).all(|n| smaller.add(n).read() == 7));
        let huge = Layout::from_size_align(1 << 30, 8).unwrap();
        assert!(GlobalAlloc::alloc(&talc, huge).is_null());
        talc.dealloc(smaller, Layout::from_size_align(10, 8).unwrap());
    }
    assert_eq!(talc.lock().counters().allocation_count, 0);
}
