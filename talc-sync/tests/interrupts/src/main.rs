//! A program that allocates is interrupted at each of its instructions, by a handler that uses the same allocator.
//! Everything must be as if the handler had come first. With a lock that does not mask interrupts, that must go wrong.

#![no_std]
#![no_main]

mod machine;
mod own;
mod subject;
mod work;

use core::fmt::{self, Write};
use core::panic::PanicInfo;

use talc_sync::talc_sources::talc_core::{Counters, DefaultBinning, SmallBinning};
use talc_sync::talc_sources::Manual;
use talc_sync::{RawCriticalSection, TalcLock, TalcSharded, TinyTalc};

// For its critical section.
use riscv as _;

use crate::machine::{has_interrupted, interrupted_at, Timer, Uart};
use crate::own::Own;
use crate::subject::{One, Subject, Unmasked};

type Lock<B> = TalcLock<RawCriticalSection, Manual, B>;
type Sharded = TalcSharded<RawCriticalSection, Manual, One, 2>;
type Tiny = TinyTalc<RawCriticalSection, 8192>;

/// What is being tested.
#[derive(Clone, Copy)]
struct Stage {
    name: &'static str,
    /// After how many instructions the program is interrupted.
    count: u32,
    is_to_fail: bool,
}

static STAGE: Own<Stage> = Own::new(Stage { name: "the timer", count: 0, is_to_fail: false });

#[no_mangle]
extern "C" fn main() -> ! {
    let timer = Timer::new();
    interrupt_each::<Lock<DefaultBinning>>("TalcLock", false, &timer);
    interrupt_each::<Lock<SmallBinning>>("TalcLock, SmallBinning", false, &timer);
    interrupt_each::<Sharded>("TalcSharded", false, &timer);
    interrupt_each::<Tiny>("TinyTalc", false, &timer);
    interrupt_each::<TalcLock<Unmasked, Manual>>("without a lock", true, &timer);
    let _ = writeln!(Uart, "FAILED: nothing goes wrong without a lock");
    machine::exit()
}

/// Interrupts the program after each number of instructions, until it is over before it is interrupted.
fn interrupt_each<A: Subject>(name: &'static str, is_to_fail: bool, timer: &Timer) {
    // SAFETY: no interrupt is to come.
    let stage = |count| unsafe { STAGE.set(Stage { name, count, is_to_fail }) };
    stage(0);
    // SAFETY: it is what the handler asks for.
    let at_once = |(call, on): machine::Handler| unsafe { call(on) };
    let expected = checked(work::run::<A, _>(at_once, |()| ()));

    let (mut count, mut interrupts, mut masked) = (0, 0, 0);
    let mut is_over = false;
    while !is_over {
        stage(count);
        let mut late = 0;
        let counters = work::run::<A, _>(
            |handler| timer.interrupt_after(count, handler),
            |due| {
                is_over = !has_interrupted();
                late = interrupted_at().wrapping_sub(due);
            },
        );
        if checked(counters) != expected {
            fail(format_args!("something is lost"));
        }
        interrupts += 1;
        masked += late;
        // Those that had come while this one was held back would have been held back for the same instruction.
        count += late.max(1);
    }
    let _ = writeln!(
        Uart,
        "{name}: {interrupts} interrupts, at each of {count} instructions but {masked} that are masked"
    );
}

/// Returns what must be the same once everything is freed.
fn checked(counters: Result<Counters, &'static str>) -> [usize; 6] {
    match counters {
        Ok(counters) => [
            counters.allocation_count,
            counters.allocated_bytes,
            counters.available_bytes,
            counters.fragment_count,
            counters.heap_count,
            counters.claimed_bytes,
        ],
        Err(fault) => fail(format_args!("{fault}")),
    }
}

/// Says what has gone wrong, and ends.
fn fail(what: fmt::Arguments<'_>) -> ! {
    // SAFETY: whatever is interrupted has it for reading, or does not go on.
    let Stage { name, count, is_to_fail } = unsafe { STAGE.get() };
    let verdict = if is_to_fail { "as it must" } else { "FAILED" };
    let _ = writeln!(Uart, "{name}, interrupted after {count} instructions: {what} ({verdict})");
    if is_to_fail {
        let _ = writeln!(Uart, "done");
    }
    machine::exit()
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    fail(format_args!("{info}"))
}
