//! A lock of lock_api 0.5, that of spinning_top 0.4, as that of a global allocator.
#![cfg(feature = "lock_api-05")]
#![allow(clippy::undocumented_unsafe_blocks)] // The heap is this program's allocator's alone.

#[path = "common/churn.rs"]
mod churn;

use spinning_top_04::RawSpinlock;
use talc_sync::lock_api_05::Compat;
use talc_sync::talc_sources::Claim;
use talc_sync::TalcLock;

static mut HEAP: [u64; churn::HEAP / 8] = [0; churn::HEAP / 8];

#[global_allocator]
static TALC: TalcLock<Compat<RawSpinlock>, Claim> =
    TalcLock::new(unsafe { Claim::array(&raw mut HEAP) });

#[test]
fn more_threads_than_cores() {
    churn::more_threads_than_cores(cfg!(feature = "error-scanning"));
    let audit = TALC.lock().audit();
    assert_eq!(audit, Ok(()));
}
