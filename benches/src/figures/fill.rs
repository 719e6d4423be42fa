//! How full an arena is when it first fails.

use super::{progress, Options};
use crate::arena::Arena;
use crate::contender::{everyone, ours, Entry};
use crate::replay::{Slots, Verdict};
use crate::report::{Bar, Chart, Figure, Table};
use crate::stats::{mean, quantile};
use crate::workload::fill::MIXES;
use crate::workload::Workload;

const ARENA: usize = 16 << 20;
const SEEDS: u64 = 20;

/// Measures the figure.
pub fn measure(options: &Options) -> Figure {
    let entries: Vec<Entry> =
        options.select(everyone()).into_iter().filter(Entry::uses_arena).collect();
    let mut arena = Arena::new(ARENA);
    let mut slots = Slots::default();
    let progress = progress("fill", MIXES.len());
    let title = "How full an arena is when it first fails";
    let columns = ["% in use"].into_iter().chain(MIXES.iter().map(|mix| mix.name()));
    let mut table = Table::new(format!("{title}: mean (least–most)"), columns);
    let mut cells: Vec<Vec<String>> = entries.iter().map(|e| vec![e.name.to_owned()]).collect();
    let mut means: Vec<Vec<Option<f64>>> = vec![Vec::new(); entries.len()];
    for mix in MIXES {
        progress.step(mix.name());
        let workloads: Vec<Workload> = (0..SEEDS).map(|seed| mix.build(ARENA, seed)).collect();
        for (index, entry) in entries.iter().enumerate() {
            let patience = options.setup(1).patience;
            let verdict = (entry.verify)(&workloads[0], arena.region(), &mut slots, patience);
            if verdict != Verdict::OutOfMemory {
                cells[index].push(String::from("too slow"));
                means[index].push(None);
                continue;
            }
            let shares: Vec<f64> = workloads
                .iter()
                .filter_map(|workload| {
                    let failed = (entry.first_failure)(workload, arena.region(), &mut slots)?;
                    Some(workload.live_bytes_at(failed) as f64 * 100.0 / ARENA as f64)
                })
                .collect();
            let (least, most) = (quantile(&shares, 0.0), quantile(&shares, 1.0));
            cells[index].push(format!("{:.2} ({least:.1}–{most:.1})", mean(&shares)));
            means[index].push(Some(mean(&shares)));
        }
    }
    cells.into_iter().for_each(|row| table.row(row));
    let series: Vec<(String, Vec<Option<f64>>)> =
        entries.iter().map(|entry| entry.name.to_owned()).zip(means).collect();
    let ours_is = |name: &str, index: usize| {
        let found = series.iter().find(|(found, _)| found == name);
        found.and_then(|(_, means)| means[index]).unwrap_or(f64::NAN)
    };
    let bars = vec![Bar {
        what: format!("arena full at first failure, {}, over dlmalloc's share", MIXES[0].name()),
        goal: 1.0,
        at_least: true,
        value: ours_is(ours(), 0) / ours_is("dlmalloc", 0),
    }];
    let mut losses = Vec::new();
    for (index, mix) in MIXES.iter().enumerate() {
        for (name, means) in &series {
            if let Some(theirs) = means[index].filter(|&theirs| theirs > ours_is(ours(), index)) {
                let ours = ours_is(ours(), index);
                losses.push(format!(
                    "full arena, {}: {name} fills {theirs:.2}%, Talc {ours:.2}%",
                    mix.name()
                ));
            }
        }
    }
    Figure {
        id: String::from("fill"),
        title: String::from(title),
        text: format!(
            "Half of the actions allocate, four of ten resize a random block to a new random size, \
             one frees, until a call fails; then the bytes of live blocks over the bytes of the \
             arena ({} MiB). Alignment 8, half as many of each further power of two. {SEEDS} \
             random sequences.",
            ARENA >> 20
        ),
        tables: vec![table],
        charts: vec![Chart {
            file: String::from("fill"),
            title: String::from(title),
            axis: String::from("% of the arena in use"),
            groups: MIXES.iter().map(|mix| mix.name().to_owned()).collect(),
            series,
            cut: None,
            floor: 50.0,
        }],
        bars,
        losses,
        ..Figure::default()
    }
}
