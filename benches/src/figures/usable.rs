//! How much of a small heap can be used, on a 32-bit processor.

use super::{progress, Options};
use crate::contender::Kind;
use crate::emulator::{build, run, Outcome, CONTENDERS};
use crate::report::{Bar, Figure, Table};
use crate::stats::mean;
use crate::workload::device::device;
use anyhow::{bail, Result};

/// Bytes of the heaps.
const HEAPS: [usize; 3] = [2 << 10, 8 << 10, 64 << 10];

/// Runs in each of them.
const SEEDS: u64 = 8;

/// Measures the figure.
pub fn measure(options: &Options) -> Result<Figure> {
    let wanted = CONTENDERS.into_iter().filter(|c| c.kind != Kind::Loop && options.wants(c.name));
    let folder = tempfile::tempdir()?;
    let progress = progress("usable", CONTENDERS.len() - 1);
    let heaps = HEAPS.map(|bytes| format!("heap of {} KiB", bytes >> 10));
    let mut table = Table::new(
        "Bytes that are live when an allocation is first refused: mean",
        [String::from("bytes")].into_iter().chain(heaps.clone()),
    );
    let (mut own, mut best) = ([f64::NAN; HEAPS.len()], [f64::NAN; HEAPS.len()]);
    for contender in wanted {
        progress.step(contender.name);
        let program = build(contender)?;
        let live = |heap: usize, seed: u64| {
            let workload = device(heap + 1000, seed);
            match run(&program, &workload.ops, heap, folder.path())? {
                Outcome::Refused(index) => Ok(workload.live_bytes_at(index) as f64),
                outcome => bail!("{} in {heap} bytes: {outcome:?}", contender.name),
            }
        };
        let mut cells = vec![contender.name.to_owned()];
        for (index, heap) in HEAPS.into_iter().enumerate() {
            let runs = (0..SEEDS).map(|seed| live(heap, seed)).collect::<Result<Vec<f64>>>()?;
            let usable = mean(&runs);
            let most = if contender.kind == Kind::Ours { &mut own } else { &mut best };
            most[index] = most[index].max(usable);
            cells.push(format!("{usable:.0}"));
        }
        table.row(cells);
    }
    drop(progress);
    let bars = heaps.iter().enumerate().map(|(index, heap)| Bar {
        what: format!("usable bytes, {heap}, over the best peer's"),
        goal: 1.0,
        at_least: true,
        value: own[index] / best[index],
    });
    Ok(Figure {
        id: String::from("usable"),
        title: String::from("Small heaps: how much of them can be used"),
        text: format!(
            "The program of a small device on a 32-bit processor: settings, connections with buffers, messages that pass \
             through a queue, a buffer that grows, records that are kept. {SEEDS} runs, each until an allocation is \
             refused. Tables in the heap are part of it; those beside it are not: some 340 bytes for talc small, 36 for \
             talc 5.1.1, some 4,200 for TLSF (figure `flash`)."
        ),
        bars: bars.collect(),
        tables: vec![table],
        ..Figure::default()
    })
}
