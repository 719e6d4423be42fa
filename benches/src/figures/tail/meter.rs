//! Measures the single calls of one contender on one workload.

use crate::arena::{Arena, Region};
use crate::contender::{Entry, Null};
use crate::replay::{ticks, Slots, Verdict};
use crate::stats::median;
use crate::steps::{self, OpSteps};
use crate::workload::full::FullHeap;
use crate::workload::random::Plan;
use crate::workload::{OpKind, Workload};
use fastrand::Rng;
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Replays of each workload whose fastest time of each call is kept.
pub(super) const REPLAYS: usize = 7;

/// Calls of each kind whose instructions are counted: those that took longest.
pub(super) const SUSPECTS: usize = 24;

/// Calls of each trace, drawn at random, whose instructions are counted for the percentiles.
pub(super) const SAMPLE: usize = 500;

/// A contender that needs longer for a checked replay is left out.
const PATIENCE: Duration = Duration::from_millis(600);

/// The calls that are looked at.
pub(super) const KINDS: [OpKind; 2] = [OpKind::Alloc, OpKind::Free];

/// What is known of one contender on one workload.
#[derive(Default)]
pub(super) struct Found {
    /// Nanoseconds of each call, ascending; none if it could not be replayed.
    pub(super) times: Vec<f64>,
    /// Instructions of the worst call, for each of [`KINDS`].
    pub(super) worst: [Option<f64>; 2],
    /// Instructions of the calls of the sample, for each of [`KINDS`]; none if they take too many.
    pub(super) sample: [Vec<f64>; 2],
}

/// A sample of the calls of a workload, by their numbers.
pub(super) fn sample(workload: &Workload) -> BTreeSet<usize> {
    let ops = workload.measured();
    let looked_at = (0..ops.len()).filter(|&index| KINDS.contains(&ops[index].kind));
    Rng::with_seed(1).choose_multiple(looked_at, SAMPLE).into_iter().collect()
}

/// The calls of each kind that took longest.
fn suspects(workload: &Workload, times: &[u64]) -> Vec<usize> {
    let mut suspects = Vec::new();
    for kind in KINDS {
        let mut calls: Vec<usize> =
            (0..times.len()).filter(|&index| workload.measured()[index].kind == kind).collect();
        calls.sort_by_key(|&index| Reverse(times[index]));
        suspects.extend(calls.into_iter().take(SUSPECTS));
    }
    suspects
}

/// What measuring itself costs.
pub(super) struct Meter {
    nanoseconds_per_tick: f64,
    /// Of the loop around one call, with the clock.
    loop_ticks: u64,
    /// Of the loop around one call, for each of [`KINDS`].
    loop_steps: [u64; 2],
}

impl Meter {
    pub(super) fn new() -> Self {
        let plan = Plan { max_size: 100, live: 50, realloc: false, actions: 2000, seed: 1 };
        let workload = plan.build();
        let mut arena = Arena::new(workload.roomy_arena());
        let mut slots = Slots::default();
        let mut least = vec![u64::MAX; workload.measured().len()];
        for _ in 0..REPLAYS {
            crate::replay::latencies::<Null>(&workload, arena.region(), &mut slots, &mut least);
        }
        let least: Vec<f64> = least.into_iter().map(|ticks| ticks as f64).collect();
        let first: Vec<usize> = (0..50).collect();
        let counted = steps::count::<Null>(&workload, arena.region(), &mut slots, &first);
        let loop_steps = KINDS.map(|kind| {
            let of_kind = counted.iter().filter(|step| step.kind == kind);
            of_kind.map(|step| step.instructions).min().unwrap_or(0)
        });
        let (start, first) = (Instant::now(), ticks());
        while start.elapsed() < Duration::from_millis(50) {}
        let nanoseconds_per_tick = start.elapsed().as_nanos() as f64 / (ticks() - first) as f64;
        Self { nanoseconds_per_tick, loop_ticks: median(&least) as u64, loop_steps }
    }

    pub(super) fn find(
        &self,
        entry: &Entry,
        workload: &Workload,
        sample: &BTreeSet<usize>,
        arena: Region,
        slots: &mut Slots,
    ) -> Found {
        let mut least = vec![u64::MAX; workload.measured().len()];
        let mut found = Found::default();
        if (entry.verify)(workload, arena, slots, PATIENCE) != Verdict::Sound
            || !(0..REPLAYS).all(|_| (entry.latencies)(workload, arena, slots, &mut least))
        {
            return found;
        }
        if entry.uses_arena() {
            let mut chosen = sample.clone();
            chosen.extend(suspects(workload, &least));
            let chosen: Vec<usize> = chosen.into_iter().collect();
            let counted = (entry.steps)(workload, arena, slots, &chosen);
            self.sort_out(&chosen, &counted, sample, &mut found);
        }
        let calls = workload.measured().iter().zip(&least);
        let net = calls
            .filter(|(op, _)| op.kind != OpKind::Realloc)
            .map(|(_, ticks)| ticks.saturating_sub(self.loop_ticks));
        found.times = net.map(|ticks| ticks as f64 * self.nanoseconds_per_tick).collect();
        found.times.sort_by(f64::total_cmp);
        found
    }

    /// Of the `chosen` calls, as many are `counted` as the budget allowed.
    fn sort_out(
        &self,
        chosen: &[usize],
        counted: &[OpSteps],
        sample: &BTreeSet<usize>,
        found: &mut Found,
    ) {
        for (place, kind) in KINDS.into_iter().enumerate() {
            let around = self.loop_steps[place];
            let of_kind = chosen.iter().zip(counted).filter(|(_, step)| step.kind == kind);
            let net = of_kind
                .map(|(index, step)| (index, step.instructions.saturating_sub(around) as f64));
            found.worst[place] = net.clone().map(|(_, count)| count).reduce(f64::max);
            if counted.len() == chosen.len() {
                let sampled = net.filter(|(index, _)| sample.contains(index));
                found.sample[place] = sampled.map(|(_, count)| count).collect();
            }
        }
    }

    /// Instructions of the worst allocation that a full heap refuses, if it refuses any.
    pub(super) fn worst_refusal(
        &self,
        entry: &Entry,
        heap: &FullHeap,
        arena: Region,
        slots: &mut Slots,
    ) -> Option<f64> {
        if (entry.verify)(&heap.workload, arena, slots, PATIENCE) != Verdict::Sound {
            return None;
        }
        let most = (entry.refused)(heap, arena, slots).into_iter().max()?;
        Some(most.saturating_sub(self.loop_steps[0]) as f64)
    }
}
