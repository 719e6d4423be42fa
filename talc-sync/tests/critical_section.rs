//! `RawCriticalSection`: who has to wait, and who would wait for itself.
#![cfg(feature = "critical-section")]
#![cfg_attr(feature = "nightly", feature(allocator_api))]

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use common::{arena, panic_message};
use talc_sync::lock_api::Mutex;
use talc_sync::{RawCriticalSection, TalcLock};

#[test]
fn the_others_wait() {
    let mutex = Mutex::<RawCriticalSection, usize>::new(0);
    let most = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..common::rounds(1000) {
                    let mut count = mutex.lock();
                    let before = *count;
                    thread::yield_now();
                    *count = before + 1;
                    most.fetch_max(*count, Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(most.into_inner(), 4 * common::rounds(1000));
}

#[test]
fn its_holder_is_not_let_in_again() {
    let (_memory, claim) = arena(1 << 14);
    let talc = TalcLock::<RawCriticalSection, _>::new(claim);
    let guard = talc.lock();
    assert!(talc.try_lock().is_none());
    let message = panic_message(|| drop(talc.lock()));
    assert!(message.contains("has come back to it"), "{message}");
    drop(guard);
    // Critical sections ended as often as they began: another thread has its turn.
    thread::scope(|scope| {
        scope.spawn(|| assert!(talc.try_lock().is_some()));
    });
}
