//! A firmware that allocates, reallocates and frees, with the allocator that a feature names, behind a lock that masks
//! interrupts. Without one, every request fails.

#![no_std]
#![no_main]
// Each block is as its comment says, or a mere declaration: nothing here runs.
#![allow(clippy::undocumented_unsafe_blocks)]

extern crate alloc;

use core::alloc::{GlobalAlloc, Layout};
use core::panic::PanicInfo;
use core::ptr::addr_of_mut;

// For its critical section.
use cortex_m as _;
use cortex_m_rt::entry;

const HEAP_SIZE: usize = 32 << 10;

#[cfg(not(feature = "tiny"))]
static mut HEAP: [u8; HEAP_SIZE] = [0; HEAP_SIZE];

#[cfg(any(feature = "talc", feature = "small"))]
mod heap {
    use talc::source::Claim;
    use talc::sync::TalcLock;
    use talc::RawCriticalSection;

    #[cfg(feature = "talc")]
    type Binning = talc::DefaultBinning;
    #[cfg(feature = "small")]
    type Binning = talc::SmallBinning;

    #[global_allocator]
    pub static TALC: TalcLock<RawCriticalSection, Claim, Binning> =
        TalcLock::new(unsafe { Claim::array(&raw mut super::HEAP) });

    pub fn init() {}
}

#[cfg(feature = "tiny")]
mod heap {
    use talc::{RawCriticalSection, TinyTalc};

    #[global_allocator]
    pub static TALC: TinyTalc<RawCriticalSection, { super::HEAP_SIZE }> =
        unsafe { TinyTalc::new() };

    pub fn init() {}
}

#[cfg(feature = "talc5")]
mod heap {
    use talc::RawCriticalSection;
    use talc5::source::Claim;

    #[global_allocator]
    pub static TALC: talc5::TalcLock<RawCriticalSection, Claim> =
        talc5::TalcLock::new(unsafe { Claim::array(&raw mut super::HEAP) });

    pub fn init() {}
}

#[cfg(any(feature = "tlsf", feature = "linked-list"))]
mod heap {
    #[cfg(feature = "linked-list")]
    use embedded_alloc::LlffHeap as Heap;
    #[cfg(feature = "tlsf")]
    use embedded_alloc::TlsfHeap as Heap;

    #[global_allocator]
    pub static TALC: Heap = Heap::empty();

    pub fn init() {
        unsafe { TALC.init(core::ptr::addr_of_mut!(super::HEAP) as usize, super::HEAP_SIZE) };
    }
}

#[cfg(not(any(
    feature = "talc",
    feature = "small",
    feature = "tiny",
    feature = "talc5",
    feature = "tlsf",
    feature = "linked-list"
)))]
mod heap {
    use super::{GlobalAlloc, Layout};

    pub struct Refusing;

    unsafe impl GlobalAlloc for Refusing {
        unsafe fn alloc(&self, _: Layout) -> *mut u8 {
            core::ptr::null_mut()
        }
        unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
        unsafe fn realloc(&self, _: *mut u8, _: Layout, _: usize) -> *mut u8 {
            core::ptr::null_mut()
        }
    }

    #[global_allocator]
    pub static TALC: Refusing = Refusing;

    /// The heap is there for all.
    pub fn init() {
        unsafe { core::ptr::addr_of_mut!(super::HEAP).cast::<u8>().write_volatile(0) };
    }
}

/// What is asked for, and what it was answered: unknown to the compiler.
static mut REQUEST: [usize; 4] = [0; 4];

#[entry]
fn main() -> ! {
    heap::init();
    let request = addr_of_mut!(REQUEST).cast::<usize>();
    loop {
        unsafe {
            let [size, align, new_size] = [0, 1, 2].map(|n| request.add(n).read_volatile());
            let layout = Layout::from_size_align_unchecked(size, align);
            let block = heap::TALC.alloc(layout);
            let block = heap::TALC.realloc(block, layout, new_size);
            request.add(3).write_volatile(block as usize);
            heap::TALC.dealloc(block, Layout::from_size_align_unchecked(new_size, align));
        }
    }
}

#[panic_handler]
fn panic(_: &PanicInfo) -> ! {
    loop {}
}
