//! The simplest patterns: pairs, stacks, queues, a growing vector, what is built up and taken down, and what C allocates.

use super::speed::Contests;
use super::Options;
use crate::contender::{baseline, everyone, ours};
use crate::report::{Bar, Figure};
use crate::rounds::Subject;
use crate::workload::{BlockId, Builder, Workload};
use fastrand::Rng;
use std::collections::VecDeque;

/// Calls per workload, about.
const CALLS: usize = 20_000;

/// The workloads that have a goal.
const GOALS: [&str; 4] = ["pair of 512", "pair of 2000", "stack", "queue"];

/// Measures the figure.
pub fn measure(options: &Options) -> Figure {
    let subjects: Vec<Subject> = workloads().into_iter().map(Subject::from).collect();
    let contests = Contests::run(&options.select(everyone()), &subjects, options.setup(25), "pair");
    // What is slower than this would be a cliff for a program that does little else.
    let speeds = contests.workloads.iter().zip(contests.speedups(ours()));
    let bars = speeds.filter(|(name, _)| GOALS.contains(&name.as_str())).map(|(name, speed)| Bar {
        what: format!("{name}, speed over {}", baseline()),
        goal: 1.3,
        at_least: true,
        value: speed.unwrap_or(f64::NAN),
    });
    let title = "Pairs, stacks, queues, a growing vector, what is built up and taken down, and what C allocates";
    Figure {
        id: String::from("pair"),
        title: String::from(title),
        text: String::from(
            "A block of the given size allocated and freed at once; 200 blocks of 48 bytes \
             freed in the reverse order and in the order of their allocation; a vector that \
             doubles from 32 bytes to 64 KiB; 5,000 blocks of 256 to 512 bytes, freed in a random order; \
             1,000 blocks of up to 256 bytes, aligned to 16 as those of C are, replaced at random. \
             In each case 300 blocks of other sizes are live.",
        ),
        tables: vec![contests.ratio_table(), contests.time_table()],
        charts: vec![contests.chart("pair", title)],
        losses: contests.losses("pair"),
        bars: bars.collect(),
        ..Figure::default()
    }
}

/// What is measured.
pub fn workloads() -> Vec<Workload> {
    let pairs = [8, 32, 100, 512, 2000, 20_000].map(pair);
    pairs.into_iter().chain([stack(), queue(), vector(), build(), aligned()]).collect()
}

/// A heap with something in it, and the gaps that come of use.
fn lived_in() -> Builder {
    let mut builder = Builder::default();
    let blocks: Vec<BlockId> =
        (0..600).map(|index| builder.alloc(16 + index * 37 % 700, 3)).collect();
    for &block in blocks.iter().step_by(2) {
        builder.free(block);
    }
    builder
}

fn pair(size: u32) -> Workload {
    let mut builder = lived_in();
    builder.begin();
    for _ in 0..CALLS / 2 {
        let block = builder.alloc(size, 3);
        builder.free(block);
    }
    builder.finish(format!("pair of {size}"))
}

fn stack() -> Workload {
    let mut builder = lived_in();
    builder.begin();
    for _ in 0..CALLS / 400 {
        let blocks: Vec<BlockId> = (0..200).map(|_| builder.alloc(48, 3)).collect();
        blocks.into_iter().rev().for_each(|block| builder.free(block));
    }
    builder.finish("stack")
}

fn queue() -> Workload {
    let mut builder = lived_in();
    let mut queue: VecDeque<BlockId> = (0..200).map(|_| builder.alloc(48, 3)).collect();
    builder.begin();
    for _ in 0..CALLS / 2 {
        queue.push_back(builder.alloc(48, 3));
        queue.pop_front().into_iter().for_each(|block| builder.free(block));
    }
    builder.finish("queue")
}

fn vector() -> Workload {
    let mut builder = lived_in();
    builder.begin();
    for _ in 0..CALLS / 13 {
        let vector = builder.alloc(32, 3);
        (6..=16).for_each(|log2| builder.realloc(vector, 1 << log2));
        builder.free(vector);
    }
    builder.finish("vector")
}

fn build() -> Workload {
    let mut builder = lived_in();
    let mut rng = Rng::with_seed(13);
    builder.begin();
    for _ in 0..CALLS / 10_000 {
        let mut blocks: Vec<BlockId> =
            (0..5000).map(|_| builder.alloc(rng.u32(256..=512), 3)).collect();
        rng.shuffle(&mut blocks);
        blocks.into_iter().for_each(|block| builder.free(block));
    }
    builder.finish("build")
}

fn aligned() -> Workload {
    let mut builder = lived_in();
    let mut rng = Rng::with_seed(17);
    let mut blocks: Vec<BlockId> = (0..1000).map(|_| builder.alloc(rng.u32(1..=256), 4)).collect();
    builder.begin();
    for _ in 0..CALLS / 2 {
        let index = rng.usize(0..blocks.len());
        builder.free(blocks.swap_remove(index));
        blocks.push(builder.alloc(rng.u32(1..=256), 4));
    }
    builder.finish("aligned to 16")
}
