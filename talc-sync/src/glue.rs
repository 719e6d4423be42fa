//! Allocating through a shared reference: the code behind `GlobalAlloc` and `Allocator` of every
//! wrapper, and the only place that depends on the `disable-*` features.

use core::alloc::Layout;
use core::mem::forget;
use core::ptr::NonNull;

use talc_sources::talc_core::Misuse;
use talc_sources::{AbortOnDrop, Binning, Source, Talc};

/// A wrapper, which lends its driver to one caller at a time.
pub(crate) trait Wrapper: Sized {
    /// The source of the driver.
    type Source: Source<Self::Binning>;
    /// The binning of the driver.
    type Binning: Binning;

    /// Blocks that are larger than this are copied while the driver is not lent out, without holding
    /// the lock. The default is for wrappers that nobody waits for: they lend the driver once, which
    /// is less code.
    #[inline]
    fn copied_at_once(&self) -> usize {
        usize::MAX
    }

    /// Calls `f` with the driver, which is locked or borrowed meanwhile. Returns `None` if the driver
    /// is in use and its source has called back.
    fn with<T>(&self, f: impl FnOnce(&mut Talc<Self::Source, Self::Binning>) -> T) -> Option<T>;

    /// Returns the layout that is allocated for `layout`, which may be larger.
    #[inline]
    fn rounded(layout: Layout) -> Layout {
        layout
    }

    /// Returns whether allocations of this [`rounded`](Self::rounded) layout take the driver seldom, so that
    /// moving to another one is less work than asking the driver for room.
    #[inline]
    fn is_quick(_: Layout) -> bool {
        false
    }

    /// Whether [`was_resized`](Self::was_resized) does anything. A call of what does nothing takes 67 bytes in
    /// WebAssembly.
    const COUNTS_RESIZED: bool = false;

    /// Called with the driver after it has resized an allocation, whose owner does not know it yet.
    #[inline]
    fn was_resized(
        &self,
        _talc: &mut Talc<Self::Source, Self::Binning>,
        _old: Layout,
        _new: Layout,
    ) {
    }

    /// Allocates memory for a [`rounded`](Self::rounded) layout.
    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    fn allocate(&self, layout: Layout) -> Option<NonNull<u8>> {
        try_with(self, |talc| talc.allocate(layout))?
    }

    /// Frees an allocation.
    ///
    /// # Safety
    /// `ptr` must be a live allocation with the [`rounded`](Self::rounded) layout `layout`.
    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: Layout) {
        // SAFETY: required of the caller.
        with(self, |talc| unsafe { talc.deallocate(ptr.as_ptr(), layout) });
    }

    /// As [`deallocate`](Self::deallocate), for an allocation whose owner does not know yet that it is gone:
    /// a panic of the source aborts.
    ///
    /// # Safety
    /// As there.
    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    unsafe fn deallocate_moved(&self, ptr: NonNull<u8>, layout: Layout) {
        // SAFETY: required of the caller.
        with(self, |talc| unsafe { talc.deallocate_moved(ptr.as_ptr(), layout) });
    }
}

/// What the allocation traits are made of. Every [`Wrapper`] has it.
///
/// It is public as a bound of [`OomHook`](crate::OomHook), and nobody else's to implement: this module is private.
pub trait Allocates {
    /// Tries once to allocate memory. Returns `None` if there is none.
    fn try_obtain(&self, layout: Layout) -> Option<NonNull<u8>>;

    /// Frees an allocation.
    ///
    /// # Safety
    /// `ptr` must be a live allocation of this allocator with the layout `layout`.
    unsafe fn give_back(&self, ptr: NonNull<u8>, layout: Layout);

    /// As [`give_back`](Self::give_back), for an allocation whose owner does not know yet that it is gone: a
    /// panic of the source aborts. The default is for sources that take nothing back.
    ///
    /// # Safety
    /// As there.
    #[cfg(any(feature = "allocator-api2", feature = "allocator-api2-02", feature = "nightly"))]
    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    unsafe fn give_back_moved(&self, ptr: NonNull<u8>, layout: Layout) {
        // SAFETY: required of the caller.
        unsafe { self.give_back(ptr, layout) };
    }

    /// Tries once to resize an allocation, in place if possible and otherwise by moving it. Returns `None` and
    /// changes nothing if there is no memory.
    ///
    /// # Safety
    /// As for [`give_back`](Self::give_back) with the layout `old`. The alignments of `old` and `new` may differ.
    unsafe fn try_resize_allocation(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Option<NonNull<u8>>;

    /// Calls `f` while no other call of `alone` does. Returns `None` if the allocator is in use and its source has
    /// called back.
    fn alone<T>(&self, f: impl FnOnce() -> T) -> Option<T>;

    /// Reports a rule that was found to be broken, in builds with checks.
    ///
    /// # Panics
    /// Always in such builds.
    fn report_misuse(&self, misuse: Misuse, address: usize);

    /// Called when there is no memory for `layout`, with nothing locked. Returns whether to try again, which has
    /// been done `attempts` times.
    #[inline]
    fn is_rescued(&self, _layout: Layout, _attempts: usize) -> bool {
        false
    }

    /// Allocates memory. Returns `None` if there is none.
    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    fn obtain(&self, layout: Layout) -> Option<NonNull<u8>> {
        let mut attempts = 0;
        loop {
            let block = self.try_obtain(layout);
            if block.is_some() || !self.is_rescued(layout, attempts) {
                return block;
            }
            attempts += 1;
        }
    }

    /// Resizes an allocation, in place if possible and otherwise by moving it. Returns `None` and changes
    /// nothing if there is no memory.
    ///
    /// # Safety
    /// As for [`try_resize_allocation`](Self::try_resize_allocation).
    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    unsafe fn resize_allocation(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Option<NonNull<u8>> {
        let mut attempts = 0;
        // As in `obtain`. A closure would hide from where it is called.
        loop {
            // SAFETY: required of the caller; what is refused has changed nothing.
            let block = unsafe { self.try_resize_allocation(ptr, old, new) };
            if block.is_some() || !self.is_rescued(new, attempts) {
                return block;
            }
            attempts += 1;
        }
    }
}

impl<W: Wrapper> Allocates for W {
    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    fn try_obtain(&self, layout: Layout) -> Option<NonNull<u8>> {
        self.allocate(adjusted::<W>(layout)?)
    }

    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    unsafe fn give_back(&self, ptr: NonNull<u8>, layout: Layout) {
        if let Some(layout) = adjusted::<W>(layout) {
            // SAFETY: required of the caller.
            unsafe { self.deallocate(ptr, layout) };
        }
    }

    #[cfg(any(feature = "allocator-api2", feature = "allocator-api2-02", feature = "nightly"))]
    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    unsafe fn give_back_moved(&self, ptr: NonNull<u8>, layout: Layout) {
        if let Some(layout) = adjusted::<W>(layout) {
            // SAFETY: required of the caller.
            unsafe { self.deallocate_moved(ptr, layout) };
        }
    }

    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    unsafe fn try_resize_allocation(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Option<NonNull<u8>> {
        // SAFETY: required of the caller.
        unsafe { reallocate(self, ptr, adjusted::<W>(old)?, adjusted::<W>(new)?) }
    }

    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    fn alone<T>(&self, f: impl FnOnce() -> T) -> Option<T> {
        self.with(|_| f())
    }

    #[cold]
    #[cfg_attr(debug_assertions, track_caller)]
    fn report_misuse(&self, misuse: Misuse, address: usize) {
        with(self, |talc| talc.report_misuse(misuse, address));
    }
}

const GROWS_IN_PLACE: bool =
    !cfg!(any(feature = "disable-grow-in-place", feature = "disable-realloc-in-place"));
const SHRINKS_IN_PLACE: bool = !cfg!(feature = "disable-realloc-in-place");

/// Returns the layout that is actually allocated for `layout`: with `cache-aligned-allocations`, one
/// that consists of whole cache lines.
#[inline]
fn adjusted<W: Wrapper>(layout: Layout) -> Option<Layout> {
    let layout = if cfg!(feature = "cache-aligned-allocations") {
        layout.align_to(CACHE_LINE).ok()?.pad_to_align()
    } else {
        layout
    };
    Some(W::rounded(layout))
}

/// The number of bytes that processors of this target exchange at a time: a cache line, or two where they
/// prefetch pairs.
const CACHE_LINE: usize = if cfg!(any(
    target_arch = "x86_64",
    target_arch = "aarch64",
    target_arch = "powerpc64",
    target_arch = "powerpc"
)) {
    128
} else if cfg!(target_arch = "s390x") {
    256
} else {
    64
};

/// Calls `f` with the driver. Returns `None` if the driver is in use and its source has called back.
///
/// # Panics
/// If a broken rule was found. The driver is no longer locked then, as the message may need the very
/// same allocator.
#[inline]
#[cfg_attr(debug_assertions, track_caller)]
pub(crate) fn try_with<W: Wrapper, T>(
    wrapper: &W,
    f: impl FnOnce(&mut Talc<W::Source, W::Binning>) -> T,
) -> Option<T> {
    let (result, incident) = wrapper.with(|talc| talc.deferred(f))?;
    if let Some(incident) = incident {
        incident.raise();
    }
    Some(result)
}

/// As [`try_with`], for operations that cannot fail.
///
/// # Panics
/// As [`try_with`]; and if the driver is in use and its source has called back.
#[inline]
#[cfg_attr(debug_assertions, track_caller)]
pub(crate) fn with<W: Wrapper, T>(
    wrapper: &W,
    f: impl FnOnce(&mut Talc<W::Source, W::Binning>) -> T,
) -> T {
    match try_with(wrapper, f) {
        Some(result) => result,
        None => refuse(),
    }
}

#[cold]
#[inline(never)]
#[cfg_attr(debug_assertions, track_caller)]
pub(crate) fn refuse() -> ! {
    panic!("talc: this allocator is in use, and its source has come back to it")
}

/// The outcome of the first half of a reallocation.
enum Resized {
    /// The allocation is here.
    Done(NonNull<u8>),
    /// There is new memory, into which the old contents must still be copied.
    Moving(NonNull<u8>),
    /// There is no memory, or a rule was broken.
    Refused,
}

/// Resizes an allocation, with layouts that are [`adjusted`]. Returns `None` and changes nothing if there is no memory.
///
/// # Safety
/// As for [`Allocates::try_resize_allocation`].
#[inline]
#[cfg_attr(debug_assertions, track_caller)]
unsafe fn reallocate<W: Wrapper>(
    wrapper: &W,
    ptr: NonNull<u8>,
    old: Layout,
    new: Layout,
) -> Option<NonNull<u8>> {
    // A block is aligned for its old layout. `GlobalAlloc` does not change the alignment, so the address
    // is not inspected there.
    let is_aligned = new.align() <= old.align() || ptr.as_ptr() as usize & (new.align() - 1) == 0;
    let is_shrinking = new.size() <= old.size();
    let kept = if is_shrinking { new.size() } else { old.size() };

    if W::is_quick(old) && W::is_quick(new) {
        if old.size() == new.size() {
            return Some(ptr);
        }
        if !is_shrinking {
            let moved = wrapper.allocate(new)?;
            // SAFETY: required of the caller; the new memory does not overlap the old.
            unsafe {
                moved.as_ptr().copy_from_nonoverlapping(ptr.as_ptr(), kept);
                wrapper.deallocate_moved(ptr, old);
            }
            return Some(moved);
        }
    }

    // SAFETY: required of the caller.
    let resized = try_with(wrapper, |talc| unsafe {
        let resized = resize(wrapper, talc, ptr, old, new, is_aligned);
        if W::COUNTS_RESIZED && !matches!(resized, Resized::Refused) {
            wrapper.was_resized(talc, old, new);
        }
        resized
    })?;
    match resized {
        Resized::Done(ptr) => Some(ptr),
        Resized::Refused => None,
        Resized::Moving(moved) => {
            // SAFETY: both are still live, and used by nothing else.
            unsafe {
                moved.as_ptr().copy_from_nonoverlapping(ptr.as_ptr(), kept);
                with(wrapper, |talc| talc.deallocate_moved(ptr.as_ptr(), old));
            }
            Some(moved)
        }
    }
}

/// Resizes an allocation in place, or else allocates memory for it, and copies its contents unless that takes
/// too long.
///
/// # Safety
/// As for [`Allocates::resize_allocation`]. `is_aligned` must be whether `ptr` is aligned for `new`.
#[inline]
#[cfg_attr(debug_assertions, track_caller)]
unsafe fn resize<W: Wrapper>(
    wrapper: &W,
    talc: &mut Talc<W::Source, W::Binning>,
    ptr: NonNull<u8>,
    old: Layout,
    new: Layout,
    is_aligned: bool,
) -> Resized {
    let is_shrinking = new.size() <= old.size();
    let kept = if is_shrinking { new.size() } else { old.size() };
    // SAFETY: required of the caller, here and below; the new memory does not overlap the old.
    unsafe {
        if SHRINKS_IN_PLACE && is_aligned && is_shrinking {
            talc.shrink(ptr.as_ptr(), old, new.size());
            return Resized::Done(ptr);
        }
        if GROWS_IN_PLACE && is_aligned && !is_shrinking {
            if talc.try_grow_in_place(ptr.as_ptr(), old, new.size()) {
                return Resized::Done(ptr);
            }
            // Moving down keeps the old alignment only.
            if kept <= wrapper.copied_at_once() && new.align() <= old.align() {
                if let Some(moved) = talc.try_grow_downwards(ptr.as_ptr(), old, new.size()) {
                    return Resized::Done(moved);
                }
            }
        }
        // Builds with checks look at the allocation that is about to be copied.
        if talc.has_report() || !talc.is_sound(ptr.as_ptr(), old) {
            return Resized::Refused;
        }
        let moved = if GROWS_IN_PLACE && !is_shrinking {
            talc.allocate_to_grow(old.size(), new)
        } else {
            talc.allocate(new)
        };
        let moved = match moved {
            Some(moved) => moved,
            None => return Resized::Refused,
        };
        if kept > wrapper.copied_at_once() {
            return Resized::Moving(moved);
        }
        moved.as_ptr().copy_from_nonoverlapping(ptr.as_ptr(), kept);
        talc.deallocate_moved(ptr.as_ptr(), old);
        Resized::Done(moved)
    }
}

/// Calls `f`, and aborts if it panics: nothing may unwind out of `GlobalAlloc`.
#[inline]
pub(crate) fn no_unwind<T>(f: impl FnOnce() -> T) -> T {
    let abort = AbortOnDrop::of_global_allocator();
    let result = f();
    forget(abort);
    result
}
