//! Replays of recorded programs over a roomy arena.

use super::speed::{least_of, mean_of, Contests};
use super::Options;
use crate::contender::{everyone, ours, with_shards};
use crate::report::{Bar, Figure, Table};
use crate::rounds::{Setup, Subject};
use crate::trace;
use anyhow::Result;

/// Measures the figure.
pub fn measure(options: &Options) -> Result<Figure> {
    let subjects = load(options)?;
    let contests =
        Contests::run(&options.select(everyone()), &subjects, options.setup(31), "traces");
    let mut figure = Figure {
        id: String::from("traces"),
        title: String::from("Traces of real programs"),
        text: String::from(
            "Each program's recorded calls replayed over a fixed arena with room to spare, without \
             a lock. The first byte of a block is written when it is obtained and read before it \
             is freed. The row \"(loop)\" is the measuring loop without an allocator; it is part \
             of all other rows, and pulls ratios towards 1.",
        ),
        tables: vec![what_they_are(&subjects), contests.ratio_table(), contests.time_table()],
        charts: vec![contests.chart("traces", "Speed on traces of real programs")],
        losses: contests.losses("traces"),
        ..Figure::default()
    };
    let speedups = contests.speedups(ours());
    let mut bar = |what: &str, goal, value| {
        figure.bars.push(Bar { what: format!("real traces, {what}"), goal, at_least: true, value });
    };
    bar("speed over talc 5.1.1, geometric mean", 1.7, mean_of(&speedups));
    bar("speed over talc 5.1.1, least", 1.2, least_of(&speedups));
    bar("speed over mimalloc, geometric mean", 1.0, mean_of(&contests.ours_over("mimalloc")));
    let over_best = mean_of(&contests.ours_over_best_peer());
    bar("speed over the best no_std peer of each, geometric mean", 1.45, over_best);
    Ok(figure)
}

/// The same behind a lock.
pub fn measure_locked(options: &Options) -> Result<Figure> {
    let setup = Setup { locked: true, ..options.setup(15) };
    let subjects = load(options)?;
    let contests = Contests::run(&options.select(with_shards()), &subjects, setup, "locked");
    Ok(Figure {
        id: String::from("locked"),
        title: String::from("Traces of real programs, behind a lock"),
        text: String::from(
            "As above, but each call takes a spin lock that nobody else holds: what a global \
             allocator costs a program with one busy thread. The hosted allocators take it too, \
             though they would not need it. \"talc sharded\" is `TalcSharded`, with its own locks.",
        ),
        tables: vec![contests.ratio_table(), contests.time_table()],
        charts: vec![contests.chart("locked", "Speed on traces of real programs, behind a lock")],
        ..Figure::default()
    })
}

/// The traces that the options ask for.
pub fn load(options: &Options) -> Result<Vec<Subject>> {
    let traces = trace::all(|name| options.wants_trace(name))?;
    Ok(traces.into_iter().map(|trace| Subject::from(trace.workload)).collect())
}

fn what_they_are(subjects: &[Subject]) -> Table {
    let columns =
        ["trace", "calls", "of which reallocs", "peak blocks", "peak bytes", "median size"];
    let mut table = Table::new("The traces", columns);
    for subject in subjects {
        let workload = &subject.workload;
        let ops = &workload.ops;
        let reallocs = ops.iter().filter(|op| op.new_size > 0).count();
        let mut sizes: Vec<u32> = ops
            .iter()
            .filter(|op| op.kind == crate::workload::OpKind::Alloc)
            .map(|op| op.size)
            .collect();
        sizes.sort_unstable();
        table.row([
            subject.name.clone(),
            ops.len().to_string(),
            reallocs.to_string(),
            workload.peak_blocks.to_string(),
            workload.peak_bytes.to_string(),
            sizes.get(sizes.len() / 2).map_or(String::new(), u32::to_string),
        ]);
    }
    table
}
