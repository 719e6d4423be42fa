//! `TalcSharded` under shuttle, which runs threads one at a time and chooses at each lock who goes on.
#![cfg(any(target_arch = "x86_64", target_arch = "x86", target_arch = "aarch64"))]
#![allow(clippy::undocumented_unsafe_blocks)] // Blocks belong to the thread that has them.
#![cfg_attr(feature = "nightly", feature(allocator_api))]

mod common;

use std::alloc::{GlobalAlloc, Layout};
use std::sync::Arc;

use common::{allocations_of, fill, layout, rounds, verify, Counted};
use shuttle::rand::Rng;
use talc_sync::lock_api::{GuardSend, RawMutex};
use talc_sync::sharded::ShardHint;
use talc_sync::talc_sources::{GlobalAllocSource, Manual, Source, Talc};
use talc_sync::TalcSharded;

/// A spinlock at which shuttle may let another thread go on.
struct Lock(shuttle::sync::atomic::AtomicBool);

unsafe impl RawMutex for Lock {
    #[allow(clippy::declare_interior_mutable_const)] // Required by the trait.
    const INIT: Self = Self(shuttle::sync::atomic::AtomicBool::new(false));
    type GuardMarker = GuardSend;

    fn lock(&self) {
        while !self.try_lock() {
            shuttle::thread::yield_now();
        }
    }
    fn try_lock(&self) -> bool {
        !self.0.swap(true, shuttle::sync::atomic::Ordering::SeqCst)
    }
    unsafe fn unlock(&self) {
        self.0.store(false, shuttle::sync::atomic::Ordering::SeqCst);
    }
}

/// Any shard, at each call.
struct Anywhere;

impl ShardHint for Anywhere {
    fn hint() -> usize {
        shuttle::rand::thread_rng().gen_range(0..8)
    }
}

type Sharded<S> = TalcSharded<Lock, S, Anywhere, 2>;

/// Blocks that any thread may take, with their sizes and seeds.
type Shelf = shuttle::sync::Mutex<Vec<(usize, Layout, usize)>>;

const THREADS: usize = 3;

/// Each thread allocates, resizes, frees, and passes blocks to others; one looks and trims meanwhile.
/// `others` more blocks are live all the time.
fn use_it<S: Source + Send + 'static>(talc: Sharded<S>, others: usize) -> Talc<S> {
    let talc = Arc::new(talc);
    let small = layout(16, 8);
    let others: Vec<_> = (0..others).map(|_| unsafe { talc.alloc(small) }).collect();
    let shelf = Arc::new(Shelf::new(Vec::new()));
    let threads: Vec<_> = (0..THREADS)
        .map(|thread| {
            let (talc, shelf) = (Arc::clone(&talc), Arc::clone(&shelf));
            shuttle::thread::spawn(move || {
                for step in 0..12 {
                    one_step(&talc, &shelf, thread * 100 + step);
                }
            })
        })
        .collect();
    assert_eq!(talc.audit(), Ok(()));
    talc.trim();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(talc.audit(), Ok(()));
    for (block, layout, seed) in shelf.lock().unwrap().drain(..) {
        unsafe {
            verify(block as *const u8, layout.size(), seed);
            talc.dealloc(block as *mut u8, layout);
        }
    }
    for block in others {
        unsafe { talc.dealloc(block, small) };
    }
    Arc::try_unwrap(talc).expect("all threads are gone").into_inner()
}

fn one_step<S: Source>(talc: &Sharded<S>, shelf: &Shelf, seed: usize) {
    let mut random = shuttle::rand::thread_rng();
    let sizes = [8, 16, 16, 24, 40, 1500];
    let mut size = || sizes[random.gen_range(0..sizes.len())];
    let (first, second) = (layout(size(), 8), size());
    let block = unsafe { talc.alloc(first) };
    assert!(!block.is_null(), "there is room");
    unsafe {
        fill(block, first.size(), seed);
        let moved = talc.realloc(block, first, second);
        assert!(!moved.is_null(), "there is room");
        verify(moved, first.size().min(second), seed);
        fill(moved, second, seed);
        shelf.lock().unwrap().push((moved as usize, layout(second, 8), seed));
    }
    if seed % 3 != 0 {
        let taken = shelf.lock().unwrap().pop();
        if let Some((block, layout, seed)) = taken {
            unsafe {
                verify(block as *const u8, layout.size(), seed);
                talc.dealloc(block as *mut u8, layout);
            }
        }
    }
}

/// Both ways of shuttle to choose the next thread.
fn check(body: impl Fn() + Copy + Send + Sync + 'static) {
    shuttle::check_random(body, rounds(600));
    shuttle::check_pct(body, rounds(600), 3);
}

#[test]
fn nothing_is_lost_between_shards() {
    check(|| {
        // So that magazines have room for one block to four.
        let mut memory = vec![0_u64; 8 << 10];
        let talc = Sharded::new(Manual);
        unsafe { talc.lock().claim(memory.as_mut_ptr().cast(), 64 << 10) }.unwrap();
        assert_eq!(allocations_of(&mut use_it(talc, 0)), 0);
    });
}

/// A source that takes memory back: with few blocks in use, and with many.
#[test]
fn memory_goes_back_in_any_order() {
    const BLOCK: usize = 1 << 15;
    for others in [0, 100] {
        check(move || {
            let talc = Sharded::new(GlobalAllocSource::with_block_size(Counted::<0>, BLOCK));
            let mut inner = use_it(talc, others);
            assert_eq!(allocations_of(&mut inner), 0);
            assert!(Counted::<0>::held() <= BLOCK);
            drop(inner);
            assert_eq!(Counted::<0>::held(), 0);
        });
    }
}
