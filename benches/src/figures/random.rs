//! Random actions over several maximum sizes, with and without realloc.

use super::speed::{least_of, mean_of, Contests};
use super::Options;
use crate::contender::{everyone, ours};
use crate::report::{Bar, Figure};
use crate::rounds::Subject;
use crate::workload::random::{Plan, MAX_SIZES};

/// How many actions a round has: enough to outweigh what predictors and caches learn at first,
/// few enough that the list of them stays in a cache.
const ACTIONS: usize = 40_000;

/// Live blocks of the settings that count for the goals.
const LIVE: usize = 300;

/// Live blocks of the further settings.
const MORE_LIVE: usize = 3000;

/// Measures the figure.
pub fn measure(options: &Options) -> Figure {
    let mut figure = Figure {
        id: String::from("random"),
        title: String::from("Random actions"),
        text: format!(
            "Allocations, frees and, in half of the settings, reallocs in random order, around a \
             constant number of live blocks; sizes uniform up to the maximum, alignments 1 to 8. \
             A fixed arena with room to spare, no lock. Each round replays {ACTIONS} actions that \
             were never replayed before, the same for all contenders: what comes round again, a \
             processor's branch predictor learns. The row \"(loop)\" is the measuring loop without \
             an allocator; it is part of all other rows, and pulls ratios towards 1. Ratios net of \
             it are given beside. The goals are for {LIVE} live blocks, with the loop; the tables \
             for {MORE_LIVE} are there for comparison.",
        ),
        ..Figure::default()
    };
    let mut goal = Vec::new();
    for (realloc, live) in [(false, LIVE), (true, LIVE), (false, MORE_LIVE), (true, MORE_LIVE)] {
        let plans =
            MAX_SIZES.map(|max_size| Plan { max_size, live, realloc, actions: ACTIONS, seed: 0 });
        let subjects = plans.map(Subject::from);
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
        for mut table in [contests.ratio_table(), contests.net_ratio_table(), contests.time_table()]
        {
            table.title = format!("{live} live, {with}. {}", table.title);
            figure.tables.push(table);
        }
        figure.losses.extend(contests.losses(&format!("random, {live} live, {with}")));
        if live == LIVE {
            goal.extend(contests.speedups(ours()));
        }
    }
    figure.bars = vec![
        Bar {
            what: format!("random actions, {LIVE} live, speed over talc 5.1.1, geometric mean"),
            goal: 1.3,
            at_least: true,
            value: mean_of(&goal),
        },
        Bar {
            what: format!("random actions, {LIVE} live, speed over talc 5.1.1, least"),
            goal: 1.15,
            at_least: true,
            value: least_of(&goal),
        },
    ];
    figure
}
