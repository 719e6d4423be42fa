//! What the program and its interrupts use in turns.

use core::cell::UnsafeCell;

/// A value that is not used from two places at a time.
pub(crate) struct Own<T>(UnsafeCell<T>);

// SAFETY: there is one core, and the callers vouch for interrupts.
unsafe impl<T> Sync for Own<T> {}

impl<T> Own<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }

    /// Replaces the value, and returns it as it was.
    ///
    /// # Safety
    /// Nothing that interrupts this may use it.
    pub(crate) unsafe fn replace(&self, value: T) -> T {
        // SAFETY: required of the caller.
        unsafe { self.0.get().replace(value) }
    }

    /// Replaces the value.
    ///
    /// # Safety
    /// As for [`replace`](Self::replace).
    pub(crate) unsafe fn set(&self, value: T) {
        // SAFETY: required of the caller.
        unsafe { *self.0.get() = value };
    }

    /// Returns the value.
    ///
    /// # Safety
    /// As for [`replace`](Self::replace).
    pub(crate) unsafe fn get(&self) -> T
    where
        T: Copy,
    {
        // SAFETY: required of the caller.
        unsafe { *self.0.get() }
    }
}
