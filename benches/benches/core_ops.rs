//! Criterion microbenchmarks of the usual operations: Talc beside talc 5.1.1, rlsf and dlmalloc.
//!
//! `cargo bench -p benches`. Each benchmark works on a heap that has been used: live blocks of
//! many sizes, and a gap between any two of them.

use benches::arena::Arena;
use benches::contender::{Contender, Dl, Rlsf, Talc, Talc5};
use criterion::measurement::WallTime;
use criterion::{criterion_group, criterion_main, BenchmarkGroup, Criterion};
use std::alloc::Layout;
use std::hint::black_box;
use std::time::Duration;

const ARENA: usize = 16 << 20;

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).expect("a valid layout")
}

/// Uses a heap for a while.
fn wear<C: Contender>(heap: &mut C) {
    // SAFETY: sizes are not zero; each block is freed at most once, with its layout.
    unsafe {
        let blocks: Vec<(*mut u8, Layout)> = (0..2000)
            .map(|index| layout(8 + index * 37 % 1500, 8))
            .map(|layout| (heap.alloc(layout), layout))
            .collect();
        for &(block, layout) in blocks.iter().step_by(2) {
            heap.dealloc(block, layout);
        }
    }
}

fn operations<C: Contender>(group: &mut BenchmarkGroup<'_, WallTime>, operation: Operation) {
    let mut arena = Arena::new(ARENA);
    let region = arena.region();
    // SAFETY: the arena is this benchmark's alone.
    let mut heap = unsafe { C::over(region) }.expect("room");
    wear(&mut heap);
    let name = C::NAME;
    // SAFETY, for all operations: sizes are not zero; each block is freed once, with the layout
    // that it has then.
    match operation {
        Operation::Pair(size, align) => {
            let layout = layout(size, align);
            group.bench_function(name, |bencher| {
                // SAFETY: see above.
                bencher.iter(|| unsafe {
                    let block = heap.alloc(black_box(layout));
                    heap.dealloc(black_box(block), layout);
                });
            });
        }
        Operation::Many(size) => {
            let layout = layout(size, 8);
            let mut blocks = Vec::with_capacity(100);
            group.bench_function(name, |bencher| {
                // SAFETY: see above.
                bencher.iter(|| unsafe {
                    blocks.extend((0..100).map(|_| heap.alloc(black_box(layout))));
                    blocks.drain(..).for_each(|block| heap.dealloc(block, layout));
                });
            });
        }
        Operation::Resize(old, new) => {
            let (old, new) = (layout(old, 8), layout(new, 8));
            // SAFETY: see above.
            let mut block = unsafe { heap.alloc(old) };
            group.bench_function(name, |bencher| {
                // SAFETY: see above.
                bencher.iter(|| unsafe {
                    block = heap.realloc(black_box(block), old, new.size());
                    block = heap.realloc(black_box(block), new, old.size());
                });
            });
        }
        Operation::FirstHeap => {
            group.bench_function(name, |bencher| {
                // SAFETY: each heap is gone before the next, and the worn one not used again.
                bencher.iter(|| unsafe { black_box(C::over(region)).is_some() });
            });
        }
    }
}

#[derive(Clone, Copy)]
enum Operation {
    /// Allocate and free at once.
    Pair(usize, usize),
    /// Allocate a hundred, free them in order.
    Many(usize),
    /// Resize up and down again.
    Resize(usize, usize),
    /// Make an allocator over an arena.
    FirstHeap,
}

fn all(criterion: &mut Criterion) {
    let operations_by_name = [
        ("allocate and free 8", Operation::Pair(8, 8)),
        ("allocate and free 64", Operation::Pair(64, 8)),
        ("allocate and free 1000", Operation::Pair(1000, 8)),
        ("allocate and free 100000", Operation::Pair(100_000, 8)),
        ("allocate and free 100 aligned to 256", Operation::Pair(100, 256)),
        ("100 blocks of 24", Operation::Many(24)),
        ("100 blocks of 300", Operation::Many(300)),
        ("resize within a slot", Operation::Resize(40, 44)),
        ("resize 100 to 200 and back", Operation::Resize(100, 200)),
        ("resize 1000 to 4000 and back", Operation::Resize(1000, 4000)),
        ("first heap", Operation::FirstHeap),
    ];
    for (name, operation) in operations_by_name {
        let mut group = criterion.benchmark_group(name);
        operations::<Talc>(&mut group, operation);
        operations::<Talc5>(&mut group, operation);
        operations::<Rlsf>(&mut group, operation);
        operations::<Dl>(&mut group, operation);
        group.finish();
    }
}

criterion_group! {
    name = core_ops;
    config = Criterion::default()
        .sample_size(30)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(600));
    targets = all
}
criterion_main!(core_ops);
