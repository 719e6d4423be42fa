//! Churn: objects that come and go at random in a working set of a constant size.

use super::speed::{least_of, mean_of, Contests};
use super::Options;
use crate::contender::{everyone, ours};
use crate::report::{Bar, Figure};
use crate::rounds::Subject;
use crate::workload::churn::{Churn, SETTINGS};

/// Replacements that are measured.
const REPLACEMENTS: usize = 50_000;

/// Bytes of the arena.
const ARENA: usize = 64 << 20;

/// Measures the figure.
pub fn measure(options: &Options) -> Figure {
    let wanted = SETTINGS.iter().filter(|setting| options.wants_trace(&setting.name()));
    let subject = |setting: &Churn| {
        let subject = Subject::from(setting.build(REPLACEMENTS, 1));
        Subject { arena: Some(ARENA), ..subject }
    };
    let subjects: Vec<Subject> = wanted.map(subject).collect();
    let contests =
        Contests::run(&options.select(everyone()), &subjects, options.setup(25), "churn");
    let over_mimalloc = contests.ours_over("mimalloc");
    let bar = |what: &str, goal, value| Bar {
        what: format!("churn, {what}"),
        goal,
        at_least: true,
        value,
    };
    let over_talc5 = mean_of(&contests.speedups(ours()));
    Figure {
        id: String::from("churn"),
        title: String::from("Churn"),
        text: format!(
            "A constant number of live blocks, of random sizes in the given range; {REPLACEMENTS} times, \
             one of them, chosen at random, is freed and another one allocated. Before that, each block \
             has been replaced three times. An arena of 64 MiB, no lock. The row \
             \"(loop)\" is the measuring loop without an allocator; it is part of all other rows."
        ),
        tables: vec![contests.ratio_table(), contests.net_ratio_table(), contests.time_table()],
        charts: vec![contests.chart("churn", "Churn: live blocks and their sizes")],
        losses: contests.losses("churn"),
        bars: vec![
            bar("speed over mimalloc, geometric mean", 1.0, mean_of(&over_mimalloc)),
            bar("speed over mimalloc, least", 0.9, least_of(&over_mimalloc)),
            bar("speed over talc 5.1.1, geometric mean", 1.5, over_talc5),
        ],
        ..Figure::default()
    }
}
