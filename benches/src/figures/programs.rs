//! Whole programs, end to end, with each allocator as the global one: time and peak memory.
//!
//! The programs are a workspace of their own, which is built first.

use super::{progress, Options};
use crate::contender::{baseline, everyone, Kind};
use crate::report::{home, mean_cell, Chart, Figure, Table};
use crate::stats::{median, quantile};
use anyhow::{ensure, Context, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The binary that has a contender as its global allocator.
fn binary(name: &str) -> String {
    let name = match name {
        "talc 5.1.1" => "talc5",
        "buddy-alloc" => "buddy",
        name => name,
    };
    format!("with_{name}")
}

/// One run of one program.
#[derive(Clone, Copy)]
struct Run {
    milliseconds: f64,
    peak_mib: f64,
}

/// Measures the figure.
pub fn measure(options: &Options) -> Result<Figure> {
    let folder = build()?;
    let names: Vec<&'static str> = options
        .select(everyone())
        .into_iter()
        .filter(|entry| entry.kind != Kind::Loop && folder.join(binary(entry.name)).exists())
        .map(|entry| entry.name)
        .collect();
    let programs = list(&folder, options)?;
    let rounds = options.rounds.unwrap_or(5).max(1);
    let progress = progress("programs", programs.len() * rounds);
    let mut tables = Vec::new();
    let mut times: Vec<Vec<Vec<Run>>> = Vec::new();
    for program in &programs {
        let mut runs: Vec<Vec<Run>> = vec![Vec::new(); names.len()];
        for round in 0..rounds {
            progress.step(&format!("{program}, round {}", round + 1));
            for turn in 0..names.len() {
                let index = (turn + round) % names.len();
                // A program that is extremely slow need not be run often.
                let slow = runs[index].first().is_some_and(|run| run.milliseconds > 1000.0);
                if !slow {
                    runs[index].extend(run(&folder.join(binary(names[index])), program));
                }
            }
        }
        times.push(runs);
    }

    let columns = |first: &str| {
        let columns = [String::from(first)].into_iter().chain(programs.iter().cloned());
        columns.chain([format!("mean, over {}", baseline())])
    };
    let base = names.iter().position(|name| *name == baseline());
    let mut milliseconds = Table::new("Time, milliseconds: median (quartiles)", columns("ms"));
    let mut memory = Table::new("Peak resident memory, MiB: median", columns("MiB"));
    let mut speed_chart: Vec<(String, Vec<Option<f64>>)> = Vec::new();
    let mut memory_chart: Vec<(String, Vec<Option<f64>>)> = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let of = |field: fn(&Run) -> f64| {
            times.iter().map(move |runs| runs[index].iter().map(field).collect::<Vec<f64>>())
        };
        let over_base = |field: fn(&Run) -> f64| -> Vec<Option<f64>> {
            times
                .iter()
                .map(|runs| {
                    let ratios: Vec<f64> = runs[base?]
                        .iter()
                        .zip(&runs[index])
                        .map(|(b, m)| field(m) / field(b))
                        .collect();
                    (!ratios.is_empty()).then(|| median(&ratios))
                })
                .collect()
        };
        let (time, peak) = (over_base(|run| run.milliseconds), over_base(|run| run.peak_mib));
        let cells = of(|run| run.milliseconds).map(|all| match all.is_empty() {
            true => String::from("failed"),
            false => format!(
                "{:.0} ({:.0}–{:.0})",
                median(&all),
                quantile(&all, 0.25),
                quantile(&all, 0.75)
            ),
        });
        let cells: Vec<String> = cells.collect();
        let first = [(*name).to_owned()];
        milliseconds.row(first.clone().into_iter().chain(cells).chain([mean_cell(&time)]));
        let cells = of(|run| run.peak_mib).map(|all| match all.is_empty() {
            true => String::from("failed"),
            false => format!("{:.1}", median(&all)),
        });
        let cells: Vec<String> = cells.collect();
        memory.row(first.into_iter().chain(cells).chain([mean_cell(&peak)]));
        let speeds = time.into_iter().map(|ratio| ratio.map(|ratio| 1.0 / ratio)).collect();
        speed_chart.push(((*name).to_owned(), speeds));
        memory_chart.push(((*name).to_owned(), peak));
    }
    let speeds: Vec<(&'static str, Vec<Option<f64>>)> =
        names.iter().copied().zip(speed_chart.iter().map(|(_, speeds)| speeds.clone())).collect();
    let losses = super::speed::losses("whole programs", &programs, &speeds);
    tables.extend([milliseconds, memory]);
    let chart = |file: &str, title: &str, axis: &str, series| Chart {
        file: String::from(file),
        title: String::from(title),
        axis: format!("{axis} {}", baseline()),
        groups: programs.clone(),
        series,
        cut: Some(2.5),
        floor: 0.0,
    };
    Ok(Figure {
        id: String::from("programs"),
        title: String::from("Whole programs"),
        text: String::from(
            "The programs of the traces, run end to end in a process of their own, with the \
             allocator as `#[global_allocator]`. Those without an operating system manage one \
             arena of address space behind the same spin lock, and never give pages back. \
             Peak memory includes the program itself (4 to 8 MiB).",
        ),
        tables,
        charts: vec![
            chart("programs", "Whole programs: speed", "times the speed of", speed_chart),
            chart("programs-memory", "Whole programs: peak memory", "times that of", memory_chart),
        ],
        losses,
        ..Figure::default()
    })
}

/// Builds the programs. Returns where their binaries are.
fn build() -> Result<PathBuf> {
    eprintln!("programs: building them (minutes, the first time)");
    let manifest = home().join("programs").join("Cargo.toml");
    let target = match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => PathBuf::from(folder).join("programs"),
        None => home().join("programs").join("target"),
    };
    let status = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--release", "--manifest-path"])
        .arg(manifest)
        .arg("--target-dir")
        .arg(&target)
        .status()
        .context("running cargo")?;
    ensure!(status.success(), "the programs do not build");
    Ok(target.join("release"))
}

fn list(folder: &Path, options: &Options) -> Result<Vec<String>> {
    let output =
        Command::new(folder.join(binary("system"))).output().context("listing programs")?;
    let text = String::from_utf8(output.stdout)?;
    let names = text.lines().filter_map(|line| line.split_whitespace().next());
    Ok(names.filter(|name| options.wants_trace(name)).map(str::to_owned).collect())
}

/// One run, or none if the program failed.
fn run(binary: &Path, program: &str) -> Option<Run> {
    let output = Command::new(binary).arg(program).output().ok()?;
    if !output.status.success() {
        return None;
    }
    let text = String::from_utf8(output.stdout).ok()?;
    let mut numbers = text.split_whitespace().flat_map(str::parse::<f64>);
    let (nanoseconds, kib) = (numbers.next()?, numbers.next()?);
    Some(Run { milliseconds: nanoseconds / 1e6, peak_mib: kib / 1024.0 })
}
