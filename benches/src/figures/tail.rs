//! The worst single call: in instructions, exactly, and in time.

use super::{progress, traces, Options};
use crate::arena::{Arena, Region};
use crate::contender::{everyone, ours, Entry, Kind, Null};
use crate::replay::{ticks, Slots, Verdict};
use crate::report::{number, Bar, Chart, Figure, Table};
use crate::stats::{median, quantile};
use crate::steps;
use crate::workload::random::Plan;
use crate::workload::{adversarial, OpKind, Workload};
use anyhow::Result;
use std::time::{Duration, Instant};

/// Replays of each workload whose fastest time of each call is kept.
const REPLAYS: usize = 7;

/// Calls of each kind whose instructions are counted: those that took longest.
const SUSPECTS: usize = 24;

/// Who needs longer for a checked replay is left out.
const PATIENCE: Duration = Duration::from_millis(600);

const KINDS: [OpKind; 2] = [OpKind::Alloc, OpKind::Free];

/// What is known of one contender on one workload.
#[derive(Default)]
struct Found {
    /// Nanoseconds of each call, ascending.
    times: Vec<f64>,
    /// Instructions of the worst call, for each of [`KINDS`].
    worst: [Option<f64>; 2],
}

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

    let meter = Meter::new();
    let mut slots = Slots::default();
    let mut arena = Arena::untouched(adversarial::ARENA);
    let progress = progress("tail", workloads.len());
    let mut found: Vec<Vec<Found>> = Vec::new();
    for workload in &workloads {
        progress.step(&workload.name);
        let arena = arena.region().first(workload.roomy_arena());
        found.push(
            entries.iter().map(|entry| meter.find(entry, workload, arena, &mut slots)).collect(),
        );
    }

    let names: Vec<String> = workloads.iter().map(|workload| workload.name.clone()).collect();
    let mut figure = Figure {
        id: String::from("tail"),
        title: String::from("The worst single call"),
        text: format!(
            "Each workload is replayed {REPLAYS} times and the least time of each call kept, which \
             takes out interruptions by the system. Then the {SUSPECTS} slowest allocations and \
             frees of each contender are replayed with the processor's trap flag set, which counts \
             their instructions one by one, the same each time; those of the measuring loop are \
             taken off. The first {hard} workloads are heaps that are hard on purpose. Reallocs, \
             whose cost is the copying, are left out. A dash: too slow to be replayed, or \
             nothing to count."
        ),
        ..Figure::default()
    };
    for (index, kind) in KINDS.into_iter().enumerate() {
        let title = format!("Instructions of the worst {}", verb(kind));
        let of = |entry: usize| found.iter().map(move |row| row[entry].worst[index]);
        let columns = [String::from("instructions")].into_iter().chain(names.clone());
        let mut table = Table::new(&title, columns.chain([String::from("worst of all")]));
        let mut series = Vec::new();
        for (entry, Entry { name, kind: sort, .. }) in entries.iter().enumerate() {
            if *sort == Kind::Hosted {
                continue;
            }
            let most = of(entry).flatten().fold(f64::NAN, f64::max);
            let cells = of(entry).map(|value| value.map_or("–".into(), |v| format!("{v:.0}")));
            let cells: Vec<String> = cells.collect();
            let last = [format!("{most:.0}")];
            table.row([(*name).to_owned()].into_iter().chain(cells).chain(last));
            series.push(((*name).to_owned(), of(entry).collect()));
            if *name == ours() {
                let goal = if kind == OpKind::Alloc { 400.0 } else { 300.0 };
                figure.bars.push(Bar {
                    what: format!("worst {} on any heap, instructions", verb(kind)),
                    goal,
                    at_least: false,
                    value: most,
                });
            }
        }
        figure.tables.push(table);
        figure.charts.push(Chart {
            file: format!("worst-{}", verb(kind)),
            title,
            axis: String::from("instructions"),
            groups: names.clone(),
            series,
            cut: Some(600.0),
            floor: 0.0,
        });
    }
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

/// What measuring itself costs.
struct Meter {
    nanoseconds_per_tick: f64,
    /// Of the loop around one call, with the clock.
    loop_ticks: u64,
    /// Of the loop around one call, for each of [`KINDS`].
    loop_steps: [u64; 2],
}

impl Meter {
    fn new() -> Self {
        let plan = Plan { max_size: 100, live: 50, realloc: false, actions: 2000, seed: 1 };
        let workload = plan.build();
        let mut arena = Arena::new(workload.roomy_arena());
        let mut slots = Slots::default();
        let mut least = vec![u64::MAX; workload.measured().len()];
        for _ in 0..REPLAYS {
            crate::replay::latencies::<Null>(&workload, arena.region(), &mut slots, &mut least);
        }
        let least: Vec<f64> = least.into_iter().map(|ticks| ticks as f64).collect();
        let first: Vec<usize> = (0..50).collect();
        let counted = steps::count::<Null>(&workload, arena.region(), &mut slots, &first);
        let loop_steps = KINDS.map(|kind| {
            let of_kind = counted.iter().filter(|step| step.kind == kind);
            of_kind.map(|step| step.instructions).min().unwrap_or(0)
        });
        let (start, first) = (Instant::now(), ticks());
        while start.elapsed() < Duration::from_millis(50) {}
        let nanoseconds_per_tick = start.elapsed().as_nanos() as f64 / (ticks() - first) as f64;
        Self { nanoseconds_per_tick, loop_ticks: median(&least) as u64, loop_steps }
    }

    fn find(&self, entry: &Entry, workload: &Workload, arena: Region, slots: &mut Slots) -> Found {
        let mut least = vec![u64::MAX; workload.measured().len()];
        if (entry.verify)(workload, arena, slots, PATIENCE) != Verdict::Sound
            || !(0..REPLAYS).all(|_| (entry.latencies)(workload, arena, slots, &mut least))
        {
            return Found::default();
        }
        let mut found = Found::default();
        if entry.uses_arena() {
            found.worst = self.worst(entry, workload, arena, slots, &least);
        }
        let calls = workload.measured().iter().zip(&least);
        let net = calls
            .filter(|(op, _)| op.kind != OpKind::Realloc)
            .map(|(_, ticks)| ticks.saturating_sub(self.loop_ticks));
        found.times = net.map(|ticks| ticks as f64 * self.nanoseconds_per_tick).collect();
        found.times.sort_by(f64::total_cmp);
        found
    }

    fn worst(
        &self,
        entry: &Entry,
        workload: &Workload,
        arena: Region,
        slots: &mut Slots,
        least: &[u64],
    ) -> [Option<f64>; 2] {
        let mut chosen = Vec::new();
        for kind in KINDS {
            let is_kind = |&index: &usize| workload.measured()[index].kind == kind;
            let mut calls: Vec<usize> = (0..least.len()).filter(is_kind).collect();
            calls.sort_by_key(|&index| std::cmp::Reverse(least[index]));
            chosen.extend(calls.into_iter().take(SUSPECTS));
        }
        chosen.sort_unstable();
        let counted = (entry.steps)(workload, arena, slots, &chosen);
        let mut worst = [None; 2];
        for (index, kind) in KINDS.into_iter().enumerate() {
            let of_kind = counted.iter().filter(|step| step.kind == kind);
            let most = of_kind.map(|step| step.instructions).max();
            worst[index] = most.map(|most| most.saturating_sub(self.loop_steps[index]) as f64);
        }
        worst
    }
}

/// Quantiles over several workloads; who could not replay each of them has none.
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
