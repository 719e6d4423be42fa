//! Keeping the counters, or nothing. The algorithm makes the same calls either way.

pub(crate) mod counters;

use crate::Counters;

/// Keeps [`Counters`] with the feature `counters`; has no size and does nothing without it.
pub(crate) struct Tally {
    #[cfg(feature = "counters")]
    counters: Counters,
}

#[cfg(feature = "counters")]
impl Tally {
    pub(crate) const fn new() -> Self {
        Self { counters: Counters::ZERO }
    }

    pub(crate) const fn counters(&self) -> &Counters {
        &self.counters
    }

    pub(crate) fn record(&mut self, event: impl FnOnce(&mut Counters)) {
        event(&mut self.counters);
    }
}

#[cfg(not(feature = "counters"))]
impl Tally {
    pub(crate) const fn new() -> Self {
        Self {}
    }

    pub(crate) fn record(&mut self, _event: impl FnOnce(&mut Counters)) {}
}
