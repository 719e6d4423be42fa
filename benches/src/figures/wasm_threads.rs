//! Allocators for modules with threads: speed of one worker and of two, pages, bytes.

use super::speed::losses;
use super::wasm_speed::{Part, Tournament};
use super::{wasm_bytes, Options};
use crate::contender::{ours, Kind};
use crate::report::Figure;
use crate::rounds::Row;
use crate::wasm::{threaded, with_threads, Contents, Toolchain, SHARDED, WORKERS};
use anyhow::Result;

/// Rounds, unless told otherwise.
const ROUNDS: usize = 11;

/// Measures the figure.
pub fn measure(options: &Options) -> Result<Figure> {
    let (id, toolchain) = ("wasm-threads", Toolchain::find()?);
    let bytes = wasm_bytes::rows(&toolchain, with_threads(options), id)?;
    let rounds = options.rounds.unwrap_or(ROUNDS).max(1);
    let tournament = Tournament::of(
        &toolchain,
        with_threads(options),
        &[WORKERS],
        &threaded(options),
        Contents::Workloads,
        rounds,
        id,
    )?;
    let mut figure = Figure {
        id: String::from(id),
        title: String::from("Threads in WebAssembly"),
        text: format!(
            "Modules with a shared memory, in which one worker of node or two at a time work. Pair: \
             32 bytes are allocated and freed. Churn: each worker has 2,000 live objects of 8 to 258 \
             bytes, of which one, chosen at random, is freed and another one allocated. Hand-off: a \
             block of 8 to 258 bytes is allocated and left at one of 1,024 places, at random, and the \
             block that was there is freed, whichever worker has left it. An operation is an \
             allocation and a deallocation. {rounds} rounds, in which the modules of all allocators at \
             both levels take turns in one process, each with a fresh memory. A worker goes on for a \
             tenth of a second, and looks at the time after every 500 operations; only those count \
             during all of which every worker ran, and their median is the time of the round. node \
             compiles with its optimising compiler only. Times are for modules as the compiler leaves \
             them, without wasm-opt. {SHARDED} is `WasmShardedTalc`, talc threaded `WasmThreadedTalc`. \
             {}",
            toolchain.versions()
        ),
        ..Figure::default()
    };
    for part in &tournament.parts {
        let mut table = part.contests.time_table();
        table.title = format!("node, {}: {}; workload and workers", part.level.name, table.title);
        figure.tables.push(table);
        figure.losses.extend(faster(part));
    }
    figure.tables.extend(tournament.goal().map(|part| tournament.page_table(part)));
    figure.tables.push(wasm_bytes::table(&bytes));
    Ok(figure)
}

/// Peers that are faster than the one of Talc's allocators that is meant for these workloads.
fn faster(part: &Part) -> Vec<String> {
    let contests = &part.contests;
    let speed = |rows: &[Row], name| {
        let row = rows.iter().find(|row| row.name == name)?;
        Some(1.0 / row.timing()?.median)
    };
    let compared = contests.rows.first().into_iter().flatten();
    let speeds = compared.filter(|row| row.kind == Kind::Peer || row.name == SHARDED).map(|row| {
        let name = if row.name == SHARDED { ours() } else { row.name };
        (name, contests.rows.iter().map(|rows| speed(rows, row.name)).collect())
    });
    let what = format!("workers of node, {}", part.level.name);
    losses(&what, &contests.workloads, &speeds.collect::<Vec<_>>())
}
