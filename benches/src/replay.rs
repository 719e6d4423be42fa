//! Replays a workload against one contender: for time, for correctness, for memory.

use crate::arena::Region;
use crate::contender::{Contender, Kind};
use crate::workload::{Op, OpKind, Workload};
use std::alloc::Layout;
use std::time::{Duration, Instant};

/// The addresses of live blocks, by slot number. Reused between replays.
#[derive(Default)]
pub struct Slots(Vec<*mut u8>);

impl Slots {
    /// A table long enough for `workload`.
    pub(crate) fn for_workload(&mut self, workload: &Workload) -> &mut [*mut u8] {
        if self.0.len() < workload.slots {
            self.0.resize(workload.slots, std::ptr::null_mut());
        }
        &mut self.0[..workload.slots]
    }
}

#[inline(always)]
pub(crate) fn layout(size: u32, align_log2: u8) -> Layout {
    // SAFETY: alignments in workloads are powers of two below 2^32, and sizes are 32 bits.
    unsafe { Layout::from_size_align_unchecked(size as usize, 1 << align_log2) }
}

/// Calls of a contender that are not inlined into the loop, as programs call their allocator. If they
/// were, the registers that the loop spills around them would be measured as well.
mod call {
    use super::{Contender, Layout};

    #[inline(never)]
    pub(super) unsafe fn alloc<C: Contender>(contender: &mut C, layout: Layout) -> *mut u8 {
        // SAFETY: passed on.
        unsafe { contender.alloc(layout) }
    }

    #[inline(never)]
    pub(super) unsafe fn dealloc<C: Contender>(contender: &mut C, ptr: *mut u8, layout: Layout) {
        // SAFETY: passed on.
        unsafe { contender.dealloc(ptr, layout) };
    }

    #[inline(never)]
    pub(super) unsafe fn realloc<C: Contender>(
        contender: &mut C,
        ptr: *mut u8,
        layout: Layout,
        new_size: usize,
    ) -> *mut u8 {
        // SAFETY: passed on.
        unsafe { contender.realloc(ptr, layout, new_size) }
    }
}

/// The loop that is measured: one byte of each block is written when it is obtained and read
/// before it is freed, as any program would. Returns a sum of those bytes, or the index of the
/// first call that failed.
///
/// # Safety
/// - `slots` has an entry for each slot in `ops`, and those that `ops` expects to be live are.
#[inline(always)]
pub(crate) unsafe fn run<C: Contender>(
    contender: &mut C,
    ops: &[Op],
    slots: &mut [*mut u8],
) -> Result<u64, usize> {
    let mut sum = 0_u64;
    for (index, op) in ops.iter().enumerate() {
        // SAFETY: the caller vouches for the slots; the sizes and states of the blocks are those
        // that the workload's builder kept track of, and no size is zero.
        unsafe {
            let slot = slots.get_unchecked_mut(op.slot as usize);
            match op.kind {
                OpKind::Alloc => {
                    let ptr = call::alloc(contender, layout(op.size, op.align_log2));
                    if ptr.is_null() {
                        return Err(index);
                    }
                    ptr.write_volatile(op.slot as u8);
                    *slot = ptr;
                }
                OpKind::Free => {
                    sum += u64::from(slot.read_volatile());
                    call::dealloc(contender, *slot, layout(op.size, op.align_log2));
                }
                OpKind::Realloc => {
                    let old = layout(op.size, op.align_log2);
                    let ptr = call::realloc(contender, *slot, old, op.new_size as usize);
                    if ptr.is_null() {
                        return Err(index);
                    }
                    ptr.write_volatile(op.slot as u8);
                    *slot = ptr;
                }
            }
        }
    }
    Ok(sum)
}

/// The measured part, out of line, so that a profiler can be told to look at nothing else: its
/// symbol contains `measured_calls`.
///
/// # Safety
/// - As for [`run`].
#[inline(never)]
unsafe fn measured_calls<C: Contender>(
    contender: &mut C,
    ops: &[Op],
    slots: &mut [*mut u8],
) -> Result<u64, usize> {
    // SAFETY: passed on.
    unsafe { run(contender, ops, slots) }
}

/// Nanoseconds per measured call over a fresh heap, or `None` if the arena is too small.
pub fn time<C: Contender>(workload: &Workload, arena: Region, slots: &mut Slots) -> Option<f64> {
    let slots = slots.for_workload(workload);
    // SAFETY: the arena is lent to this replay alone; the workload is consistent from its first
    // call on, and `slots` is long enough.
    unsafe {
        let mut contender = C::over(arena)?;
        run(&mut contender, &workload.ops[..workload.warm], slots).ok()?;
        let start = Instant::now();
        let sum = measured_calls(&mut contender, workload.measured(), slots);
        let elapsed = start.elapsed();
        std::hint::black_box(sum.ok()?);
        run(&mut contender, &workload.cleanup, slots).ok()?;
        Some(elapsed.as_secs_f64() * 1e9 / workload.measured().len() as f64)
    }
}

/// The first call that fails, or `None` if all succeed. An arena that is too small to begin with
/// fails at the first call.
pub fn first_failure<C: Contender>(
    workload: &Workload,
    arena: Region,
    slots: &mut Slots,
) -> Option<usize> {
    let slots = slots.for_workload(workload);
    // SAFETY: as in `time`.
    unsafe {
        let Some(mut contender) = C::over(arena) else { return Some(0) };
        run(&mut contender, &workload.ops, slots).err()
    }
}

/// How far from the start of the arena the blocks of a replay reach, or `None` if the arena is too small.
pub fn extent<C: Contender>(
    workload: &Workload,
    arena: Region,
    slots: &mut Slots,
) -> Option<usize> {
    let slots = slots.for_workload(workload);
    let mut extent = 0;
    // SAFETY: as in `time`.
    unsafe {
        let mut contender = C::over(arena)?;
        for op in &workload.ops {
            run(&mut contender, std::slice::from_ref(op), slots).ok()?;
            let size = match op.kind {
                OpKind::Alloc => op.size,
                OpKind::Realloc => op.new_size,
                OpKind::Free => continue,
            };
            let end = slots[op.slot as usize] as usize + size as usize;
            extent = extent.max(end - arena.base as usize);
        }
        run(&mut contender, &workload.cleanup, slots).ok()?;
    }
    Some(extent)
}

/// What [`grow`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grown {
    /// The heap's length at the end: its largest.
    To(usize),
    /// Even the whole arena was not enough.
    OutOfMemory,
}

/// Replays over a heap that begins with one `step` and is extended by another whenever a call
/// fails, until the call succeeds.
pub fn grow<C: Contender>(
    workload: &Workload,
    arena: Region,
    step: usize,
    slots: &mut Slots,
) -> Grown {
    let slots = slots.for_workload(workload);
    let mut size = step;
    // SAFETY: as in `time`; a failed call changed nothing, so the list may be taken up again with
    // it; and the heap never grows beyond the arena.
    unsafe {
        let mut contender = loop {
            match C::over(arena.first(size)) {
                Some(contender) => break contender,
                None if size < arena.size => size += step,
                None => return Grown::OutOfMemory,
            }
        };
        let mut next = 0;
        while let Err(failed) = run(&mut contender, &workload.ops[next..], slots) {
            next += failed;
            size += step;
            if size > arena.size || !contender.extend(arena.base.wrapping_add(size)) {
                return Grown::OutOfMemory;
            }
        }
    }
    Grown::To(size)
}

/// Clock ticks of each measured call, of which the smaller of the old and new value is kept in
/// `least`: over several replays, what remains is the call's own cost without interruptions.
/// Returns whether the replay succeeded.
pub fn latencies<C: Contender>(
    workload: &Workload,
    arena: Region,
    slots: &mut Slots,
    least: &mut [u64],
) -> bool {
    let slots = slots.for_workload(workload);
    // SAFETY: as in `time`.
    unsafe {
        let Some(mut contender) = C::over(arena) else { return false };
        if run(&mut contender, &workload.ops[..workload.warm], slots).is_err() {
            return false;
        }
        for (op, least) in workload.measured().iter().zip(least) {
            let start = ticks();
            let done = run(&mut contender, std::slice::from_ref(op), slots);
            *least = (ticks() - start).min(*least);
            if done.is_err() {
                return false;
            }
        }
        run(&mut contender, &workload.cleanup, slots).is_ok()
    }
}

/// A cheap clock, ordered against the instructions around it.
#[cfg(target_arch = "x86_64")]
pub(crate) fn ticks() -> u64 {
    use std::arch::x86_64::{__rdtscp, _mm_lfence};
    let mut processor = 0;
    // SAFETY: every x86-64 of the last fifteen years has these instructions.
    unsafe {
        _mm_lfence();
        let now = __rdtscp(&raw mut processor);
        _mm_lfence();
        now
    }
}

/// A cheap clock.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn ticks() -> u64 {
    use std::sync::OnceLock;
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_nanos() as u64
}

/// What [`verify`] found.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// All calls succeeded and no payload was disturbed.
    Sound,
    /// A call failed.
    OutOfMemory,
    /// A payload was outside of the arena, misaligned or overwritten.
    Corrupt(String),
    /// Time ran out; so far a call took this many nanoseconds on average.
    TooSlow(f64),
}

/// Replays once, untimed, filling and checking payloads.
pub fn verify<C: Contender>(
    workload: &Workload,
    arena: Region,
    slots: &mut Slots,
    limit: Duration,
) -> Verdict {
    let slots = slots.for_workload(workload);
    // SAFETY: as in `time`.
    let Some(mut contender) = (unsafe { C::over(arena) }) else { return Verdict::OutOfMemory };
    let start = Instant::now();
    for (index, op) in workload.ops.iter().chain(&workload.cleanup).enumerate() {
        if index % 256 == 0 && start.elapsed() > limit {
            return Verdict::TooSlow(start.elapsed().as_nanos() as f64 / index as f64);
        }
        let slot = &mut slots[op.slot as usize];
        let old = layout(op.size, op.align_log2);
        if op.kind != OpKind::Alloc && !pattern_holds(*slot, ends(old.size()), op) {
            return Verdict::Corrupt(format!("payload overwritten before call {index}"));
        }
        // SAFETY: as in `run`.
        let ptr = unsafe {
            match op.kind {
                OpKind::Alloc => contender.alloc(old),
                OpKind::Realloc => contender.realloc(*slot, old, op.new_size as usize),
                OpKind::Free => {
                    contender.dealloc(*slot, old);
                    continue;
                }
            }
        };
        if ptr.is_null() {
            return Verdict::OutOfMemory;
        }
        let size = if op.kind == OpKind::Alloc { old.size() } else { op.new_size as usize };
        if !(ptr as usize).is_multiple_of(old.align()) {
            return Verdict::Corrupt(format!("misaligned block from call {index}"));
        }
        let inside = ptr >= arena.base && ptr.wrapping_add(size) <= arena.end();
        if C::KIND != Kind::Hosted && !inside {
            return Verdict::Corrupt(format!("block outside of the arena from call {index}"));
        }
        if op.kind == OpKind::Realloc && !pattern_holds(ptr, kept(old.size(), size), op) {
            return Verdict::Corrupt(format!("payload not kept by call {index}"));
        }
        fill_pattern(ptr, size, op);
        *slot = ptr;
    }
    Verdict::Sound
}

/// Bytes at each end of a payload that are filled and checked.
const CHECKED: usize = 128;

/// The filled bytes of a block of `size` bytes.
fn ends(size: usize) -> impl Iterator<Item = usize> {
    let head = size.min(CHECKED);
    (0..head).chain(head.max(size.saturating_sub(CHECKED))..size)
}

/// The filled bytes of a block of `old` bytes that a resize to `new` bytes must keep.
fn kept(old: usize, new: usize) -> impl Iterator<Item = usize> {
    ends(old).filter(move |&offset| offset < new)
}

fn pattern(offset: usize, op: &Op) -> u8 {
    (op.slot as usize).wrapping_mul(31).wrapping_add(offset.wrapping_mul(7)) as u8
}

fn fill_pattern(ptr: *mut u8, size: usize, op: &Op) {
    for offset in ends(size) {
        // SAFETY: the block has `size` bytes.
        unsafe { ptr.add(offset).write(pattern(offset, op)) };
    }
}

fn pattern_holds(ptr: *mut u8, mut offsets: impl Iterator<Item = usize>, op: &Op) -> bool {
    // SAFETY: the offsets lie inside the block.
    offsets.all(|offset| unsafe { ptr.add(offset).read() } == pattern(offset, op))
}
