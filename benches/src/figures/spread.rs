//! How far large blocks spread over an arena that has much more room.

use super::{progress, Options};
use crate::arena::Arena;
use crate::contender::{everyone, ours, Entry};
use crate::replay::Slots;
use crate::report::{Bar, Figure, Table};
use crate::stats::mean_of_all;
use crate::workload::churn::Churn;
use crate::workload::Workload;

const KIB: u32 = 1 << 10;
const MIB: u32 = 1 << 20;

const SETTINGS: [(&str, Churn); 3] = [
    ("20 of 5 to 25 MiB", Churn { live: 20, min_size: 5 * MIB, max_size: 25 * MIB }),
    ("50 of 1 to 10 MiB", Churn { live: 50, min_size: MIB, max_size: 10 * MIB }),
    ("200 of 64 KiB to 1 MiB", Churn { live: 200, min_size: 64 * KIB, max_size: MIB }),
];

/// As many of each setting.
const SEEDS: u64 = 10;

const REPLACEMENTS: usize = 3000;

/// The allocator that ours is compared with.
const BASE: &str = "talc 5.1.1";

/// Measures the figure.
pub fn measure(options: &Options) -> Figure {
    let entries: Vec<Entry> =
        options.select(everyone()).into_iter().filter(Entry::uses_arena).collect();
    let workloads = SETTINGS.map(|(_, setting)| {
        (0..SEEDS).map(|seed| setting.build(REPLACEMENTS, seed)).collect::<Vec<Workload>>()
    });
    let roomy = workloads.iter().flatten().map(Workload::roomy_arena).max().unwrap_or(0);
    let mut arena = Arena::untouched(roomy);
    let mut slots = Slots::default();
    let title = "How far large blocks spread";
    let columns = ["extent over live bytes"].into_iter().chain(SETTINGS.iter().map(|s| s.0));
    let mut table = Table::new(format!("{title}: geometric mean"), columns);
    let progress = progress("spread", entries.len());
    let mut first = Vec::new();
    for entry in &entries {
        progress.step(entry.name);
        let means = workloads.each_ref().map(|workloads| {
            let mut ratio = |workload: &Workload| {
                let extent = (entry.extent)(workload, arena.region(), &mut slots)?;
                Some(extent as f64 / workload.peak_bytes as f64)
            };
            let ratios: Vec<Option<f64>> = workloads.iter().map(&mut ratio).collect();
            mean_of_all(&ratios)
        });
        let cells = means.iter().map(|mean| mean.map_or("–".into(), |mean| format!("{mean:.3}")));
        table.row([entry.name.to_owned()].into_iter().chain(cells));
        first.push((entry.name, means[0].unwrap_or(f64::NAN)));
    }
    drop(progress);
    let of = |name: &str| first.iter().find(|(found, _)| *found == name).map_or(f64::NAN, |f| f.1);
    Figure {
        id: String::from("spread"),
        title: String::from(title),
        text: format!(
            "A number of large blocks are live in an arena with room for three times as much; one, chosen at \
             random, is freed and another one allocated, {REPLACEMENTS} times. The farthest byte that was ever part of a \
             block, from the start of the arena, over the largest sum of live bytes; {SEEDS} runs. That is what a program \
             has resident in the end, as memory beyond it was never touched. A dash: it did not fit into the arena."
        ),
        bars: vec![Bar {
            what: format!("extent of {}, over that of {BASE}", SETTINGS[0].0),
            goal: 1.0,
            at_least: false,
            value: of(ours()) / of(BASE),
        }],
        tables: vec![table],
        ..Figure::default()
    }
}
