//! Whole programs, end to end, with each allocator as the global one: time and peak memory.
//!
//! The programs are a workspace of their own, which is built first.

use super::{progress, Options};
use crate::contender::{baseline, with_shards, Kind};
use crate::report::{mean_cell, Chart, Figure, Table};
use crate::stats::{median, quantile};
use crate::subproject;
use anyhow::{ensure, Context, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The binary that has a contender as its global allocator.
fn binary(name: &str) -> String {
    let name = match name {
        "talc 5.1.1" => "talc5",
        "buddy-alloc" => "buddy",
        "talc sharded" => "talc_sharded",
        name => name,
    };
    format!("with_{name}")
}

/// One run of one program.
#[derive(Clone, Copy)]
pub(super) struct Run {
    pub(super) milliseconds: f64,
    peak_mib: f64,
}

/// In how many threads the programs run at a time.
const THREADS: [usize; 2] = [1, 2];

/// Measures the figure.
pub fn measure(options: &Options) -> Result<Figure> {
    eprintln!("programs: building them (minutes, the first time)");
    let folder = build(&[])?;
    let names: Vec<&'static str> = options
        .select(with_shards())
        .into_iter()
        .filter(|entry| entry.kind != Kind::Loop && folder.join(binary(entry.name)).exists())
        .map(|entry| entry.name)
        .collect();
    let binaries: Vec<PathBuf> = names.iter().map(|name| folder.join(binary(name))).collect();
    let programs = list(&folder.join(binary("system")), options)?;
    let rounds = options.rounds.unwrap_or(5).max(1);
    let mut figure = Figure {
        id: String::from("programs"),
        title: String::from("Whole programs"),
        text: String::from(
            "The programs of the traces, run end to end in a process of their own, with the \
             allocator as `#[global_allocator]`: once, and in two threads at a time, each of which does all \
             of the work. Those without an operating system manage one \
             arena of address space behind the same spin lock (\"talc sharded\" has several of them), and \
             never give pages back. Peak memory includes the program itself (4 to 8 MiB).",
        ),
        ..Figure::default()
    };
    for threads in THREADS {
        let runs = run_all("programs", &binaries, &programs, threads, rounds);
        Results { names: &names, programs: &programs, threads, runs }.write(&mut figure);
    }
    Ok(figure)
}

/// The runs of each program with each binary. Binaries take turns.
pub(super) fn run_all(
    what: &str,
    binaries: &[PathBuf],
    programs: &[String],
    threads: usize,
    rounds: usize,
) -> Vec<Vec<Vec<Run>>> {
    let progress = progress(what, programs.len() * rounds);
    let mut all = Vec::new();
    for program in programs {
        let mut runs: Vec<Vec<Run>> = vec![Vec::new(); binaries.len()];
        for round in 0..rounds {
            progress.step(&format!("{program}, {threads} threads, round {}", round + 1));
            for turn in 0..binaries.len() {
                let index = (turn + round) % binaries.len();
                // A program that is extremely slow need not be run often.
                let slow = runs[index].first().is_some_and(|run| run.milliseconds > 1000.0);
                if !slow {
                    runs[index].extend(run(&binaries[index], program, threads));
                }
            }
        }
        all.push(runs);
    }
    all
}

/// A value of some runs over that of others, which took turns with them: the median of the rounds.
pub(super) fn ratio(runs: &[Run], base: &[Run], field: fn(&Run) -> f64) -> Option<f64> {
    let ratios: Vec<f64> =
        runs.iter().zip(base).map(|(run, base)| field(run) / field(base)).collect();
    (!ratios.is_empty()).then(|| median(&ratios))
}

/// What all programs took with each allocator, in so many threads.
struct Results<'a> {
    names: &'a [&'static str],
    programs: &'a [String],
    threads: usize,
    runs: Vec<Vec<Vec<Run>>>,
}

impl Results<'_> {
    /// A value of an allocator for each program, over the baseline's.
    fn over_baseline(&self, index: usize, field: fn(&Run) -> f64) -> Vec<Option<f64>> {
        let base = self.names.iter().position(|name| *name == baseline());
        self.runs.iter().map(|runs| ratio(&runs[index], &runs[base?], field)).collect()
    }

    /// A table of a value, with the mean over the baseline's.
    fn table(
        &self,
        title: &str,
        unit: &str,
        field: fn(&Run) -> f64,
        cell: fn(&[f64]) -> String,
    ) -> Table {
        let first = [unit.to_owned()].into_iter();
        let last = [format!("mean, over {}", baseline())];
        let mut table = Table::new(title, first.chain(self.programs.iter().cloned()).chain(last));
        for (index, name) in self.names.iter().enumerate() {
            let cells = self.runs.iter().map(|runs| {
                let values: Vec<f64> = runs[index].iter().map(field).collect();
                if values.is_empty() {
                    String::from("failed")
                } else {
                    cell(&values)
                }
            });
            let mean = mean_cell(&self.over_baseline(index, field));
            table.row([(*name).to_owned()].into_iter().chain(cells).chain([mean]));
        }
        table
    }

    fn chart(&self, file: &str, title: &str, axis: &str, series: Series) -> Chart {
        Chart {
            file: file.to_owned() + if self.threads == 1 { "" } else { "-threads" },
            title: self.title(title),
            axis: format!("{axis} {}", baseline()),
            groups: self.programs.to_vec(),
            series: series.into_iter().map(|(name, values)| (name.to_owned(), values)).collect(),
            cut: Some(2.5),
            floor: 0.0,
        }
    }

    fn title(&self, what: &str) -> String {
        match self.threads {
            1 => what.to_owned(),
            threads => format!("{what}, in {threads} threads"),
        }
    }

    /// The values of all allocators.
    fn series(&self, value: impl Fn(usize) -> Vec<Option<f64>>) -> Series {
        self.names.iter().enumerate().map(|(index, name)| (*name, value(index))).collect()
    }

    /// Adds tables, charts and losses to the figure.
    fn write(&self, figure: &mut Figure) {
        let milliseconds: fn(&Run) -> f64 = |run| run.milliseconds;
        let peak: fn(&Run) -> f64 = |run| run.peak_mib;
        let title = self.title("Time");
        let time = self.table(
            &format!("{title}, milliseconds: median (quartiles)"),
            "ms",
            milliseconds,
            |all| {
                let [low, high] = [0.25, 0.75].map(|part| quantile(all, part));
                format!("{:.0} ({low:.0}–{high:.0})", median(all))
            },
        );
        let title = self.title("Peak resident memory");
        let memory = self.table(&format!("{title}, MiB: median"), "MiB", peak, |all| {
            format!("{:.1}", median(all))
        });
        figure.tables.extend([time, memory]);

        let inverse = |ratio: Option<f64>| ratio.map(|ratio| 1.0 / ratio);
        let speeds = self.series(|index| {
            self.over_baseline(index, milliseconds).into_iter().map(inverse).collect()
        });
        let what = self.title("whole programs");
        figure.losses.extend(super::speed::losses(&what, self.programs, &speeds));
        let memory = self.series(|index| self.over_baseline(index, peak));
        figure.charts.extend([
            self.chart("programs", "Whole programs: speed", "times the speed of", speeds),
            self.chart("programs-memory", "Whole programs: peak memory", "times that of", memory),
        ]);
    }
}

/// A value of each program, for each allocator.
type Series = Vec<(&'static str, Vec<Option<f64>>)>;

/// Builds the programs, with these arguments of cargo. Returns where their binaries are.
pub(super) fn build(args: &[&str]) -> Result<PathBuf> {
    let mut cargo = subproject::build("programs");
    let status = cargo.arg("--release").args(args).status().context("running cargo")?;
    ensure!(status.success(), "the programs do not build");
    Ok(subproject::target("programs").join("release"))
}

/// The names of the programs that take part, as one of the binaries lists them.
pub(super) fn list(binary: &Path, options: &Options) -> Result<Vec<String>> {
    let output = Command::new(binary).output().context("listing programs")?;
    let text = String::from_utf8(output.stdout)?;
    let names = text.lines().filter_map(|line| line.split_whitespace().next());
    Ok(names.filter(|name| options.wants_trace(name)).map(str::to_owned).collect())
}

/// One run, or none if the program failed.
fn run(binary: &Path, program: &str, threads: usize) -> Option<Run> {
    let output = Command::new(binary).args([program, &threads.to_string()]).output().ok()?;
    if !output.status.success() {
        return None;
    }
    let text = String::from_utf8(output.stdout).ok()?;
    let mut numbers = text.split_whitespace().flat_map(str::parse::<f64>);
    let (nanoseconds, kib) = (numbers.next()?, numbers.next()?);
    Some(Run { milliseconds: nanoseconds / 1e6, peak_mib: kib / 1024.0 })
}
