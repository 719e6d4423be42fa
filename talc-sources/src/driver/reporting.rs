//! Reporting broken rules: when operations look for them, and when they panic.

use core::alloc::Layout;

use talc_core::Misuse;

use super::Talc;
use crate::reports::Reports;
#[cfg(feature = "audit")]
use crate::Report;
use crate::{Binning, Incident, RawTalcExt, ReportHook, Source};

impl<S, B> Talc<S, B> {
    /// Sets whether methods keep a broken rule that they find for [`deferred`](Self::deferred) to
    /// return, instead of panicking. Returns whether they did. Does nothing in builds that find
    /// nothing.
    #[inline]
    pub fn defer_reports(&mut self, are_deferred: bool) -> bool {
        self.reports.defer(are_deferred)
    }

    /// Sets a function that is called with each broken rule that is found, before the panic. It may log what it is
    /// told, and abort, reset or halt instead of returning.
    ///
    /// It is called when no wrapper holds its lock. It should not allocate here: the heaps may be damaged. Nothing is
    /// ever found in release builds without the features `hardened` and `error-scanning`.
    #[inline]
    pub fn set_report_hook(&mut self, hook: Option<ReportHook>) {
        self.reports.set_hook(hook);
    }

    /// Sets how many of the blocks that were freed last are kept back, so that errors with them are found. See
    /// [`RawTalc::set_quarantine`](talc_core::RawTalc::set_quarantine). Does nothing without the feature
    /// `hardened-full`.
    #[inline]
    pub fn set_quarantine(&mut self, blocks: usize) {
        self.raw.set_quarantine(blocks);
    }
}

impl<S: Source<B>, B: Binning> Talc<S, B> {
    /// Calls `f`. Returns what it returns, and the rule that was found to be broken meanwhile, if
    /// one was. A method that would otherwise panic does nothing.
    ///
    /// This is for wrappers, which must not panic before they have released their lock, as the
    /// message may be allocated here. Then they [raise](Incident::raise) it. Nothing is ever found in release
    /// builds without the features `hardened` and `error-scanning`.
    #[inline]
    pub fn deferred<T>(&mut self, f: impl FnOnce(&mut Self) -> T) -> (T, Option<Incident>) {
        if !Reports::EXIST {
            return (f(self), None);
        }
        let was_deferred = self.defer_reports(true);
        // A source may unwind.
        let talc = Deferred { talc: self, was_deferred };
        let result = f(&mut *talc.talc);
        let incident = if talc.talc.has_report() { talc.talc.take_report() } else { None };
        (result, incident)
    }

    /// Returns whether `ptr` seems to be a live allocation of `layout`, and reports what is wrong
    /// if not. Always `true` in builds without [checks](talc_core::CHECKS).
    ///
    /// This is for wrappers, before they read the contents of the allocation.
    ///
    /// # Safety
    /// As for [`RawTalc::misuse`](talc_core::RawTalc::misuse).
    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    pub unsafe fn is_sound(&mut self, ptr: *mut u8, layout: Layout) -> bool {
        // SAFETY: required of the caller.
        unsafe { self.reporting_of(ptr, layout, false, |talc| !talc.raw.is_misused(ptr, layout)) }
    }

    /// Reports a rule that the caller has found to be broken, as operations report what they find. Does nothing in
    /// builds without [checks](talc_core::CHECKS).
    ///
    /// This is for wrappers, which know more than this value does: a pointer that is null, memory that they keep
    /// themselves.
    ///
    /// # Panics
    /// Always in builds with checks, unless reports are deferred.
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn report_misuse(&mut self, misuse: Misuse, address: usize) {
        self.raw.note_misuse(misuse, address);
        self.reported(());
    }

    /// Returns whether a broken rule was found and not reported yet. Only in
    /// [`deferred`](Self::deferred) can this be `true`.
    #[inline]
    pub fn has_report(&self) -> bool {
        self.raw.has_report() || self.reports.has_found()
    }

    #[cold]
    #[inline(never)]
    fn take_report(&mut self) -> Option<Incident> {
        let incident = self.reports.take(self.raw.take_report());
        if incident.is_some() {
            self.raw.mute_damage();
        }
        incident
    }

    /// Calls `f`, with the feature `error-scanning` after an audit. Returns `undone` instead of
    /// calling it if a broken rule was found.
    ///
    /// # Panics
    /// Panics if the audit or `f` found a broken rule, unless reports are deferred.
    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    pub(super) fn reporting<T>(&mut self, undone: T, f: impl FnOnce(&mut Self) -> T) -> T {
        if self.has_found() {
            return self.report(undone);
        }
        let result = f(self);
        self.reported(result)
    }

    /// Returns whether a broken rule was found before an operation, with the feature `error-scanning` by an audit.
    #[inline]
    pub(super) fn has_found(&mut self) -> bool {
        #[cfg(feature = "audit")]
        if self.reports.are_scanned() && !self.has_report() {
            if let Err(fault) = self.audit() {
                self.reports.note(Report::Fault(fault));
            }
        }
        self.reports.has_found()
    }

    /// Panics if an operation has found a broken rule, unless reports are deferred. Returns its result: so this can
    /// be called last, and its caller needs no stack for it.
    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    pub(super) fn reported<T>(&mut self, result: T) -> T {
        if self.raw.has_report() {
            self.report(result)
        } else {
            result
        }
    }

    /// Panics with what was found, unless reports are deferred. Returns `result`.
    #[cold]
    #[inline(never)]
    #[cfg_attr(debug_assertions, track_caller)]
    pub(super) fn report<T>(&mut self, result: T) -> T {
        if !self.reports.are_deferred() {
            if let Some(incident) = self.take_report() {
                incident.raise();
            }
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
        if self.reports.are_scanned() {
            // SAFETY: required of the caller.
            let _ = unsafe { self.raw.is_misused(ptr, layout) };
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
