//! How many bytes an allocator adds to a module.

use super::{progress, Options};
use crate::contender::{ours, Kind};
use crate::report::{Bar, Chart, Figure, Table};
use crate::wasm::{everyone, Builder, Contender, Contents, Toolchain, LEVELS, SMALL, SMALLEST};
use anyhow::Result;

/// Bytes of one contender's modules.
pub(super) struct Row {
    contender: Contender,
    /// For each of [`LEVELS`], before and after `wasm-opt`.
    bytes: Vec<(u64, u64)>,
    /// At the last level, after `wasm-opt`, with any alignment.
    any_alignment: u64,
}

/// The level at which modules are smallest, and goals are set.
const SMALL_LEVEL: usize = LEVELS.len() - 1;

impl Row {
    fn smallest(&self) -> u64 {
        self.bytes[SMALL_LEVEL].1
    }
}

/// Measures the figure.
pub fn measure(options: &Options) -> Result<Figure> {
    let toolchain = Toolchain::find()?;
    let rows = rows(&toolchain, everyone(options), "wasm-bytes")?;
    Ok(Figure {
        id: String::from("wasm-bytes"),
        title: String::from("Bytes of a module"),
        text: format!(
            "A module that exports an allocation, a deallocation and a reallocation, with an \
             alignment of 8 as nearly all programs have; in the last column, with an alignment \
             that is only known when it is called. (none) is a module in which every request \
             fails. lol_alloc searches one list, and reallocates by copying. {}",
            toolchain.versions()
        ),
        tables: vec![table(&rows)],
        charts: vec![chart(&rows)],
        bars: bars(&rows),
        losses: losses(&rows),
        ..Figure::default()
    })
}

/// Builds the modules of these contenders.
pub(super) fn rows(
    toolchain: &Toolchain,
    contenders: Vec<Contender>,
    what: &str,
) -> Result<Vec<Row>> {
    let builder = Builder::new(toolchain);
    let progress = progress(what, contenders.len());
    let mut rows = Vec::new();
    for contender in contenders {
        progress.step(contender.name);
        let bytes = |level, contents| builder.bytes(&builder.build(contender, level, contents)?);
        rows.push(Row {
            contender,
            bytes: LEVELS
                .iter()
                .map(|&level| bytes(level, Contents::Calls))
                .collect::<Result<_>>()?,
            any_alignment: bytes(LEVELS[SMALL_LEVEL], Contents::CallsOfAnyAlignment)?.1,
        });
    }
    Ok(rows)
}

/// Bytes of each contender's modules.
pub(super) fn table(rows: &[Row]) -> Table {
    let mut columns = vec![String::from("bytes")];
    for level in LEVELS {
        columns.extend([level.name.to_owned(), format!("{}, wasm-opt -Oz", level.name)]);
    }
    columns.push(format!("{}, wasm-opt -Oz, any alignment", LEVELS[SMALL_LEVEL].name));
    let mut table = Table::new("Bytes of a module", columns);
    for row in rows {
        let cells = row.bytes.iter().flat_map(|&(before, after)| [before, after]);
        let cells = cells.chain([row.any_alignment]).map(|bytes| bytes.to_string());
        table.row([row.contender.name.to_owned()].into_iter().chain(cells));
    }
    table
}

fn chart(rows: &[Row]) -> Chart {
    let shown = rows.iter().filter(|row| row.contender.kind != Kind::Loop);
    let shown = shown.filter(|row| !row.contender.variant);
    Chart {
        file: String::from("wasm-bytes"),
        title: String::from("Bytes of a module after wasm-opt -Oz"),
        axis: String::from("bytes"),
        groups: LEVELS.map(|level| level.name.to_owned()).to_vec(),
        series: shown
            .map(|row| {
                let bytes = row.bytes.iter().map(|&(_, after)| Some(after as f64)).collect();
                (row.contender.name.to_owned(), bytes)
            })
            .collect(),
        cut: Some(8000.0),
        floor: 0.0,
    }
}

fn bars(rows: &[Row]) -> Vec<Bar> {
    let goals = [(ours(), 2300.0), (SMALLEST, 1155.0), (SMALL, 1450.0)];
    let bar = |(name, goal)| {
        let row = rows.iter().find(|row| row.contender.name == name)?;
        let what = format!("bytes of {name}, {}, wasm-opt -Oz", LEVELS[SMALL_LEVEL].name);
        Some(Bar { what, goal, at_least: false, value: row.smallest() as f64 })
    };
    goals.into_iter().filter_map(bar).collect()
}

/// Peers that are smaller than our default, and how many of them are as large as it.
fn losses(rows: &[Row]) -> Vec<String> {
    let Some(own) = rows.iter().find(|row| row.contender.name == ours()) else {
        return Vec::new();
    };
    let peers = rows.iter().filter(|row| row.contender.kind == Kind::Peer);
    peers
        .filter(|peer| peer.smallest() < own.smallest())
        .map(|peer| {
            let ratio = own.smallest() as f64 / peer.smallest() as f64;
            format!("bytes: {} is smaller ({ratio:.2})", peer.contender.name)
        })
        .collect()
}
