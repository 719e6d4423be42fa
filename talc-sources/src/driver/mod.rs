//! The driver: an allocator and its source.

mod heaps;
mod reporting;

use core::alloc::Layout;
use core::fmt;
use core::mem::forget;
use core::ptr::NonNull;

use talc_core::{DefaultBinning, RawTalc};

use crate::reports::{AbortOnDrop, Reports};
use crate::{Binning, RawTalcExt, Replaceable, Source};

/// An allocator with a source of memory. It asks the source when nothing fits, and tells it when
/// the top of a heap falls free.
///
/// The wrappers `TalcCell` and `TalcLock` make it usable through shared references, as
/// `GlobalAlloc` and `Allocator`. Use it directly if you have a mutable reference.
///
/// The methods are those of [`RawTalc`], which has their details and their complexity. Allocating,
/// freeing and resizing add that of the source.
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

impl<S: Source<B>, B: Binning> Talc<S, B> {
    /// Creates an allocator without a heap.
    #[inline]
    pub const fn new(source: S) -> Self {
        // Heaps that a source takes back come and go. The table should not move to one that is to
        // go.
        let raw = if S::RELEASES { B::NEW_COMPLETE } else { B::NEW };
        Self { raw: raw.deferring(), source, reports: Reports::new() }
    }

    /// Allocates memory for `layout`. Asks the source until it fits or the source has no more.
    /// Returns `None` if it does not fit.
    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn allocate(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        if self.has_found() {
            return self.report(None);
        }
        self.allocate_unscanned(layout)
    }

    /// Allocates memory for a block of `size` bytes that has to move because it grows: with room above it, if it may well
    /// grow again and there is some. Otherwise it is [`allocate`](Self::allocate).
    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn allocate_to_grow(&mut self, size: usize, layout: Layout) -> Option<NonNull<u8>> {
        if self.has_found() {
            return self.report(None);
        }
        match self.raw.try_allocate_to_grow(size, layout) {
            None => self.allocate_unscanned(layout),
            block => self.reported(block),
        }
    }

    /// As [`allocate`](Self::allocate), after a look at what was [found](Self::has_found).
    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    fn allocate_unscanned(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        match self.raw.try_allocate_ready(layout) {
            None => self.allocate_slowly(layout),
            block => self.reported(block),
        }
    }

    /// Allocates what is not ready. Out of line and called last, so that what is ready needs no stack.
    #[inline(never)]
    #[cfg_attr(debug_assertions, track_caller)]
    fn allocate_slowly(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        let block = match self.raw.try_allocate_anew(layout) {
            None => self.make_room(layout),
            block => block,
        };
        self.reported(block)
    }

    /// Allocates what did not fit: frees empty slabs, unless the source is to grow first, and asks
    /// the source.
    #[cold]
    #[inline(never)]
    fn make_room(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        loop {
            if B::KEEPS && !S::GROWS_FIRST {
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

    /// Allocates memory for `layout`. Returns `None` if it does not fit, without
    /// [trimming](Self::trim) and without asking the source.
    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn try_allocate(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        self.reporting(None, |talc| talc.raw.try_allocate(layout))
    }

    /// Frees an allocation.
    ///
    /// # Panics
    /// Panics if the source panics in [`release`](Source::release). The allocation is freed
    /// nevertheless.
    ///
    /// # Safety
    /// As for [`RawTalc::deallocate`].
    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    pub unsafe fn deallocate(&mut self, ptr: *mut u8, layout: Layout) {
        // SAFETY: required of the caller.
        unsafe { self.free(ptr, layout, Self::offer) }
    }

    /// Frees an allocation whose contents were moved to another one, for wrappers.
    ///
    /// A source that panics aborts the program, as the owner does not know the new allocation yet.
    ///
    /// # Safety
    /// As for [`RawTalc::deallocate`].
    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    pub unsafe fn deallocate_moved(&mut self, ptr: *mut u8, layout: Layout) {
        // SAFETY: required of the caller.
        unsafe { self.free(ptr, layout, Self::offer_or_abort) }
    }

    /// Frees an allocation, and calls `offer` with what [`RawTalc::deallocate`] returns.
    ///
    /// # Safety
    /// As for [`RawTalc::deallocate`].
    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    unsafe fn free(
        &mut self,
        ptr: *mut u8,
        layout: Layout,
        offer: impl FnOnce(&mut Self, Option<NonNull<u8>>),
    ) {
        // SAFETY: required of the caller.
        unsafe {
            self.reporting_of(ptr, layout, (), |talc| {
                let touched = talc.raw.deallocate(ptr, layout);
                offer(talc, touched);
            });
        }
    }

    /// Grows an allocation without moving it. Returns whether that was possible.
    ///
    /// # Safety
    /// As for [`RawTalc::try_grow_in_place`].
    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    pub unsafe fn try_grow_in_place(
        &mut self,
        ptr: *mut u8,
        layout: Layout,
        new_size: usize,
    ) -> bool {
        // SAFETY: required of the caller.
        unsafe {
            self.reporting_of(ptr, layout, false, |talc| {
                talc.raw.try_grow_in_place(ptr, layout, new_size)
            })
        }
    }

    /// Grows an allocation into the gaps around it by moving it down. Returns its new address, if
    /// that was possible.
    ///
    /// # Safety
    /// As for [`RawTalc::try_grow_downwards`].
    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    pub unsafe fn try_grow_downwards(
        &mut self,
        ptr: *mut u8,
        layout: Layout,
        new_size: usize,
    ) -> Option<NonNull<u8>> {
        // SAFETY: required of the caller.
        unsafe {
            self.reporting_of(ptr, layout, None, |talc| {
                talc.raw.try_grow_downwards(ptr, layout, new_size)
            })
        }
    }

    /// Shrinks an allocation without moving it.
    ///
    /// A source that panics in [`release`](Source::release) aborts the program, as the caller would
    /// not learn the allocation's new size.
    ///
    /// # Safety
    /// As for [`RawTalc::shrink`].
    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    pub unsafe fn shrink(&mut self, ptr: *mut u8, layout: Layout, new_size: usize) {
        // SAFETY: required of the caller.
        unsafe {
            self.reporting_of(ptr, layout, (), |talc| {
                let touched = talc.raw.shrink(ptr, layout, new_size);
                talc.offer_or_abort(touched);
            });
        }
    }

    /// Grows or shrinks an allocation without moving it. Returns whether that was possible.
    ///
    /// A source that panics aborts the program, as in [`shrink`](Self::shrink).
    ///
    /// # Safety
    /// As for [`RawTalc::try_realloc_in_place`].
    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    pub unsafe fn try_realloc_in_place(
        &mut self,
        ptr: *mut u8,
        layout: Layout,
        new_size: usize,
    ) -> bool {
        // SAFETY: required of the caller.
        unsafe {
            self.reporting_of(ptr, layout, false, |talc| {
                let resized = talc.raw.try_realloc_in_place(ptr, layout, new_size);
                talc.offer_or_abort(resized.unwrap_or(None));
                resized.is_ok()
            })
        }
    }

    /// Frees slabs that are empty but kept: [`RawTalc::trim`]. Offers the source each heap whose
    /// top falls free.
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

    /// As [`offer`](Self::offer), if an allocation has changed and its owner must learn of it.
    #[inline]
    fn offer_or_abort(&mut self, touched: Option<NonNull<u8>>) {
        if let (true, Some(end)) = (S::RELEASES, touched) {
            let abort = AbortOnDrop::while_resizing();
            self.release(end);
            forget(abort);
        }
    }

    #[inline(never)]
    fn release(&mut self, end: NonNull<u8>) {
        // SAFETY: as in `make_room`; the core has just returned `end`. Something that is still in
        // use in that heap will be noticed, so the source will be told when nothing is.
        unsafe {
            self.raw.watch(end);
            self.source.release(&mut self.raw, end);
        }
    }

    /// Returns the source.
    #[inline]
    pub fn source(&self) -> &S {
        &self.source
    }

    /// Returns the source, for changing or replacing it.
    #[inline]
    pub fn source_mut(&mut self) -> &mut S
    where
        S: Replaceable,
    {
        &mut self.source
    }
}

/// Shows a core of any shape.
struct Heaps<'a, B>(&'a RawTalc<B>);

impl<B: Binning> fmt::Debug for Heaps<'_, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        B::fmt(self.0, f)
    }
}

/// Shows the heaps, and of the source only its type, which need not implement `Debug`.
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
