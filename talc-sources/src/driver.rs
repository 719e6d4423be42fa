//! The driver: an allocator and its source.

use core::alloc::Layout;
use core::fmt;
use core::ptr::NonNull;

use talc_core::{Binning, DefaultBinning, Misuse, Part, RawTalc, Reserved};

use crate::{Replaceable, Source};

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
    /// Whether a report was made: damage is reported once, so that the message can be allocated.
    #[cfg(feature = "error-scanning")]
    has_reported: core::sync::atomic::AtomicBool,
}

/// Forwards heap management, which only the source may do if it says so.
macro_rules! manual {
    ($self:ident, $name:ident($($argument:ident),*)) => {{
        $self.panic_if_reported(Self::manual_heaps_report());
        // SAFETY: required of the caller.
        unsafe { $self.raw.$name($($argument),*) }
    }};
}

impl<S: Source<B>, B: Binning> Talc<S, B> {
    /// An allocator without a heap, and its source.
    #[inline]
    pub const fn new(source: S) -> Self {
        Self {
            raw: RawTalc::new(),
            source,
            #[cfg(feature = "error-scanning")]
            has_reported: core::sync::atomic::AtomicBool::new(false),
        }
    }

    /// Allocates memory for `layout`; asks the source until it fits or the source has no more.
    ///
    /// # Safety
    /// Nothing is required. Unsafe, as in talc 5, whose callers had to rule out a size of zero.
    #[inline]
    pub unsafe fn allocate(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        self.panic_if_reported(self.report());
        match self.raw.try_allocate(layout) {
            None => self.make_room(layout),
            block => block,
        }
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
            // SAFETY: this is the allocator that the source serves; both are dropped together.
            unsafe { self.source.acquire(&mut self.raw, layout).ok()? };
            if let Some(block) = self.raw.try_allocate(layout) {
                return Some(block);
            }
        }
    }

    /// Allocates memory for `layout` if it fits, without [trimming](Self::trim) and without asking
    /// the source.
    ///
    /// # Safety
    /// Nothing is required; see [`allocate`](Self::allocate).
    #[inline]
    pub unsafe fn try_allocate(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        self.panic_if_reported(self.report());
        self.raw.try_allocate(layout)
    }

    /// Frees an allocation.
    ///
    /// # Safety
    /// That of [`RawTalc::deallocate`].
    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    pub unsafe fn deallocate(&mut self, ptr: *mut u8, layout: Layout) {
        self.panic_if_reported(self.report());
        // SAFETY: required of the caller.
        let touched = unsafe { self.raw.deallocate(ptr, layout) };
        self.offer(touched);
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
        self.panic_if_reported(self.report());
        // SAFETY: required of the caller.
        unsafe { self.raw.try_grow_in_place(ptr, layout, new_size) }
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
        self.panic_if_reported(self.report());
        // SAFETY: required of the caller.
        unsafe { self.raw.try_grow_downwards(ptr, layout, new_size) }
    }

    /// Shrinks an allocation without moving it.
    ///
    /// # Safety
    /// That of [`RawTalc::shrink`].
    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    pub unsafe fn shrink(&mut self, ptr: *mut u8, layout: Layout, new_size: usize) {
        self.panic_if_reported(self.report());
        // SAFETY: required of the caller.
        let touched = unsafe { self.raw.shrink(ptr, layout, new_size) };
        self.offer(touched);
    }

    /// Grows or shrinks an allocation without moving it, and answers whether that was possible.
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
        self.panic_if_reported(self.report());
        // SAFETY: required of the caller.
        match unsafe { self.raw.try_realloc_in_place(ptr, layout, new_size) } {
            Some(touched) => {
                self.offer(touched);
                true
            }
            None => false,
        }
    }

    /// Gives slabs back that are empty but kept: [`RawTalc::trim`]. Offers the source each heap
    /// whose top falls free.
    pub fn trim(&mut self) {
        while let Some(end) = self.raw.trim() {
            self.offer(Some(end));
        }
    }

    /// Offers the source the heap whose top has fallen free, if one has.
    #[inline]
    fn offer(&mut self, touched: Option<NonNull<u8>>) {
        if let Some(end) = touched {
            // SAFETY: as in `make_room`; `end` is what the core just answered.
            unsafe { self.source.release(&mut self.raw, end) };
        }
    }

    /// Establishes a heap: [`RawTalc::claim`].
    ///
    /// # Safety
    /// That of [`RawTalc::claim`]; and the source must allow [`MANUAL_HEAPS`](Source::MANUAL_HEAPS).
    pub unsafe fn claim(&mut self, base: *mut u8, size: usize) -> Option<NonNull<u8>> {
        manual!(self, claim(base, size))
    }

    /// Extends a heap: [`RawTalc::extend`].
    ///
    /// # Safety
    /// That of [`RawTalc::extend`]; and the source must allow
    /// [`MANUAL_HEAPS`](Source::MANUAL_HEAPS).
    pub unsafe fn extend(&mut self, heap_end: NonNull<u8>, new_end: *mut u8) -> NonNull<u8> {
        manual!(self, extend(heap_end, new_end))
    }

    /// Truncates a heap: [`RawTalc::truncate`].
    ///
    /// # Safety
    /// That of [`RawTalc::truncate`]; and the source must allow
    /// [`MANUAL_HEAPS`](Source::MANUAL_HEAPS).
    pub unsafe fn truncate(
        &mut self,
        heap_end: NonNull<u8>,
        new_end: *mut u8,
    ) -> Option<NonNull<u8>> {
        manual!(self, truncate(heap_end, new_end))
    }

    /// Extends or truncates a heap: [`RawTalc::resize`].
    ///
    /// # Safety
    /// That of [`RawTalc::resize`]; and the source must allow
    /// [`MANUAL_HEAPS`](Source::MANUAL_HEAPS).
    pub unsafe fn resize(
        &mut self,
        heap_end: NonNull<u8>,
        new_end: *mut u8,
    ) -> Option<NonNull<u8>> {
        manual!(self, resize(heap_end, new_end))
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

    /// What is wrong with the heaps, if they are looked at before each operation: with the
    /// feature `error-scanning`. Says it once.
    ///
    /// For wrappers, which must not panic before they have released their lock.
    #[inline]
    pub fn report(&self) -> Option<Report> {
        #[cfg(feature = "error-scanning")]
        if !self.has_reported.load(core::sync::atomic::Ordering::Relaxed) {
            if let Err(fault) = self.audit() {
                self.has_reported.store(true, core::sync::atomic::Ordering::Relaxed);
                return Some(Report::Fault(fault));
            }
        }
        None
    }

    /// What is wrong with the heaps, or with the claim that `ptr` is a live allocation of
    /// `layout`. Looks for the latter only if debug assertions are enabled.
    ///
    /// # Safety
    /// That of [`RawTalc::misuse`].
    #[inline]
    pub unsafe fn report_of(&self, ptr: *mut u8, layout: Layout) -> Option<Report> {
        if cfg!(debug_assertions) {
            // SAFETY: required of the caller.
            if let Some(misuse) = unsafe { self.raw.misuse(ptr, layout) } {
                // What broke the rule may have done damage; the message is allocated here.
                #[cfg(feature = "error-scanning")]
                self.has_reported.store(true, core::sync::atomic::Ordering::Relaxed);
                return Some(Report::Misuse(misuse));
            }
        }
        self.report()
    }

    /// What is wrong with managing heaps by hand here. Looks only if debug assertions are enabled.
    #[inline]
    pub fn manual_heaps_report() -> Option<Report> {
        (cfg!(debug_assertions) && !S::MANUAL_HEAPS).then_some(Report::ManualHeaps)
    }

    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    fn panic_if_reported(&self, report: Option<Report>) {
        if let Some(report) = report {
            panic!("{report}");
        }
    }
}

/// Shows the heaps. Of the source only the type is shown, which need not implement `Debug`.
impl<S: Source<B>, B: Binning> fmt::Debug for Talc<S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut talc = f.debug_struct("Talc");
        talc.field("heaps", &self.raw);
        talc.field("source", &format_args!("{}", core::any::type_name::<S>()));
        #[cfg(feature = "counters")]
        talc.field("counters", self.counters());
        talc.finish()
    }
}

/// A broken rule: why a debug build panics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Report {
    /// An unsafe method was called in a way that it forbids.
    Misuse(Misuse),
    /// Heaps were managed by hand under a source that manages them itself.
    ManualHeaps,
    /// The heaps are damaged.
    #[cfg(feature = "audit")]
    Fault(talc_core::Fault),
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Misuse(misuse) => misuse.fmt(f),
            Self::ManualHeaps => f.write_str(
                "talc: the source of this allocator manages its heaps itself, so they must not be \
                 claimed, extended, truncated or resized by hand",
            ),
            #[cfg(feature = "audit")]
            Self::Fault(fault) => fault.fmt(f),
        }
    }
}
