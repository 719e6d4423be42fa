//! The machine: `virt` of QEMU, with RISC-V cores.

use core::arch::{asm, global_asm};
use core::fmt::{self, Write};
use core::hint::spin_loop;
use core::ops::Range;
use core::panic::PanicInfo;
use core::ptr::addr_of_mut;
use core::sync::atomic::{AtomicBool, Ordering};

use talc::lock_api::{GuardNoSend, RawMutex};

global_asm!(include_str!("start.s"));

/// Returns the number of this core.
pub(crate) fn core() -> usize {
    let core;
    // SAFETY: it only reads a register.
    unsafe { asm!("csrr {}, mhartid", out(reg) core, options(nomem, nostack)) };
    core
}

/// Returns the memory behind the kernel.
pub(crate) fn memory() -> Range<*mut u8> {
    extern "C" {
        static mut _heap_start: u8;
        static mut _heap_end: u8;
    }
    addr_of_mut!(_heap_start)..addr_of_mut!(_heap_end)
}

/// Returns how many bytes there are.
pub(crate) fn size(memory: &Range<*mut u8>) -> usize {
    memory.end as usize - memory.start as usize
}

/// The bit of `mstatus` that lets interrupts in.
const INTERRUPTS: usize = 1 << 3;

/// Masks interrupts, and returns whether they were enabled.
pub(crate) fn mask_interrupts() -> bool {
    let before: usize;
    // SAFETY: later accesses of memory stay behind it, as it may touch memory for all the compiler knows.
    unsafe { asm!("csrrci {}, mstatus, 8", out(reg) before, options(nostack)) };
    before & INTERRUPTS != 0
}

fn unmask_interrupts() {
    // SAFETY: earlier accesses of memory stay before it.
    unsafe { asm!("csrsi mstatus, 8", options(nostack)) };
}

/// A spinlock whose holder is not interrupted.
pub(crate) struct Masking {
    is_locked: AtomicBool,
    were_enabled: AtomicBool,
}

// SAFETY: there is one holder at a time, from the swap that finds `false` to the store of `false`.
unsafe impl RawMutex for Masking {
    #[allow(clippy::declare_interior_mutable_const)] // The trait asks for it.
    const INIT: Self =
        Self { is_locked: AtomicBool::new(false), were_enabled: AtomicBool::new(false) };
    type GuardMarker = GuardNoSend;

    fn try_lock(&self) -> bool {
        let were_enabled = mask_interrupts();
        if self.is_locked.swap(true, Ordering::Acquire) {
            if were_enabled {
                unmask_interrupts();
            }
            return false;
        }
        self.were_enabled.store(were_enabled, Ordering::Relaxed);
        true
    }

    fn lock(&self) {
        while !self.try_lock() {
            spin_loop();
        }
    }

    unsafe fn unlock(&self) {
        let were_enabled = self.were_enabled.load(Ordering::Relaxed);
        self.is_locked.store(false, Ordering::Release);
        if were_enabled {
            unmask_interrupts();
        }
    }
}

/// Lets this core's timer interrupt it, from now on.
pub(crate) fn start_timer() {
    restart_timer();
    // SAFETY: there is a handler.
    unsafe { asm!("csrs mie, {}", in(reg) 1 << 7, options(nostack)) };
    unmask_interrupts();
}

fn restart_timer() {
    const NOW: *const u32 = 0x0200_bff8 as *const u32;
    // SAFETY: these are the registers of the timer.
    unsafe {
        let compare = (0x0200_4000 as *mut u32).add(2 * core());
        let next = NOW.read_volatile().wrapping_add(2000);
        compare.add(1).write_volatile(0);
        compare.write_volatile(next);
    }
}

/// Where an interrupt brings a core.
#[no_mangle]
extern "C" fn trap(cause: usize, at: usize) {
    const TIMER: usize = 1 << 31 | 7;
    assert!(cause == TIMER, "trap {cause:#x} at {at:#x}");
    restart_timer();
    crate::on_tick();
}

/// The serial port.
pub(crate) struct Uart;

impl Write for Uart {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            // SAFETY: this is its register.
            unsafe { (0x1000_0000 as *mut u8).write_volatile(byte) };
        }
        Ok(())
    }
}

/// Ends the emulator.
pub(crate) fn exit(is_success: bool) -> ! {
    // SAFETY: this is the register of the test device.
    unsafe { (0x0010_0000 as *mut u32).write_volatile(if is_success { 0x5555 } else { 0x1_3333 }) };
    loop {
        spin_loop();
    }
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    mask_interrupts();
    let _ = writeln!(Uart, "core {}: {info}", core());
    exit(false)
}
