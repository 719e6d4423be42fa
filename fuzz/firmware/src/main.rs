//! The models of the allocator on a Cortex-M3: each found input, and fixed ones, through the body of each fuzz target.
//! What the models keep in mind is in a heap of Talc, too.

#![no_std]
#![no_main]

use core::panic::PanicInfo;

// It has the implementation of the lock.
use cortex_m as _;
use cortex_m_rt::entry;
use cortex_m_semihosting::{debug, hprintln};
use fuzz::{fixed_inputs, Target, TARGETS};
use talc_sync::talc_sources::Claim;
use talc_sync::{RawCriticalSection, TalcLock};

static mut HEAP: [u8; 12 << 20] = [0; 12 << 20];

#[global_allocator]
static TALC: TalcLock<RawCriticalSection, Claim> =
    // SAFETY: nothing else uses `HEAP`.
    TalcLock::new(unsafe { Claim::array(&raw mut HEAP) });

/// The inputs that once broke something, each with the number of its target.
const FOUND: &[(usize, &[u8])] = include!(concat!(env!("OUT_DIR"), "/found.rs"));

#[entry]
fn main() -> ! {
    for (target, bytes) in FOUND {
        (TARGETS[*target].body)(bytes);
    }
    hprintln!("{} found inputs", FOUND.len());
    for Target { name, body, .. } in TARGETS {
        let mut inputs = 0;
        for bytes in fixed_inputs() {
            body(&bytes);
            inputs += 1;
        }
        hprintln!("{}: {} fixed inputs", name, inputs);
    }
    hprintln!("done");
    debug::exit(debug::EXIT_SUCCESS);
    loop {}
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    hprintln!("{}", info);
    debug::exit(debug::EXIT_FAILURE);
    loop {}
}
