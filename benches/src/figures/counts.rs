//! Instructions and mispredicted branches per call, as callgrind counts them.
//!
//! One child process of this program, under valgrind, replays everything that is asked for; after
//! each replay callgrind dumps what it has counted inside of the measured loop and nowhere else.

use super::{pair, traces, Options};
use crate::arena::Arena;
use crate::contender::{baseline, by_name, with_shards, Entry, Kind};
use crate::replay::{Slots, Verdict};
use crate::report::{mean_cell, number, Chart, Figure, Table};
use crate::workload::churn;
use crate::workload::random::Plan;
use crate::workload::Workload;
use anyhow::{bail, ensure, Context, Error, Result};
use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Calls of each trace that are counted, from its beginning.
const CALLS: usize = 60_000;

/// With more live blocks, valgrind would take long before anything is counted.
const LIVE: usize = 10_000;

/// Replacements that are counted of each setting of the churn.
const REPLACEMENTS: usize = 10_000;

#[derive(Clone, Copy, Default)]
struct Count {
    instructions: f64,
    mispredictions: f64,
}

/// A peer that needs longer for a checked replay would take hours under valgrind.
const PATIENCE: Duration = Duration::from_millis(100);

/// It does not start under valgrind, which refuses it the address space it wants to set aside.
const NOT_UNDER_VALGRIND: &str = "snmalloc";

/// Measures the figure.
pub fn measure(options: &Options) -> Result<Figure> {
    let mut entries = options.select(with_shards());
    entries.retain(|entry| entry.name != NOT_UNDER_VALGRIND);
    let workloads = workloads(options)?;
    let mut slots = Slots::default();
    let mut arena = Arena::new(largest_arena(&workloads, options));
    let mut plan: Vec<(usize, Entry)> = Vec::new();
    for (index, workload) in workloads.iter().enumerate() {
        let arena = arena.region().first(options.arena_of(workload));
        for &entry in &entries {
            // The loop alone keeps no promises about payloads.
            let verdict = match entry.kind {
                Kind::Loop => Verdict::Sound,
                _ => (entry.verify)(workload, arena, &mut slots, PATIENCE),
            };
            match verdict {
                Verdict::Sound => plan.push((index, entry)),
                Verdict::TooSlow(_) if entry.kind == Kind::Peer => {}
                Verdict::OutOfMemory if options.room.is_some() => {}
                failure => bail!("{} on {}: {failure:?}", entry.name, workload.name),
            }
        }
    }
    let counts = count(&workloads, &plan, options)?;
    let net = |index: usize, name: &str| -> Option<Count> {
        let loop_alone = entries.iter().find(|entry| entry.kind == Kind::Loop)?;
        let (own, empty) = (counts.get(&(index, name))?, counts.get(&(index, loop_alone.name))?);
        Some(Count {
            instructions: own.instructions - empty.instructions,
            mispredictions: own.mispredictions - empty.mispredictions,
        })
    };

    let names: Vec<String> = workloads.iter().map(|workload| workload.name.clone()).collect();
    let table = |title: &str, field: fn(Count) -> f64| {
        let columns = [String::from("per call")].into_iter().chain(names.clone());
        let mut table = Table::new(title, columns.chain([format!("mean, over {}", baseline())]));
        for entry in entries.iter().filter(|entry| entry.kind != Kind::Loop) {
            let values: Vec<Option<f64>> =
                (0..names.len()).map(|index| net(index, entry.name).map(field)).collect();
            let ratios: Vec<Option<f64>> = (0..names.len())
                .map(|index| Some(values[index]? / field(net(index, baseline())?)))
                .collect();
            let cells = values.iter().map(|value| value.map_or("–".into(), number));
            let cells: Vec<String> = cells.collect();
            table.row([entry.name.to_owned()].into_iter().chain(cells).chain([mean_cell(&ratios)]));
        }
        table
    };
    let chart = |file: &str, title: &str, field: fn(Count) -> f64| Chart {
        file: file.to_owned(),
        title: title.to_owned(),
        axis: String::from("per call"),
        groups: names.clone(),
        series: entries
            .iter()
            .filter(|entry| entry.uses_arena())
            .map(|entry| {
                let values = (0..names.len()).map(|index| net(index, entry.name).map(field));
                (entry.name.to_owned(), values.collect())
            })
            .collect(),
        cut: (file == "instructions").then_some(250.0),
        floor: 0.0,
    };
    Ok(Figure {
        id: String::from("counts"),
        title: String::from("Instructions and mispredicted branches"),
        text: format!(
            "Counted by `valgrind --tool=callgrind --branch-sim=yes` over the first {CALLS} calls \
             of each trace, over random actions, churn, and the patterns of the figure `pair`, without those of the measuring loop. The same \
             from run to run; the simulated branch predictor is simpler than a real one. A dash: \
             too slow to be run under valgrind. snmalloc does not start there. \"talc sharded\" is \
             `TalcSharded`, with the instructions of its locks; one thread uses it."
        ),
        tables: vec![
            table("Instructions per call", |count| count.instructions),
            table("Mispredicted branches per call", |count| count.mispredictions),
        ],
        charts: vec![
            chart("instructions", "Instructions per call", |count| count.instructions),
            chart("mispredictions", "Mispredicted branches per call", |c| c.mispredictions),
        ],
        ..Figure::default()
    })
}

fn workloads(options: &Options) -> Result<Vec<Workload>> {
    let mut workloads: Vec<Workload> = traces::load(options)?
        .into_iter()
        .map(|subject| subject.workload.window(0, CALLS))
        .collect();
    for (max_size, live, realloc) in
        [(200, 300, false), (3000, 300, false), (30_000, 300, false), (10_000, 3000, true)]
    {
        let mut workload = Plan { max_size, live, realloc, actions: 20_000, seed: 42 }.build();
        let resized = if realloc { ", realloc" } else { "" };
        workload.name = format!("random {max_size}{resized}");
        if options.wants_trace(&workload.name) {
            workloads.push(workload);
        }
    }
    for setting in churn::SETTINGS.iter().filter(|setting| setting.live <= LIVE) {
        let mut workload = setting.build(REPLACEMENTS, 42);
        workload.name = format!("churn, {}", workload.name);
        if options.wants_trace(&workload.name) {
            workloads.push(workload);
        }
    }
    workloads.extend(pair::workloads().into_iter().filter(|one| options.wants_trace(&one.name)));
    Ok(workloads)
}

type Counts = HashMap<(usize, &'static str), Count>;

fn count(workloads: &[Workload], plan: &[(usize, Entry)], options: &Options) -> Result<Counts> {
    let folder = tempfile::tempdir()?;
    let dump = |number: usize| folder.path().join(format!("out.{number}"));
    let mut child = Command::new("valgrind");
    // Of two options about the same pattern only one takes effect, so they are spelt differently.
    child
        .args(["--tool=callgrind", "--branch-sim=yes", "--collect-atstart=no"])
        .args(["--toggle-collect=*measured_calls*", "--dump-after=*sured_calls*"])
        .arg(format!("--callgrind-out-file={}", folder.path().join("out").display()))
        .arg(std::env::current_exe()?)
        .arg("replay-plan");
    for trace in &options.traces {
        child.args(["--trace", trace]);
    }
    if let Some(times) = options.room {
        child.arg(format!("--room={times}"));
    }
    for (index, entry) in plan {
        child.arg(format!("--replay={index}:{}", entry.name));
    }
    let said = folder.path().join("said");
    let mut child = child.stderr(File::create(&said)?).spawn().context("starting valgrind")?;
    let progress = super::progress("counts, under callgrind", plan.len());
    let mut dumped = 0;
    let status = loop {
        let ended = child.try_wait()?;
        while dumped < plan.len() && dump(dumped + 1).exists() {
            let (index, entry) = plan[dumped];
            progress.step(&format!("{}, {}", workloads[index].name, entry.name));
            dumped += 1;
        }
        match ended {
            Some(status) => break status,
            None => std::thread::sleep(Duration::from_millis(200)),
        }
    };
    let said = std::fs::read_to_string(said)?;
    ensure!(status.success(), "the replays under valgrind failed, {status}:\n{said}");
    ensure!(dumped == plan.len(), "{dumped} of {} replays were counted:\n{said}", plan.len());
    let mut counts = HashMap::new();
    for (number, &(index, entry)) in plan.iter().enumerate() {
        let count = parse(&dump(number + 1))?;
        let calls = workloads[index].measured().len() as f64;
        let per_call = Count {
            instructions: count.instructions / calls,
            mispredictions: count.mispredictions / calls,
        };
        counts.insert((index, entry.name), per_call);
    }
    Ok(counts)
}

/// Reads the totals of one dump.
fn parse(path: &Path) -> Result<Count> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let line = |start: &str| {
        let line = text.lines().rev().find_map(|line| line.strip_prefix(start));
        line.with_context(|| format!("no {start} in {}", path.display()))
    };
    let events: Vec<&str> = line("events:")?.split_whitespace().collect();
    let totals: Vec<f64> = line("totals:")
        .or_else(|_| line("summary:"))?
        .split_whitespace()
        .flat_map(str::parse)
        .collect();
    let of = |event: &str| {
        let position = events.iter().position(|name| *name == event);
        let index = position.with_context(|| format!("no {event} in {}", path.display()))?;
        // Zeros at the end of the line are left out.
        Ok::<f64, Error>(totals.get(index).copied().unwrap_or(0.0))
    };
    let count = Count { instructions: of("Ir")?, mispredictions: of("Bcm")? + of("Bim")? };
    ensure!(count.instructions > 0.0, "nothing was counted in {}", path.display());
    Ok(count)
}

fn largest_arena(workloads: &[Workload], options: &Options) -> usize {
    workloads.iter().map(|workload| options.arena_of(workload)).max().unwrap_or(0)
}

/// What the child does: each `workload:contender` once, in order.
pub fn replay_plan(options: &Options, plan: &[String]) -> Result<()> {
    let workloads = workloads(options)?;
    let mut slots = Slots::default();
    let mut arena = Arena::new(largest_arena(&workloads, options));
    for item in plan {
        let (index, name) = item.split_once(':').context("workload:contender")?;
        let workload = workloads.get(index.parse::<usize>()?).context("no such workload")?;
        let entry = by_name(name).context("no such contender")?;
        let arena = arena.region().first(options.arena_of(workload));
        ensure!((entry.time)(workload, arena, &mut slots).is_some(), "{item} failed");
    }
    Ok(())
}
