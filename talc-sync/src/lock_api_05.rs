//! Locks of lock_api 0.5, such as that of spinning_top 0.4 and, for allocators that are not the global
//! one, that of parking_lot 0.13.

use core::cell::UnsafeCell;
use core::fmt;
use core::mem::MaybeUninit;

use lock_api_05::RawMutex;

/// Makes a lock of lock_api 0.5 usable for a [`TalcLock`](crate::TalcLock), which is bound by
/// lock_api 0.4: name it `Compat<R>` where the lock `R` would stand.
///
/// The newer trait hands out a state with each acquisition and wants it back with the release;
/// the older one knows nothing of it, so this type keeps it in between.
///
/// What the lock of a global allocator must not do is said at [`TalcLock`](crate::TalcLock):
/// parking_lot does.
///
/// ```
/// use lock_api_05::RawMutex;
/// use talc_sources::Manual;
/// use talc_sync::{lock_api_05::Compat, TalcLock};
///
/// fn allocator<R: RawMutex>() -> TalcLock<Compat<R>, Manual> {
///     TalcLock::new(Manual)
/// }
/// ```
pub struct Compat<R: RawMutex> {
    raw: R,
    /// Initialised while the lock is held, and then its holder's alone.
    acquired: UnsafeCell<MaybeUninit<R::Guard>>,
}

// SAFETY: `acquired` is only touched by the lock's holder, of which there is one. A state that must
// not be sent to another thread is not: the holder's guard is then not `Send` (`GuardMarker`).
unsafe impl<R: RawMutex + Sync> Sync for Compat<R> {}
// SAFETY: a mutex can only be moved while nobody holds it, or who did forgot it.
unsafe impl<R: RawMutex + Send> Send for Compat<R> {}

// SAFETY: mutual exclusion is that of the newer lock.
unsafe impl<R: RawMutex> lock_api::RawMutex for Compat<R> {
    #[allow(clippy::declare_interior_mutable_const)] // As the trait has it.
    const INIT: Self = Self { raw: R::INIT, acquired: UnsafeCell::new(MaybeUninit::uninit()) };

    type GuardMarker = R::Guard;

    #[inline]
    fn lock(&self) {
        let state = self.raw.lock();
        // SAFETY: the lock is held.
        unsafe { self.acquired.get().write(MaybeUninit::new(state)) };
    }

    #[inline]
    fn try_lock(&self) -> bool {
        match self.raw.try_lock() {
            Some(state) => {
                // SAFETY: the lock is held.
                unsafe { self.acquired.get().write(MaybeUninit::new(state)) };
                true
            }
            None => false,
        }
    }

    #[inline]
    unsafe fn unlock(&self) {
        // SAFETY: the caller holds the lock, so that its state is there, and gives it up.
        unsafe {
            let state = self.acquired.get().read().assume_init();
            self.raw.unlock(state);
        }
    }

    #[inline]
    fn is_locked(&self) -> bool {
        self.raw.is_locked()
    }
}

impl<R: RawMutex> fmt::Debug for Compat<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compat").field("is_locked", &self.raw.is_locked()).finish_non_exhaustive()
    }
}
