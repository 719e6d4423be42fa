//! Talc as the global allocator of a Cortex-M3. The heap is what the linker leaves of the RAM, and the timer's
//! interrupt handler allocates from it, too.

#![no_std]
#![no_main]

use core::cell::RefCell;
use core::panic::PanicInfo;
use core::ptr::addr_of_mut;

use cortex_m::interrupt::Mutex;
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m_rt::{entry, exception};
use cortex_m_semihosting::{debug, hio, hprintln};
use talc::source::Manual;
use talc::{RawCriticalSection, TalcLock};
use workout::Handler;

#[global_allocator]
static TALC: TalcLock<RawCriticalSection, Manual> = TalcLock::new(Manual).with_copy_limit(256);

static HANDLER: Mutex<RefCell<Handler>> = Mutex::new(RefCell::new(Handler::new()));

extern "C" {
    // Of the linker: where the static variables end, and where the stack begins.
    static mut __sheap: u8;
    static mut _heap_end: u8;
}

#[entry]
fn main() -> ! {
    let start = addr_of_mut!(__sheap);
    let size = addr_of_mut!(_heap_end) as usize - start as usize;
    // SAFETY: nothing else uses the memory between these symbols.
    unsafe { TALC.lock().claim(start, size) }.expect("there is RAM for a heap");

    let mut timer = cortex_m::Peripherals::take().expect("taken once").SYST;
    timer.set_clock_source(SystClkSource::Core);
    timer.set_reload(20_000);
    timer.enable_counter();
    timer.enable_interrupt();

    let ticks = || cortex_m::interrupt::free(|cs| HANDLER.borrow(cs).borrow().ticks);
    let mut out = hio::hstdout().expect("there is an emulator");
    workout::run(&TALC, size, ticks, 200, &mut out).expect("it can be written");
    hprintln!("done");
    debug::exit(debug::EXIT_SUCCESS);
    loop {}
}

#[exception]
fn SysTick() {
    // Nothing interrupts this handler; without the critical section, `main` might.
    cortex_m::interrupt::free(|cs| HANDLER.borrow(cs).borrow_mut().tick());
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    hprintln!("{}", info);
    debug::exit(debug::EXIT_FAILURE);
    loop {}
}
