//! Which misuse each allocator notices, and when.

use super::{progress, Options};
use crate::contender::{ours, Kind};
use crate::misuse::{cases, Case, Contender, Outcome, CONTENDERS, SIZES};
use crate::report::{Figure, Table};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// What came of a case with a block of each of [`SIZES`], if it applies.
type Outcomes = [Option<Outcome>; SIZES.len()];

/// Runs cases with one allocator, several at a time. The outcomes are in the order of the cases.
pub fn run(contender: &Contender, program: &Path, cases: &[Case]) -> Result<Vec<Outcomes>> {
    let next = AtomicUsize::new(0);
    let work = || -> Result<Vec<(usize, Outcomes)>> {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(case) = cases.get(index) else { return Ok(done) };
            let mut outcomes = Outcomes::default();
            for (outcome, size) in outcomes.iter_mut().zip(SIZES) {
                let run = contender.run(program, case, size);
                *outcome = run.with_context(|| format!("{}, {}", contender.name, case.name))?;
            }
            done.push((index, outcomes));
        }
    };
    let count = thread::available_parallelism().map_or(1, usize::from);
    let mut all = thread::scope(|scope| -> Result<Vec<(usize, Outcomes)>> {
        let workers: Vec<_> = (0..count).map(|_| scope.spawn(work)).collect();
        let mut all = Vec::new();
        for worker in workers {
            all.extend(worker.join().expect("no worker panics")?);
        }
        Ok(all)
    })?;
    all.sort_unstable_by_key(|(index, _)| *index);
    Ok(all.into_iter().map(|(_, outcomes)| outcomes).collect())
}

/// One mark if all are the same, else one for each size.
fn cell(outcomes: &Outcomes) -> String {
    let marks = outcomes.map(|outcome| outcome.map_or("", Outcome::mark));
    if marks.iter().all(|mark| *mark == marks[0]) {
        return marks[0].to_owned();
    }
    marks.map(|mark| if mark.is_empty() { "·" } else { mark }).join(" ")
}

/// An allocator, and what came of each case.
struct Row {
    contender: Contender,
    outcomes: Vec<Outcomes>,
}

impl Row {
    fn count(&self, wanted: Outcome) -> usize {
        self.outcomes.iter().flatten().filter(|outcome| **outcome == Some(wanted)).count()
    }

    /// How much misuse it reports before it does harm.
    fn noticed(&self) -> usize {
        self.count(Outcome::Call) + self.count(Outcome::Next)
    }

    fn total(&self) -> usize {
        self.outcomes.iter().flatten().flatten().count()
    }
}

/// Measures the figure.
pub fn measure(options: &Options) -> Result<Figure> {
    let wanted: Vec<_> = CONTENDERS.into_iter().filter(|c| options.wants(c.name)).collect();
    let progress = progress("score", wanted.len());
    let mut all: Vec<Case> = Vec::new();
    let mut rows = Vec::new();
    for contender in wanted {
        progress.step(contender.name);
        let program: PathBuf = contender.build()?;
        all = cases(&program)?;
        all.retain(|case| options.wants_trace(&case.name));
        let outcomes = run(&contender, &program, &all)?;
        rows.push(Row { contender, outcomes });
    }
    drop(progress);
    let sizes = SIZES.map(|size| size.to_string()).join(", ");
    Ok(Figure {
        id: String::from("score"),
        title: String::from("Misuse: what is noticed, and when"),
        text: format!(
            "Each case breaks one rule, in a process of its own, with a block of {sizes} bytes between two others: \
             for Talc a slot, a chunk that may go into a magazine, and a plain chunk. Then the program goes on: it \
             allocates, resizes and frees, and looks whether what it gets overlaps anything in use, and whether \
             contents are as they were. *call*: reported in the call that breaks the rule. *next*: reported in a \
             later one, before any harm was done; a write is no call. *later*: reported after memory was handed \
             out twice or overwritten. *twice*: memory was handed out twice or overwritten, and nothing was \
             reported. *crash*: the processor ended it, or something else than a report of the allocator. \
             *hang*: it went round in circles. A dash: nothing came of it, but what a stray write itself has \
             overwritten. Three marks are for the three sizes, a dot and an empty cell for what cannot be done \
             there. Reports are those of release builds, but for \"talc debug\"; \"talc with quarantine\" is built with \
             `hardened-full`, and keeps 256 freed blocks back; mimalloc reports because \
             `MIMALLOC_SHOW_ERRORS` is set, and goes on. Its secure build puts blocks where chance has it: the \
             worst of 4 runs is shown. With all others, the same comes of a case each time."
        ),
        tables: [sums(&rows)].into_iter().chain(groups(&all, &rows)).collect(),
        losses: losses(&rows),
        ..Figure::default()
    })
}

fn sums(rows: &[Row]) -> Table {
    let marks = Outcome::ALL.map(Outcome::mark);
    let columns = ["cases"].into_iter().chain(marks).chain(["all"]);
    let mut table = Table::new("What came of all cases", columns);
    for row in rows {
        let counts = Outcome::ALL.map(|outcome| row.count(outcome)).into_iter();
        let cells = counts.chain([row.total()]).map(|count| count.to_string());
        table.row([row.contender.name.to_owned()].into_iter().chain(cells));
    }
    table
}

/// A table for each group of cases.
fn groups(cases: &[Case], rows: &[Row]) -> Vec<Table> {
    let mut tables: Vec<Table> = Vec::new();
    for (index, case) in cases.iter().enumerate() {
        if tables.last().is_none_or(|table| table.title != case.group) {
            let names = rows.iter().map(|row| row.contender.name);
            tables.push(Table::new(&case.group, [""].into_iter().chain(names)));
        }
        if let Some(table) = tables.last_mut() {
            let cells = rows.iter().map(|row| cell(&row.outcomes[index]));
            table.row([case.name.clone()].into_iter().chain(cells));
        }
    }
    tables
}

/// The release builds that notice more.
fn losses(rows: &[Row]) -> Vec<String> {
    let own = rows.iter().find(|row| row.contender.name == ours()).map_or(0, Row::noticed);
    let others = rows.iter().filter(|row| row.contender.kind != Kind::Ours);
    let better = others.filter(|row| row.noticed() > own);
    better
        .map(|row| {
            let (name, count) = (row.contender.name, row.noticed());
            format!("misuse that a release build notices before it does harm: {name} ({count} cases, {own})")
        })
        .collect()
}
