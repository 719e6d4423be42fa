//! A global allocator as in firmware: `no_std`, static memory, three lines.
//!
//! ```text
//! cargo run --example no_std_global_allocator
//! ```
//!
//! The lock is a spinlock, for programs whose interrupt handlers do not allocate. Firmware whose handlers do takes
//! `RawCriticalSection`: see the folder `firmware`.
//!
//! The program keeps the last readings of a few sensors, and reports their averages.

#![no_std]

extern crate alloc;
// Not for firmware. The host starts programs through the standard library, and this example prints
// there.
extern crate std;

use alloc::{collections::BTreeMap, collections::VecDeque, format, string::String};
use talc::{source::Claim, RawSpinlock, TalcLock};

static mut HEAP: [u8; 16 << 10] = [0; 16 << 10];

// SAFETY: nothing else uses `HEAP`.
#[global_allocator]
static TALC: TalcLock<RawSpinlock, Claim> = TalcLock::new(unsafe { Claim::array(&raw mut HEAP) });

/// The number of readings that are kept of each sensor.
const KEPT: usize = 16;

fn main() {
    let mut readings = BTreeMap::<String, VecDeque<u32>>::new();
    for time in 0..1000_u32 {
        let sensor = format!("sensor {}", time % 7);
        let kept = readings.entry(sensor).or_default();
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(2000 + time.wrapping_mul(37) % 500);
    }

    for (sensor, kept) in &readings {
        let average = kept.iter().sum::<u32>() / kept.len() as u32;
        std::println!("{sensor}: {}.{:02} °C", average / 100, average % 100);
    }
    let largest = TALC.lock().largest_gap().unwrap_or(0);
    std::println!("largest free block: {largest} bytes");
}
