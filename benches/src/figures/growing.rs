//! How far a heap grows that is extended in steps whenever a call fails.

use super::memory::{Sizes, PATIENCE};
use super::{progress, traces, Options};
use crate::contender::{everyone, Entry};
use crate::replay::{Grown, Slots, Verdict};
use crate::report::{Bar, Figure};
use crate::rounds::arena_for;
use anyhow::Result;

/// What the heap begins with and grows by.
const STEP: usize = 64 << 10;

/// Measures the figure.
pub fn measure(options: &Options) -> Result<Figure> {
    let entries: Vec<Entry> =
        options.select(everyone()).into_iter().filter(|entry| entry.grows).collect();
    let subjects = traces::load(options)?;
    let mut arena = arena_for(&subjects);
    let mut slots = Slots::default();
    let progress = progress("growing", subjects.len());
    let mut values: Vec<(Entry, Vec<Option<f64>>)> =
        entries.iter().map(|&entry| (entry, Vec::new())).collect();
    for subject in &subjects {
        progress.step(&subject.name);
        let workload = &subject.workload;
        let arena = arena.region().first(workload.roomy_arena());
        for (entry, values) in &mut values {
            let patience = PATIENCE;
            let value = match (entry.verify)(workload, arena, &mut slots, patience) {
                Verdict::Sound => match (entry.grow)(workload, arena, STEP, &mut slots) {
                    Grown::To(size) => Some(size as f64 / workload.peak_bytes as f64),
                    Grown::OutOfMemory => None,
                },
                _ => None,
            };
            values.push(value);
        }
    }
    let sizes = Sizes { workloads: subjects.into_iter().map(|s| s.name).collect(), values };
    let title = "Heap that grows in steps of 64 KiB";
    Ok(Figure {
        id: String::from("growing"),
        title: String::from(title),
        text: String::from(
            "The heap's length at the end of each trace over the largest sum of live bytes. It \
             begins with 64 KiB and is extended by another 64 KiB, as often as needed, whenever a \
             call fails. Peers that cannot extend their heap (good_memory_allocator, buddy-alloc) \
             have no row.",
        ),
        tables: vec![sizes.table(title)],
        charts: vec![sizes.chart("growing", title)],
        bars: vec![Bar {
            what: String::from("growing heap, worst trace, over the best peer on it"),
            goal: 1.03,
            at_least: false,
            value: sizes.worst_against_best(),
        }],
        losses: sizes.losses("growing heap"),
        ..Figure::default()
    })
}
