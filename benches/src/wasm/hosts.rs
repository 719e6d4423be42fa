//! Running modules in their hosts.
//!
//! `wasm/runners` has a script for each host. It is given a plan: modules and tasks. For each task
//! it prints a line with the outcome of each module. A first run of each module, not measured,
//! finds how many operations it can do in the given time. Then the modules take turns, each time
//! with a fresh instance.

use super::workloads::Task;
use super::Toolchain;
use crate::contender::{baseline, Kind};
use crate::rounds::{Outcome, Row, Timing};
use anyhow::{ensure, Context, Result};
use serde::{Deserialize, Serialize};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Something that runs WebAssembly.
#[derive(Clone, Copy)]
pub struct Host {
    /// As in tables.
    pub name: &'static str,
    command: fn(&Toolchain) -> Command,
}

/// Those that are measured.
pub const HOSTS: [Host; 2] = [
    Host { name: "node", command: Toolchain::node },
    Host { name: "wasmtime", command: Toolchain::wasmtime },
];

/// node, for modules with threads.
pub const WORKERS: Host = Host { name: "node", command: Toolchain::node_with_workers };

/// What a host is given.
#[derive(Serialize)]
pub struct Plan<'a> {
    /// Modules, interleaved.
    pub modules: Vec<PathBuf>,
    /// What each of them does.
    pub workloads: &'a [Task],
    /// Measurements of each.
    pub rounds: usize,
}

/// What a host prints for one module and one task.
#[derive(Clone, Debug, Deserialize)]
pub struct Measured {
    /// Operations in each measurement; none if the module was too slow.
    operations: usize,
    /// Nanoseconds per operation in the unmeasured run.
    slower_than: f64,
    /// Nanoseconds per operation in each round.
    times: Vec<f64>,
    /// Pages that the memory grew by.
    pages: usize,
}

impl Host {
    /// Measures. Returns a row of modules for each task.
    pub fn run(
        self,
        toolchain: &Toolchain,
        plan: &Plan<'_>,
        mut step: impl FnMut(&str),
    ) -> Result<Vec<Vec<Measured>>> {
        let path = toolchain.target.join("plan.json");
        std::fs::write(&path, serde_json::to_string(plan)?)?;
        let mut child = (self.command)(toolchain)
            .arg(&path)
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting {}", self.name))?;
        let mut lines = BufReader::new(child.stdout.take().context("no output")?).lines();
        let mut measured = Vec::new();
        for task in plan.workloads {
            step(&format!("{}: {}", self.name, task.name));
            let Some(line) = lines.next() else { break };
            measured.push(serde_json::from_str(&line?)?);
        }
        ensure!(child.wait()?.success(), "{} failed", self.name);
        Ok(measured)
    }
}

impl Measured {
    /// Pages that the memory grew by, if the module was measured.
    pub fn pages(&self) -> Option<usize> {
        (self.operations > 0).then_some(self.pages)
    }
}

/// One contest: the outcomes of modules with these names and kinds.
pub fn rows(names: &[(&'static str, Kind)], measured: &[Measured]) -> Vec<Row> {
    let base = names.iter().position(|(name, _)| *name == baseline());
    let base = base.map_or(&[][..], |base| &measured[base].times);
    let outcome = |mine: &Measured| match mine.operations {
        0 => Outcome::SlowerThan(mine.slower_than),
        _ => Outcome::Timed(Timing::of(&mine.times, base, &[])),
    };
    let rows = names.iter().zip(measured);
    rows.map(|(&(name, kind), mine)| Row { name, kind, outcome: outcome(mine) }).collect()
}
