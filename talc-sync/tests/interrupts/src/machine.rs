//! The machine: `virt` of QEMU, whose timer interrupts at an instruction of choice.

use core::arch::{asm, global_asm};
use core::fmt::{self, Write};
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::own::Own;

global_asm!(include_str!("machine.s"));

/// QEMU is told that an instruction takes a nanosecond; the timer ticks every 100 nanoseconds.
const TICK: u32 = 100;

/// After how many ticks more whatever still runs hangs.
const PATIENCE: u32 = 20_000;

/// What is called by an interrupt, and with what.
pub(crate) type Handler = (unsafe fn(*const ()), *const ());

static HANDLER: Own<Handler> = Own::new((|_| (), core::ptr::null()));
static IS_INTERRUPTED: AtomicBool = AtomicBool::new(false);
/// How many instructions had been retired at the interrupt. All such counts are modulo 2³².
static INTERRUPTED_AT: AtomicU32 = AtomicU32::new(0);

/// When the timer interrupts.
pub(crate) struct Timer {
    /// How many instructions more than the time that was set it takes.
    beyond: u32,
}

impl Timer {
    /// Measures when it does.
    pub(crate) fn new() -> Self {
        alarm(u32::MAX);
        // SAFETY: there is code for interrupts of the timer.
        unsafe { asm!("csrs mie, {}", in(reg) 1 << 7, options(nostack)) };
        unmask();
        let beyond = [2, 3, 5, 50].map(|ticks| {
            let due = set(ticks);
            interrupted_at().wrapping_sub(due)
        });
        assert!(beyond.iter().all(|&some| some == beyond[0]), "the timer is not exact: {beyond:?}");
        Self { beyond: beyond[0] }
    }

    /// Has an interrupt call the handler after `count` instructions more, as soon as interrupts are not masked then.
    /// Returns how many instructions will have been retired.
    #[inline(always)]
    pub(crate) fn interrupt_after(&self, count: u32, handler: Handler) -> u32 {
        // SAFETY: no interrupt is to come.
        unsafe { HANDLER.set(handler) };
        // Some instructions more are between the two.
        let due = set(count / TICK + 2).wrapping_add(self.beyond);
        // Waits for as many instructions as the number of those that are left.
        // SAFETY: it changes nothing but registers.
        unsafe {
            asm!(
                "csrr {left}, minstret",
                "sub  {left}, {until}, {left}",
                "andi {odd}, {left}, 1",
                "sub  {left}, {left}, {odd}",
                "beqz {odd}, 2f",
                "nop",
                "2:",
                "addi {left}, {left}, -2",
                "bgtz {left}, 2b",
                until = in(reg) due.wrapping_sub(count),
                left = out(reg) _,
                odd = out(reg) _,
                options(nostack),
            );
        }
        due
    }
}

/// Returns whether the interrupt that was set has come.
pub(crate) fn has_interrupted() -> bool {
    IS_INTERRUPTED.load(Ordering::Acquire)
}

/// Waits for the interrupt, and returns how many instructions had been retired at it.
pub(crate) fn interrupted_at() -> u32 {
    while !has_interrupted() {}
    alarm(u32::MAX);
    INTERRUPTED_AT.load(Ordering::Relaxed)
}

const NOW: *const u32 = 0x0200_bff8 as *const u32;
const COMPARE: *mut u32 = 0x0200_4000 as *mut u32;

/// Has an interrupt come after some ticks, at least two. Returns how many instructions will have been retired, less a
/// constant.
fn set(ticks: u32) -> u32 {
    IS_INTERRUPTED.store(false, Ordering::Release);
    alarm(u32::MAX);
    let at: u32;
    // QEMU counts from the instruction that sets the time, and in ticks from the one before it. So there must be no
    // tick in between.
    // SAFETY: these are the registers of the timer.
    unsafe {
        asm!(
            "2:",
            "lw   {before}, ({now})",
            "add  {then}, {before}, {ticks}",
            "sw   {then}, ({compare})",
            "csrr {at}, minstret",
            "lw   {then}, ({now})",
            "bne  {then}, {before}, 2b",
            now = in(reg) NOW,
            compare = in(reg) COMPARE,
            ticks = in(reg) ticks,
            before = out(reg) _,
            then = out(reg) _,
            at = out(reg) at,
            options(nostack),
        );
    }
    at.wrapping_add(ticks * TICK)
}

/// Sets at which tick the next interrupt is to come; the highest one never comes.
fn alarm(tick: u32) {
    // SAFETY: these are the registers of the timer; the upper half of the time stays 0.
    unsafe {
        COMPARE.write_volatile(tick);
        COMPARE.add(1).write_volatile(0);
    }
}

fn unmask() {
    // SAFETY: there is code for interrupts.
    unsafe { asm!("csrsi mstatus, 8", options(nostack)) };
}

/// Where an interrupt brings the processor.
#[no_mangle]
extern "C" fn trap(retired: u32, cause: u32, at: u32) {
    const TIMER: u32 = 1 << 31 | 7;
    if cause != TIMER {
        crate::fail(format_args!("trap {cause:#x} at {at:#x}"));
    }
    if has_interrupted() {
        crate::fail(format_args!("it hangs at {at:#x}"));
    }
    INTERRUPTED_AT.store(retired, Ordering::Relaxed);
    IS_INTERRUPTED.store(true, Ordering::Release);
    // SAFETY: it is the time.
    alarm(unsafe { NOW.read_volatile() }.wrapping_add(PATIENCE));
    // SAFETY: only an interrupt uses it now, and whoever has set it vouches for the call.
    unsafe {
        let (call, on) = HANDLER.get();
        call(on);
    }
}

/// The serial port.
pub(crate) struct Uart;

impl Write for Uart {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // SAFETY: it is where it takes a byte.
        text.bytes().for_each(|byte| unsafe { (0x1000_0000 as *mut u8).write_volatile(byte) });
        Ok(())
    }
}

/// Ends QEMU.
pub(crate) fn exit() -> ! {
    // SAFETY: it is the device for that.
    unsafe { (0x0010_0000 as *mut u32).write_volatile(0x5555) };
    loop {}
}
