//! Talc as the global allocator of a RISC-V microcontroller without atomic instructions. The heap is what the
//! linker sets aside, and the timer's interrupt handler allocates from it, too.

#![no_std]
#![no_main]

use core::cell::RefCell;
use core::fmt::{self, Write};
use core::panic::PanicInfo;
use core::ptr::{addr_of, addr_of_mut};

use critical_section::Mutex;
use riscv_rt::entry;
use talc::source::Manual;
use talc::{RawCriticalSection, TalcLock};
use workout::Handler;

#[global_allocator]
static TALC: TalcLock<RawCriticalSection, Manual> = TalcLock::new(Manual).with_copy_limit(256);

static HANDLER: Mutex<RefCell<Handler>> = Mutex::new(RefCell::new(Handler::new()));

extern "C" {
    // Of the linker: where the memory for a heap begins, and one whose address is its size.
    static mut _sheap: u8;
    static _heap_size: u8;
}

#[entry]
fn main() -> ! {
    let size = addr_of!(_heap_size) as usize;
    // SAFETY: nothing else uses the memory that is set aside for a heap.
    unsafe { TALC.lock().claim(addr_of_mut!(_sheap), size) }.expect("there is RAM for a heap");

    Timer::restart();
    // SAFETY: the handler may run from now on.
    unsafe {
        riscv::register::mie::set_mtimer();
        riscv::interrupt::enable();
    }

    let ticks = || critical_section::with(|cs| HANDLER.borrow_ref(cs).ticks);
    workout::run(&TALC, size, ticks, 200, &mut Uart).expect("it can be written");
    exit(true)
}

/// The handler of riscv-rt with this name.
#[no_mangle]
extern "C" fn MachineTimer() {
    Timer::restart();
    critical_section::with(|cs| HANDLER.borrow_ref_mut(cs).tick());
}

/// The timer of `virt`.
struct Timer;

impl Timer {
    const COMPARE: *mut u32 = 0x0200_4000 as *mut u32;
    const NOW: *const u32 = 0x0200_bff8 as *const u32;

    /// Lets it interrupt the program a tenth of a millisecond later.
    fn restart() {
        // SAFETY: these are its registers.
        unsafe {
            let next = Self::NOW.read_volatile().wrapping_add(1000);
            Self::COMPARE.add(1).write_volatile(0);
            Self::COMPARE.write_volatile(next);
        }
    }
}

/// The serial port of `virt`.
struct Uart;

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
fn exit(is_success: bool) -> ! {
    let _ = writeln!(Uart, "{}", if is_success { "done" } else { "failed" });
    // SAFETY: this is the register of the test device of `virt`.
    unsafe { (0x0010_0000 as *mut u32).write_volatile(if is_success { 0x5555 } else { 0x1_3333 }) };
    loop {}
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    let _ = writeln!(Uart, "{info}");
    exit(false)
}
