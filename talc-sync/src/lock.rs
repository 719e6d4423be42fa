//! Allocating from many threads, under a lock.

use core::alloc::Layout;
use core::fmt;
use core::ops::Deref;
use core::ptr::NonNull;

use lock_api::{Mutex, MutexGuard, RawMutex};
use talc_sources::talc_core::DefaultBinning;
use talc_sources::{Binning, Replaceable, ReportHook, Source, Talc};

use crate::forward::{forward, heap_methods};
use crate::glue::Wrapper;

/// An allocator under a lock, for global allocators and for heaps that threads share.
///
/// It implements `GlobalAlloc` and `Allocator`. The lock `R` is any [`RawMutex`] of lock_api 0.4.
///
/// # Which lock
///
/// - `RawSpinlock`, with the feature `spinning_top`, for programs that have their cores to themselves.
/// - `RawYieldLock`, with the feature `std`, for programs that run under an operating system.
/// - `RawCriticalSection`, with the feature `critical-section`, or another lock that masks interrupts, if
///   interrupt handlers allocate or free.
///
/// Every allocation of a program takes the lock of its *global* allocator, including the allocations
/// that the lock itself makes. Therefore, neither taking nor releasing that lock may
///
/// - allocate or free. parking_lot allocates its queue of waiting threads when a thread has to wait;
///   a thread-local value may allocate when it is first used or dropped;
/// - panic: nothing may unwind out of `GlobalAlloc`, and the message is allocated;
/// - wait for something that may allocate, such as the holder of another lock;
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
    pub(crate) copy_limit: CopyLimit,
}

/// How many bytes a reallocation copies under a lock at most. The usual number is kept as zero, so that statics that
/// are zero otherwise need no memory for what they are at first.
#[derive(Clone, Copy)]
pub(crate) struct CopyLimit {
    beyond_usual: usize,
}

impl CopyLimit {
    const USUAL_BYTES: usize = 16 << 10;

    pub(crate) const USUAL: Self = Self { beyond_usual: 0 };

    pub(crate) const fn new(bytes: usize) -> Self {
        Self { beyond_usual: bytes.wrapping_sub(Self::USUAL_BYTES) }
    }

    #[inline]
    pub(crate) const fn bytes(self) -> usize {
        self.beyond_usual.wrapping_add(Self::USUAL_BYTES)
    }
}

impl<R: RawMutex, S: Source<B>, B: Binning> TalcLock<R, S, B> {
    /// Creates an allocator that gets its memory from `source`.
    #[inline]
    pub const fn new(source: S) -> Self {
        Self { mutex: Mutex::const_new(R::INIT, Talc::new(source)), copy_limit: CopyLimit::USUAL }
    }

    /// Sets how many bytes a reallocation may copy while the allocator is locked: 16 KiB, unless told
    /// otherwise.
    ///
    /// A larger allocation that has to move is copied with the lock free, for which the lock is taken
    /// twice, and it does not move to a lower address in place. A lock that masks interrupts is better off
    /// with a small limit, such as 256.
    #[inline]
    #[must_use]
    pub const fn with_copy_limit(mut self, bytes: usize) -> Self {
        self.copy_limit = CopyLimit::new(bytes);
        self
    }

    /// Locks the allocator, and returns a guard for several operations in a row, and for operations
    /// other than allocating and freeing.
    ///
    /// While the guard lives, nothing on the same thread may allocate from this allocator: it would
    /// wait forever. If this is the global allocator, that rules out `println!`. A source that calls
    /// the allocator that it serves waits forever as well.
    #[inline]
    pub fn lock(&self) -> TalcGuard<'_, R, S, B> {
        TalcGuard::new(self.mutex.lock())
    }

    /// [Locks](Self::lock) the allocator if it is not locked. Returns `None` if it is.
    #[inline]
    pub fn try_lock(&self) -> Option<TalcGuard<'_, R, S, B>> {
        self.mutex.try_lock().map(TalcGuard::new)
    }

    /// Returns a mutable reference to the driver, without locking.
    #[inline]
    pub fn get_mut(&mut self) -> &mut Talc<S, B> {
        self.mutex.get_mut()
    }

    /// Unwraps the driver.
    #[inline]
    pub fn into_inner(self) -> Talc<S, B> {
        self.mutex.into_inner()
    }
}

impl<R: RawMutex, S: Source<B>, B: Binning> Wrapper for TalcLock<R, S, B> {
    type Source = S;
    type Binning = B;
    #[inline]
    fn copied_at_once(&self) -> usize {
        self.copy_limit.bytes()
    }

    #[inline]
    fn with<T>(&self, f: impl FnOnce(&mut Talc<S, B>) -> T) -> Option<T> {
        Some(f(&mut self.mutex.lock()))
    }
}

impl<R: RawMutex, S: Source<B>, B: Binning> fmt::Debug for TalcLock<R, S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the heaps, because the formatter may allocate from this allocator.
        f.debug_struct("TalcLock")
            .field("is_locked", &self.mutex.is_locked())
            .finish_non_exhaustive()
    }
}

/// The guard of a locked allocator, which unlocks it when it is dropped.
///
/// It dereferences to [`Talc`] for everything that does not change the allocator: `counters`,
/// `reserved`, `visit`, `audit`. It does not dereference mutably, because safe code could then exchange
/// the driver for another one while allocations are live.
pub struct TalcGuard<'a, R: RawMutex, S, B = DefaultBinning>(MutexGuard<'a, R, Talc<S, B>>);

impl<'a, R: RawMutex, S, B> TalcGuard<'a, R, S, B> {
    #[inline]
    pub(crate) fn new(mut guard: MutexGuard<'a, R, Talc<S, B>>) -> Self {
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
    heap_methods!(&mut Self);

    forward! {
        &mut Self;
        safe {
            /// Allocates memory for `layout`.
            fn allocate(layout: Layout) -> Option<NonNull<u8>>;
            /// Allocates memory for `layout` without calling the source.
            fn try_allocate(layout: Layout) -> Option<NonNull<u8>>;
        }
        unsafe {
            /// Frees an allocation.
            fn deallocate(ptr: *mut u8, layout: Layout);
            /// Grows an allocation without moving it. Returns whether that was possible.
            fn try_grow_in_place(ptr: *mut u8, layout: Layout, new_size: usize) -> bool;
            /// Shrinks an allocation without moving it.
            fn shrink(ptr: *mut u8, layout: Layout, new_size: usize);
            /// Grows or shrinks an allocation without moving it. Returns whether that was possible.
            fn try_realloc_in_place(ptr: *mut u8, layout: Layout, new_size: usize) -> bool;
        }
    }

    /// Returns a mutable reference to the source, which must be [`Replaceable`].
    #[inline]
    pub fn source_mut(&mut self) -> &mut S
    where
        S: Replaceable,
    {
        self.0.source_mut()
    }

    /// Returns a mutable reference to the driver.
    ///
    /// # Safety
    /// The driver must not be moved out of the reference, nor replaced by another one.
    #[inline]
    pub unsafe fn talc_mut(&mut self) -> &mut Talc<S, B> {
        &mut self.0
    }

    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    fn with_driver<T>(&mut self, f: impl FnOnce(&mut Talc<S, B>) -> T) -> T {
        let (result, incident) = self.0.deferred(f);
        if let Some(incident) = incident {
            // Unlocked, because the message may be allocated from this allocator.
            MutexGuard::unlocked(&mut self.0, || incident.raise());
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
