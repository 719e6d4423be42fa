//! What a global allocator over a block source holds after its threads have come and gone.
#![allow(clippy::undocumented_unsafe_blocks)] // Forwarded as it came.

#[path = "common/churn.rs"]
mod churn;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use talc_sync::talc_sources::talc_core::Part;
use talc_sync::talc_sources::GlobalAllocSource;
use talc_sync::{RawSpinlock, TalcLock};

/// What the source asks the system for at once.
const BLOCK: usize = 1 << 20;

/// The system's allocator, and the bytes of it that are in use.
struct Counted;

static HELD: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        MOST.fetch_max(held, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(ptr, layout) };
    }
}

#[global_allocator]
static TALC: TalcLock<RawSpinlock, GlobalAllocSource<Counted>> =
    TalcLock::new(GlobalAllocSource::new(Counted));

#[test]
fn what_threads_leave_behind() {
    let before = HELD.load(Ordering::Relaxed);
    // Each operation then looks at every chunk.
    let scans = cfg!(feature = "error-scanning");
    churn::more_threads_than_cores(scans);
    for round in 0..if scans { 0 } else { 4 } {
        let threads: Vec<_> = (0..8)
            .map(|id| {
                std::thread::spawn(move || {
                    let lists: Vec<Vec<String>> = (0..40)
                        .map(|n| (0..200).map(|m| "x".repeat((n * m + id) % 900)).collect())
                        .collect();
                    let large = vec![round; 300_000];
                    drop(lists);
                    large.len()
                })
            })
            .collect();
        for thread in threads {
            assert_eq!(thread.join().unwrap(), 300_000);
        }
    }
    let (held, most) = (HELD.load(Ordering::Relaxed), MOST.load(Ordering::Relaxed));
    println!("{before} bytes before, {most} at most, {held} after");
    assert!(scans || most >= 4 << 20, "{most} bytes at most: this test shows nothing");
    // A block in which nothing is in use is not held, but for the one with the table. In others, the
    // test harness may have left something, which began to wait for this test meanwhile; if it left it in the middle of
    // the first block, so that no gap has half a block, one may be kept.
    let (mut free, mut largest) = (0, 0);
    let (mut in_use, mut has_table, mut gap) = (0, false, 0);
    TALC.lock().visit(|part| match part {
        Part::Base(_) => (in_use, has_table, gap) = (0, false, 0),
        Part::Table { .. } => has_table = true,
        Part::Allocated { .. } => in_use += 1,
        Part::Slab { slots, free_slots, .. } => in_use += slots - free_slots,
        Part::Gap { size, .. } => gap = gap.max(size),
        Part::End(_) if in_use == 0 && !has_table => free += 1,
        Part::End(_) => largest = largest.max(gap),
        _ => {}
    });
    let most = usize::from(largest < BLOCK / 2);
    assert!(free <= most, "{free} free blocks, of {held} bytes, beside a gap of {largest}");
    assert!(held <= 4 << 20, "{held} bytes are held");
    assert_eq!(TALC.lock().audit(), Ok(()));
}
