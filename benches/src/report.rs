//! Figures as data: tables and charts that know nothing of how they were measured.
//!
//! A figure is kept as JSON in `results/`, so that one can be measured again without the others;
//! `RESULTS.md` and the plots are always made from all that is kept there.

use crate::compact;
use crate::stats::mean_of_all;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One figure of the results.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Figure {
    /// The sub-command that measures it.
    pub id: String,
    /// Heading.
    pub title: String,
    /// What is measured and how, in a few sentences.
    pub text: String,
    /// The exact command.
    pub command: String,
    /// Where, when and what was measured.
    pub origin: Origin,
    /// Numbers.
    pub tables: Vec<Table>,
    /// Pictures.
    pub charts: Vec<Chart>,
    /// Pictures of what changes from call to call.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub courses: Vec<Course>,
    /// Comparisons with what Talc set out to reach.
    pub bars: Vec<Bar>,
    /// Each place where another allocator without an operating system does better.
    pub losses: Vec<String>,
}

/// Where a figure comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Processor and number of cores.
    pub machine: String,
    /// Version of the compiler.
    pub compiler: String,
    /// Commit that was built, and whether the tree differed from it.
    pub commit: String,
}

/// A table; the first column names the row.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Table {
    /// Caption.
    pub title: String,
    /// Headings.
    pub columns: Vec<String>,
    /// Cells, each row as long as `columns`.
    pub rows: Vec<Vec<String>>,
}

/// Grouped bars.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Chart {
    /// Name of the file, without its ending.
    pub file: String,
    /// Heading.
    pub title: String,
    /// What the vertical axis shows.
    pub axis: String,
    /// Names below the axis.
    pub groups: Vec<String>,
    /// One bar per group and series; a missing value leaves a hole.
    pub series: Vec<(String, Vec<Option<f64>>)>,
    /// Bars above this are cut off and carry their value.
    pub cut: Option<f64>,
    /// Where the axis begins.
    pub floor: f64,
}

/// Lines from left to right, each value as far from the one before as all others.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Course {
    /// Name of the file, without its ending.
    pub file: String,
    /// Heading.
    pub title: String,
    /// What the horizontal axis shows.
    pub across: String,
    /// Where the last value is on it.
    pub end: f64,
    /// What the vertical axis shows.
    pub axis: String,
    /// What the lines are compared with: a dashed one.
    pub least: (String, Vec<f64>),
    /// The lines.
    pub series: Vec<(String, Vec<f64>)>,
}

/// A goal and what was measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Bar {
    /// What is compared.
    pub what: String,
    /// The goal.
    pub goal: f64,
    /// Whether the value should be at least the goal, or at most.
    pub at_least: bool,
    /// What was measured.
    pub value: f64,
}

impl Bar {
    /// Whether the goal is reached.
    pub fn reached(&self) -> bool {
        if self.at_least {
            self.value >= self.goal
        } else {
            self.value <= self.goal
        }
    }
}

impl Table {
    /// A table without rows.
    pub fn new<S: Into<String>>(
        title: impl Into<String>,
        columns: impl IntoIterator<Item = S>,
    ) -> Self {
        let columns = columns.into_iter().map(Into::into).collect();
        Self { title: title.into(), columns, rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    /// As Markdown, with columns padded so that it can be read in a terminal too.
    pub fn markdown(&self) -> String {
        let mut widths: Vec<usize> = self.columns.iter().map(|c| c.chars().count()).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let line = |cells: &[String]| {
            let mut out = String::from("|");
            for (index, (cell, &width)) in cells.iter().zip(&widths).enumerate() {
                let padded = if index == 0 {
                    format!(" {cell:<width$} |")
                } else {
                    format!(" {cell:>width$} |")
                };
                out.push_str(&padded);
            }
            out + "\n"
        };
        let rule: Vec<String> = widths
            .iter()
            .enumerate()
            .map(|(index, &width)| "-".repeat(width - usize::from(index > 0)))
            .collect();
        let rule = rule.join("-: | ").replacen("-: | ", " | ", 1);
        let end = if widths.len() > 1 { ": |" } else { " |" };
        let mut out = format!("**{}**\n\n{}| {rule}{end}\n", self.title, line(&self.columns));
        for row in &self.rows {
            out.push_str(&line(row));
        }
        out
    }
}

/// The folder of this crate, where `results/`, `plots/` and `traces/` are.
pub fn home() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

impl Origin {
    /// Asks the system.
    pub fn here() -> Self {
        Self { machine: machine(), compiler: first_line("rustc", &["--version"]), commit: commit() }
    }
}

fn machine() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = info.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split(':').nth(1)).map_or("?", str::trim).to_owned()
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!(
        "{} (family {}, model {}), {cores} cores, {}",
        field("model name"),
        field("cpu family"),
        field("model\t"),
        std::env::consts::OS
    )
}

fn commit() -> String {
    let hash = first_line("git", &["rev-parse", "--short=12", "HEAD"]);
    // The results themselves are written before they can be committed.
    let pathspec = ["status", "--porcelain", "--untracked-files=no", "--", ":/", ":!/benches"];
    let changed = first_line("git", &pathspec);
    if changed.is_empty() {
        hash
    } else {
        format!("{hash} with local changes")
    }
}

/// What a program prints first; nothing if it does not run.
pub(crate) fn first_line(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).current_dir(home()).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    text.unwrap_or_default().lines().next().unwrap_or_default().to_owned()
}

impl Figure {
    /// Tables for the terminal.
    pub fn print(&self) {
        println!("# {}\n", self.title);
        for table in &self.tables {
            println!("{}", table.markdown());
        }
        for bar in &self.bars {
            println!("{}", bar_line(bar));
        }
    }

    /// Keeps the figure in `results/`.
    pub fn save(&self) -> Result<()> {
        let folder = home().join("results");
        std::fs::create_dir_all(&folder)?;
        let path = folder.join(format!("{}.json", self.id));
        std::fs::write(&path, self.json()?).with_context(|| format!("writing {}", path.display()))
    }

    /// The figure as it is kept.
    pub fn json(&self) -> Result<String> {
        Ok(compact::json(&serde_json::to_string_pretty(self)?))
    }

    /// The figure with as many digits of each number as are kept.
    #[must_use]
    pub fn rounded(mut self) -> Self {
        let round = |value: &mut f64| *value = compact::rounded(*value);
        self.bars.iter_mut().for_each(|bar| round(&mut bar.value));
        for (_, values) in self.charts.iter_mut().flat_map(|chart| &mut chart.series) {
            values.iter_mut().flatten().for_each(round);
        }
        for Course { least, series, .. } in &mut self.courses {
            let lines = series.iter_mut().chain([least]);
            lines.flat_map(|(_, values)| values).for_each(round);
        }
        self
    }

    /// Reads a kept figure.
    pub fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)?;
        serde_json::from_str(&text).with_context(|| format!("reading {}", path.display()))
    }
}

fn bar_line(bar: &Bar) -> String {
    let sign = if bar.at_least { "at least" } else { "at most" };
    let verdict = if bar.reached() { "reached" } else { "missed" };
    format!("{}: {} (goal: {sign} {}): {verdict}", bar.what, number(bar.value), number(bar.goal))
}

/// Three significant digits or whole numbers.
pub fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// A geometric mean as a cell, empty when a value is missing.
pub fn mean_cell(values: &[Option<f64>]) -> String {
    mean_of_all(values).map_or(String::new(), |mean| format!("{mean:.3}"))
}

/// A whole document of results. `notes` say what no measurement says of itself: why a goal is not
/// reached, and what was tried.
pub fn document(title: &str, notes: &str, figures: &[Figure]) -> String {
    let mut out = format!("# {title}\n\n");
    out.push_str(
        "Written by `cargo run --release -p benches -- report` from `results/*.json`; each figure \
         names the command that measured it. Ratios within one figure come from one interleaved \
         run and hold on other machines as far as anything does; nanoseconds do not.\n\n",
    );
    let bars: Vec<&Bar> = figures.iter().flat_map(|figure| &figure.bars).collect();
    if !bars.is_empty() {
        let mut table = Table::new("Goals", ["figure", "goal", "measured", "reached"]);
        for bar in bars {
            let sign = if bar.at_least { "≥" } else { "≤" };
            table.row([
                bar.what.clone(),
                format!("{sign} {}", number(bar.goal)),
                match bar.value {
                    value if value < 10.0 => format!("{value:.3}"),
                    value => number(value),
                },
                String::from(if bar.reached() { "yes" } else { "no" }),
            ]);
        }
        let _ = writeln!(out, "{}", table.markdown());
    }
    out.push_str(notes);
    out.push_str(
        "## Where we lose\n\n\
         Each allocator that does better, and where; in brackets, by what factor.\n\n",
    );
    let losses: Vec<&String> = figures.iter().flat_map(|figure| &figure.losses).collect();
    for loss in &losses {
        let _ = writeln!(out, "- {loss}");
    }
    if losses.is_empty() {
        out.push_str("Nowhere, in the figures below.\n");
    }
    for figure in figures {
        let _ = write!(out, "\n## {}\n\n{}\n\n", figure.title, figure.text);
        let Origin { machine, compiler, commit } = &figure.origin;
        let _ = writeln!(out, "`{}` · {machine} · {compiler} · commit {commit}\n", figure.command);
        let charts = figure.charts.iter().map(|chart| (&chart.title, &chart.file));
        let courses = figure.courses.iter().map(|course| (&course.title, &course.file));
        for (title, file) in charts.chain(courses) {
            let _ = writeln!(out, "![{title}](plots/{file}.svg)\n");
        }
        for table in &figure.tables {
            let _ = writeln!(out, "{}", table.markdown());
        }
    }
    out
}
