//! Talc as the global allocator of a kernel on four cores, without an operating system below it: each core has a
//! shard of its own, all of them free what others have allocated, and timer interrupts allocate, too.

#![no_std]
#![no_main]

extern crate alloc;

mod machine;

use alloc::boxed::Box;
use core::cell::UnsafeCell;
use core::fmt::Write;
use core::hint::spin_loop;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use talc::base::Part;
use talc::source::Manual;
use talc::sync::{ShardHint, TalcSharded};
use workout::{Block, Handler};

use crate::machine::{Masking, Uart};

/// The number of cores.
const CORES: usize = 4;

/// A core's shard is that of its number.
struct Core;

impl ShardHint for Core {
    fn hint() -> usize {
        machine::core()
    }
}

#[global_allocator]
static TALC: TalcSharded<Masking, Manual, Core, CORES> =
    TalcSharded::new(Manual).with_copy_limit(256);

/// Blocks on their way from any core to any other.
static PASSED: [AtomicPtr<Block>; 64] = [const { AtomicPtr::new(null_mut()) }; 64];

/// How often each core puts something there.
const ROUNDS: usize = 20_000;

/// What only one core uses, with its interrupts masked or in its interrupt handler.
struct Own<T>(UnsafeCell<T>);

// SAFETY: by the rule above.
unsafe impl<T: Send> Sync for Own<T> {}

static HANDLERS: [Own<Handler>; CORES] = [const { Own(UnsafeCell::new(Handler::new())) }; CORES];

/// Where each core begins.
#[no_mangle]
extern "C" fn kernel_main(core: usize) -> ! {
    if core == 0 {
        let memory = machine::memory();
        // SAFETY: nothing else uses this memory.
        let end = unsafe { TALC.lock().claim(memory.start, machine::size(&memory)) };
        assert!(end.is_some());
    }
    meet();
    machine::start_timer();
    work(core);
    machine::mask_interrupts();
    // SAFETY: the handler does not run any more.
    let Handler { ticks, .. } = unsafe { HANDLERS[core].0.get().replace(Handler::new()) };
    static TICKS: AtomicUsize = AtomicUsize::new(0);
    TICKS.fetch_add(ticks, Ordering::Relaxed);
    assert!(ticks > 0, "core {core} was never interrupted");
    meet();
    if core != 0 {
        loop {
            spin_loop();
        }
    }
    for place in &PASSED {
        receive(place.swap(null_mut(), Ordering::Acquire));
    }
    check();
    let ticks = TICKS.load(Ordering::Relaxed);
    let _ = writeln!(Uart, "{CORES} cores, {ROUNDS} rounds each, {ticks} interrupts\ndone");
    machine::exit(true)
}

/// Allocates, and frees what it or another core has allocated.
fn work(core: usize) {
    let mut random = core as u32 + 1;
    for round in 0..ROUNDS {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let size = 1 + (random >> 8) as usize % 1500;
        let block = Block::new(size, round).expect("there is enough memory");
        let place = &PASSED[(random >> 20) as usize % PASSED.len()];
        receive(place.swap(Box::into_raw(Box::new(block)), Ordering::AcqRel));
    }
}

/// Frees a block, which looks whether its contents are still right.
fn receive(block: *mut Block) {
    if !block.is_null() {
        // SAFETY: it comes from `into_raw`, and the swap gave it to nobody else.
        drop(unsafe { Box::from_raw(block) });
    }
}

/// Checks that nothing is left.
fn check() {
    TALC.trim();
    let mut allocations = 0;
    TALC.lock().visit(|part| match part {
        Part::Allocated { .. } => allocations += 1,
        Part::Slab { slots, free_slots, .. } => allocations += slots - free_slots,
        _ => {}
    });
    assert_eq!(allocations, 0);
    assert_eq!(TALC.counters().allocation_count, 0);
}

/// Returns when all cores are here.
fn meet() {
    static ARRIVED: AtomicUsize = AtomicUsize::new(0);
    let goal = ARRIVED.fetch_add(1, Ordering::AcqRel) / CORES * CORES + CORES;
    while ARRIVED.load(Ordering::Acquire) < goal {
        spin_loop();
    }
}

/// What a timer interrupt does.
fn on_tick() {
    // SAFETY: this core's handler is not interrupted.
    unsafe { (*HANDLERS[machine::core()].0.get()).tick() };
}
