//! `RawYieldLock` as the lock of a global allocator.
#![allow(clippy::undocumented_unsafe_blocks)] // The heap is this program's allocator's alone.

#[path = "common/churn.rs"]
mod churn;

use talc_sync::talc_sources::Claim;
use talc_sync::{RawYieldLock, TalcLock};

static mut HEAP: [u64; churn::HEAP / 8] = [0; churn::HEAP / 8];

#[global_allocator]
static TALC: TalcLock<RawYieldLock, Claim> = TalcLock::new(unsafe { Claim::array(&raw mut HEAP) });

#[test]
fn more_threads_than_cores() {
    churn::more_threads_than_cores(cfg!(feature = "error-scanning"));
    let audit = TALC.lock().audit();
    assert_eq!(audit, Ok(()));
}
