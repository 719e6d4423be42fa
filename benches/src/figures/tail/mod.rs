//! The worst single call: in instructions, exactly, and in time.

mod meter;

use self::meter::{Found, Meter, KINDS, REPLAYS, SAMPLE, SUSPECTS};
use super::{progress, traces, Options};
use crate::arena::Arena;
use crate::contender::{everyone, ours, Entry, Kind};
use crate::replay::Slots;
use crate::report::{number, Bar, Chart, Figure, Table};
use crate::stats::quantile;
use crate::workload::random::Plan;
use crate::workload::{adversarial, full, OpKind, Workload};
use anyhow::Result;
use std::collections::BTreeSet;

/// Measures the figure.
pub fn measure(options: &Options) -> Result<Figure> {
    let entries: Vec<Entry> =
        options.select(everyone()).into_iter().filter(|entry| entry.kind != Kind::Loop).collect();
    let mut workloads = adversarial::all();
    let hard = workloads.len();
    let plan = Plan { max_size: 3000, live: 300, realloc: true, actions: 50_000, seed: 1 };
    workloads.push(Workload { name: String::from("random"), ..plan.build() });
    let subjects = traces::load(options)?;
    workloads.extend(subjects.into_iter().map(|subject| subject.workload));
    let full_heaps = full::all();

    let meter = Meter::new();
    let mut slots = Slots::default();
    let mut arena = Arena::untouched(adversarial::ARENA);
    let progress = progress("tail", workloads.len() + full_heaps.len());
    let mut found: Vec<Vec<Found>> = Vec::new();
    for (index, workload) in workloads.iter().enumerate() {
        progress.step(&workload.name);
        let sample = if index > hard { meter::sample(workload) } else { BTreeSet::new() };
        let arena = arena.region().first(workload.roomy_arena());
        let find = |entry| meter.find(entry, workload, &sample, arena, &mut slots);
        found.push(entries.iter().map(find).collect());
    }
    // Those whose instructions are counted.
    let counted: Vec<(usize, &Entry)> =
        entries.iter().enumerate().filter(|(_, entry)| entry.uses_arena()).collect();
    let mut refusals = Counts::new("refusal", "Instructions of the worst refusal", &counted);
    for heap in &full_heaps {
        progress.step(&format!("full heap, {}", heap.workload.name));
        let arena = arena.region().first(heap.workload.roomy_arena());
        refusals.add(&heap.workload.name, |(_, entry)| {
            meter.worst_refusal(entry, heap, arena, &mut slots)
        });
    }

    let mut figure = Figure {
        id: String::from("tail"),
        title: String::from("The worst single call"),
        text: format!(
            "Each workload is replayed {REPLAYS} times and the least time of each call kept, which \
             takes out interruptions by the system. Then the {SUSPECTS} slowest allocations and \
             frees of each contender, and {SAMPLE} calls of each trace drawn at random, are replayed with the \
             processor's trap flag set, which counts their instructions one by one, the same each \
             time; those of the measuring loop are taken off. The first {hard} workloads are heaps \
             that are hard on purpose. Reallocs, whose cost is the copying, are left out. A dash: \
             too slow to be replayed, or nothing to count.\n\n\
             A refusal is an allocation that fails: all that is tried before an allocator gives \
             up, on heaps that were filled to the last byte and then got gaps of which none \
             serves.{} A dash there: too slow, or each of the requests was served.",
            match refusals.worst_of(ours()) {
                Some(worst) => format!(" Talc needs at most {worst:.0} instructions for it."),
                None => String::new(),
            }
        ),
        ..Figure::default()
    };
    for (place, kind) in KINDS.into_iter().enumerate() {
        let file = format!("worst-{}", verb(kind));
        let title = format!("Instructions of the worst {}", verb(kind));
        let mut counts = Counts::new(&file, &title, &counted);
        for (workload, row) in workloads.iter().zip(&found) {
            counts.add(&workload.name, |(index, _)| row[index].worst[place]);
        }
        figure.bars.extend(counts.worst_of(ours()).map(|value| Bar {
            what: format!("worst {} on any heap, instructions", verb(kind)),
            goal: if kind == OpKind::Alloc { 400.0 } else { 300.0 },
            at_least: false,
            value,
        }));
        counts.show(&mut figure, 600.0);
    }
    refusals.show(&mut figure, 3000.0);
    figure.tables.push(percentile_table(&counted, &found[hard + 1..]));
    for (title, range) in [
        ("Time of single calls, all traces together", hard + 1..workloads.len()),
        ("Time of single calls, all hard heaps together", 0..hard),
    ] {
        figure.tables.push(time_table(title, &entries, &found[range]));
    }
    Ok(figure)
}

fn verb(kind: OpKind) -> &'static str {
    match kind {
        OpKind::Alloc => "allocate",
        OpKind::Free => "free",
        OpKind::Realloc => "reallocate",
    }
}

/// Instructions of the worst call of a kind: for each workload, by contender.
struct Counts<'a> {
    file: String,
    title: String,
    contenders: &'a [(usize, &'a Entry)],
    workloads: Vec<String>,
    values: Vec<(&'static str, Vec<Option<f64>>)>,
}

impl<'a> Counts<'a> {
    fn new(file: &str, title: &str, contenders: &'a [(usize, &'a Entry)]) -> Self {
        Self {
            file: file.to_owned(),
            title: title.to_owned(),
            contenders,
            workloads: Vec::new(),
            values: contenders.iter().map(|(_, entry)| (entry.name, Vec::new())).collect(),
        }
    }

    /// Adds a workload.
    fn add(&mut self, workload: &str, mut count: impl FnMut((usize, &Entry)) -> Option<f64>) {
        self.workloads.push(workload.to_owned());
        for (contender, (_, values)) in self.contenders.iter().zip(&mut self.values) {
            values.push(count(*contender));
        }
    }

    fn worst_of(&self, name: &str) -> Option<f64> {
        let (_, values) = self.values.iter().find(|(contender, _)| *contender == name)?;
        values.iter().copied().flatten().reduce(f64::max)
    }

    /// The table, and the chart with bars up to `cut`.
    fn show(self, figure: &mut Figure, cut: f64) {
        let whole = |value: Option<f64>| value.map_or("–".into(), |value| format!("{value:.0}"));
        let columns = [String::from("instructions")].into_iter().chain(self.workloads.clone());
        let mut table = Table::new(&self.title, columns.chain([String::from("worst of all")]));
        for (name, values) in &self.values {
            let cells = values.iter().copied().chain([self.worst_of(name)]).map(whole);
            table.row([(*name).to_owned()].into_iter().chain(cells));
        }
        figure.tables.push(table);
        figure.charts.push(Chart {
            file: self.file,
            title: self.title,
            axis: String::from("instructions"),
            groups: self.workloads,
            series: self.values.into_iter().map(|(name, v)| (name.to_owned(), v)).collect(),
            cut: Some(cut),
            floor: 0.0,
        });
    }
}

/// Quantiles of instructions over several workloads, for contenders with a sample of each.
fn percentile_table(contenders: &[(usize, &Entry)], found: &[Vec<Found>]) -> Table {
    const QUANTILES: [(f64, &str); 3] = [(0.5, "median"), (0.99, "99th"), (0.999, "99.9th")];
    let columns = KINDS
        .into_iter()
        .flat_map(|kind| QUANTILES.map(|(_, name)| format!("{}, {name}", verb(kind))));
    let first = [String::from("instructions per call")].into_iter();
    let title = "Instructions of single calls, a sample of all traces together";
    let mut table = Table::new(title, first.chain(columns));
    for &(index, entry) in contenders {
        let cells = (0..KINDS.len()).flat_map(|place| {
            let complete = found.iter().all(|row| !row[index].sample[place].is_empty());
            let all: Vec<f64> =
                found.iter().flat_map(|row| row[index].sample[place].iter().copied()).collect();
            QUANTILES.map(|(q, _)| match complete && !all.is_empty() {
                true => format!("{:.0}", quantile(&all, q)),
                false => String::from("–"),
            })
        });
        table.row([entry.name.to_owned()].into_iter().chain(cells));
    }
    table
}

/// Quantiles over several workloads, for contenders that replayed each.
fn time_table(title: &str, entries: &[Entry], found: &[Vec<Found>]) -> Table {
    let columns = ["nanoseconds per call", "median", "99th", "99.9th", "worst"];
    let mut table = Table::new(title, columns);
    for (index, entry) in entries.iter().enumerate() {
        let complete = found.iter().all(|row| !row[index].times.is_empty());
        let all: Vec<f64> = found.iter().flat_map(|row| row[index].times.iter().copied()).collect();
        let cells = [0.5, 0.99, 0.999, 1.0].map(|q| {
            if complete && !all.is_empty() {
                number(quantile(&all, q))
            } else {
                String::from("–")
            }
        });
        table.row([entry.name.to_owned()].into_iter().chain(cells));
    }
    table
}
