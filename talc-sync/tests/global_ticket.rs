//! A fair lock, the ticket lock of the crate spin, as that of a global allocator. Under an operating system, those who
//! wait must let others run.

#[macro_use]
#[path = "common/churn.rs"]
mod churn;

use spin::mutex::TicketMutex;
use spin::relax::Yield;

global_allocator!(TicketMutex<(), Yield>, scans: cfg!(feature = "error-scanning"));
