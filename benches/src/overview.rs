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

/// One column: where its cells are.
struct Column {
    heading: &'static str,
    figure: &'static str,
    /// How the table's title begins.
    table: &'static str,
    column: &'static str,
}

const SPEED: Column = Column {
    heading: "speed on real programs",
    figure: "traces",
    table: "Speed over talc 5.1.1",
    column: "geometric mean",
};
const HEAP: Column = Column {
    heading: "smallest heap",
    figure: "smallest",
    table: "Smallest heap",
    column: "geometric mean",
};
const WORST: [Column; 2] = [
    Column {
        heading: "worst allocate, free",
        figure: "tail",
        table: "Instructions of the worst allocate",
        column: "worst of all",
    },
    Column {
        heading: "",
        figure: "tail",
        table: "Instructions of the worst free",
        column: "worst of all",
    },
];
const FIRST: [Column; 2] = [
    Column {
        heading: "first heap, state beside it",
        figure: "smallest",
        table: "Bytes before the first payload",
        column: "smallest first heap",
    },
    Column {
        heading: "",
        figure: "smallest",
        table: "Bytes before the first payload",
        column: "state outside of the heap",
    },
];
const BYTES: Column = Column {
    heading: "bytes in WebAssembly",
    figure: "wasm-bytes",
    table: "Bytes of a module",
    column: "opt-level z, wasm-opt -Oz",
};

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
        ["", SPEED.heading, HEAP.heading, WORST[0].heading, FIRST[0].heading, BYTES.heading],
    );
    for &name in &names {
        let small = format!("{name} small");
        let cells = [
            SPEED.cell(figures, name),
            HEAP.cell(figures, name),
            pair([WORST[0].cell(figures, name), WORST[1].cell(figures, name)]),
            pair([FIRST[0].cell(figures, name), FIRST[1].cell(figures, name)]),
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
