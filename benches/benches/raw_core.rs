//! Criterion microbenchmarks of each operation of `RawTalc`, alone: what it needs is prepared, and
//! what it did is undone, outside of the measured time.
//!
//! `cargo bench -p benches --bench raw_core`. The heap has been used: live blocks of many sizes,
//! and a gap between any two of them.

use benches::arena::{Arena, Region};
use criterion::{criterion_group, criterion_main, Bencher, Criterion};
use std::alloc::Layout;
use std::hint::black_box;
use std::ptr::{null_mut, NonNull};
use std::time::{Duration, Instant};
use talc::base::RawTalc;

/// Bytes of the first heap.
const HEAP: usize = 16 << 20;

/// Bytes of further heaps, and the step by which one is extended.
const STEP: usize = 4096;

/// Operations that are timed together, as a clock is slower than they are.
const BATCH: usize = 100;

/// The allocator, its first heap's end, and memory above that for more.
struct Subject {
    talc: RawTalc,
    end: NonNull<u8>,
    further: *mut u8,
    claimed: usize,
}

impl Subject {
    /// # Safety
    /// - `arena` is this subject's alone.
    unsafe fn new(arena: Region) -> Self {
        let mut talc = RawTalc::new();
        // SAFETY: required of the caller.
        let end = unsafe { talc.claim(arena.base, HEAP) }.expect("room for a heap");
        let further = arena.base.wrapping_add(2 * HEAP);
        let mut subject = Self { talc, end, further, claimed: 0 };
        let blocks: Vec<(NonNull<u8>, Layout)> = (0..2000)
            .map(|index| layout(8 + index * 37 % 1500, 8))
            .map(|layout| (subject.allocate(layout), layout))
            .collect();
        for &(block, layout) in blocks.iter().step_by(2) {
            subject.free(block, layout);
        }
        subject
    }

    fn allocate(&mut self, layout: Layout) -> NonNull<u8> {
        self.talc.try_allocate(layout).expect("room in the heap")
    }

    fn free(&mut self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: blocks come from `allocate`, with this layout or shrunk or grown to it, and go
        // but once.
        unsafe { self.talc.deallocate(block.as_ptr(), layout) };
    }

    fn shrink(&mut self, block: NonNull<u8>, old: Layout, size: usize) {
        // SAFETY: as in `free`; callers give a smaller size.
        unsafe { self.talc.shrink(block.as_ptr(), old, size) };
    }

    fn extend(&mut self) {
        // SAFETY: the arena goes on for another `HEAP` bytes, further than a batch extends.
        self.end = unsafe { self.talc.extend(self.end, self.end.as_ptr().wrapping_add(STEP)) };
    }

    fn truncate(&mut self) {
        // SAFETY: a step that `extend` went up, in which nothing is allocated.
        let end = unsafe { self.talc.truncate(self.end, self.end.as_ptr().wrapping_sub(STEP)) };
        self.end = end.expect("the heap is longer than a step");
    }

    /// A new heap, at an address that no other heap of the batch has.
    fn claim(&mut self) -> NonNull<u8> {
        let base = self.further.wrapping_add(self.claimed % BATCH * 2 * STEP);
        self.claimed += 1;
        // SAFETY: in the further memory, where a batch later nothing is claimed any more.
        unsafe { self.talc.claim(base, STEP) }.expect("a heap")
    }

    fn give_up(&mut self, end: NonNull<u8>) {
        // SAFETY: a heap from `claim`, in which nothing is allocated.
        let left = unsafe { self.talc.truncate(end, null_mut()) };
        assert!(left.is_none(), "the heap must be gone");
    }
}

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).expect("a valid layout")
}

/// Times `operation` alone, on what `prepare` returns; `undo` gets what it returned.
fn alone<I, O>(
    bencher: &mut Bencher<'_>,
    subject: &mut Subject,
    mut prepare: impl FnMut(&mut Subject) -> I,
    mut operation: impl FnMut(&mut Subject, I) -> O,
    mut undo: impl FnMut(&mut Subject, O),
) {
    bencher.iter_custom(|iterations| {
        let mut elapsed = Duration::ZERO;
        let mut left = iterations as usize;
        let mut results = Vec::with_capacity(BATCH);
        while left > 0 {
            let count = left.min(BATCH);
            let inputs: Vec<I> = (0..count).map(|_| prepare(subject)).collect();
            let start = Instant::now();
            results.extend(inputs.into_iter().map(|input| operation(subject, black_box(input))));
            elapsed += start.elapsed();
            results.drain(..).for_each(|result| undo(subject, result));
            left -= count;
        }
        elapsed
    });
}

fn allocation(criterion: &mut Criterion, subject: &mut Subject) {
    for (name, layout) in [
        ("24 bytes", layout(24, 8)),
        ("1000 bytes", layout(1000, 8)),
        ("100000 bytes", layout(100_000, 8)),
        ("100 bytes aligned to 256", layout(100, 256)),
    ] {
        criterion.bench_function(&format!("try_allocate/{name}"), |bencher| {
            let undo = |subject: &mut Subject, block| subject.free(block, layout);
            alone(bencher, subject, |_| (), |subject, ()| subject.allocate(layout), undo);
        });
        criterion.bench_function(&format!("deallocate/{name}"), |bencher| {
            let prepare = |subject: &mut Subject| subject.allocate(layout);
            let operation = |subject: &mut Subject, block| subject.free(block, layout);
            alone(bencher, subject, prepare, operation, |_, ()| ());
        });
    }
    let refused = layout(4 * HEAP, 8);
    criterion.bench_function("try_allocate/refused", |bencher| {
        bencher.iter(|| subject.talc.try_allocate(black_box(refused)));
    });
}

fn resizing(criterion: &mut Criterion, subject: &mut Subject) {
    for (small, large) in [(1000, 2000), (20_000, 60_000)] {
        let (small, large) = (layout(small, 8), layout(large, 8));
        growing(criterion, subject, "try_grow_in_place", (small, large), |talc, ptr| {
            // SAFETY: the block is live and has this layout.
            unsafe { talc.try_grow_in_place(ptr, small, large.size()) }
        });
        growing(criterion, subject, "try_realloc_in_place", (small, large), |talc, ptr| {
            // SAFETY: the block is live and has this layout.
            unsafe { talc.try_realloc_in_place(ptr, small, large.size()) }.is_ok()
        });
        let name = format!("shrink/from {} to {}", large.size(), small.size());
        criterion.bench_function(&name, |bencher| {
            let prepare = |subject: &mut Subject| subject.allocate(large);
            let operation = |subject: &mut Subject, block| {
                subject.shrink(block, large, small.size());
                block
            };
            let undo = |subject: &mut Subject, block| subject.free(block, small);
            alone(bencher, subject, prepare, operation, undo);
        });
    }
}

/// What can grow, and what is above the gap that it grows into.
type Pair = (NonNull<u8>, NonNull<u8>);

fn growing(
    criterion: &mut Criterion,
    subject: &mut Subject,
    name: &str,
    (small, large): (Layout, Layout),
    mut grow: impl FnMut(&mut RawTalc, *mut u8) -> bool,
) {
    let prepare = |subject: &mut Subject| {
        let pair = (subject.allocate(large), subject.allocate(large));
        subject.shrink(pair.0, large, small.size());
        pair
    };
    let undo = |subject: &mut Subject, (pair, grown): (Pair, bool)| {
        assert!(grown, "there is room above");
        subject.free(pair.0, large);
        subject.free(pair.1, large);
    };
    let name = format!("{name}/from {} to {}", small.size(), large.size());
    criterion.bench_function(&name, |bencher| {
        let operation =
            |subject: &mut Subject, pair: Pair| (pair, grow(&mut subject.talc, pair.0.as_ptr()));
        alone(bencher, subject, prepare, operation, undo);
    });
}

fn heaps(criterion: &mut Criterion, subject: &mut Subject) {
    criterion.bench_function("claim", |bencher| {
        alone(bencher, subject, |_| (), |subject, ()| subject.claim(), Subject::give_up);
    });
    criterion.bench_function("truncate to nothing", |bencher| {
        let operation = |subject: &mut Subject, end| subject.give_up(end);
        alone(bencher, subject, Subject::claim, operation, |_, ()| ());
    });
    criterion.bench_function("extend", |bencher| {
        let undo = |subject: &mut Subject, ()| subject.truncate();
        alone(bencher, subject, |_| (), |subject, ()| subject.extend(), undo);
    });
    criterion.bench_function("truncate", |bencher| {
        alone(bencher, subject, Subject::extend, |subject, ()| subject.truncate(), |_, ()| ());
    });
    criterion.bench_function("reserved", |bencher| {
        // SAFETY: the end of a heap of this allocator.
        bencher.iter(|| unsafe { subject.talc.reserved(black_box(subject.end)) });
    });
    criterion.bench_function("trim/nothing to give back", |bencher| {
        while subject.talc.trim().is_some() {}
        bencher.iter(|| subject.talc.trim());
    });
    let small = layout(24, 8);
    criterion.bench_function("trim/after a pair of 24 bytes", |bencher| {
        bencher.iter(|| {
            let block = subject.allocate(black_box(small));
            subject.free(block, small);
            subject.talc.trim()
        });
    });
}

fn all(criterion: &mut Criterion) {
    let mut arena = Arena::new(3 * HEAP);
    // SAFETY: the arena is lent to this subject alone, and outlives it.
    let mut subject = unsafe { Subject::new(arena.region()) };
    allocation(criterion, &mut subject);
    resizing(criterion, &mut subject);
    heaps(criterion, &mut subject);
}

criterion_group! {
    name = raw_core;
    config = Criterion::default()
        .sample_size(30)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(600));
    targets = all
}
criterion_main!(raw_core);
