//! Counts the instructions of single calls, exactly and repeatably, by single-stepping.
//!
//! The trap flag makes the processor raise a signal after each instruction; the handler counts.
//! Nothing else does what is needed here: a profiler that adds up whole runs cannot say what the
//! worst of a thousand calls cost, and clocks see interrupts and cache misses. A repeated string
//! instruction counts once per repetition.

use crate::arena::Region;
use crate::contender::Contender;
use crate::replay::{run, Slots};
use crate::workload::{OpKind, Workload};

/// What one call cost.
#[derive(Clone, Copy, Debug)]
pub struct OpSteps {
    /// Which call.
    pub kind: OpKind,
    /// Instructions, without those of the measuring loop.
    pub instructions: u64,
}

/// After this many instructions the counting ends early: single-stepping takes microseconds for
/// each, and a contender that needs so many has shown what it is like.
const BUDGET: u64 = 60_000;

/// Instructions of the chosen calls (numbers of measured calls, ascending), in order, as far as
/// the budget goes; an empty list when the replay fails or the platform cannot single-step.
pub fn count<C: Contender>(
    workload: &Workload,
    arena: Region,
    slots: &mut Slots,
    chosen: &[usize],
) -> Vec<OpSteps> {
    let slots = slots.for_workload(workload);
    let mut counted = Vec::with_capacity(chosen.len());
    // SAFETY: the arena is lent to this replay alone; the workload is consistent from its first
    // call on, and `slots` is long enough.
    unsafe {
        let Some(mut contender) = C::over(arena) else { return Vec::new() };
        if run(&mut contender, &workload.ops[..workload.warm], slots).is_err() {
            return Vec::new();
        }
        let mut spent = 0;
        let mut next = 0;
        for &index in chosen {
            if spent > BUDGET {
                return counted;
            }
            if run(&mut contender, &workload.measured()[next..index], slots).is_err() {
                return Vec::new();
            }
            next = index + 1;
            let op = &workload.measured()[index];
            let mut done = Ok(0);
            let instructions = trap::instructions_of(|| {
                done = one_call(&mut contender, op, slots);
            });
            let Some(instructions) = instructions else { return Vec::new() };
            spent += instructions;
            if done.is_err() {
                return Vec::new();
            }
            counted.push(OpSteps { kind: op.kind, instructions });
        }
        let rest = &workload.measured()[next..];
        if run(&mut contender, rest, slots).is_err()
            || run(&mut contender, &workload.cleanup, slots).is_err()
        {
            return Vec::new();
        }
    }
    counted
}

/// Out of line, so that each contender's call pays the same few instructions around it.
///
/// # Safety
/// - As for [`run`].
#[inline(never)]
unsafe fn one_call<C: Contender>(
    contender: &mut C,
    op: &crate::workload::Op,
    slots: &mut [*mut u8],
) -> Result<u64, usize> {
    // SAFETY: passed on.
    unsafe { run(contender, std::slice::from_ref(op), slots) }
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod trap {
    use std::arch::asm;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::Once;

    static STEPS: AtomicU64 = AtomicU64::new(0);

    extern "C" fn on_step(_: libc::c_int) {
        STEPS.store(STEPS.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    /// How many instructions `call` executes, give or take the same few each time.
    pub(super) fn instructions_of(call: impl FnOnce()) -> Option<u64> {
        static INSTALL: Once = Once::new();
        INSTALL.call_once(|| {
            // SAFETY: the handler touches one atomic and nothing else.
            unsafe {
                let mut action: libc::sigaction = std::mem::zeroed();
                action.sa_sigaction = on_step as extern "C" fn(libc::c_int) as usize;
                libc::sigaction(libc::SIGTRAP, &raw const action, std::ptr::null_mut());
            }
        });
        STEPS.store(0, Ordering::Relaxed);
        // SAFETY: only the trap flag changes, and a handler for the trap is installed.
        unsafe { asm!("pushfq", "or qword ptr [rsp], 0x100", "popfq") };
        call();
        // SAFETY: as above.
        unsafe { asm!("pushfq", "and qword ptr [rsp], -0x101", "popfq") };
        Some(STEPS.load(Ordering::Relaxed))
    }
}

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
mod trap {
    /// This platform is not supported.
    pub(super) fn instructions_of(_: impl FnOnce()) -> Option<u64> {
        None
    }
}
