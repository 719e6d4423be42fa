//! The first thing that the repository's README.md shows: one plot and one table of the numbers that
//! people choose by, taken from the figures that are kept.

use crate::contender::{everyone, ours};
use crate::report::{home, Chart, Figure, Table};
use anyhow::{Context, Result};

/// Between these lines of README.md the table is.
const BEGIN: &str = "<!-- overview: written by `cargo run --release -p benches -- report` -->\n";
const END: &str = "<!-- end of overview -->\n";

/// Allocators that are for WebAssembly only.
const WASM: [&str; 2] = ["wasmalloc", "lol_alloc"];

/// A column of a figure's table.
struct Column {
    figure: &'static str,
    /// How the table's title begins.
    table: &'static str,
    column: &'static str,
}

const fn column(figure: &'static str, table: &'static str, column: &'static str) -> Column {
    Column { figure, table, column }
}

const SPEED: Column = column("traces", "Speed over talc 5.1.1", "geometric mean");
const HEAP: Column = column("smallest", "Smallest heap", "geometric mean");
const ALLOCATE: Column = column("tail", "Instructions of the worst allocate", "worst of all");
const FREE: Column = column("tail", "Instructions of the worst free", "worst of all");
const FIRST: Column = column("smallest", "Bytes before the first payload", "smallest first heap");
const STATE: Column =
    column("smallest", "Bytes before the first payload", "state outside of the heap");
const BYTES: Column = column("wasm-bytes", "Bytes of a module", "opt-level z, wasm-opt -Oz");

impl Column {
    /// The cell of an allocator, if it was measured.
    fn cell(&self, figures: &[Figure], name: &str) -> Option<String> {
        let figure = figures.iter().find(|figure| figure.id == self.figure)?;
        let table = figure.tables.iter().find(|table| table.title.starts_with(self.table))?;
        let column = table.columns.iter().position(|column| column == self.column)?;
        let row = table.rows.iter().find(|row| row[0] == name)?;
        Some(row[column].clone()).filter(|cell| !cell.is_empty() && cell != "–")
    }
}

/// Two cells in one, if there is any.
fn pair(cells: [Option<String>; 2]) -> Option<String> {
    let [first, second] = cells;
    Some(match second {
        Some(second) => format!("{}, {second}", first?),
        None => first?,
    })
}

/// Writes the table into README.md, and returns the chart.
///
/// # Errors
/// If README.md cannot be read or written, or has no place for the table.
pub fn write(figures: &[Figure]) -> Result<Chart> {
    let names: Vec<&str> = everyone().iter().map(|entry| entry.name).chain(WASM).collect();
    let mut table = Table::new(
        "",
        [
            "",
            "speed on real programs",
            "smallest heap",
            "worst allocate, free",
            "first heap, state beside it",
            "bytes in WebAssembly",
        ],
    );
    for &name in &names {
        let small = format!("{name} small");
        let cells = [
            SPEED.cell(figures, name),
            HEAP.cell(figures, name),
            pair([ALLOCATE.cell(figures, name), FREE.cell(figures, name)]),
            pair([FIRST.cell(figures, name), STATE.cell(figures, name)]),
            pair([BYTES.cell(figures, name), BYTES.cell(figures, &small)]),
        ];
        if cells.iter().any(Option::is_some) {
            let label = if name == ours() { format!("**{name}**") } else { name.to_owned() };
            let cells = cells.map(|cell| cell.unwrap_or_else(|| String::from("–")));
            table.row([label].into_iter().chain(cells));
        }
    }

    let path = home().join("../README.md");
    let text = std::fs::read_to_string(&path)?;
    let place = || -> Option<(&str, &str)> {
        let (before, rest) = text.split_once(BEGIN)?;
        Some((before, rest.split_once(END)?.1))
    };
    let (before, after) = place().context("README.md has no place for the overview")?;
    let markdown = table.markdown();
    let rows = markdown.split_once("\n\n").map_or("", |(_, rows)| rows);
    std::fs::write(&path, format!("{before}{BEGIN}\n{rows}\n{END}{after}"))?;

    let value = |column: &Column, name: &str| column.cell(figures, name)?.parse().ok();
    let measured = |name: &&&str| value(&SPEED, name).is_some();
    Ok(Chart {
        file: String::from("overview"),
        title: String::from("Recorded programs: speed (more is better) and heap (less is better)"),
        axis: String::from("times"),
        groups: vec![
            String::from("speed, times that of talc 5.1.1"),
            String::from("smallest heap, times the live bytes"),
        ],
        series: names
            .iter()
            .filter(measured)
            .map(|&name| (name.to_owned(), vec![value(&SPEED, name), value(&HEAP, name)]))
            .collect(),
        ..Chart::default()
    })
}
