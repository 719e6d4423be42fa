//! A lock for programs that run under an operating system.

use core::hint::spin_loop;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::thread::{sleep, yield_now};

use lock_api::{GuardSend, RawMutex};

/// How often a waiting thread checks the lock before it yields. This takes longer than an allocation
/// usually does.
const SPINS: u32 = 100;
/// How often it then yields before it sleeps.
const YIELDS: u32 = 10;
/// How long it sleeps the first time. Each further sleep is twice as long as the one before.
const FIRST_SLEEP: Duration = Duration::from_micros(50);
/// The longest sleep.
const LONGEST_SLEEP: Duration = Duration::from_millis(1);

/// A lock for the global allocator of a program that runs under an operating system: a spinlock
/// that spins for a bounded time, and then lets other threads run.
///
/// A thread may lose its processor while it holds a lock. The threads that wait for a spinlock then spin in
/// vain, and keep the holder from running meanwhile. Locks that put waiting threads to sleep in a queue
/// solve this, but they must allocate the queue, which the lock of a global allocator cannot do. This
/// lock neither allocates nor panics.
///
/// A thread that finds the lock taken
///
/// 1. checks it up to 100 times, with [`spin_loop`] in between;
/// 2. then up to 10 times, with [`yield_now`] in between, so that other threads, such as the holder, run;
/// 3. then until it is free, sleeping in between: 50 µs at first, twice as long each time, 1 ms at most.
///
/// Yielding alone would keep a processor busy if no other thread is ready to run. Under a real-time
/// scheduler, it would not let a holder of lower priority run.
///
/// # Complexity
/// The lock takes one byte. Taking a free lock is one compare-and-swap, and releasing it is one store;
/// neither calls the operating system. The time that a thread waits has no bound. If the lock was held for
/// long, a sleeping thread may notice up to 1 ms late that it is free.
///
/// # Limitations
/// - It is not fair: the first thread that finds it free takes it, whoever has waited longest.
/// - It does not know priorities: a waiting thread does not lend its own to the holder.
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

    /// As `try_lock`, but does not take the lock's cache line away from the holder if the lock is not
    /// free.
    #[inline]
    fn try_lock_if_free(&self) -> bool {
        !self.is_locked() && self.try_lock()
    }
}

// SAFETY: there is one holder at a time, from the exchange of `false` for `true` to the store of
// `false`, whichever thread makes it.
unsafe impl RawMutex for RawYieldLock {
    #[allow(clippy::declare_interior_mutable_const)] // The trait asks for it.
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
