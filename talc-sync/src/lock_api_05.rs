//! An adapter for locks of lock_api 0.5, such as that of spinning_top 0.4 or, for allocators that are not
//! the global one, that of parking_lot 0.13.

use core::cell::UnsafeCell;
use core::fmt;
use core::mem::MaybeUninit;

use lock_api_05::RawMutex;

/// Makes a lock of lock_api 0.5 usable in a [`TalcLock`](crate::TalcLock), which takes locks of
/// lock_api 0.4: write `Compat<R>` for the lock `R`.
///
/// In the newer trait, taking the lock returns a state, which releasing it takes back. The older trait
/// has no such state, so this type keeps it in between.
///
/// [`TalcLock`](crate::TalcLock) lists what the lock of a global allocator must not do. That of
/// parking_lot does some of it.
///
/// # Example
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
    /// The state of the acquisition. It is initialised while the lock is held, and used only by the
    /// holder.
    acquired: UnsafeCell<MaybeUninit<R::Guard>>,
}

// SAFETY: only the lock's holder, of which there is one, uses `acquired`. If the state must not be sent
// to another thread, it is not, because the holder's guard is then not `Send` (`GuardMarker`).
unsafe impl<R: RawMutex + Sync> Sync for Compat<R> {}
// SAFETY: a mutex can be moved only while no guard borrows it: nobody holds it, or the guard was
// forgotten.
unsafe impl<R: RawMutex + Send> Send for Compat<R> {}

// SAFETY: the newer lock guarantees mutual exclusion.
unsafe impl<R: RawMutex> lock_api::RawMutex for Compat<R> {
    #[allow(clippy::declare_interior_mutable_const)] // The trait asks for it.
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
        // SAFETY: the caller holds the lock, so its state is initialised, and releases it now.
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
