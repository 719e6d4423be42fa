//! A lock for programs that run under an operating system.

use core::hint::spin_loop;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::thread::{sleep, yield_now};

use lock_api::{GuardSend, RawMutex};

/// How often a waiter looks at the lock before it yields: longer than an allocation usually takes.
const SPINS: u32 = 100;
/// How often it then yields before it sleeps.
const YIELDS: u32 = 10;
/// How long it then sleeps the first time; each further time twice as long,
const FIRST_SLEEP: Duration = Duration::from_micros(50);
/// up to this.
const LONGEST_SLEEP: Duration = Duration::from_millis(1);

/// A lock for the global allocator of a program that runs under an operating system: a spinlock
/// that spins for a bounded time only, and then lets other threads run.
///
/// A thread may lose its processor while it holds a lock. Those that wait for it then spin for
/// nothing, and, as long as they do, keep the holder from running. Locks that put the waiting
/// thread to sleep in a queue solve this, but such a queue must be allocated: the lock of a global
/// allocator cannot do that. This one neither allocates nor panics.
///
/// A thread that finds the lock taken
/// 1. looks at it up to 100 times, with [`spin_loop`] in between;
/// 2. then up to 10 times, with [`yield_now`] in between: whoever can run, such as the holder, does;
/// 3. then until it is free, sleeping in between: 50 µs at first, doubled each time, 1 ms at most.
///
/// Yielding alone would keep a processor busy where nothing else wants to run, and would not let a
/// holder of lower priority run under a real-time scheduler.
///
/// # Complexity
/// One byte. Taking a lock that is free is one compare-and-swap, releasing it one store; neither
/// calls the operating system. How long a thread waits has no bound, and after the lock was held
/// for long, it may notice up to the length of a sleep late that it is free.
///
/// # What it does not do
/// - It is not fair: whoever looks first gets it, in whatever order they came.
/// - It knows nothing of priorities: a waiter does not lend the holder its own.
/// - It does not mask signals: a handler that interrupts the holder must not allocate.
///
/// # Example
///
/// ```
/// use talc_sources::Claim;
/// use talc_sync::{RawYieldLock, TalcLock};
///
/// static mut HEAP: [u8; 1_000_000] = [0; 1_000_000];
///
/// #[global_allocator]
/// static TALC: TalcLock<RawYieldLock, Claim> =
///     // SAFETY: nothing else uses `HEAP`.
///     TalcLock::new(unsafe { Claim::array(&raw mut HEAP) });
///
/// let threads: Vec<_> = (0..8).map(|n| std::thread::spawn(move || vec![n; 1000])).collect();
/// for (n, thread) in threads.into_iter().enumerate() {
///     assert_eq!(thread.join().unwrap(), [n; 1000]);
/// }
/// ```
#[derive(Debug)]
pub struct RawYieldLock {
    is_locked: AtomicBool,
}

impl RawYieldLock {
    /// Waits until the lock is free, and takes it.
    #[cold] // So that only the compare-and-swap is inlined where memory is allocated.
    fn wait(&self) {
        for _ in 0..SPINS {
            if self.try_lock_if_free() {
                return;
            }
            spin_loop();
        }
        for _ in 0..YIELDS {
            if self.try_lock_if_free() {
                return;
            }
            yield_now();
        }
        let mut pause = FIRST_SLEEP;
        while !self.try_lock_if_free() {
            sleep(pause);
            pause = LONGEST_SLEEP.min(pause * 2);
        }
    }

    /// As `try_lock`, which takes the lock's cache line from the holder even if it fails; this does
    /// not.
    #[inline]
    fn try_lock_if_free(&self) -> bool {
        !self.is_locked() && self.try_lock()
    }
}

// SAFETY: there is one holder at a time, from the exchange of `false` for `true` to the store of
// `false`, whichever thread does that.
unsafe impl RawMutex for RawYieldLock {
    #[allow(clippy::declare_interior_mutable_const)] // As the trait has it.
    const INIT: Self = Self { is_locked: AtomicBool::new(false) };

    type GuardMarker = GuardSend;

    #[inline]
    fn lock(&self) {
        if !self.try_lock() {
            self.wait();
        }
    }

    #[inline]
    fn try_lock(&self) -> bool {
        let exchanged =
            self.is_locked.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed);
        exchanged.is_ok()
    }

    #[inline]
    unsafe fn unlock(&self) {
        self.is_locked.store(false, Ordering::Release);
    }

    #[inline]
    fn is_locked(&self) -> bool {
        self.is_locked.load(Ordering::Relaxed)
    }
}
