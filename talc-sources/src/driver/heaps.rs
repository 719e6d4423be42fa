//! Heaps managed by hand, and questions about heaps.

use core::alloc::Layout;
use core::ptr::NonNull;

use talc_core::{Part, RawTalc, Reserved};

use super::Talc;
use crate::{Binning, RawTalcExt, Report, Source};

impl<S: Source<B>, B: Binning> Talc<S, B> {
    /// Establishes a heap: [`RawTalc::claim`].
    ///
    /// # Safety
    /// As for [`RawTalc::claim`]; and [`MANUAL_HEAPS`](Source::MANUAL_HEAPS) of the source must be
    /// `true`.
    #[cfg_attr(debug_assertions, track_caller)]
    pub unsafe fn claim(&mut self, base: *mut u8, size: usize) -> Option<NonNull<u8>> {
        // SAFETY: required of the caller.
        self.managing(None, |raw| unsafe { raw.claim(base, size) })
    }

    /// Extends a heap: [`RawTalc::extend`].
    ///
    /// # Safety
    /// As for [`RawTalc::extend`]; and [`MANUAL_HEAPS`](Source::MANUAL_HEAPS) of the source must be
    /// `true`.
    #[cfg_attr(debug_assertions, track_caller)]
    pub unsafe fn extend(&mut self, heap_end: NonNull<u8>, new_end: *mut u8) -> NonNull<u8> {
        // SAFETY: required of the caller.
        self.managing(heap_end, |raw| unsafe { raw.extend(heap_end, new_end) })
    }

    /// Extends a heap if the region begins at its end, else makes the region a heap: [`RawTalc::claim_or_extend`].
    ///
    /// # Safety
    /// As for [`RawTalc::claim_or_extend`]; and [`MANUAL_HEAPS`](Source::MANUAL_HEAPS) of the source must be
    /// `true`.
    #[cfg_attr(debug_assertions, track_caller)]
    pub unsafe fn claim_or_extend(
        &mut self,
        heap_end: Option<NonNull<u8>>,
        base: *mut u8,
        size: usize,
    ) -> NonNull<u8> {
        // SAFETY: required of the caller.
        self.managing(heap_end.unwrap_or(NonNull::dangling()), |raw| unsafe {
            raw.claim_or_extend(heap_end, base, size)
        })
    }

    /// Truncates a heap: [`RawTalc::truncate`].
    ///
    /// # Safety
    /// As for [`RawTalc::truncate`]; and [`MANUAL_HEAPS`](Source::MANUAL_HEAPS) of the source must
    /// be `true`.
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
    /// As for [`RawTalc::resize`]; and [`MANUAL_HEAPS`](Source::MANUAL_HEAPS) of the source must be
    /// `true`.
    #[cfg_attr(debug_assertions, track_caller)]
    pub unsafe fn resize(
        &mut self,
        heap_end: NonNull<u8>,
        new_end: *mut u8,
    ) -> Option<NonNull<u8>> {
        // SAFETY: required of the caller.
        self.managing(Some(heap_end), |raw| unsafe { raw.resize(heap_end, new_end) })
    }

    /// Manages heaps by hand, if the source allows it. Returns `unchanged` if nothing is done.
    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    fn managing<T>(&mut self, unchanged: T, f: impl FnOnce(&mut RawTalc<B>) -> T) -> T {
        if talc_core::CHECKS && !S::MANUAL_HEAPS {
            self.reports.note(Report::ManualHeaps);
        }
        self.reporting(unchanged, |talc| f(&mut talc.raw))
    }

    /// Returns how much of a heap is in use: [`RawTalc::reserved`].
    ///
    /// # Safety
    /// As for [`RawTalc::reserved`].
    pub unsafe fn reserved(&self, heap_end: NonNull<u8>) -> Reserved {
        // SAFETY: required of the caller.
        unsafe { self.raw.reserved(heap_end) }
    }

    /// Returns whether the table exists: [`RawTalc::is_metadata_established`].
    pub fn is_metadata_established(&self) -> bool {
        self.raw.is_metadata_established()
    }

    /// Returns how many bytes to claim for a layout: [`RawTalc::claim_size`].
    pub fn claim_size(&self, layout: Layout) -> Option<usize> {
        self.raw.claim_size(layout)
    }

    /// Returns by how much to extend a heap for a layout: [`RawTalc::extend_size`].
    ///
    /// # Safety
    /// As for [`RawTalc::extend_size`].
    pub unsafe fn extend_size(&self, heap_end: NonNull<u8>, layout: Layout) -> Option<usize> {
        // SAFETY: required of the caller.
        unsafe { self.raw.extend_size(heap_end, layout) }
    }

    /// Returns whether there is a heap: [`RawTalc::has_heaps`].
    #[inline]
    pub fn has_heaps(&self) -> bool {
        self.raw.has_heaps()
    }

    /// Returns the number of bytes in all heaps: [`RawTalc::heap_bytes`].
    #[inline]
    pub fn heap_bytes(&self) -> usize {
        self.raw.heap_bytes()
    }

    /// Returns the size of the largest layout that fits without asking the source:
    /// [`RawTalc::largest_gap`].
    pub fn largest_gap(&self) -> Option<usize> {
        self.raw.largest_gap()
    }

    /// Returns how scattered the available memory is, in thousandths: [`RawTalc::fragmentation`].
    #[cfg(feature = "counters")]
    #[cfg_attr(docsrs, doc(cfg(feature = "counters")))]
    pub fn fragmentation(&self) -> u32 {
        self.raw.fragmentation()
    }

    /// Calls `visitor` with each part of each heap: [`RawTalc::visit`].
    pub fn visit(&self, visitor: impl FnMut(Part)) {
        self.raw.visit(visitor);
    }

    /// Returns the statistics of all heaps and allocations: [`RawTalc::counters`].
    #[cfg(feature = "counters")]
    #[cfg_attr(docsrs, doc(cfg(feature = "counters")))]
    pub fn counters(&self) -> &talc_core::Counters {
        self.raw.counters()
    }

    /// Forgets the peaks in the statistics: [`RawTalc::reset_peaks`].
    #[cfg(feature = "counters")]
    #[cfg_attr(docsrs, doc(cfg(feature = "counters")))]
    pub fn reset_peaks(&mut self) {
        self.raw.reset_peaks();
    }

    /// Checks every invariant: [`RawTalc::audit`].
    ///
    /// # Errors
    /// Returns the first fault that is found.
    #[cfg(feature = "audit")]
    #[cfg_attr(docsrs, doc(cfg(feature = "audit")))]
    pub fn audit(&self) -> Result<(), talc_core::Fault> {
        self.raw.audit()
    }
}
