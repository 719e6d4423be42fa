//! What modules are made to do. `wasm/module` has the loops.

use crate::figures::Options;
use crate::trace;
use crate::workload::random::Plan;
use crate::workload::{OpKind, Workload};
use anyhow::{ensure, Result};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// A workload as the hosts understand it.
#[derive(Clone, Debug, Serialize)]
pub struct Task {
    /// The name in tables.
    #[serde(skip)]
    pub name: String,
    /// The export that is called first, and with what.
    prepare: Option<&'static str>,
    prepare_times: usize,
    /// A file to be written to the module's list beforehand.
    list: Option<PathBuf>,
    /// The export that is measured, and how many operations make a measurement.
    run: &'static str,
    operations: usize,
    /// Whether fewer operations are as good.
    steady: bool,
    /// How many workers do this at a time.
    threads: usize,
    /// Milliseconds that all operations may take; in modules with threads, that each worker goes on.
    patience: f64,
}

/// No measurement of a loop need be longer. A module that is too slow does fewer operations.
const STEADY_PATIENCE: f64 = 60.0;
/// A module that is slower than this with a list is not measured.
const LIST_PATIENCE: f64 = 500.0;

/// A module that is slower than this with a program is not measured.
const PROGRAM_PATIENCE: f64 = 1000.0;

/// Time enough for hundreds of looks at the time.
const THREADS_PATIENCE: f64 = 100.0;

/// Blocks that are live in the random mix, about.
const RANDOM_LIVE: usize = 600;
/// As many lists fit into a module. `wasm/module` has the same numbers.
const CALLS: usize = 1 << 21;
const BLOCKS: usize = 1 << 18;

/// The loops, and the random mix.
pub fn steady(folder: &Path, options: &Options) -> Result<Vec<Task>> {
    let random =
        Plan { max_size: 10_000, live: RANDOM_LIVE, realloc: true, actions: 200_000, seed: 5 };
    let random = Workload { name: String::from("random mix"), ..random.build() };
    let mut tasks = vec![
        repeated("pair", "pair", 1_000_000),
        Task {
            prepare: Some("fill"),
            prepare_times: 10_000,
            ..repeated("churn", "churn", 300_000)
        },
        replayed(&random, folder)?,
        repeated("doubling", "doubling", 20_000),
    ];
    tasks.retain(|task| options.wants_trace(&task.name));
    Ok(tasks)
}

/// What one worker does, and two at a time. Each does few operations between looks at the time.
pub fn threaded(options: &Options) -> Vec<Task> {
    let loops = [("pair", "pair", 0), ("churn", "churn", 2000), ("hand-off", "hand_off", 0)];
    let tasks = loops.into_iter().flat_map(|(name, run, objects)| {
        [1, 2].map(|threads| Task {
            prepare: Some("fill"),
            prepare_times: objects,
            threads,
            patience: THREADS_PATIENCE,
            ..repeated(&format!("{name}, {threads}"), run, 500)
        })
    });
    tasks.filter(|task| options.wants_trace(&task.name)).collect()
}

/// A whole program, the export of `wasm/program`: as many steps as it takes to grow and to shrink.
pub fn program(options: &Options) -> Vec<Task> {
    let task =
        Task { steady: false, patience: PROGRAM_PATIENCE, ..repeated("wiki", "program", 5000) };
    Vec::from_iter(options.wants_trace(&task.name).then_some(task))
}

/// The recorded programs.
pub fn recorded(folder: &Path, options: &Options) -> Result<Vec<Task>> {
    let traces = trace::all(|name| options.wants_trace(name))?;
    traces.iter().map(|trace| replayed(&trace.workload, folder)).collect()
}

/// What is the same each time.
fn repeated(name: &str, run: &'static str, operations: usize) -> Task {
    Task {
        name: String::from(name),
        prepare: None,
        prepare_times: 0,
        list: None,
        run,
        operations,
        steady: true,
        threads: 1,
        patience: STEADY_PATIENCE,
    }
}

/// A list of calls, kept in a file: everything twice, of which the second time is measured.
fn replayed(workload: &Workload, folder: &Path) -> Result<Task> {
    // The first time brings the memory, and with it noise from the system.
    let once = workload.ops.iter().chain(&workload.cleanup);
    let calls: Vec<_> = once.chain(&workload.ops).collect();
    let fits = calls.len() <= CALLS && workload.slots <= BLOCKS;
    ensure!(fits, "{} is too long", workload.name);
    let mut bytes = Vec::with_capacity(8 * calls.len());
    for op in &calls {
        let size = if op.kind == OpKind::Realloc { op.new_size } else { op.size };
        let first = op.slot << 8 | u32::from(op.align_log2) << 2 | op.kind as u32;
        bytes.extend(first.to_le_bytes());
        bytes.extend(size.to_le_bytes());
    }
    let list = folder.join(&workload.name).with_extension("list");
    std::fs::write(&list, bytes)?;
    Ok(Task {
        name: workload.name.clone(),
        prepare: Some("replay"),
        prepare_times: calls.len() - workload.measured().len(),
        list: Some(list),
        run: "replay",
        operations: workload.measured().len(),
        steady: false,
        threads: 1,
        patience: LIST_PATIENCE,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::Builder;

    #[test]
    fn calls_are_two_words_each() {
        let mut builder = Builder::default();
        let block = builder.alloc(100, 4);
        builder.begin();
        builder.realloc(block, 300);
        builder.alloc(7, 0);
        let folder = std::env::temp_dir();
        let name = format!("talc-{}", std::process::id());
        let task = replayed(&builder.finish(name), &folder).unwrap();
        let list = task.list.unwrap();
        let bytes = std::fs::read(&list).unwrap();
        std::fs::remove_file(list).unwrap();
        let words: Vec<u32> = bytes
            .chunks_exact(4)
            .map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]]))
            .collect();
        let (first, second, aligned) = (0, 1 << 8, 4 << 2);
        let (alloc, free, realloc) = (0, 1, 2);
        let once =
            [[first | aligned | alloc, 100], [first | aligned | realloc, 300], [second | alloc, 7]];
        let cleanup = [[first | aligned | free, 300], [second | free, 7]];
        assert_eq!(words, [&once[..], &cleanup, &once].concat().concat());
        assert_eq!((task.prepare_times, task.operations), (6, 2));
    }
}
