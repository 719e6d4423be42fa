//! Allocating through a shared reference: the one piece of code behind `GlobalAlloc` and
//! `Allocator` of every wrapper, and the one place where each `disable-*` feature is looked at.

use core::alloc::Layout;
use core::mem::forget;
use core::ptr::NonNull;

use talc_sources::{AbortOnDrop, Binning, Source, Talc};

/// A wrapper: lends its driver to one caller at a time.
pub(crate) trait Wrapper {
    type Source: Source<Self::Binning>;
    type Binning: Binning;

    /// Larger blocks than this are copied while the driver is not lent out: without the lock held.
    /// A wrapper that nobody waits for lends it out once, which is less code.
    const COPIED_AT_ONCE: usize = usize::MAX;

    /// Calls `f` with the driver, locked or borrowed for that long; `None` if the driver is in use
    /// and its source has come back.
    fn with<T>(&self, f: impl FnOnce(&mut Talc<Self::Source, Self::Binning>) -> T) -> Option<T>;
}

const GROWS_IN_PLACE: bool =
    !cfg!(any(feature = "disable-grow-in-place", feature = "disable-realloc-in-place"));
const SHRINKS_IN_PLACE: bool = !cfg!(feature = "disable-realloc-in-place");

/// The layout that is really allocated for `layout`.
///
/// With `cache-aligned-allocations` it begins and ends with a cache line.
#[inline]
fn adjusted(layout: Layout) -> Option<Layout> {
    if cfg!(feature = "cache-aligned-allocations") {
        Some(layout.align_to(CACHE_LINE).ok()?.pad_to_align())
    } else {
        Some(layout)
    }
}

/// Bytes that processors of this target exchange as a whole, or in pairs where they prefetch so.
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

/// Calls `f` with the driver; `None` if the driver is in use and its source has come back. A broken
/// rule is reported by a panic once the driver is no longer locked: the message may need the very
/// same allocator.
#[inline]
#[cfg_attr(debug_assertions, track_caller)]
pub(crate) fn try_with<W: Wrapper, T>(
    wrapper: &W,
    f: impl FnOnce(&mut Talc<W::Source, W::Binning>) -> T,
) -> Option<T> {
    let (result, report) = wrapper.with(|talc| talc.deferred(f))?;
    if let Some(report) = report {
        panic!("{report}");
    }
    Some(result)
}

/// The same for what cannot fail.
///
/// # Panics
/// If the driver is in use and its source has come back.
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
fn refuse() -> ! {
    panic!("talc: this allocator is in use, and its source has come back to it")
}

#[inline]
#[cfg_attr(debug_assertions, track_caller)]
pub(crate) fn allocate<W: Wrapper>(wrapper: &W, layout: Layout) -> Option<NonNull<u8>> {
    let layout = adjusted(layout)?;
    try_with(wrapper, |talc| talc.allocate(layout))?
}

/// # Safety
/// `ptr` must be a live allocation of `wrapper`, made with `layout` through this module.
#[inline]
#[cfg_attr(debug_assertions, track_caller)]
pub(crate) unsafe fn deallocate<W: Wrapper>(wrapper: &W, ptr: NonNull<u8>, layout: Layout) {
    if let Some(layout) = adjusted(layout) {
        // SAFETY: required of the caller.
        with(wrapper, |talc| unsafe { talc.deallocate(ptr.as_ptr(), layout) });
    }
}

/// [`deallocate`], where the owner does not know yet that the allocation is gone: nothing unwinds.
///
/// # Safety
/// As for [`deallocate`].
#[cfg(any(feature = "allocator-api2", feature = "allocator-api2-02", feature = "nightly"))]
#[inline]
#[cfg_attr(debug_assertions, track_caller)]
pub(crate) unsafe fn deallocate_moved<W: Wrapper>(wrapper: &W, ptr: NonNull<u8>, layout: Layout) {
    if let Some(layout) = adjusted(layout) {
        // SAFETY: required of the caller.
        with(wrapper, |talc| unsafe { talc.deallocate_moved(ptr.as_ptr(), layout) });
    }
}

/// What the first half of a reallocation came to.
enum Resized {
    Done(NonNull<u8>),
    /// New memory, into which the old one's contents must still be copied.
    Moving(NonNull<u8>),
    /// There is no memory, or a rule is broken.
    Refused,
}

/// Makes an allocation larger or smaller, in place if possible, or else by moving it. `None` if
/// there is no memory, and nothing changed.
///
/// # Safety
/// As for [`deallocate`], of `old`. `old` and `new` may differ in alignment, too.
#[inline]
#[cfg_attr(debug_assertions, track_caller)]
pub(crate) unsafe fn reallocate<W: Wrapper>(
    wrapper: &W,
    ptr: NonNull<u8>,
    old: Layout,
    new: Layout,
) -> Option<NonNull<u8>> {
    let (old, new) = (adjusted(old)?, adjusted(new)?);
    // A block is aligned for its own layout: `GlobalAlloc` keeps that, and needs no look.
    let is_aligned = new.align() <= old.align() || ptr.as_ptr() as usize & (new.align() - 1) == 0;
    let is_shrinking = new.size() <= old.size();
    let kept = if is_shrinking { new.size() } else { old.size() };

    // SAFETY: required of the caller, here and below; the new memory is no part of the old.
    let resized = try_with(wrapper, |talc| unsafe {
        if SHRINKS_IN_PLACE && is_aligned && is_shrinking {
            talc.shrink(ptr.as_ptr(), old, new.size());
            return Resized::Done(ptr);
        }
        if GROWS_IN_PLACE && is_aligned && !is_shrinking {
            if talc.try_grow_in_place(ptr.as_ptr(), old, new.size()) {
                return Resized::Done(ptr);
            }
            // What moves is aligned as it was allocated.
            if kept <= W::COPIED_AT_ONCE && new.align() <= old.align() {
                if let Some(moved) = talc.try_grow_downwards(ptr.as_ptr(), old, new.size()) {
                    return Resized::Done(moved);
                }
            }
        }
        // Debug builds look at what is about to be copied.
        if talc.has_report() || !talc.is_sound(ptr.as_ptr(), old) {
            return Resized::Refused;
        }
        let moved = match talc.allocate(new) {
            Some(moved) => moved,
            None => return Resized::Refused,
        };
        if kept > W::COPIED_AT_ONCE {
            return Resized::Moving(moved);
        }
        moved.as_ptr().copy_from_nonoverlapping(ptr.as_ptr(), kept);
        talc.deallocate_moved(ptr.as_ptr(), old);
        Resized::Done(moved)
    })?;
    match resized {
        Resized::Done(ptr) => Some(ptr),
        Resized::Refused => None,
        Resized::Moving(moved) => {
            // SAFETY: both are still live, and nobody else's.
            unsafe {
                moved.as_ptr().copy_from_nonoverlapping(ptr.as_ptr(), kept);
                with(wrapper, |talc| talc.deallocate_moved(ptr.as_ptr(), old));
            }
            Some(moved)
        }
    }
}

/// Calls `f`, and turns a panic of it into an abort: nothing may unwind out of `GlobalAlloc`.
#[inline]
pub(crate) fn no_unwind<T>(f: impl FnOnce() -> T) -> T {
    let abort = AbortOnDrop::OfGlobalAllocator;
    let result = f();
    forget(abort);
    result
}
