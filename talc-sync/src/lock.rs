//! Allocating from many threads, under a lock.

use core::alloc::Layout;
use core::fmt;
use core::ops::Deref;
use core::ptr::NonNull;

use lock_api::{Mutex, MutexGuard, RawMutex};
use talc_sources::talc_core::DefaultBinning;
use talc_sources::{Binning, Replaceable, Source, Talc};

use crate::glue::Wrapper;
use crate::heap_api::heap_api;

/// An allocator under a lock: for global allocators and whatever threads share.
///
/// It implements `GlobalAlloc` and `Allocator`. The lock `R` is any [`RawMutex`] of lock_api 0.4.
///
/// # Which lock
///
/// - `RawSpinlock`, of the feature `spinning_top`, for programs that have their cores to themselves.
/// - `RawYieldLock`, of the feature `std`, under an operating system.
/// - One that masks interrupts, where interrupt handlers allocate or free.
///
/// The lock of a *global* allocator is taken by every allocation, also by its own. So neither taking
/// nor releasing it may
/// - allocate or free. parking_lot does when a thread has to wait, for its queue of waiting threads;
///   a thread-local value may when it is first used or dropped;
/// - panic: nothing may unwind out of `GlobalAlloc`, and the message is allocated;
/// - wait for somebody who may allocate, such as the holder of another lock;
/// - let its holder in again.
///
/// For an allocator that is not the global one, only the last of these matters.
///
/// # Example
///
/// ```
/// use talc_sources::Claim;
/// use talc_sync::{RawSpinlock, TalcLock};
///
/// static mut HEAP: [u8; 1_000_000] = [0; 1_000_000];
///
/// #[global_allocator]
/// static TALC: TalcLock<RawSpinlock, Claim> =
///     // SAFETY: nothing else uses `HEAP`.
///     TalcLock::new(unsafe { Claim::array(&raw mut HEAP) });
///
/// assert_eq!((0..100).map(|n| n.to_string()).collect::<Vec<_>>()[99], "99");
/// ```
pub struct TalcLock<R, S, B = DefaultBinning> {
    mutex: Mutex<R, Talc<S, B>>,
}

impl<R: RawMutex, S: Source<B>, B: Binning> TalcLock<R, S, B> {
    /// An allocator that gets its memory from `source`.
    #[inline]
    pub const fn new(source: S) -> Self {
        Self { mutex: Mutex::const_new(R::INIT, Talc::new(source)) }
    }

    /// Locks the allocator for several operations, and for those that are not allocations.
    ///
    /// What allocates from this allocator while the guard lives waits forever, on the same thread:
    /// if it is the global one, so does `println!`. So does a source that comes back to the
    /// allocator that it serves.
    #[inline]
    pub fn lock(&self) -> TalcGuard<'_, R, S, B> {
        TalcGuard::new(self.mutex.lock())
    }

    /// [Locks](Self::lock) the allocator if it is not locked; `None` if it is.
    #[inline]
    pub fn try_lock(&self) -> Option<TalcGuard<'_, R, S, B>> {
        self.mutex.try_lock().map(TalcGuard::new)
    }

    /// The driver, without locking.
    #[inline]
    pub fn get_mut(&mut self) -> &mut Talc<S, B> {
        self.mutex.get_mut()
    }

    /// The driver.
    #[inline]
    pub fn into_inner(self) -> Talc<S, B> {
        self.mutex.into_inner()
    }
}

impl<R: RawMutex, S: Source<B>, B: Binning> Wrapper for TalcLock<R, S, B> {
    type Source = S;
    type Binning = B;
    const COPIED_AT_ONCE: usize = 16 << 10;

    #[inline]
    fn with<T>(&self, f: impl FnOnce(&mut Talc<S, B>) -> T) -> Option<T> {
        Some(f(&mut self.mutex.lock()))
    }
}

impl<R: RawMutex, S: Source<B>, B: Binning> fmt::Debug for TalcLock<R, S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the heaps: what is formatted into may allocate here.
        f.debug_struct("TalcLock")
            .field("is_locked", &self.mutex.is_locked())
            .finish_non_exhaustive()
    }
}

/// A locked allocator; unlocks it when it is dropped.
///
/// It dereferences to [`Talc`] for everything that only looks: `counters`, `reserved`, `visit`,
/// `audit`. It does not lend out the driver mutably, as safe code could then exchange it for
/// another under the allocations that were made.
pub struct TalcGuard<'a, R: RawMutex, S, B = DefaultBinning>(MutexGuard<'a, R, Talc<S, B>>);

impl<'a, R: RawMutex, S, B> TalcGuard<'a, R, S, B> {
    #[inline]
    fn new(mut guard: MutexGuard<'a, R, Talc<S, B>>) -> Self {
        guard.defer_reports(true);
        Self(guard)
    }
}

impl<R: RawMutex, S, B> Drop for TalcGuard<'_, R, S, B> {
    #[inline]
    fn drop(&mut self) {
        self.0.defer_reports(false);
    }
}

impl<R: RawMutex, S: Source<B>, B: Binning> TalcGuard<'_, R, S, B> {
    heap_api!(&mut);

    /// The source, to be changed or replaced: only for [`Replaceable`] ones.
    #[inline]
    pub fn source_mut(&mut self) -> &mut S
    where
        S: Replaceable,
    {
        self.0.source_mut()
    }

    /// The driver itself.
    ///
    /// # Safety
    /// The driver must not be moved out of or replaced.
    #[inline]
    pub unsafe fn talc_mut(&mut self) -> &mut Talc<S, B> {
        &mut self.0
    }

    /// Allocates memory: [`Talc::allocate`].
    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn allocate(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        self.with_driver(|talc| talc.allocate(layout))
    }

    /// Allocates memory without asking the source: [`Talc::try_allocate`].
    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn try_allocate(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        self.with_driver(|talc| talc.try_allocate(layout))
    }

    /// Frees an allocation: [`Talc::deallocate`].
    ///
    /// # Safety
    /// That of [`Talc::deallocate`].
    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    pub unsafe fn deallocate(&mut self, ptr: *mut u8, layout: Layout) {
        // SAFETY: required of the caller.
        self.with_driver(|talc| unsafe { talc.deallocate(ptr, layout) });
    }

    /// Grows an allocation in place: [`Talc::try_grow_in_place`].
    ///
    /// # Safety
    /// That of [`Talc::try_grow_in_place`].
    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    pub unsafe fn try_grow_in_place(
        &mut self,
        ptr: *mut u8,
        layout: Layout,
        new_size: usize,
    ) -> bool {
        // SAFETY: required of the caller.
        self.with_driver(|talc| unsafe { talc.try_grow_in_place(ptr, layout, new_size) })
    }

    /// Shrinks an allocation in place: [`Talc::shrink`].
    ///
    /// # Safety
    /// That of [`Talc::shrink`].
    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    pub unsafe fn shrink(&mut self, ptr: *mut u8, layout: Layout, new_size: usize) {
        // SAFETY: required of the caller.
        self.with_driver(|talc| unsafe { talc.shrink(ptr, layout, new_size) });
    }

    /// Grows or shrinks an allocation in place: [`Talc::try_realloc_in_place`].
    ///
    /// # Safety
    /// That of [`Talc::try_realloc_in_place`].
    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    pub unsafe fn try_realloc_in_place(
        &mut self,
        ptr: *mut u8,
        layout: Layout,
        new_size: usize,
    ) -> bool {
        // SAFETY: required of the caller.
        self.with_driver(|talc| unsafe { talc.try_realloc_in_place(ptr, layout, new_size) })
    }

    /// Gives empty slabs back, and heaps that fall free to the source: [`Talc::trim`].
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn trim(&mut self) {
        self.with_driver(Talc::trim);
    }

    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    fn with_driver<T>(&mut self, f: impl FnOnce(&mut Talc<S, B>) -> T) -> T {
        let (result, report) = self.0.deferred(f);
        if let Some(report) = report {
            // The message may be allocated here: unlock for it.
            MutexGuard::unlocked(&mut self.0, || panic!("{report}"));
        }
        result
    }
}

impl<R: RawMutex, S: Source<B>, B: Binning> fmt::Debug for TalcGuard<'_, R, S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<R: RawMutex, S, B> Deref for TalcGuard<'_, R, S, B> {
    type Target = Talc<S, B>;

    #[inline]
    fn deref(&self) -> &Talc<S, B> {
        &self.0
    }
}
