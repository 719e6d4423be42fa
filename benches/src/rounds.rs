//! Contests: all contenders replay the same workload, in turn, round after round.
//!
//! The machine may be shared and noisy, so nobody is measured alone: a slow minute is everyone's,
//! ratios are taken within a round, and medians over the rounds are what is reported.

use crate::arena::{Arena, Region};
use crate::contender::{baseline, Entry, Kind};
use crate::replay::{Slots, Verdict};
use crate::stats::{median, quantile};
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
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a contender in a contest.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It finished.
    Timed(Timing),
    /// It is slower than this many nanoseconds per call, and was stopped.
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
}

impl Timing {
    /// Of the times of each round, and the baseline's in the same rounds.
    pub fn of(mine: &[f64], base: &[f64]) -> Self {
        let ratios: Vec<f64> = base.iter().zip(mine).map(|(base, mine)| base / mine).collect();
        Self {
            median: median(mine),
            low: quantile(mine, 0.25),
            high: quantile(mine, 0.75),
            speedup: median(&ratios),
        }
    }
}

impl Row {
    /// Times the baseline's speed, if it was timed.
    pub fn speedup(&self) -> Option<f64> {
        self.timing().map(|timing| timing.speedup)
    }

    /// The times, if it was timed.
    pub fn timing(&self) -> Option<Timing> {
        match self.outcome {
            Outcome::Timed(timing) => Some(timing),
            _ => None,
        }
    }
}

/// Replays above this are repeated in three rounds only.
const LONG_REPLAY_NS: f64 = 1e8;

/// What is replayed: one workload, or several variants of it that take turns from round to round
/// so that no branch predictor can learn one by heart.
pub struct Subject {
    /// The name in tables.
    pub name: String,
    /// At least one.
    pub variants: Vec<Workload>,
}

impl From<Workload> for Subject {
    fn from(workload: Workload) -> Self {
        Self { name: workload.name.clone(), variants: vec![workload] }
    }
}

impl Subject {
    fn roomy_arena(&self) -> usize {
        self.variants.iter().map(Workload::roomy_arena).max().unwrap_or(1 << 20)
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
    let workload = &subject.variants[0];
    let calls = workload.measured().len() as f64;
    let mut outcomes: Vec<Option<Outcome>> = entries
        .iter()
        .map(|entry| match entry.kind {
            Kind::Loop => None,
            _ => match (entry.verify)(workload, arena, slots, setup.patience) {
                Verdict::Sound => None,
                Verdict::TooSlow(ns) => Some(Outcome::SlowerThan(ns)),
                Verdict::OutOfMemory => Some(Outcome::Failed("out of memory".into())),
                Verdict::Corrupt(what) => Some(Outcome::Failed(what)),
            },
        })
        .collect();

    let mut times = vec![vec![None; setup.rounds]; entries.len()];
    for round in 0..setup.rounds {
        let workload = &subject.variants[round % subject.variants.len()];
        for turn in 0..entries.len() {
            // Another one begins each round, so that nobody always follows the same neighbour.
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
    entries
        .iter()
        .zip(&times)
        .map(|(entry, mine)| {
            let outcome = outcomes.remove(0).unwrap_or_else(|| {
                let of_base: Vec<f64> =
                    base.iter().flat_map(|&base| &times[base]).copied().flatten().collect();
                let taken: Vec<f64> = mine.iter().copied().flatten().collect();
                Outcome::Timed(Timing::of(&taken, &of_base))
            });
            Row { name: entry.name, kind: entry.kind, outcome }
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
    fn ratios_are_taken_within_a_round() {
        let timing = Timing::of(&[1.0, 2.0, 40.0], &[2.0, 6.0, 40.0]);
        assert_eq!((timing.median, timing.low, timing.high), (2.0, 1.5, 21.0));
        assert_eq!(timing.speedup, 2.0);
        assert!(Timing::of(&[1.0], &[]).speedup.is_nan());
    }
}
