//! Talc as the global allocator of a Cortex-M0, which has no compare-and-swap: a heap of 8 KiB in a static array,
//! with the smallest tables, and a timer's interrupt handler that allocates from it, too.

#![no_std]
#![no_main]

use core::cell::RefCell;
use core::panic::PanicInfo;

use cortex_m::interrupt::Mutex;
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m_rt::{entry, exception};
use cortex_m_semihosting::{debug, hio, hprintln};
use talc::source::Claim;
use talc::sync::TalcLock;
use talc::{RawCriticalSection, SmallBinning};
use workout::Handler;

const HEAP_SIZE: usize = 8 << 10;
static mut HEAP: [u8; HEAP_SIZE] = [0; HEAP_SIZE];

#[global_allocator]
static TALC: TalcLock<RawCriticalSection, Claim, SmallBinning> =
    // SAFETY: nothing else uses `HEAP`.
    TalcLock::new(unsafe { Claim::array(&raw mut HEAP) }).with_copy_limit(256);

static HANDLER: Mutex<RefCell<Handler>> = Mutex::new(RefCell::new(Handler::new()));

#[entry]
fn main() -> ! {
    let mut timer = cortex_m::Peripherals::take().expect("taken once").SYST;
    timer.set_clock_source(SystClkSource::Core);
    timer.set_reload(20_000);
    timer.enable_counter();
    timer.enable_interrupt();

    let ticks = || cortex_m::interrupt::free(|cs| HANDLER.borrow(cs).borrow().ticks);
    let mut out = hio::hstdout().expect("there is an emulator");
    workout::run(&TALC, HEAP_SIZE, ticks, 200, &mut out).expect("it can be written");
    hprintln!("done");
    debug::exit(debug::EXIT_SUCCESS);
    loop {}
}

#[exception]
fn SysTick() {
    cortex_m::interrupt::free(|cs| HANDLER.borrow(cs).borrow_mut().tick());
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    hprintln!("{}", info);
    debug::exit(debug::EXIT_FAILURE);
    loop {}
}
