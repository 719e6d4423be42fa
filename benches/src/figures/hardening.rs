//! What the tiers of hardening cost: whole programs, end to end.

use super::{programs, Options};
use crate::contender::baseline;
use crate::report::{mean_cell, Bar, Chart, Figure, Table};
use crate::stats::mean_of_all;
use anyhow::{ensure, Context, Result};
use std::path::PathBuf;

/// A build of the programs.
struct Tier {
    /// As in tables.
    name: &'static str,
    binary: &'static str,
    features: &'static str,
    /// The most that its time should be, over the first one's.
    goal: Option<f64>,
}

const fn tier(
    name: &'static str,
    binary: &'static str,
    features: &'static str,
    goal: Option<f64>,
) -> Tier {
    Tier { name, binary, features, goal }
}

/// The first one is what the others are compared with.
const TIERS: [Tier; 4] = [
    tier("talc", "with_talc", "", None),
    tier("talc hardened", "with_talc", "talc/hardened", Some(1.03)),
    tier("talc hardened-full", "with_talc", "talc/hardened-full", Some(1.15)),
    tier("talc 5.1.1", "with_talc5", "", None),
];

impl Tier {
    /// Builds the programs. Returns where they are: all tiers share a folder, and what does not depend on Talc.
    fn build(&self) -> Result<PathBuf> {
        let args = ["--quiet", "--no-default-features", "--bin", self.binary, "--features"];
        let folder = programs::build(&[&args[..], &[self.features]].concat())
            .with_context(|| self.name.to_owned())?;
        let program = folder.join(self.name.replace(' ', "-"));
        std::fs::copy(folder.join(self.binary), &program)?;
        Ok(program)
    }
}

/// Measures the figure.
pub fn measure(options: &Options) -> Result<Figure> {
    eprintln!("hardening: building the programs (minutes, the first time)");
    let builds = TIERS.iter().map(Tier::build).collect::<Result<Vec<_>>>()?;
    let names = programs::list(&builds[0], options)?;
    let rounds = options.rounds.unwrap_or(9).max(1);
    let all_runs = programs::run_all("hardening", &builds, &names, 1, rounds);
    // For each program, the time of each tier over that of the first one.
    let mut ratios: Vec<Vec<f64>> = Vec::new();
    for (name, runs) in names.iter().zip(&all_runs) {
        let is_complete = runs.iter().all(|tier| tier.len() == runs[0].len());
        ensure!(is_complete, "{name} failed with a tier");
        let over_first = |tier: &Vec<_>| programs::ratio(tier, &runs[0], |run| run.milliseconds);
        ratios.push(runs.iter().map(over_first).collect::<Option<_>>().context(name.clone())?);
    }

    let columns = [String::from("time over talc")].into_iter().chain(names.clone());
    let mut table = Table::new(
        "Time of whole programs, over that without checks: median of the rounds",
        columns.chain([String::from("geometric mean")]),
    );
    let mut bars = Vec::new();
    let mut series = Vec::new();
    for (index, tier) in TIERS.iter().enumerate() {
        let of_tier: Vec<Option<f64>> = ratios.iter().map(|ratios| Some(ratios[index])).collect();
        let cells = ratios.iter().map(|ratios| format!("{:.3}", ratios[index]));
        table.row([tier.name.to_owned()].into_iter().chain(cells).chain([mean_cell(&of_tier)]));
        if let (Some(goal), Some(value)) = (tier.goal, mean_of_all(&of_tier)) {
            let what = format!("time of whole programs with {}, over that without", tier.name);
            bars.push(Bar { what, goal, at_least: false, value });
        }
        series.push((tier.name.to_owned(), of_tier));
    }
    Ok(Figure {
        id: String::from("hardening"),
        title: String::from("What hardening costs"),
        text: format!(
            "The programs of the figure `programs`, in one thread, with Talc built without features, with `hardened` \
             and with `hardened-full`, and with {}, which has no such checks.",
            baseline()
        ),
        tables: vec![table],
        charts: vec![Chart {
            file: String::from("hardening"),
            title: String::from("Whole programs: time with hardening"),
            axis: String::from("times that of talc without"),
            groups: names,
            series,
            cut: Some(2.0),
            floor: 0.8,
        }],
        bars,
        ..Figure::default()
    })
}
