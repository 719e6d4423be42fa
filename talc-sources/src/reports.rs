//! Broken rules: what is reported, and when.

use core::fmt;

use talc_core::Finding;

/// A broken rule: why a debug build panics, or one with the feature `hardened` or `error-scanning`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Report {
    /// An unsafe method was called in a way that it forbids.
    Misuse(Finding),
    /// Heaps were managed by hand under a source that manages them itself.
    ManualHeaps,
    /// The heaps are damaged.
    #[cfg(feature = "audit")]
    Fault(talc_core::Fault),
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Misuse(finding) => finding.fmt(f),
            Self::ManualHeaps => f.write_str(
                "talc: the source of this allocator manages its heaps itself, so they must not be \
                 claimed, extended, truncated or resized by hand",
            ),
            #[cfg(feature = "audit")]
            Self::Fault(fault) => fault.fmt(f),
        }
    }
}

/// A function that is called with each broken rule. See [`Talc::set_report_hook`](crate::Talc::set_report_hook).
pub type ReportHook = fn(&Report);

/// A broken rule that was found and must be reported, once whoever has found it holds no lock.
#[must_use = "a broken rule must be reported"]
pub struct Incident {
    report: Report,
    hook: Option<ReportHook>,
}

impl fmt::Debug for Incident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incident").field("report", &self.report).finish_non_exhaustive()
    }
}

impl Incident {
    /// Returns what was found.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Calls the [hook](crate::Talc::set_report_hook), if there is one, and panics if it returns.
    ///
    /// # Panics
    /// Always.
    #[cold]
    #[track_caller]
    pub fn raise(self) -> ! {
        if let Some(hook) = self.hook {
            hook(&self.report);
        }
        panic!("{}", self.report)
    }
}

/// Keeps a [`Report`] from when something is found until it can be reported. Has no size and does
/// nothing in builds that find nothing.
pub(crate) struct Reports {
    #[cfg(any(debug_assertions, feature = "hardened", feature = "error-scanning"))]
    found: Option<Report>,
    #[cfg(any(debug_assertions, feature = "hardened", feature = "error-scanning"))]
    are_deferred: bool,
    #[cfg(any(debug_assertions, feature = "hardened", feature = "error-scanning"))]
    hook: Option<ReportHook>,
    /// Whether anything was found. Damage does not go away, and is reported once, so that the
    /// message can be allocated.
    #[cfg(feature = "error-scanning")]
    has_found_any: bool,
}

#[cfg(any(debug_assertions, feature = "hardened", feature = "error-scanning"))]
impl Reports {
    /// Whether anything is ever found.
    pub(crate) const EXIST: bool = true;

    pub(crate) const fn new() -> Self {
        Self {
            found: None,
            are_deferred: false,
            hook: None,
            #[cfg(feature = "error-scanning")]
            has_found_any: false,
        }
    }

    pub(crate) fn note(&mut self, report: Report) {
        self.found = self.found.or(Some(report));
    }

    pub(crate) const fn has_found(&self) -> bool {
        self.found.is_some()
    }

    /// Returns what was found here or, if nothing was, by the core. Returns it once.
    pub(crate) fn take(&mut self, finding: Option<Finding>) -> Option<Incident> {
        let found = self.found.take().or(finding.map(Report::Misuse));
        #[cfg(feature = "error-scanning")]
        {
            self.has_found_any |= found.is_some();
        }
        found.map(|report| Incident { report, hook: self.hook })
    }

    pub(crate) fn set_hook(&mut self, hook: Option<ReportHook>) {
        self.hook = hook;
    }

    /// Sets whether reports are deferred. Returns whether they were.
    pub(crate) fn defer(&mut self, are_deferred: bool) -> bool {
        core::mem::replace(&mut self.are_deferred, are_deferred)
    }

    pub(crate) const fn are_deferred(&self) -> bool {
        self.are_deferred
    }

    /// Returns whether the heaps are audited before each operation.
    #[cfg(feature = "audit")]
    pub(crate) const fn are_scanned(&self) -> bool {
        #[cfg(feature = "error-scanning")]
        {
            !self.has_found_any
        }
        #[cfg(not(feature = "error-scanning"))]
        {
            false
        }
    }
}

#[cfg(not(any(debug_assertions, feature = "hardened", feature = "error-scanning")))]
#[allow(clippy::unused_self)] // The other one has something to look at.
impl Reports {
    pub(crate) const EXIST: bool = false;

    pub(crate) const fn new() -> Self {
        Self {}
    }

    pub(crate) fn note(&mut self, _: Report) {}

    pub(crate) const fn has_found(&self) -> bool {
        false
    }

    pub(crate) fn take(&mut self, _: Option<Finding>) -> Option<Incident> {
        None
    }

    pub(crate) fn set_hook(&mut self, _: Option<ReportHook>) {}

    pub(crate) fn defer(&mut self, _: bool) -> bool {
        false
    }

    pub(crate) const fn are_deferred(&self) -> bool {
        false
    }

    #[cfg(feature = "audit")]
    pub(crate) const fn are_scanned(&self) -> bool {
        false
    }
}

/// Aborts the program, and says why, when unwinding drops it. For the crates above.
///
/// The reason is a parameter, not a field: so this is no memory, for which calls that usually need no stack would take some.
#[doc(hidden)]
#[derive(Debug)]
pub struct AbortOnDrop<const REASON: u8>(());

const OF_GLOBAL_ALLOCATOR: u8 = 0;
const WHILE_RESIZING: u8 = 1;

impl AbortOnDrop<OF_GLOBAL_ALLOCATOR> {
    /// `GlobalAlloc` forbids unwinding.
    #[inline]
    pub const fn of_global_allocator() -> Self {
        Self(())
    }
}

impl AbortOnDrop<WHILE_RESIZING> {
    /// The owner of an allocation would not learn how large it is now.
    #[inline]
    pub const fn while_resizing() -> Self {
        Self(())
    }
}

impl<const REASON: u8> Drop for AbortOnDrop<REASON> {
    fn drop(&mut self) {
        // A panic while another one unwinds aborts the program, also without std. std first prints
        // a backtrace, for which it reads all debug information into memory that may be ours; but
        // not if the message itself panics. Then that panic's message is the last one.
        panic!("{}", Panics::<REASON>);
    }
}

struct Panics<const REASON: u8>;

impl<const REASON: u8> fmt::Display for Panics<REASON> {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        // No arguments: a message that needs formatting would not be printed.
        if REASON == OF_GLOBAL_ALLOCATOR {
            panic!("talc: a panic must not leave a global allocator")
        } else {
            panic!("talc: a source must not panic while an allocation is being resized")
        }
    }
}
