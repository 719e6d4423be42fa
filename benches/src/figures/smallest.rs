//! The smallest heap in which each trace completes, and the smallest in which anything does.

use super::memory::{Sizes, PATIENCE};
use super::{progress, traces, Options};
use crate::arena::Region;
use crate::contender::{ours, with_shards, Contender, Entry, Sharded};
use crate::replay::{Slots, Verdict};
use crate::report::{Bar, Figure, Table};
use crate::rounds::arena_for;
use crate::workload::{Builder, Workload};
use anyhow::Result;

/// Measures the figure.
pub fn measure(options: &Options) -> Result<Figure> {
    let entries: Vec<Entry> =
        options.select(with_shards()).into_iter().filter(Entry::uses_arena).collect();
    let subjects = traces::load(options)?;
    let mut arena = arena_for(&subjects);
    let mut slots = Slots::default();
    let progress = progress("smallest", subjects.len());
    let mut values: Vec<(Entry, Vec<Option<f64>>)> =
        entries.iter().map(|&entry| (entry, Vec::new())).collect();
    for subject in &subjects {
        progress.step(&subject.name);
        let workload = &subject.workload;
        let arena = arena.region().first(workload.roomy_arena());
        for (entry, values) in &mut values {
            let heap = smallest(entry, workload, arena, &mut slots);
            values.push(heap.map(|heap| heap as f64 / workload.peak_bytes as f64));
        }
    }
    let sizes = Sizes { workloads: subjects.into_iter().map(|s| s.name).collect(), values };
    let title = "Smallest heap in which each trace completes";
    let mut figure = Figure {
        id: String::from("smallest"),
        title: String::from(title),
        text: String::from(
            "Found by bisection to one part in 2000, over the largest sum of live bytes. A dash: one \
             checked replay takes longer than half a second. The heap \
             is the memory that the allocator is given: what Talc keeps its tables in is counted, \
             the tables that others keep in their own `static` (second table) are not. \"talc sharded\" is \
             the same with `TalcSharded` in front, used by one thread.",
        ),
        tables: vec![sizes.table(title)],
        charts: vec![sizes.chart("smallest", title)],
        losses: sizes.losses("smallest heap"),
        ..Figure::default()
    };
    let (state, first_heap) = state_table(&entries, arena.region(), &mut slots);
    figure.tables.push(state);
    let mut bar = |what: &str, goal, value| {
        figure.bars.push(Bar { what: String::from(what), goal, at_least: false, value });
    };
    let mean = sizes.mean_against_best();
    bar("smallest heap, mean over traces, over the best peer's", 1.0, mean);
    let worst = sizes.worst_against_best();
    bar("smallest heap, worst trace, over the best peer on it", 1.02, worst);
    let shards = sizes.mean_against_ours(Sharded::NAME);
    bar("smallest heap with shards, mean over traces, over that without", 1.05, shards);
    bar("first heap of the default on 64 bits, bytes of tables", 2560.0, first_heap);
    Ok(figure)
}

fn smallest(entry: &Entry, workload: &Workload, arena: Region, slots: &mut Slots) -> Option<usize> {
    if (entry.verify)(workload, arena, slots, PATIENCE) != Verdict::Sound {
        return None;
    }
    let mut enough = arena.size;
    let mut too_little = workload.peak_bytes / 2;
    let precision = (workload.peak_bytes / 2000).max(16);
    while enough - too_little > precision {
        let middle = (too_little + (enough - too_little) / 2) & !15;
        match (entry.first_failure)(workload, arena.first(middle), slots) {
            None => enough = middle,
            Some(_) => too_little = middle,
        }
    }
    Some(enough)
}

/// The least memory with which one byte can be allocated, and what is kept elsewhere.
fn state_table(entries: &[Entry], arena: Region, slots: &mut Slots) -> (Table, f64) {
    let mut builder = Builder::default();
    builder.alloc(1, 0);
    let one_byte = builder.finish("one byte");
    let mut first_heap = f64::NAN;
    let mut table = Table::new(
        "Bytes before the first payload",
        ["allocator", "smallest first heap", "state outside of the heap"],
    );
    for entry in entries {
        let fits =
            |&size: &usize| (entry.first_failure)(&one_byte, arena.first(size), slots).is_none();
        let Some(size) = (16..1 << 16).step_by(16).find(fits) else { continue };
        if entry.name == ours() {
            // All but the chunk itself.
            first_heap = (size - 32) as f64;
        }
        table.row([entry.name.to_owned(), size.to_string(), entry.state_bytes.to_string()]);
    }
    (table, first_heap)
}
