//! What threads do on a heap that they share, and how long it takes each of them.

use fastrand::Rng;
use std::alloc::{GlobalAlloc, Layout};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Barrier, Mutex};
use std::time::Instant;

/// An allocator that threads share.
pub type Shared<'a> = &'a (dyn GlobalAlloc + Sync);

/// A pattern of use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// Objects replaced at random in a working set.
    Churn,
    /// A block allocated and freed at once.
    Pair,
    /// One thread allocates, another one frees.
    HandOff,
    /// Churn, with threads that end and pass their objects on.
    Larson,
}

/// All of them.
pub const PATTERNS: [Pattern; 4] =
    [Pattern::Churn, Pattern::Pair, Pattern::HandOff, Pattern::Larson];

/// Live blocks of each thread.
const LIVE: usize = 1000;

/// Blocks that are allocated and freed by each thread.
const BLOCKS: usize = 500_000;

/// How often threads end in `Larson`.
const GENERATIONS: usize = 20;

/// Blocks on the way from one thread to another.
const RING: usize = 1024;

impl Pattern {
    /// The name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Churn => "churn",
            Self::Pair => "pair",
            Self::HandOff => "hand-off",
            Self::Larson => "larson",
        }
    }

    /// Whether there can be this many threads.
    pub fn works_with(self, threads: usize) -> bool {
        self != Self::HandOff || threads.is_multiple_of(2)
    }

    /// Returns the nanoseconds per block that a thread takes, on average.
    pub fn time(self, heap: Shared<'_>, threads: usize) -> f64 {
        match self {
            Self::Churn => together(threads, |_, start| {
                let mut set = WorkingSet::new(heap, 8..=512);
                set.replace(heap, 3 * LIVE);
                let time = start(&mut || set.replace(heap, BLOCKS));
                set.free(heap);
                time / BLOCKS as f64
            }),
            Self::Pair => together(threads, |_, start| {
                let layout = layout_of(64);
                let mut pairs = || {
                    for _ in 0..BLOCKS {
                        // SAFETY: the size is not zero; the block is freed as it was allocated.
                        unsafe { heap.dealloc(touched(heap.alloc(layout)), layout) };
                    }
                };
                start(&mut pairs) / BLOCKS as f64
            }),
            Self::HandOff => {
                let rings: Vec<Ring> = (0..threads / 2).map(|_| Ring::new()).collect();
                together(threads, |thread, start| {
                    let ring = &rings[thread / 2];
                    let time = if thread % 2 == 0 {
                        start(&mut || ring.produce(heap))
                    } else {
                        start(&mut || ring.consume(heap))
                    };
                    time / BLOCKS as f64
                })
            }
            Self::Larson => {
                let mut sets: Vec<WorkingSet> =
                    (0..threads).map(|_| WorkingSet::new(heap, 8..=1000)).collect();
                let mut sum = 0.0;
                for _ in 0..GENERATIONS {
                    let slots: Vec<_> = sets.into_iter().map(|set| Mutex::new(Some(set))).collect();
                    let passed: Vec<_> = (0..threads).map(|_| Mutex::new(None)).collect();
                    sum += together(threads, |thread, start| {
                        let mut set = take(&slots[thread]);
                        let time = start(&mut || set.replace(heap, BLOCKS / GENERATIONS));
                        // The next thread's.
                        *passed[(thread + 1) % threads].lock().expect("no thread panics") =
                            Some(set);
                        time / (BLOCKS / GENERATIONS) as f64
                    });
                    sets = passed.iter().map(take).collect();
                }
                sets.into_iter().for_each(|set| set.free(heap));
                sum / GENERATIONS as f64
            }
        }
    }
}

fn take<T>(slot: &Mutex<Option<T>>) -> T {
    slot.lock().expect("no thread panics").take().expect("it is taken once")
}

fn layout_of(size: usize) -> Layout {
    Layout::from_size_align(size, 8).expect("small")
}

/// Writes to a block, as a program would.
fn touched(block: *mut u8) -> *mut u8 {
    assert!(!block.is_null(), "out of memory");
    // SAFETY: it has just been allocated.
    unsafe { block.write(1) };
    block
}

/// Runs `work` in that many threads. It is given the thread's number, and a function that runs what it is
/// given once all threads are ready, and returns the nanoseconds it took. Returns the mean of what `work`
/// returns.
fn together(
    threads: usize,
    work: impl Fn(usize, &dyn Fn(&mut dyn FnMut()) -> f64) -> f64 + Sync,
) -> f64 {
    let barrier = Barrier::new(threads);
    let start = |what: &mut dyn FnMut()| {
        barrier.wait();
        let begun = Instant::now();
        what();
        begun.elapsed().as_nanos() as f64
    };
    let sum: f64 = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|thread| {
                let (work, start) = (&work, &start);
                scope.spawn(move || work(thread, start))
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().expect("no thread panics")).sum()
    });
    sum / threads as f64
}

/// Blocks that one thread at a time has.
struct WorkingSet {
    blocks: Vec<(usize, Layout)>,
    sizes: std::ops::RangeInclusive<usize>,
    rng: Rng,
}

impl WorkingSet {
    fn new(heap: Shared<'_>, sizes: std::ops::RangeInclusive<usize>) -> Self {
        let mut set = Self { blocks: Vec::with_capacity(LIVE), sizes, rng: Rng::with_seed(7) };
        for _ in 0..LIVE {
            let block = set.block(heap);
            set.blocks.push(block);
        }
        set
    }

    fn block(&mut self, heap: Shared<'_>) -> (usize, Layout) {
        let layout = layout_of(self.rng.usize(self.sizes.clone()));
        // SAFETY: the size is not zero.
        (touched(unsafe { heap.alloc(layout) }) as usize, layout)
    }

    fn replace(&mut self, heap: Shared<'_>, times: usize) {
        for _ in 0..times {
            let index = self.rng.usize(0..LIVE);
            let (block, layout) = self.blocks[index];
            // SAFETY: the block is live and has this layout.
            unsafe { heap.dealloc(block as *mut u8, layout) };
            self.blocks[index] = self.block(heap);
        }
    }

    fn free(self, heap: Shared<'_>) {
        for (block, layout) in self.blocks {
            // SAFETY: the block is live and has this layout.
            unsafe { heap.dealloc(block as *mut u8, layout) };
        }
    }
}

/// Blocks on their way from one thread to another. In each is its size.
struct Ring(Vec<AtomicPtr<u8>>);

impl Ring {
    fn new() -> Self {
        Self((0..RING).map(|_| AtomicPtr::new(null_mut())).collect())
    }

    fn produce(&self, heap: Shared<'_>) {
        let mut rng = Rng::with_seed(9);
        for n in 0..BLOCKS {
            let size = rng.usize(8..=512);
            // SAFETY: the size is not zero.
            let block = touched(unsafe { heap.alloc(layout_of(size)) });
            // SAFETY: it has at least a word, and the alignment of one.
            unsafe { block.cast::<usize>().write(size) };
            let slot = &self.0[n % RING];
            wait_while(|| !slot.load(Ordering::Relaxed).is_null());
            slot.store(block, Ordering::Release);
        }
    }

    fn consume(&self, heap: Shared<'_>) {
        for n in 0..BLOCKS {
            let slot = &self.0[n % RING];
            wait_while(|| slot.load(Ordering::Relaxed).is_null());
            let block = slot.load(Ordering::Acquire);
            slot.store(null_mut(), Ordering::Release);
            // SAFETY: the other thread has passed it on, with its size in it.
            unsafe { heap.dealloc(block, layout_of(block.cast::<usize>().read())) };
        }
    }
}

fn wait_while(waits: impl Fn() -> bool) {
    let mut spins = 0;
    while waits() {
        spins += 1;
        if spins % 64 == 0 {
            std::thread::yield_now();
        } else {
            std::hint::spin_loop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::alloc::System;
    use std::sync::atomic::AtomicUsize;

    /// Counts blocks that are live, and all that ever were.
    #[derive(Default)]
    struct Counting(AtomicUsize, AtomicUsize);

    // SAFETY: that of the system.
    unsafe impl GlobalAlloc for Counting {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            self.0.fetch_add(1, Ordering::Relaxed);
            self.1.fetch_add(1, Ordering::Relaxed);
            // SAFETY: passed on.
            unsafe { System.alloc(layout) }
        }

        unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
            self.0.fetch_sub(1, Ordering::Relaxed);
            // SAFETY: passed on.
            unsafe { System.dealloc(ptr, layout) };
        }
    }

    #[test]
    fn each_pattern_frees_what_it_allocates() {
        for pattern in PATTERNS {
            for threads in [1, 2, 4].into_iter().filter(|&threads| pattern.works_with(threads)) {
                let heap = Counting::default();
                assert!(pattern.time(&heap, threads) > 0.0);
                assert_eq!(heap.0.into_inner(), 0, "{}", pattern.name());
                let producers = if pattern == Pattern::HandOff { threads / 2 } else { threads };
                assert!(heap.1.into_inner() >= producers * BLOCKS, "{}", pattern.name());
            }
        }
    }
}
