//! Reporting broken rules: when operations look for them, and when they panic.

use core::alloc::Layout;

use super::Talc;
use crate::reports::Reports;
use crate::{Binning, RawTalcExt, Report, Source};

impl<S, B> Talc<S, B> {
    /// Sets whether methods keep a broken rule that they find for [`deferred`](Self::deferred) to
    /// return, instead of panicking. Returns whether they did. Does nothing in builds that find
    /// nothing.
    #[inline]
    pub fn defer_reports(&mut self, are_deferred: bool) -> bool {
        self.raw.defer_reports(are_deferred);
        self.reports.defer(are_deferred)
    }
}

impl<S: Source<B>, B: Binning> Talc<S, B> {
    /// Calls `f`. Returns what it returns, and the rule that was found to be broken meanwhile, if
    /// one was. A method that would otherwise panic does nothing.
    ///
    /// This is for wrappers, which must not panic before they have released their lock, as the
    /// message may be allocated here. Nothing is ever found in release builds without the feature
    /// `error-scanning`.
    #[inline]
    pub fn deferred<T>(&mut self, f: impl FnOnce(&mut Self) -> T) -> (T, Option<Report>) {
        if !Reports::EXIST {
            return (f(self), None);
        }
        let was_deferred = self.defer_reports(true);
        // A source may unwind.
        let talc = Deferred { talc: self, was_deferred };
        let result = f(&mut *talc.talc);
        let report = talc.talc.take_report();
        (result, report)
    }

    /// Returns whether `ptr` seems to be a live allocation of `layout`, and reports what is wrong
    /// if not. Always `true` if debug assertions are disabled.
    ///
    /// This is for wrappers, before they read the contents of the allocation.
    ///
    /// # Safety
    /// As for [`RawTalc::misuse`](talc_core::RawTalc::misuse).
    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    pub unsafe fn is_sound(&mut self, ptr: *mut u8, layout: Layout) -> bool {
        let check = |talc: &mut Self| {
            if cfg!(debug_assertions) {
                // SAFETY: required of the caller.
                if let Some(misuse) = unsafe { talc.raw.misuse(ptr, layout) } {
                    talc.reports.note(Report::Misuse(misuse));
                    return false;
                }
            }
            true
        };
        // SAFETY: required of the caller.
        unsafe { self.reporting_of(ptr, layout, false, check) }
    }

    /// Returns whether a broken rule was found and not reported yet. Only in
    /// [`deferred`](Self::deferred) can this be `true`.
    #[inline]
    pub fn has_report(&self) -> bool {
        self.raw.has_report() || self.reports.has_found()
    }

    #[inline]
    fn take_report(&mut self) -> Option<Report> {
        let report = self.reports.take(self.raw.take_report());
        if report.is_some() {
            self.raw.mute_damage();
        }
        report
    }

    /// Calls `f`, with the feature `error-scanning` after an audit. Returns `undone` instead of
    /// calling it if a broken rule was found.
    ///
    /// # Panics
    /// Panics if the audit or `f` found a broken rule, unless reports are deferred.
    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    pub(super) fn reporting<T>(&mut self, undone: T, f: impl FnOnce(&mut Self) -> T) -> T {
        #[cfg(feature = "audit")]
        if self.reports.are_scanned() && !self.reports.has_found() {
            if let Err(fault) = self.audit() {
                self.reports.note(Report::Fault(fault));
            }
        }
        if !Reports::EXIST {
            return f(self);
        }
        if self.reports.are_deferred() {
            return if self.has_report() { undone } else { f(self) };
        }
        let (result, report) =
            self.deferred(|talc| if talc.has_report() { undone } else { f(talc) });
        if let Some(report) = report {
            panic!("{report}");
        }
        result
    }

    /// As [`reporting`](Self::reporting), for an operation on an allocation. What is wrong with the
    /// allocation says more than what an audit finds.
    ///
    /// # Safety
    /// As for [`RawTalc::misuse`](talc_core::RawTalc::misuse).
    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    pub(super) unsafe fn reporting_of<T>(
        &mut self,
        ptr: *mut u8,
        layout: Layout,
        undone: T,
        f: impl FnOnce(&mut Self) -> T,
    ) -> T {
        #[cfg(feature = "audit")]
        if cfg!(debug_assertions) && self.reports.are_scanned() {
            // SAFETY: required of the caller.
            if let Some(misuse) = unsafe { self.raw.misuse(ptr, layout) } {
                self.reports.note(Report::Misuse(misuse));
            }
        }
        #[cfg(not(feature = "audit"))]
        let _ = (ptr, layout);
        self.reporting(undone, f)
    }
}

/// Ends a deferral, even if the source panics.
struct Deferred<'a, S: Source<B>, B: Binning> {
    talc: &'a mut Talc<S, B>,
    was_deferred: bool,
}

impl<S: Source<B>, B: Binning> Drop for Deferred<'_, S, B> {
    #[inline]
    fn drop(&mut self) {
        self.talc.defer_reports(self.was_deferred);
    }
}
