//! The figures, one file each. All of them return a [`crate::report::Figure`].

pub mod churn;
pub mod counts;
pub mod fill;
pub mod flash;
pub mod growing;
pub mod hardening;
pub mod held;
pub mod masked;
pub mod memory;
pub mod pair;
pub mod programs;
pub mod random;
pub mod score;
pub mod smallest;
pub mod speed;
pub mod spread;
pub mod tail;
pub mod threads;
pub mod traces;
pub mod usable;
pub mod wasm_bytes;
pub mod wasm_speed;
pub mod wasm_threads;
pub mod zkvm;

use crate::contender::{Entry, Kind};
use crate::rounds::Setup;
use crate::workload::Workload;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::time::Duration;

/// What the command line says about all figures.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Contenders whose name contains one of these take part; all do if it is empty.
    pub only: Vec<String>,
    /// Workloads whose name contains one of these take part; all do if it is empty.
    pub traces: Vec<String>,
    /// Rounds per contest, if not the figure's own number.
    pub rounds: Option<usize>,
    /// How many times a workload's peak its arena has in the figure `counts`, if it is not to be roomy.
    pub room: Option<f64>,
}

impl Options {
    /// The size of a workload's arena in the figure `counts`.
    pub fn arena_of(&self, workload: &Workload) -> usize {
        const PAGE: usize = 4096;
        match self.room {
            Some(times) => (workload.peak_bytes as f64 * times) as usize / PAGE * PAGE,
            None => workload.roomy_arena(),
        }
    }

    /// The contenders that take part. The loop alone always does: its cost is taken off others'.
    pub fn select(&self, entries: Vec<Entry>) -> Vec<Entry> {
        let wanted = |entry: &Entry| entry.kind == Kind::Loop || self.wants(entry.name);
        entries.into_iter().filter(wanted).collect()
    }

    /// Whether a contender takes part.
    pub fn wants(&self, name: &str) -> bool {
        matches(&self.only, name)
    }

    /// Whether a trace takes part.
    pub fn wants_trace(&self, name: &str) -> bool {
        matches(&self.traces, name)
    }

    /// A contest without lock.
    pub fn setup(&self, rounds: usize) -> Setup {
        Setup {
            rounds: self.rounds.unwrap_or(rounds).max(1),
            locked: false,
            patience: Duration::from_secs(2),
        }
    }
}

fn matches(wanted: &[String], name: &str) -> bool {
    wanted.is_empty() || wanted.iter().any(|part| name.contains(part.as_str()))
}

/// Shows how far a figure is: a bar on a terminal, else lines.
pub struct Progress {
    what: String,
    bar: Option<ProgressBar>,
}

/// Begins to show progress.
pub fn progress(what: &str, steps: usize) -> Progress {
    let bar = std::io::stderr().is_terminal().then(|| {
        let style = ProgressStyle::with_template("{prefix} [{bar:30}] {pos}/{len} {msg}");
        ProgressBar::new(steps as u64)
            .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
            .with_prefix(what.to_owned())
    });
    Progress { what: what.to_owned(), bar }
}

impl Progress {
    /// One more step begins.
    pub fn step(&self, name: &str) {
        match &self.bar {
            Some(bar) => {
                bar.inc(1);
                bar.set_message(name.to_owned());
            }
            None => eprintln!("{}: {name}", self.what),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
