//! Counts the instructions of single calls, exactly and repeatably, by single-stepping.
//!
//! The trap flag makes the processor raise a signal after each instruction; the handler counts.
//! Nothing else does what is needed here: a profiler that adds up whole runs cannot say what the
//! worst of a thousand calls cost, and clocks see interrupts and cache misses. A repeated string
//! instruction counts once per repetition.

use crate::arena::Region;
use crate::contender::Contender;
use crate::replay::{layout, run, Slots};
use crate::workload::full::FullHeap;
use crate::workload::{Op, OpKind, Workload};

/// What one call cost.
#[derive(Clone, Copy, Debug)]
pub struct OpSteps {
    /// Which call.
    pub kind: OpKind,
    /// Instructions, without those of the measuring loop.
    pub instructions: u64,
}

/// Counting ends early when the calls have taken this many instructions more than [`USUAL`] ones
/// would: stepping takes microseconds for each, and a contender that needs so
/// many has shown what it is like.
const BUDGET: u64 = 60_000;

/// About what a call takes with an allocator that does not search without a bound.
const USUAL: u64 = 120;

/// The same of a refusal, after a bounded search.
const USUAL_REFUSAL: u64 = 5_000;

fn budget(calls: usize, usual: u64) -> u64 {
    BUDGET + usual * calls as u64
}

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
            if spent > budget(chosen.len(), USUAL) {
                return counted;
            }
            if run(&mut contender, &workload.measured()[next..index], slots).is_err() {
                return Vec::new();
            }
            next = index + 1;
            let op = &workload.measured()[index];
            let Some((instructions, true)) = one_call(&mut contender, op, slots) else {
                return Vec::new();
            };
            spent += instructions;
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

/// Instructions of those requests that a full heap refuses, in order, as far as the budget goes;
/// an empty list when the heap cannot be prepared or the platform cannot single-step.
pub fn count_refused<C: Contender>(heap: &FullHeap, arena: Region, slots: &mut Slots) -> Vec<u64> {
    let slots = slots.for_workload(&heap.workload);
    let (before, after) = heap.workload.ops.split_at(heap.workload.warm);
    let mut refused = Vec::new();
    // SAFETY: as in `count`; the requests have a slot of their own, and what fills the arena is
    // never touched again.
    unsafe {
        let Some(mut contender) = C::over(arena) else { return Vec::new() };
        if run(&mut contender, before, slots).is_err() {
            return Vec::new();
        }
        let mut size = arena.size as u32 / 2;
        while size >= 8 {
            if contender.alloc(layout(size, 3)).is_null() {
                size /= 2;
            }
        }
        if run(&mut contender, after, slots).is_err() {
            return Vec::new();
        }
        for request in &heap.requests {
            match one_call(&mut contender, request, slots) {
                None => return Vec::new(),
                Some((instructions, false)) => refused.push(instructions),
                Some((_, true)) => {
                    contender.dealloc(
                        slots[request.slot as usize],
                        layout(request.size, request.align_log2),
                    );
                }
            }
            if refused.iter().sum::<u64>() > budget(heap.requests.len(), USUAL_REFUSAL) {
                break;
            }
        }
    }
    refused
}

/// Instructions of one call, and whether it succeeded; `None` where nothing can be counted.
///
/// # Safety
/// - As for [`run`].
unsafe fn one_call<C: Contender>(
    contender: &mut C,
    op: &Op,
    slots: &mut [*mut u8],
) -> Option<(u64, bool)> {
    /// Out of line, so that each contender's call pays the same few instructions around it.
    #[inline(never)]
    unsafe fn call<C: Contender>(contender: &mut C, op: &Op, slots: &mut [*mut u8]) -> bool {
        // SAFETY: passed on.
        unsafe { run(contender, std::slice::from_ref(op), slots) }.is_ok()
    }
    trap::start();
    // SAFETY: passed on.
    let done = unsafe { call(contender, op, slots) };
    Some((trap::stop()?, done))
}

/// Counting, from one place to another.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
pub(crate) mod trap {
    use std::arch::asm;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::Once;

    static STEPS: AtomicU64 = AtomicU64::new(0);

    extern "C" fn on_step(_: libc::c_int) {
        STEPS.store(STEPS.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    /// Begins to count.
    #[inline]
    pub(crate) fn start() {
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
    }

    /// Returns how many instructions were executed since, give or take the same few each time.
    #[inline]
    pub(crate) fn stop() -> Option<u64> {
        // SAFETY: only the trap flag changes.
        unsafe { asm!("pushfq", "and qword ptr [rsp], -0x101", "popfq") };
        Some(STEPS.load(Ordering::Relaxed))
    }
}

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
pub(crate) mod trap {
    /// This platform is not supported.
    pub(crate) fn start() {}

    /// Returns nothing.
    pub(crate) fn stop() -> Option<u64> {
        None
    }
}

#[cfg(all(test, target_arch = "x86_64", target_os = "linux"))]
mod tests {
    use super::*;
    use crate::arena::Arena;
    use crate::contender::Talc;
    use crate::workload::full;

    #[test]
    fn full_heaps_refuse() {
        let mut slots = Slots::default();
        for heap in full::all() {
            let mut arena = Arena::untouched(heap.workload.roomy_arena());
            let counted = count_refused::<Talc>(&heap, arena.region(), &mut slots);
            assert_eq!(counted.len(), heap.requests.len(), "{}", heap.workload.name);
        }
    }
}
