//! The driver: an allocator and its source.

use core::alloc::Layout;
use core::fmt;
use core::mem::forget;
use core::ptr::NonNull;

use talc_core::{DefaultBinning, NoRoom, Part, RawTalc, Reserved};

use crate::reports::{AbortOnDrop, Reports};
use crate::{Binning, RawTalcExt, Replaceable, Report, Source};

/// An allocator with a source of memory: asks the source when nothing fits, and tells it when the
/// top of a heap falls free.
///
/// This is what the wrappers `TalcCell` and `TalcLock` make usable through shared references, as
/// `GlobalAlloc` and `Allocator`. Use it directly where you have a mutable one.
///
/// The methods are those of [`RawTalc`]; see there for their details and their complexity, to
/// which an allocation and a deallocation add that of the source.
///
/// # Example
///
/// ```
/// use core::alloc::Layout;
/// use talc_sources::{Manual, Talc};
///
/// let mut memory = [0_u8; 10_000];
/// let mut talc = Talc::<_>::new(Manual);
/// // SAFETY: nothing else uses `memory` while `talc` does.
/// unsafe { talc.claim(memory.as_mut_ptr(), memory.len()) }.unwrap();
///
/// let layout = Layout::new::<[u64; 16]>();
/// // SAFETY: freed once, with the layout it was allocated with.
/// unsafe {
///     let block = talc.allocate(layout).unwrap();
///     talc.deallocate(block.as_ptr(), layout);
/// }
/// ```
pub struct Talc<S, B = DefaultBinning> {
    raw: RawTalc<B>,
    source: S,
    reports: Reports,
}

impl<S, B> Talc<S, B> {
    /// Makes the methods of this value keep a broken rule that they find for
    /// [`deferred`](Self::deferred) to return, or panic again; and returns whether they did. Does
    /// nothing where nothing is ever found.
    #[inline]
    pub fn defer_reports(&mut self, are_deferred: bool) -> bool {
        self.raw.defer_reports(are_deferred);
        self.reports.defer(are_deferred)
    }
}

impl<S: Source<B>, B: Binning> Talc<S, B> {
    /// Creates an allocator without a heap.
    #[inline]
    pub const fn new(source: S) -> Self {
        // Heaps that a source takes back come and go: the table must not move to one that is to go.
        let raw = if S::RELEASES { B::NEW_COMPLETE } else { B::NEW };
        Self { raw, source, reports: Reports::new() }
    }

    /// Allocates memory for `layout`; asks the source until it fits or the source has no more.
    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn allocate(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        self.reporting(None, |talc| match talc.raw.try_allocate(layout) {
            None => talc.make_room(layout),
            block => block,
        })
    }

    /// Allocates what did not fit: gives empty slabs back, unless the source would rather grow, and
    /// asks the source.
    #[cold]
    #[inline(never)]
    fn make_room(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        loop {
            if !S::GROWS_FIRST {
                while let Some(end) = self.raw.trim() {
                    let block = self.raw.try_allocate(layout);
                    self.offer(Some(end));
                    if block.is_some() {
                        return block;
                    }
                }
                if let Some(block) = self.raw.try_allocate(layout) {
                    return Some(block);
                }
            }
            if self.raw.has_report() {
                return None;
            }
            // SAFETY: this is the allocator that the source serves; both are dropped together.
            unsafe { self.source.acquire(&mut self.raw, layout).ok()? };
            if let Some(block) = self.raw.try_allocate(layout) {
                return Some(block);
            }
        }
    }

    /// Allocates memory for `layout` if it fits, without [trimming](Self::trim) and without asking
    /// the source.
    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn try_allocate(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        self.reporting(None, |talc| talc.raw.try_allocate(layout))
    }

    /// Frees an allocation.
    ///
    /// # Panics
    /// If the source panics in [`release`](Source::release). The allocation is freed all the same.
    ///
    /// # Safety
    /// That of [`RawTalc::deallocate`].
    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    pub unsafe fn deallocate(&mut self, ptr: *mut u8, layout: Layout) {
        // SAFETY: required of the caller.
        let free = |talc: &mut Self| unsafe {
            let touched = talc.raw.deallocate(ptr, layout);
            talc.offer(touched);
        };
        // SAFETY: required of the caller.
        unsafe { self.reporting_of(Some((ptr, layout)), (), free) }
    }

    /// Grows an allocation without moving it, and answers whether that was possible.
    ///
    /// # Safety
    /// That of [`RawTalc::try_grow_in_place`].
    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    pub unsafe fn try_grow_in_place(
        &mut self,
        ptr: *mut u8,
        layout: Layout,
        new_size: usize,
    ) -> bool {
        // SAFETY: required of the caller.
        let grow = |talc: &mut Self| unsafe { talc.raw.try_grow_in_place(ptr, layout, new_size) };
        // SAFETY: required of the caller.
        unsafe { self.reporting_of(Some((ptr, layout)), false, grow) }
    }

    /// Grows an allocation into the gap below it by moving it down, and answers where it is then,
    /// if that was possible.
    ///
    /// # Safety
    /// That of [`RawTalc::try_grow_downwards`].
    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    pub unsafe fn try_grow_downwards(
        &mut self,
        ptr: *mut u8,
        layout: Layout,
        new_size: usize,
    ) -> Option<NonNull<u8>> {
        // SAFETY: required of the caller.
        let grow = |talc: &mut Self| unsafe { talc.raw.try_grow_downwards(ptr, layout, new_size) };
        // SAFETY: required of the caller.
        unsafe { self.reporting_of(Some((ptr, layout)), None, grow) }
    }

    /// Shrinks an allocation without moving it.
    ///
    /// A source that panics in [`release`](Source::release) aborts the program: nothing may keep the
    /// caller from learning the allocation's new size.
    ///
    /// # Safety
    /// That of [`RawTalc::shrink`].
    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    pub unsafe fn shrink(&mut self, ptr: *mut u8, layout: Layout, new_size: usize) {
        // SAFETY: required of the caller.
        let shrink = |talc: &mut Self| unsafe {
            let touched = talc.raw.shrink(ptr, layout, new_size);
            talc.offer_or_abort(touched);
        };
        // SAFETY: required of the caller.
        unsafe { self.reporting_of(Some((ptr, layout)), (), shrink) }
    }

    /// Grows or shrinks an allocation without moving it, and answers whether that was possible.
    ///
    /// A source that panics aborts the program, as in [`shrink`](Self::shrink).
    ///
    /// # Safety
    /// That of [`RawTalc::try_realloc_in_place`].
    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    pub unsafe fn try_realloc_in_place(
        &mut self,
        ptr: *mut u8,
        layout: Layout,
        new_size: usize,
    ) -> bool {
        // SAFETY: required of the caller.
        let resize = |talc: &mut Self| unsafe {
            match talc.raw.try_realloc_in_place(ptr, layout, new_size) {
                Ok(touched) => {
                    talc.offer_or_abort(touched);
                    true
                }
                Err(NoRoom) => false,
            }
        };
        // SAFETY: required of the caller.
        unsafe { self.reporting_of(Some((ptr, layout)), false, resize) }
    }

    /// Frees an allocation whose contents have been moved to another one, of which the caller does
    /// not know yet: a source that panics aborts the program.
    ///
    /// For wrappers.
    ///
    /// # Safety
    /// That of [`RawTalc::deallocate`].
    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    pub unsafe fn deallocate_moved(&mut self, ptr: *mut u8, layout: Layout) {
        // SAFETY: required of the caller.
        let free = |talc: &mut Self| unsafe {
            let touched = talc.raw.deallocate(ptr, layout);
            talc.offer_or_abort(touched);
        };
        // SAFETY: required of the caller.
        unsafe { self.reporting_of(Some((ptr, layout)), (), free) }
    }

    /// Gives slabs back that are empty but kept: [`RawTalc::trim`]. Offers the source each heap
    /// whose top falls free.
    ///
    /// It is never needed to get memory back.
    pub fn trim(&mut self) {
        self.reporting((), |talc| {
            while let Some(end) = talc.raw.trim() {
                talc.offer(Some(end));
            }
        });
    }

    /// Offers the source the heap whose top has fallen free, if one has.
    #[inline]
    fn offer(&mut self, touched: Option<NonNull<u8>>) {
        if let (true, Some(end)) = (S::RELEASES, touched) {
            self.release(end);
        }
    }

    /// The same where an allocation has changed, and its owner must learn of it.
    #[inline]
    fn offer_or_abort(&mut self, touched: Option<NonNull<u8>>) {
        if let (true, Some(end)) = (S::RELEASES, touched) {
            let abort = AbortOnDrop::WhileResizing;
            self.release(end);
            forget(abort);
        }
    }

    #[inline(never)]
    fn release(&mut self, end: NonNull<u8>) {
        // SAFETY: as in `make_room`; `end` is what the core just answered. What is still in use in
        // that heap will be noticed, so that the source is told when none of it is.
        unsafe {
            self.raw.watch(end);
            self.source.release(&mut self.raw, end);
        }
    }

    /// Establishes a heap: [`RawTalc::claim`].
    ///
    /// # Safety
    /// That of [`RawTalc::claim`]; and the source must allow [`MANUAL_HEAPS`](Source::MANUAL_HEAPS).
    #[cfg_attr(debug_assertions, track_caller)]
    pub unsafe fn claim(&mut self, base: *mut u8, size: usize) -> Option<NonNull<u8>> {
        // SAFETY: required of the caller.
        self.managing(None, |raw| unsafe { raw.claim(base, size) })
    }

    /// Extends a heap: [`RawTalc::extend`].
    ///
    /// # Safety
    /// That of [`RawTalc::extend`]; and the source must allow
    /// [`MANUAL_HEAPS`](Source::MANUAL_HEAPS).
    #[cfg_attr(debug_assertions, track_caller)]
    pub unsafe fn extend(&mut self, heap_end: NonNull<u8>, new_end: *mut u8) -> NonNull<u8> {
        // SAFETY: required of the caller.
        self.managing(heap_end, |raw| unsafe { raw.extend(heap_end, new_end) })
    }

    /// Truncates a heap: [`RawTalc::truncate`].
    ///
    /// # Safety
    /// That of [`RawTalc::truncate`]; and the source must allow
    /// [`MANUAL_HEAPS`](Source::MANUAL_HEAPS).
    #[cfg_attr(debug_assertions, track_caller)]
    pub unsafe fn truncate(
        &mut self,
        heap_end: NonNull<u8>,
        new_end: *mut u8,
    ) -> Option<NonNull<u8>> {
        // SAFETY: required of the caller.
        self.managing(Some(heap_end), |raw| unsafe { raw.truncate(heap_end, new_end) })
    }

    /// Extends or truncates a heap: [`RawTalc::resize`].
    ///
    /// # Safety
    /// That of [`RawTalc::resize`]; and the source must allow
    /// [`MANUAL_HEAPS`](Source::MANUAL_HEAPS).
    #[cfg_attr(debug_assertions, track_caller)]
    pub unsafe fn resize(
        &mut self,
        heap_end: NonNull<u8>,
        new_end: *mut u8,
    ) -> Option<NonNull<u8>> {
        // SAFETY: required of the caller.
        self.managing(Some(heap_end), |raw| unsafe { raw.resize(heap_end, new_end) })
    }

    /// Manages heaps by hand, which only the source may do if it says so. `unchanged` is the answer
    /// if nothing is done.
    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    fn managing<T>(&mut self, unchanged: T, f: impl FnOnce(&mut RawTalc<B>) -> T) -> T {
        if cfg!(debug_assertions) && !S::MANUAL_HEAPS {
            self.reports.note(Report::ManualHeaps);
        }
        self.reporting(unchanged, |talc| f(&mut talc.raw))
    }

    /// How much of a heap is in use: [`RawTalc::reserved`].
    ///
    /// # Safety
    /// That of [`RawTalc::reserved`].
    pub unsafe fn reserved(&self, heap_end: NonNull<u8>) -> Reserved {
        // SAFETY: required of the caller.
        unsafe { self.raw.reserved(heap_end) }
    }

    /// Whether the table exists: [`RawTalc::is_metadata_established`].
    pub fn is_metadata_established(&self) -> bool {
        self.raw.is_metadata_established()
    }

    /// How many bytes to claim for a layout: [`RawTalc::claim_size`].
    pub fn claim_size(&self, layout: Layout) -> Option<usize> {
        self.raw.claim_size(layout)
    }

    /// By how much to extend a heap for a layout: [`RawTalc::extend_size`].
    ///
    /// # Safety
    /// That of [`RawTalc::extend_size`].
    pub unsafe fn extend_size(&self, heap_end: NonNull<u8>, layout: Layout) -> Option<usize> {
        // SAFETY: required of the caller.
        unsafe { self.raw.extend_size(heap_end, layout) }
    }

    /// The largest layout that fits without asking the source: [`RawTalc::largest_gap`].
    pub fn largest_gap(&self) -> Option<usize> {
        self.raw.largest_gap()
    }

    /// Shows each part of each heap to `visitor`: [`RawTalc::visit`].
    pub fn visit(&self, visitor: impl FnMut(Part)) {
        self.raw.visit(visitor);
    }

    /// Statistics of all heaps and allocations: [`RawTalc::counters`].
    #[cfg(feature = "counters")]
    #[cfg_attr(docsrs, doc(cfg(feature = "counters")))]
    pub fn counters(&self) -> &talc_core::Counters {
        self.raw.counters()
    }

    /// Checks every invariant: [`RawTalc::audit`].
    ///
    /// # Errors
    /// The first fault that is found.
    #[cfg(feature = "audit")]
    #[cfg_attr(docsrs, doc(cfg(feature = "audit")))]
    pub fn audit(&self) -> Result<(), talc_core::Fault> {
        self.raw.audit()
    }

    /// The source.
    #[inline]
    pub fn source(&self) -> &S {
        &self.source
    }

    /// The source, to be changed or replaced.
    #[inline]
    pub fn source_mut(&mut self) -> &mut S
    where
        S: Replaceable,
    {
        &mut self.source
    }

    /// Calls `f`, and returns what it returns and which rule was found to be broken meanwhile, if
    /// one was: where else a method would panic, what it was to do is left undone, and this tells.
    ///
    /// For wrappers, which must not panic before they have released their lock: the message may have
    /// to be allocated here. Nothing is ever found in release builds without the feature
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

    /// Whether nothing seems to be wrong with the claim that `ptr` is a live allocation of `layout`;
    /// else that is reported. Looks for it only if debug assertions are enabled.
    ///
    /// For wrappers, before they read what is in the allocation.
    ///
    /// # Safety
    /// That of [`RawTalc::misuse`].
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
        unsafe { self.reporting_of(Some((ptr, layout)), false, check) }
    }

    /// Whether a broken rule was found and not reported yet, as can only be under
    /// [`deferred`](Self::deferred).
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

    /// Calls `f` after looking at the heaps, with the feature `error-scanning`; and panics if a broken
    /// rule was found by either, unless that is deferred. `undone` is the answer if `f` is not called.
    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    fn reporting<T>(&mut self, undone: T, f: impl FnOnce(&mut Self) -> T) -> T {
        // SAFETY: there is no allocation.
        unsafe { self.reporting_of(None, undone, f) }
    }

    /// The same for an operation on an allocation: what is wrong with that is more to the point than
    /// what the heaps say.
    ///
    /// # Safety
    /// That of [`RawTalc::misuse`], if there is an allocation.
    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    unsafe fn reporting_of<T>(
        &mut self,
        allocation: Option<(*mut u8, Layout)>,
        undone: T,
        f: impl FnOnce(&mut Self) -> T,
    ) -> T {
        if !Reports::EXIST {
            return f(self);
        }
        #[cfg(feature = "audit")]
        if self.reports.are_scanned() {
            // SAFETY: required of the caller.
            let misuse = allocation
                .filter(|_| cfg!(debug_assertions))
                .and_then(|(ptr, layout)| unsafe { self.raw.misuse(ptr, layout) });
            if let Some(misuse) = misuse {
                self.reports.note(Report::Misuse(misuse));
            } else if let Err(fault) = self.audit() {
                self.reports.note(Report::Fault(fault));
            }
        }
        let _ = allocation;
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
}

/// Ends a deferral, also if the source has panicked.
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

/// A core of any shape, to be shown.
struct Heaps<'a, B>(&'a RawTalc<B>);

impl<B: Binning> fmt::Debug for Heaps<'_, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        B::fmt(self.0, f)
    }
}

/// Shows the heaps. Of the source only the type is shown, which need not implement `Debug`.
impl<S: Source<B>, B: Binning> fmt::Debug for Talc<S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut talc = f.debug_struct("Talc");
        talc.field("heaps", &Heaps(&self.raw));
        talc.field("source", &format_args!("{}", core::any::type_name::<S>()));
        #[cfg(feature = "counters")]
        talc.field("counters", self.counters());
        talc.finish()
    }
}
