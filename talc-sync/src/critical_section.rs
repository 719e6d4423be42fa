//! A lock that masks interrupts, over the crate critical-section.

use core::cell::Cell;
use core::fmt;

use critical_section::RestoreState;
use lock_api::{GuardNoSend, RawMutex};

/// A lock for programs whose interrupt handlers allocate or free: it is held from within a critical section of
/// the crate [critical-section](https://docs.rs/critical-section), so nothing interrupts its holder.
///
/// That crate has implementations for most microcontrollers, with one core or several, with or without
/// compare-and-swap. The program chooses one, usually by a feature of the crate for its processor, such as
/// `critical-section-single-core` of cortex-m or `critical-section-single-hart` of riscv.
///
/// # How long interrupts are masked
/// For one operation of the allocator, whose [worst case is bounded][worst], but for what a
/// reallocation copies meanwhile: see [`TalcLock::with_copy_limit`](crate::TalcLock::with_copy_limit).
///
/// # Panics
/// If the holder locks it again, where a spinlock would wait forever. That happens if something is allocated
/// while a guard lives, and if a source calls the allocator that it serves.
///
/// # Limitations
/// Several such locks must be released in the opposite order in which they were taken. Mind this if the guards
/// of two allocators are alive at the same time.
///
/// # Example
///
/// ```
/// # extern crate critical_section; // That there is an implementation: that for computers.
/// use talc_sources::Claim;
/// use talc_sync::{RawCriticalSection, TalcLock};
///
/// static mut HEAP: [u8; 32 << 10] = [0; 32 << 10];
///
/// #[global_allocator]
/// static TALC: TalcLock<RawCriticalSection, Claim> =
///     // SAFETY: nothing else uses `HEAP`.
///     TalcLock::new(unsafe { Claim::array(&raw mut HEAP) }).with_copy_limit(256);
///
/// assert_eq!(vec![1, 2, 3].iter().sum::<u32>(), 6);
/// ```
///
/// [worst]: https://docs.rs/talc/latest/talc/guide/locks/index.html#how-long-interrupts-are-off
pub struct RawCriticalSection {
    /// What was before the holder's critical section. Sections can be nested, so one alone would let the
    /// holder in again.
    before: Cell<Option<RestoreState>>,
}

// SAFETY: `before` is used in critical sections only.
unsafe impl Sync for RawCriticalSection {}

// SAFETY: there is one holder at a time, from the moment at which `before` is set to that at which it is taken,
// and both are in the holder's critical section.
unsafe impl RawMutex for RawCriticalSection {
    #[allow(clippy::declare_interior_mutable_const)] // The trait asks for it.
    const INIT: Self = Self { before: Cell::new(None) };

    /// A critical section ends where it began.
    type GuardMarker = GuardNoSend;

    #[inline]
    fn lock(&self) {
        // Whoever else has the lock has a critical section, and has left it by now.
        if !self.try_lock() {
            has_locked_it();
        }
    }

    #[inline]
    fn try_lock(&self) -> bool {
        // SAFETY: released below, or by `unlock`.
        let before = unsafe { critical_section::acquire() };
        if self.before.get().is_some() {
            // SAFETY: entered above.
            unsafe { critical_section::release(before) };
            return false;
        }
        self.before.set(Some(before));
        true
    }

    #[inline]
    unsafe fn unlock(&self) {
        if let Some(before) = self.before.take() {
            // SAFETY: entered by `try_lock`.
            unsafe { critical_section::release(before) };
        }
    }
}

#[cold]
#[inline(never)]
fn has_locked_it() -> ! {
    panic!("talc: the holder of this lock has come back to it")
}

impl fmt::Debug for RawCriticalSection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawCriticalSection").finish_non_exhaustive()
    }
}
