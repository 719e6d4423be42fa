//! Random actions over several maximum sizes, with and without realloc.

use super::speed::{least_of, mean_of, Contests};
use super::Options;
use crate::contender::{everyone, ours};
use crate::report::{Bar, Figure};
use crate::rounds::Subject;
use crate::workload::random::{Plan, MAX_SIZES};

/// How many random sequences take turns in each contest.
const VARIANTS: u64 = 5;

/// Measures the figure.
pub fn measure(options: &Options) -> Figure {
    let mut figure = Figure {
        id: String::from("random"),
        title: String::from("Random actions"),
        text: String::from(
            "Allocations, frees and, in half of the settings, reallocs in random order, around a \
             constant number of live blocks; sizes uniform up to the maximum, alignments 1 to 8. \
             A fixed arena with room to spare, no lock. The row \"(loop)\" is the measuring loop \
             without an allocator; it is part of all other rows, and pulls ratios towards 1.",
        ),
        ..Figure::default()
    };
    let mut all = Vec::new();
    for (realloc, live) in [(false, 300), (true, 300), (false, 3000), (true, 3000)] {
        let subjects: Vec<Subject> = MAX_SIZES
            .iter()
            .map(|&max_size| Subject {
                name: max_size.to_string(),
                variants: (0..VARIANTS)
                    .map(|seed| Plan { max_size, live, realloc, actions: 20_000, seed }.build())
                    .collect(),
            })
            .collect();
        let with = if realloc { "with realloc" } else { "without realloc" };
        let contests = Contests::run(
            &options.select(everyone()),
            &subjects,
            options.setup(25),
            &format!("random, {live} live, {with}"),
        );
        let title = format!("Random actions, {live} live blocks, {with}, by maximum size");
        let file = format!("random-{live}{}", if realloc { "-realloc" } else { "" });
        figure.charts.push(contests.chart(&file, &title));
        for mut table in [contests.ratio_table(), contests.time_table()] {
            table.title = format!("{live} live, {with}. {}", table.title);
            figure.tables.push(table);
        }
        figure.losses.extend(contests.losses(&format!("random, {live} live, {with}")));
        all.extend(contests.speedups(ours()));
    }
    figure.bars = vec![
        Bar {
            what: String::from("random actions, speed over talc 5.1.1, geometric mean"),
            goal: 1.3,
            at_least: true,
            value: mean_of(&all),
        },
        Bar {
            what: String::from("random actions, speed over talc 5.1.1, least"),
            goal: 1.15,
            at_least: true,
            value: least_of(&all),
        },
    ];
    figure
}
