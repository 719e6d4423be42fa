//! What debug builds have found to be wrong, and when it is reported.

use crate::{Misuse, RawTalc};

/// Keeps a [`Misuse`] from when it is found until it can be reported. Has no size and does nothing
/// in release builds.
pub(crate) struct Diagnosis {
    #[cfg(debug_assertions)]
    found: Option<Misuse>,
    #[cfg(debug_assertions)]
    is_deferred: bool,
    /// Damage does not go away, so it is noted once.
    #[cfg(debug_assertions)]
    has_damage: bool,
    /// For how many more calls no damage is noted. A message about something else may be allocated
    /// here, and what it is about may have done damage, too.
    #[cfg(debug_assertions)]
    is_muted_for: u8,
}

/// More calls than a message makes.
#[cfg(debug_assertions)]
const MESSAGE: u8 = 100;

#[cfg(debug_assertions)]
impl Diagnosis {
    pub(crate) const fn new() -> Self {
        Self { found: None, is_deferred: false, has_damage: false, is_muted_for: 0 }
    }

    pub(crate) fn note(&mut self, misuse: Misuse) {
        if misuse == Misuse::Damaged {
            if self.has_damage || self.is_muted_for > 0 {
                return;
            }
            self.has_damage = true;
        }
        self.found = self.found.or(Some(misuse));
    }

    pub(crate) const fn has_found(&self) -> bool {
        self.found.is_some()
    }

    pub(crate) const fn is_deferred(&self) -> bool {
        self.is_deferred
    }

    fn defer(&mut self, is_deferred: bool) {
        self.is_deferred = is_deferred;
    }

    fn take(&mut self) -> Option<Misuse> {
        self.is_muted_for = match self.found {
            Some(_) => MESSAGE,
            None => self.is_muted_for.saturating_sub(1),
        };
        self.found.take()
    }

    fn mute(&mut self) {
        self.is_muted_for = MESSAGE;
    }

    fn take_due(&mut self) -> Option<Misuse> {
        if self.is_deferred {
            None
        } else {
            self.take()
        }
    }
}

#[cfg(not(debug_assertions))]
impl Diagnosis {
    pub(crate) const fn new() -> Self {
        Self {}
    }

    pub(crate) fn note(&mut self, _: Misuse) {}

    pub(crate) const fn has_found(&self) -> bool {
        false
    }

    pub(crate) const fn is_deferred(&self) -> bool {
        false
    }

    fn defer(&mut self, _: bool) {}

    fn take(&mut self) -> Option<Misuse> {
        None
    }

    fn mute(&mut self) {}

    fn take_due(&mut self) -> Option<Misuse> {
        None
    }
}

impl<B> RawTalc<B> {
    /// Makes methods keep what they find to be wrong for [`take_report`](Self::take_report),
    /// instead of panicking; or makes them panic again, if `is_deferred` is `false`.
    ///
    /// For callers that hold a lock: the message of a panic may be allocated, and if that needs the
    /// same lock, the thread waits for itself. Does nothing in release builds.
    pub fn defer_reports(&mut self, is_deferred: bool) {
        self.diagnosis.defer(is_deferred);
    }

    /// Returns what a method has found to be wrong, once. That method did nothing else.
    pub fn take_report(&mut self) -> Option<Misuse> {
        self.diagnosis.take()
    }

    /// Makes this value ignore damage for some calls, so that a message about it can be allocated
    /// here.
    ///
    /// [`take_report`](Self::take_report) does so by itself; this is for callers that have found
    /// damage by an audit.
    pub fn mute_damage(&mut self) {
        self.diagnosis.mute();
    }

    /// Returns whether [`take_report`](Self::take_report) would return something.
    pub fn has_report(&self) -> bool {
        self.diagnosis.has_found()
    }

    /// Panics if something was found to be wrong, unless reports are deferred.
    #[track_caller]
    pub(crate) fn report(&mut self) {
        if let Some(misuse) = self.diagnosis.take_due() {
            panic!("{misuse}");
        }
    }
}
