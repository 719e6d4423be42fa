//! TalcLock under threads, with the locks in the box and with others of lock_api 0.4.
#![allow(clippy::undocumented_unsafe_blocks)] // Blocks belong to the thread that has them.
#![cfg_attr(feature = "nightly", feature(allocator_api))]

#[macro_use]
mod common;

use std::alloc::GlobalAlloc;
use std::sync::Barrier;

use common::stress::stress;
use common::{arena, fill, layout, rounds, verify};
use talc_sync::talc_sources::Claim;
use talc_sync::{RawSpinlock, RawYieldLock, TalcLock};

#[test]
fn the_lock_in_the_box() {
    stress::<TalcLock<RawSpinlock, Claim>>(6, 1500);
}

#[test]
fn the_lock_in_the_box_under_an_operating_system() {
    stress::<TalcLock<RawYieldLock, Claim>>(6, 1500);
}

#[test]
fn a_mutex_of_spin() {
    stress::<TalcLock<spin::Mutex<()>, Claim>>(4, 800);
}

/// A fair one. Under an operating system, those who wait must let others run.
#[test]
fn a_ticket_lock_of_spin() {
    type Fair = spin::mutex::TicketMutex<(), spin::relax::Yield>;
    stress::<TalcLock<Fair, Claim>>(2, 400);
}

#[test]
fn a_lock_of_spinning_top() {
    stress::<TalcLock<spinning_top::RawSpinlock, Claim>>(4, 800);
}

/// Copies that happen without the lock: each thread's contents stay its own while the others
/// allocate and free around them.
#[test]
fn large_blocks_move_while_others_allocate() {
    let (_memory, claim) = arena(16 << 20);
    let talc = TalcLock::<RawSpinlock, Claim>::new(claim);
    let barrier = Barrier::new(4);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (talc, barrier) = (&talc, &barrier);
            scope.spawn(move || unsafe {
                barrier.wait();
                for round in 0..rounds(8) {
                    let seed = round * 4 + thread;
                    let mut size = 17_000 + seed;
                    let mut block = talc.alloc(layout(size, 8));
                    fill(block, size, seed);
                    while size < 150_000 {
                        let hem = talc.alloc(layout(64, 8));
                        let new_size = size * 2 + 13;
                        block = talc.realloc(block, layout(size, 8), new_size);
                        assert!(!block.is_null());
                        verify(block, size, seed);
                        fill(block, new_size, seed);
                        size = new_size;
                        talc.dealloc(hem, layout(64, 8));
                    }
                    block = talc.realloc(block, layout(size, 8), 20_000);
                    verify(block, 20_000, seed);
                    talc.dealloc(block, layout(20_000, 8));
                }
            });
        }
    });
    assert_eq!(talc.lock().audit(), Ok(()));
    assert_eq!(common::stress::allocations(&talc.lock()), 0);
}
