//! `TalcSharded` as a global allocator.

#[path = "common/churn.rs"]
#[allow(unused_macros)] // Of a program with one lock.
mod churn;

use talc_sync::sharded::ByThread;
use talc_sync::talc_sources::Claim;
use talc_sync::{RawYieldLock, TalcSharded};

const BYTES: usize = 48 << 20;
static mut HEAP: [u64; BYTES / 8] = [0; BYTES / 8];

#[global_allocator]
static TALC: TalcSharded<RawYieldLock, Claim, ByThread> =
    // SAFETY: nothing else uses `HEAP`.
    TalcSharded::new(unsafe { Claim::array(&raw mut HEAP) });

#[test]
fn more_threads_than_cores() {
    churn::more_threads_than_cores(cfg!(feature = "error-scanning"));
    TALC.trim();
    assert_eq!(TALC.audit(), Ok(()));
}
