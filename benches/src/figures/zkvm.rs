//! A RISC-V processor without atomics, in QEMU: retired instructions, as zkVMs prove them, and how much of a small heap
//! can be used.

use super::{progress, traces, Options};
use crate::report::{home, mean_cell, number, Bar, Figure, Table};
use crate::workload::{device::device, Op, OpKind, Workload};
use anyhow::{bail, ensure, Context, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "riscv32imc-unknown-none-elf";

/// Calls of each trace that are replayed, from its beginning.
const CALLS: usize = 60_000;

/// As in tables, and the features of the program. The last one is no allocator for programs that free.
const CONTENDERS: [(&str, &str); 8] = [
    ("talc", "talc"),
    ("talc small", "small"),
    ("talc 5.1.1", "talc5"),
    ("rlsf", "rlsf"),
    ("embedded-alloc, TLSF", "tlsf"),
    ("embedded-alloc, linked list", "embedded-linked-list"),
    ("linked_list", "linked-list"),
    (BUMP, ""),
];

const BUMP: &str = "(bump)";

/// The heap in which traces are replayed.
const ROOMY: usize = 48 << 20;

/// The heaps of the second figure, and how many runs of a device's program there are in each.
const HEAPS: [usize; 3] = [2 << 10, 8 << 10, 64 << 10];
const SEEDS: u64 = 8;

/// Measures the figure.
pub fn measure(options: &Options) -> Result<Figure> {
    let workloads: Vec<Workload> = traces::load(options)?
        .into_iter()
        .map(|subject| subject.workload.window(0, CALLS))
        .collect();
    let wanted = |name: &str| name == BUMP || options.wants(name);
    let contenders: Vec<_> = CONTENDERS.into_iter().filter(|(name, _)| wanted(name)).collect();
    let folder = tempfile::tempdir()?;
    let progress = progress("zkvm", contenders.len());
    let mut rows: Vec<(&str, Vec<Option<f64>>)> = Vec::new();
    for (name, features) in contenders {
        progress.step(name);
        let program = build(features)?;
        let per_call = |workload: &Workload| -> Result<Option<f64>> {
            match run(&program, &workload.ops, ROOMY, folder.path())? {
                Outcome::Retired(count) => Ok(Some(count / workload.ops.len() as f64)),
                _ => Ok(None),
            }
        };
        rows.push((name, workloads.iter().map(per_call).collect::<Result<_>>()?));
    }
    drop(progress);

    let names = workloads.iter().map(|workload| workload.name.clone());
    let columns = [String::from("per call")].into_iter().chain(names);
    let mut table = Table::new(
        "Retired instructions per call",
        columns.chain([String::from("geometric mean")]),
    );
    for (name, values) in &rows {
        let cells = values.iter().map(|value| value.map_or("–".into(), number));
        let cells: Vec<String> = cells.collect();
        table.row([(*name).to_owned()].into_iter().chain(cells).chain([mean_cell(values)]));
    }
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
        bars: bars(&rows),
        tables: vec![table],
        ..Figure::default()
    })
}

/// Measures how much of small heaps can be used.
pub fn measure_usable(options: &Options) -> Result<Figure> {
    let contenders =
        CONTENDERS.into_iter().filter(|(name, _)| *name != BUMP && options.wants(name));
    let contenders: Vec<_> = contenders.collect();
    let folder = tempfile::tempdir()?;
    let progress = progress("usable", contenders.len());
    let heaps = HEAPS.map(|bytes| format!("heap of {} KiB", bytes >> 10));
    let mut table = Table::new(
        "Bytes that are live when an allocation is first refused: mean",
        [String::from("bytes")].into_iter().chain(heaps.clone()),
    );
    let mut all: Vec<(&str, Vec<f64>)> = Vec::new();
    for (name, features) in contenders {
        progress.step(name);
        let program = build(features)?;
        let mut usable = Vec::new();
        for heap in HEAPS {
            let mut sum = 0;
            for seed in 0..SEEDS {
                let workload = device(heap + 1000, seed);
                match run(&program, &workload.ops, heap, folder.path())? {
                    Outcome::Refused(index) => sum += workload.live_bytes_at(index),
                    _ => bail!("{name} does not run out of {heap} bytes"),
                }
            }
            usable.push(sum as f64 / SEEDS as f64);
        }
        table.row(
            [name.to_owned()].into_iter().chain(usable.iter().map(|bytes| format!("{bytes:.0}"))),
        );
        all.push((name, usable));
    }
    drop(progress);
    let ours = |index: usize| {
        let ours = all.iter().filter(|(name, _)| *name == "talc" || *name == "talc small");
        ours.map(|(_, usable)| usable[index]).fold(f64::NAN, f64::max)
    };
    let best = |index: usize| {
        let peers = all.iter().filter(|(name, _)| *name != "talc" && *name != "talc small");
        peers.map(|(_, usable)| usable[index]).fold(f64::NAN, f64::max)
    };
    let bars = heaps.iter().enumerate().map(|(index, heap)| Bar {
        what: format!("usable bytes, {heap}, over the best peer's"),
        goal: 1.0,
        at_least: true,
        value: ours(index) / best(index),
    });
    Ok(Figure {
        id: String::from("usable"),
        title: String::from("Small heaps: how much of them can be used"),
        text: format!(
            "The program of a small device on a 32-bit processor: settings, connections with buffers, messages that pass \
             through a queue, a buffer that grows, records that are kept. {SEEDS} runs, each until an allocation is \
             refused. Tables in the heap are part of it; those beside it are not: 336 bytes for talc small, 36 for \
             talc 5.1.1, some 4,200 for TLSF (figure `flash`)."
        ),
        bars: bars.collect(),
        tables: vec![table],
        ..Figure::default()
    })
}

/// The worst of our ratios to the best peer's mean.
fn bars(rows: &[(&str, Vec<Option<f64>>)]) -> Vec<Bar> {
    let mean = |values: &[Option<f64>]| {
        let known: Option<Vec<f64>> = values.iter().copied().collect();
        known.map(|known| crate::stats::geometric_mean(&known))
    };
    let ours = rows.first().and_then(|(_, values)| mean(values)).unwrap_or(f64::NAN);
    let peers = rows.iter().filter(|(name, _)| !name.starts_with("talc") || *name == "talc 5.1.1");
    let peers = peers.filter(|(name, _)| *name != BUMP);
    let best = peers.filter_map(|(_, values)| mean(values)).fold(f64::NAN, f64::min);
    vec![Bar {
        what: String::from("retired instructions, mean over traces, over the best peer's"),
        goal: 1.0,
        at_least: false,
        value: ours / best,
    }]
}

/// The calls as the program reads them.
fn encode(ops: &[Op]) -> Vec<u8> {
    let mut words = vec![ops.len() as u32];
    for op in ops {
        let kind = match op.kind {
            OpKind::Alloc => 0,
            OpKind::Free => 1,
            OpKind::Realloc => 2,
        };
        words.extend([kind | u32::from(op.align_log2) << 2, op.slot, op.size, op.new_size]);
    }
    words.into_iter().flat_map(u32::to_le_bytes).collect()
}

fn build(features: &str) -> Result<PathBuf> {
    let target = match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => PathBuf::from(folder).join("zkvm"),
        None => home().join("zkvm").join("target"),
    };
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--locked", "--release", "--features", features]);
    cargo.arg("--target-dir").arg(&target).current_dir(home().join("zkvm"));
    let status = cargo.status().context("running cargo")?;
    ensure!(status.success(), "it does not build: is there a `rustup target add {TARGET}`?");
    Ok(target.join(TARGET).join("release").join("zkvm"))
}

/// How a run has ended.
enum Outcome {
    /// All calls were made, in so many instructions.
    Retired(f64),
    /// The call with this index was refused.
    Refused(usize),
    /// It did not come to its end.
    Unknown,
}

/// Replays calls with a heap of `heap` bytes in QEMU, which counts instructions.
fn run(program: &Path, ops: &[Op], heap: usize, folder: &Path) -> Result<Outcome> {
    let calls = folder.join("calls");
    std::fs::write(&calls, encode(ops))?;
    let mut qemu = Command::new("timeout");
    qemu.args(["60", "qemu-system-riscv32", "-machine", "virt", "-bios", "none", "-nographic"]);
    qemu.args(["-icount", "shift=0", "-kernel"]).arg(program);
    qemu.arg("-device")
        .arg(format!("loader,addr=0x80800000,force-raw=on,file={}", calls.display()));
    qemu.arg("-device").arg(format!("loader,addr=0x807ffff0,data={heap},data-len=4"));
    let output = qemu.output().context("running qemu-system-riscv32")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut words = text.split_whitespace();
    match (words.next(), words.next()) {
        (Some("retired"), Some(count)) => Ok(Outcome::Retired(count.parse()?)),
        (Some("refused"), Some(index)) => Ok(Outcome::Refused(index.parse()?)),
        (Some("panic"), _) => bail!("the program panics"),
        _ => Ok(Outcome::Unknown),
    }
}
