//! `RawYieldLock` by itself: one holder at a time, and waiting that leaves the processor to others.
//! As the lock of a global allocator: `global_yield_lock.rs`.

use std::thread;
use std::time::{Duration, Instant};

use talc_sync::lock_api::{Mutex, RawMutex};
use talc_sync::RawYieldLock;

#[test]
fn one_holder_at_a_time() {
    static COUNT: Mutex<RawYieldLock, u32> = Mutex::new(0);
    let threads: Vec<_> = (0..8)
        .map(|_| {
            thread::spawn(|| {
                for _ in 0..2000 {
                    let mut count = COUNT.lock();
                    // Not one instruction, so that two holders would be noticed.
                    *count = std::hint::black_box(*count) + 1;
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(*COUNT.lock(), 16_000);
}

#[test]
fn it_says_whether_it_is_locked() {
    assert_eq!(std::mem::size_of::<RawYieldLock>(), 1);
    let lock = RawYieldLock::INIT;
    assert!(!lock.is_locked());
    assert!(lock.try_lock() && lock.is_locked());
    assert!(!lock.try_lock() && lock.is_locked());
    // SAFETY: it was locked above.
    unsafe { lock.unlock() };
    assert!(!lock.is_locked());
    lock.lock();
    assert!(lock.is_locked());
}

/// Those who wait for a lock that is held for long sleep most of that time, and
/// still notice soon that it is free.
#[test]
fn waiting_takes_little_processor_time() {
    const HELD: Duration = Duration::from_millis(200);
    static LOCK: Mutex<RawYieldLock, ()> = Mutex::new(());
    let held = LOCK.lock();
    let waiters: Vec<_> = (0..8)
        .map(|_| {
            thread::spawn(|| {
                drop(LOCK.lock());
                processor_time()
            })
        })
        .collect();
    thread::sleep(HELD);
    drop(held);
    let released = Instant::now();
    let times: Vec<_> = waiters.into_iter().map(|waiter| waiter.join().unwrap()).collect();
    // A sleep is 1 ms at most; the rest is for a machine that has other things to do.
    assert!(released.elapsed() < Duration::from_secs(10), "{:?}", released.elapsed());
    // Eight that spin or yield take as much as there is: twice `HELD` on two cores.
    if let Some(total) = times.into_iter().sum::<Option<Duration>>() {
        assert!(total < HELD / 2, "{total:?}");
    }
}

/// How long the current thread has run so far, where the system tells.
fn processor_time() -> Option<Duration> {
    let statistics = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    statistics.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}
