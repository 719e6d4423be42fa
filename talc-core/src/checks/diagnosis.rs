//! What was found to be wrong, and when it is reported.

use core::fmt;
use core::mem::{size_of, MaybeUninit};

use crate::memory::chunk::WORD;
use crate::tier::MARKS;
use crate::{Bins, Misuse, RawTalc};

/// What was found to be wrong, and where. `Display` describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// The rule that was broken.
    pub misuse: Misuse,
    /// The address: that of the allocation, of the gap or slot that was damaged, or of the heap end.
    pub address: usize,
    /// With the feature `hardened`, the two words in front of this address and the two from there on, if they are
    /// between the bounds of the heaps. In front of an allocation that is a chunk, its header is the second one.
    pub words: Option<[usize; 4]>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, at {:#x}", self.misuse, self.address)?;
        if let Some(words) = self.words {
            let digits = 2 * size_of::<usize>();
            f.write_str(" (there is:")?;
            for (index, word) in words.iter().enumerate() {
                write!(f, "{} {word:0digits$x}", if index == 2 { " |" } else { "" })?;
            }
            f.write_str(")")?;
        }
        Ok(())
    }
}

/// Keeps a [`Finding`] from when it is made until it can be reported. Has no size and does nothing
/// in builds without [checks](crate::CHECKS).
#[derive(Clone, Copy)]
pub(crate) struct Diagnosis {
    #[cfg(any(debug_assertions, feature = "hardened"))]
    found: Option<Finding>,
    #[cfg(any(debug_assertions, feature = "hardened"))]
    is_deferred: bool,
    /// Damage does not go away, so it is noted once.
    #[cfg(any(debug_assertions, feature = "hardened"))]
    has_damage: bool,
    /// How often damage is not noted. A message about something else may be allocated here, and what it is about
    /// may have done damage, too.
    #[cfg(any(debug_assertions, feature = "hardened"))]
    is_muted_for: u8,
}

/// More damage than a message comes by.
#[cfg(any(debug_assertions, feature = "hardened"))]
const MESSAGE: u8 = 8;

#[cfg(any(debug_assertions, feature = "hardened"))]
impl Diagnosis {
    pub(crate) const fn new() -> Self {
        Self { found: None, is_deferred: false, has_damage: false, is_muted_for: 0 }
    }

    const fn deferring(mut self) -> Self {
        self.is_deferred = true;
        self
    }

    fn note(&mut self, finding: Finding) {
        if finding.misuse == Misuse::Damaged {
            if self.is_muted_for > 0 {
                self.is_muted_for -= 1;
                return;
            }
            if self.has_damage {
                return;
            }
            self.has_damage = true;
        }
        self.found = self.found.or(Some(finding));
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

    fn take(&mut self) -> Option<Finding> {
        if self.found.is_some() {
            self.mute();
        }
        self.found.take()
    }

    fn mute(&mut self) {
        self.is_muted_for = MESSAGE;
    }

    const fn has_due(&self) -> bool {
        self.found.is_some() && !self.is_deferred
    }
}

#[cfg(not(any(debug_assertions, feature = "hardened")))]
impl Diagnosis {
    pub(crate) const fn new() -> Self {
        Self {}
    }

    const fn deferring(self) -> Self {
        self
    }

    fn note(&mut self, _: Finding) {}

    pub(crate) const fn has_found(&self) -> bool {
        false
    }

    pub(crate) const fn is_deferred(&self) -> bool {
        false
    }

    fn defer(&mut self, _: bool) {}

    fn take(&mut self) -> Option<Finding> {
        None
    }

    fn mute(&mut self) {}

    const fn has_due(&self) -> bool {
        false
    }
}

impl<B> RawTalc<B> {
    /// Makes methods keep what they find to be wrong for [`take_report`](Self::take_report),
    /// instead of panicking; or makes them panic again, if `is_deferred` is `false`.
    ///
    /// For callers that hold a lock: the message of a panic may be allocated, and if that needs the
    /// same lock, the thread waits for itself. Does nothing in builds without [checks](crate::CHECKS).
    pub fn defer_reports(&mut self, is_deferred: bool) {
        self.diagnosis.defer(is_deferred);
    }

    /// Returns an allocator that keeps what its methods find to be wrong. See
    /// [`defer_reports`](Self::defer_reports).
    pub const fn deferring(mut self) -> Self {
        self.diagnosis = self.diagnosis.deferring();
        self
    }

    /// Returns what a method has found to be wrong, once. That method did nothing else.
    pub fn take_report(&mut self) -> Option<Finding> {
        self.diagnosis.take()
    }

    /// Makes this value ignore some damage, so that a message about it can be allocated
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

    /// Panics if something was found to be wrong, unless reports are deferred. Returns `result`: so it can be called
    /// last, and its caller needs no stack for it.
    #[inline]
    #[track_caller]
    pub(crate) fn reported<T>(&mut self, result: T) -> T {
        if self.diagnosis.has_due() {
            self.report_now(result)
        } else {
            result
        }
    }

    /// As [`reported`](Self::reported), in the middle of a method.
    #[inline]
    #[track_caller]
    pub(crate) fn report(&mut self) {
        self.reported(());
    }

    #[cold]
    #[inline(never)]
    #[track_caller]
    fn report_now<T>(&mut self, result: T) -> T {
        if let Some(finding) = self.diagnosis.take() {
            panic!("{finding}");
        }
        result
    }
}

impl<
        const LINEAR: usize,
        const PER_DOUBLING: usize,
        const WORDS: usize,
        const SLAB: usize,
        const CLASSES: usize,
        const KEPT: usize,
        const INSIDE: usize,
    > RawTalc<Bins<LINEAR, PER_DOUBLING, WORDS, SLAB, CLASSES, KEPT, INSIDE>>
{
    /// Returns a broken rule with what stands around its address.
    #[cold]
    pub(crate) fn finding(&self, misuse: Misuse, address: usize) -> Finding {
        let first = address.wrapping_sub(2 * WORD) & !(WORD - 1);
        let words = (MARKS && self.is_within(first, 4 * WORD)).then(|| {
            [0, 1, 2, 3].map(|index| {
                let word = (first + index * WORD) as *const MaybeUninit<usize>;
                // SAFETY: between the bounds of the heaps, as near to something of a heap as its header. Volatile, as
                // for `Magazine::has_marked`.
                unsafe { word.read_volatile().assume_init() }
            })
        });
        Finding { misuse, address, words }
    }

    /// Keeps a rule that the caller has found to be broken, as methods keep what they find: for
    /// [`take_report`](Self::take_report), or for the panic at the end of the next method. Does nothing in builds
    /// without [checks](crate::CHECKS).
    ///
    /// For callers that know more than this value does: a pointer that is null, memory that they keep themselves.
    pub fn note_misuse(&mut self, misuse: Misuse, address: usize) {
        self.note(misuse, address);
    }

    /// Notes a broken rule, to be reported.
    #[cold]
    pub(crate) fn note(&mut self, misuse: Misuse, address: usize) {
        let finding = self.finding(misuse, address);
        self.diagnosis.note(finding);
    }
}
