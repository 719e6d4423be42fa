//! Contests: all contenders replay the same workload, in turn, round after round.
//!
//! The machine may be shared and noisy, so contenders take turns: a slow minute affects all of
//! them. Ratios are taken within a round, and medians over the rounds are reported.

use crate::arena::{Arena, Region};
use crate::contender::{baseline, Entry, Kind};
use crate::replay::{Slots, Verdict};
use crate::stats::{median, quantile};
use crate::workload::random::Plan;
use crate::workload::Workload;
use std::time::Duration;

/// How a contest is run.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// Rounds, each of one replay per contender.
    pub rounds: usize,
    /// Whether each call takes an uncontended lock.
    pub locked: bool,
    /// A contender that cannot finish one checked replay within this time is left out.
    pub patience: Duration,
}

/// One contender's result.
#[derive(Clone, Debug)]
pub struct Row {
    /// The contender.
    pub name: &'static str,
    /// Its sort.
    pub kind: Kind,
    /// Its outcome.
    pub outcome: Outcome,
}

/// The outcome for a contender in a contest.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It finished.
    Timed(Timing),
    /// It was stopped, as it takes more than this many nanoseconds per call.
    SlowerThan(f64),
    /// It failed, for this reason.
    Failed(String),
}

/// Nanoseconds per call over the rounds.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// The middle round.
    pub median: f64,
    /// A quarter of the rounds were faster.
    pub low: f64,
    /// A quarter of the rounds were slower.
    pub high: f64,
    /// The baseline's time over this one's, round by round, then the median: above 1 is faster.
    pub speedup: f64,
    /// The same with the time of the measuring loop taken off both.
    pub net_speedup: f64,
}

impl Timing {
    /// Made of the times of each round, those of the baseline in the same rounds, and those of the
    /// loop alone.
    pub fn of(mine: &[f64], base: &[f64], around: &[f64]) -> Self {
        let ratios: Vec<f64> = base.iter().zip(mine).map(|(base, mine)| base / mine).collect();
        let net = base.iter().zip(mine).zip(around);
        let net: Vec<f64> = net.map(|((base, mine), a)| (base - a) / (mine - a)).collect();
        Self {
            median: median(mine),
            low: quantile(mine, 0.25),
            high: quantile(mine, 0.75),
            speedup: median(&ratios),
            net_speedup: median(&net),
        }
    }
}

impl Row {
    /// Returns the speed over the baseline's, if both were timed.
    pub fn speedup(&self) -> Option<f64> {
        self.timing().map(|timing| timing.speedup).filter(|ratio| ratio.is_finite())
    }

    /// The same net of the measuring loop.
    pub fn net_speedup(&self) -> Option<f64> {
        self.timing().map(|timing| timing.net_speedup).filter(|ratio| ratio.is_finite())
    }

    /// Returns the times, if it was timed.
    pub fn timing(&self) -> Option<Timing> {
        match self.outcome {
            Outcome::Timed(timing) => Some(timing),
            _ => None,
        }
    }
}

/// Replays above this are repeated in three rounds only.
const LONG_REPLAY_NS: f64 = 1e8;

/// What is replayed: the same workload in each round, or new random actions for each round, as a
/// branch predictor learns what is repeated.
pub struct Subject {
    /// The name in tables.
    pub name: String,
    /// What is replayed; of random actions, those that are checked.
    pub workload: Workload,
    /// The plan, if these are random actions.
    pub plan: Option<Plan>,
    /// Bytes of the arena, if not as many as the workload suggests.
    pub arena: Option<usize>,
}

impl From<Workload> for Subject {
    fn from(workload: Workload) -> Self {
        Self { name: workload.name.clone(), workload, plan: None, arena: None }
    }
}

impl From<Plan> for Subject {
    fn from(plan: Plan) -> Self {
        Self {
            name: plan.max_size.to_string(),
            workload: plan.build(),
            plan: Some(plan),
            arena: None,
        }
    }
}

impl Subject {
    fn roomy_arena(&self) -> usize {
        self.arena.unwrap_or_else(|| self.workload.roomy_arena())
    }

    /// Returns what a round replays, if not the workload that was checked. That workload has the
    /// seed of the plan, so no round may have it.
    fn draw(&self, round: usize) -> Option<Workload> {
        let draw = |plan: Plan| Plan { seed: plan.seed + 1 + round as u64, ..plan }.build();
        self.plan.map(draw)
    }
}

/// Runs a contest.
pub fn contest(
    entries: &[Entry],
    subject: &Subject,
    arena: Region,
    setup: Setup,
    slots: &mut Slots,
) -> Vec<Row> {
    let arena = arena.first(subject.roomy_arena());
    let calls = subject.workload.measured().len() as f64;
    let mut outcomes: Vec<Option<Outcome>> = entries
        .iter()
        .map(|entry| match entry.kind {
            Kind::Loop => None,
            _ => match (entry.verify)(&subject.workload, arena, slots, setup.patience) {
                Verdict::Sound => None,
                Verdict::TooSlow(ns) => Some(Outcome::SlowerThan(ns)),
                Verdict::OutOfMemory => Some(Outcome::Failed("out of memory".into())),
                Verdict::Corrupt(what) => Some(Outcome::Failed(what)),
            },
        })
        .collect();

    let mut times = vec![vec![None; setup.rounds]; entries.len()];
    for round in 0..setup.rounds {
        let drawn = subject.draw(round);
        let workload = drawn.as_ref().unwrap_or(&subject.workload);
        for turn in 0..entries.len() {
            // Another contender begins each round, so that none always follows the same one.
            let index = (turn + round) % entries.len();
            let long = times[index][0].is_some_and(|ns: f64| ns * calls > LONG_REPLAY_NS);
            if outcomes[index].is_some() || (long && round >= 3) {
                continue;
            }
            let time = if setup.locked { entries[index].time_locked } else { entries[index].time };
            times[index][round] = time(workload, arena, slots);
            if times[index][round].is_none() {
                outcomes[index] = Some(Outcome::Failed("out of memory".into()));
            }
        }
    }

    let base = entries.iter().position(|entry| entry.name == baseline());
    let empty = entries.iter().position(|entry| entry.kind == Kind::Loop);
    let taken = |index: usize| -> Vec<f64> { times[index].iter().copied().flatten().collect() };
    let timing = |index: usize| {
        let around = empty.map(taken).unwrap_or_default();
        Timing::of(&taken(index), &base.map(taken).unwrap_or_default(), &around)
    };
    let rows = entries.iter().zip(outcomes).enumerate();
    rows.map(|(index, (entry, failure))| Row {
        name: entry.name,
        kind: entry.kind,
        outcome: failure.unwrap_or_else(|| Outcome::Timed(timing(index))),
    })
    .collect()
}

/// An arena roomy enough for each of the subjects.
pub fn arena_for(subjects: &[Subject]) -> Arena {
    Arena::new(subjects.iter().map(Subject::roomy_arena).max().unwrap_or(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_round_repeats_another() {
        let plan = Plan { max_size: 1000, live: 50, realloc: true, actions: 100, seed: 0 };
        let subject = Subject::from(plan);
        let sizes = |workload: &Workload| workload.ops.iter().map(|op| op.size).collect();
        let mut seen: Vec<Vec<u32>> = vec![sizes(&subject.workload)];
        for round in 0..5 {
            let drawn = sizes(&subject.draw(round).expect("a plan"));
            assert!(!seen.contains(&drawn));
            seen.push(drawn);
        }
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        let timing = Timing::of(&[1.0, 2.0, 40.0], &[2.0, 6.0, 40.0], &[0.5, 1.0, 0.0]);
        assert_eq!((timing.median, timing.low, timing.high), (2.0, 1.5, 21.0));
        assert_eq!((timing.speedup, timing.net_speedup), (2.0, 3.0));
        assert!(Timing::of(&[1.0], &[], &[]).speedup.is_nan());
    }
}
