//! Retired instructions on a RISC-V processor without atomics, as zkVMs prove them.

use super::{progress, traces, Options};
use crate::contender::{ours, Kind};
use crate::emulator::{build, run, Outcome, CONTENDERS};
use crate::report::{mean_cell, number, Bar, Figure, Table};
use crate::stats::mean_of_all;
use crate::workload::Workload;
use anyhow::Result;

/// Calls of each trace that are replayed, from its beginning.
const CALLS: usize = 60_000;

/// Bytes of the heap.
const HEAP: usize = 48 << 20;

/// Measures the figure.
pub fn measure(options: &Options) -> Result<Figure> {
    let workloads: Vec<Workload> = traces::load(options)?
        .into_iter()
        .map(|subject| subject.workload.window(0, CALLS))
        .collect();
    let wanted = CONTENDERS.into_iter().filter(|c| c.kind == Kind::Loop || options.wants(c.name));
    let folder = tempfile::tempdir()?;
    let progress = progress("zkvm", CONTENDERS.len());
    let names = workloads.iter().map(|workload| workload.name.clone());
    let columns = [String::from("per call")].into_iter().chain(names);
    let mut table = Table::new(
        "Retired instructions per call",
        columns.chain([String::from("geometric mean")]),
    );
    let (mut own, mut best) = (f64::NAN, f64::NAN);
    for contender in wanted {
        progress.step(contender.name);
        let program = build(contender)?;
        let per_call = |workload: &Workload| -> Result<Option<f64>> {
            match run(&program, &workload.ops, HEAP, folder.path())? {
                Outcome::Retired(count) => Ok(Some(count / workload.ops.len() as f64)),
                _ => Ok(None),
            }
        };
        let values: Vec<Option<f64>> = workloads.iter().map(per_call).collect::<Result<_>>()?;
        let cells = values.iter().map(|value| value.map_or("–".into(), number));
        let first = [contender.name.to_owned()].into_iter();
        table.row(first.chain(cells).chain([mean_cell(&values)]));
        let mean = mean_of_all(&values).unwrap_or(f64::NAN);
        if contender.name == ours() {
            own = mean;
        } else if contender.kind == Kind::Peer {
            best = best.min(mean);
        }
    }
    drop(progress);
    Ok(Figure {
        id: String::from("zkvm"),
        title: String::from("Retired instructions on RISC-V"),
        text: format!(
            "The first {CALLS} calls of each trace, replayed on an emulated RISC-V processor without atomics, as zkVMs \
             are, and its counter of retired instructions read before and after. The replaying loop and calls of \
             the allocator, which are not inlined, are part of all rows; (bump) only moves a pointer up. No locks, \
             but for embedded-alloc, which masks interrupts. Blocks have the sizes of the recorded 64-bit \
             programs. A dash: not finished within a minute, or out of 48 MiB."
        ),
        bars: vec![Bar {
            what: String::from("retired instructions, mean over traces, over the best peer's"),
            goal: 1.0,
            at_least: false,
            value: own / best,
        }],
        tables: vec![table],
        ..Figure::default()
    })
}
