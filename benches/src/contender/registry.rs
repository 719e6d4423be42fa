//! Every contender as a row of function pointers.

use super::*;
use crate::replay::{self, Grown, Slots, Verdict};
use crate::steps::{self, OpSteps};
use crate::workload::full::FullHeap;
use crate::workload::Workload;
use std::time::Duration;

/// One contender's measurements, each a function monomorphised for it.
#[derive(Clone, Copy)]
pub struct Entry {
    /// As on the command line and in tables.
    pub name: &'static str,
    /// Which figures it can take part in.
    pub kind: Kind,
    /// Whether its heap can be extended.
    pub grows: bool,
    /// Bytes of state that it keeps outside of the arena.
    pub state_bytes: usize,
    /// See [`replay::time`].
    pub time: fn(&Workload, Region, &mut Slots) -> Option<f64>,
    /// See [`replay::time`], behind a lock.
    pub time_locked: fn(&Workload, Region, &mut Slots) -> Option<f64>,
    /// See [`replay::verify`].
    pub verify: fn(&Workload, Region, &mut Slots, Duration) -> Verdict,
    /// See [`replay::first_failure`].
    pub first_failure: fn(&Workload, Region, &mut Slots) -> Option<usize>,
    /// See [`replay::extent`].
    pub extent: fn(&Workload, Region, &mut Slots) -> Option<usize>,
    /// See [`replay::grow`].
    pub grow: fn(&Workload, Region, usize, &mut Slots) -> Grown,
    /// See [`replay::latencies`].
    pub latencies: fn(&Workload, Region, &mut Slots, &mut [u64]) -> bool,
    /// See [`steps::count`].
    pub steps: fn(&Workload, Region, &mut Slots, &[usize]) -> Vec<OpSteps>,
    /// See [`steps::count_refused`].
    pub refused: fn(&FullHeap, Region, &mut Slots) -> Vec<u64>,
}

impl Entry {
    fn of<C: Contender>() -> Self {
        Self {
            name: C::NAME,
            kind: C::KIND,
            grows: C::GROWS,
            state_bytes: size_of::<C>(),
            time: replay::time::<C>,
            time_locked: replay::time::<Locked<C>>,
            verify: replay::verify::<C>,
            first_failure: replay::first_failure::<C>,
            extent: replay::extent::<C>,
            grow: replay::grow::<C>,
            latencies: replay::latencies::<C>,
            steps: steps::count::<C>,
            refused: steps::count_refused::<C>,
        }
    }

    /// Whether it manages the arena that it is given.
    pub fn uses_arena(&self) -> bool {
        matches!(self.kind, Kind::Ours | Kind::Peer)
    }
}

/// All contenders, in the order of the tables.
pub fn everyone() -> Vec<Entry> {
    vec![
        Entry::of::<Talc>(),
        Entry::of::<Talc5>(),
        Entry::of::<Rlsf>(),
        Entry::of::<Dl>(),
        Entry::of::<Good>(),
        Entry::of::<Buddy>(),
        Entry::of::<LinkedList>(),
        #[cfg(feature = "hosted")]
        Entry::of::<Mimalloc>(),
        #[cfg(feature = "hosted")]
        Entry::of::<Jemalloc>(),
        #[cfg(feature = "hosted")]
        Entry::of::<Snmalloc>(),
        Entry::of::<SystemAlloc>(),
        Entry::of::<Null>(),
    ]
}

/// All contenders, and Talc in front of which there are shards.
pub fn with_shards() -> Vec<Entry> {
    let mut entries = everyone();
    // It has locks already.
    let sharded = Entry { time_locked: replay::time::<Sharded>, ..Entry::of::<Sharded>() };
    entries.insert(1, sharded);
    entries
}

/// The contender of this name.
pub fn by_name(name: &str) -> Option<Entry> {
    with_shards().into_iter().find(|entry| entry.name == name)
}

/// The name that ratios are taken over.
pub fn baseline() -> &'static str {
    Talc5::NAME
}

/// The name of the crate that this repository is about.
pub fn ours() -> &'static str {
    Talc::NAME
}
