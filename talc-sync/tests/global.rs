//! As the *global* allocator: nothing unwinds out of it, and what it reports is printed and never
//! waits for its own lock, although the message itself is allocated here.
//!
//! Each case runs in a child process, which is this program again.
#![allow(clippy::undocumented_unsafe_blocks)] // Misuse is what is tested; the heaps are static.
#![allow(clippy::incompatible_msrv)] // The MSRV is that of the library.
#![cfg_attr(feature = "nightly", feature(allocator_api))]

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::Read;
use std::panic::PanicHookInfo;
use std::process::{Command, ExitStatus, Stdio};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::{Duration, Instant};

use talc_sync::talc_sources::talc_core::{self, RawTalc};
use talc_sync::talc_sources::{Claim, GlobalAllocSource, OutOfMemory, Source};
use talc_sync::{RawSpinlock, TalcCell, TalcLock, TalcSyncCell};

const HEAP: usize = 1 << 20;
static mut LOCK_HEAP: [u64; HEAP / 8] = [0; HEAP / 8];
static mut PANICKING_HEAP: [u64; HEAP / 8] = [0; HEAP / 8];
static mut CELL_HEAP: [u64; HEAP / 8] = [0; HEAP / 8];

static LOCK: TalcLock<RawSpinlock, Claim> =
    TalcLock::new(unsafe { Claim::array(&raw mut LOCK_HEAP) });
static BLOCKS: TalcLock<RawSpinlock, GlobalAllocSource<System>> =
    TalcLock::new(GlobalAllocSource::new(System));
static PANICKING: TalcSyncCell<Panics> = unsafe { TalcSyncCell::new(TalcCell::new(Panics)) };
static CELL: TalcSyncCell<Allocates> = unsafe { TalcSyncCell::new(TalcCell::new(Allocates)) };

/// Gives the program memory, so that the panic message has some, and panics for large requests.
struct Panics;

unsafe impl Source for Panics {
    unsafe fn acquire(&mut self, talc: &mut RawTalc, layout: Layout) -> Result<(), OutOfMemory> {
        assert!(layout.size() < HEAP, "this source panics");
        unsafe { Claim::array(&raw mut PANICKING_HEAP).acquire(talc, layout) }
    }
}

/// Uses the allocator that it serves, for large requests.
struct Allocates;

unsafe impl Source for Allocates {
    unsafe fn acquire(&mut self, talc: &mut RawTalc, layout: Layout) -> Result<(), OutOfMemory> {
        if layout.size() < HEAP {
            return unsafe { Claim::array(&raw mut CELL_HEAP).acquire(talc, layout) };
        }
        std::hint::black_box(vec![layout; 10]);
        Err(OutOfMemory)
    }
}

/// Which of them is the global allocator from now on: that of the system, to begin with.
static CURRENT: AtomicU8 = AtomicU8::new(0);

/// Whether it has ever been another one: then nothing is freed any more, as nobody knows what came
/// from where. The test harness has a thread that allocates meanwhile.
static SWITCHED: AtomicBool = AtomicBool::new(false);

struct Switch;

fn current() -> &'static dyn GlobalAlloc {
    match CURRENT.load(Ordering::SeqCst) {
        0 => &System,
        1 => &LOCK,
        2 => &BLOCKS,
        3 => &PANICKING,
        _ => &CELL,
    }
}

unsafe impl GlobalAlloc for Switch {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        unsafe { current().alloc(layout) }
    }
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        if !SWITCHED.load(Ordering::SeqCst) {
            unsafe { System.dealloc(ptr, layout) };
        }
    }
    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if !SWITCHED.load(Ordering::SeqCst) {
            return unsafe { System.realloc(ptr, layout, new_size) };
        }
        unsafe {
            let new = self.alloc(Layout::from_size_align_unchecked(new_size, layout.align()));
            if !new.is_null() {
                new.copy_from_nonoverlapping(ptr, layout.size().min(new_size));
            }
            new
        }
    }
}

#[global_allocator]
static GLOBAL: Switch = Switch;

/// Runs the test of that name in a child, with `CASE` set; returns how it ended, and what it wrote.
///
/// `None` where the program cannot start itself, as it is run by an emulator.
fn child(name: &str) -> Option<(ExitStatus, String)> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env("CASE", name)
        .env("RUST_BACKTRACE", "0")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| eprintln!("not run, as there can be no child process: {error}"))
        .ok()?;
    let mut stderr = child.stderr.take().unwrap();
    let reader = std::thread::spawn(move || {
        let mut said = String::new();
        stderr.read_to_string(&mut said).map(|_| said)
    });
    let deadline = Instant::now() + Duration::from_secs(20);
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None if Instant::now() > deadline => {
                child.kill().unwrap();
                child.wait().unwrap();
                panic!("{name}: a deadlock, after {}", reader.join().unwrap().unwrap());
            }
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    Some((status, reader.join().unwrap().unwrap()))
}

/// Prints a panic message, which is allocated as that of std is. Std would also print a backtrace
/// when a panic leads to an abort, and read all debug information into this allocator for it.
fn report(info: &PanicHookInfo<'_>) {
    let message = std::hint::black_box(info.to_string());
    eprintln!("{message}");
}

/// Declares a test that runs `$body` in a child with `$allocator` as the global allocator, and
/// gives `$check` the exit code, which is `None` after an abort, and what was written.
macro_rules! case {
    ($name:ident, allocator $allocator:literal, $body:expr, $check:expr) => {
        #[test]
        fn $name() {
            if std::env::var_os("CASE").is_some() {
                std::panic::set_hook(Box::new(report));
                SWITCHED.store(true, Ordering::SeqCst);
                CURRENT.store($allocator, Ordering::SeqCst);
                $body;
                CURRENT.store(0, Ordering::SeqCst);
                eprintln!("still alive");
                return;
            }
            // QEMU runs this process, but the kernel would have to run the child.
            if cfg!(not(any(target_arch = "x86_64", target_arch = "aarch64"))) {
                return;
            }
            let (status, said) = child(stringify!($name)).expect("a child process");
            let check: fn(Option<i32>, &str) = $check;
            check(status.code(), &said);
        }
    };
}

fn aborted_saying(code: Option<i32>, said: &str, sentence: &str) {
    assert!(said.contains(sentence), "what was said: {said}");
    assert!(code.is_none() && !said.contains("still alive"), "{code:?}, {said}");
}

/// Ends where its chunk ends: the next chunk's header is just above.
const LAYOUT: Layout = Layout::new::<[usize; 203]>();

/// Rules that only debug builds look at, and those with the feature `hardened`; elsewhere, breaking them is
/// undefined behaviour.
const CHECKED: bool = talc_core::CHECKS;

case!(a_double_free, allocator 1, unsafe {
    let block = LOCK.alloc(LAYOUT);
    LOCK.dealloc(block, LAYOUT);
    if CHECKED {
        LOCK.dealloc(block, LAYOUT);
    }
}, |code, said| if CHECKED {
    aborted_saying(code, said, "talc: this memory is free already (a double free?)");
});

case!(a_wrong_layout, allocator 1, if CHECKED { unsafe {
    let block = LOCK.alloc(LAYOUT);
    LOCK.dealloc(block, Layout::new::<[usize; 150]>());
} }, |code, said| if CHECKED {
    aborted_saying(code, said, "talc: this allocation has another size than the layout says");
});

case!(a_wrong_layout_in_realloc, allocator 1, if CHECKED { unsafe {
    let block = LOCK.alloc(LAYOUT);
    LOCK.realloc(block, Layout::new::<[usize; 300]>(), 1000);
} }, |code, said| if CHECKED {
    aborted_saying(code, said, "talc: this allocation has another size than the layout says");
});

case!(a_wrong_layout_in_a_cell, allocator 4, if CHECKED { unsafe {
    let block = CELL.alloc(LAYOUT);
    CELL.dealloc(block, Layout::new::<[usize; 150]>());
} }, |code, said| if CHECKED {
    aborted_saying(code, said, "talc: this allocation has another size than the layout says");
});

case!(heaps_managed_by_hand, allocator 2, if CHECKED { unsafe {
    let _ = BLOCKS.lock().claim(NonNull::dangling().as_ptr(), 0);
} }, |code, said| if CHECKED {
    // This is no allocation: it may unwind, and the test in the child fails.
    assert_eq!(code, Some(101), "{said}");
    assert!(said.contains("talc: the source of this allocator manages its heaps itself"), "{said}");
});

case!(a_source_that_panics, allocator 0, unsafe {
    let _ = std::panic::catch_unwind(|| PANICKING.alloc(Layout::new::<[u8; HEAP]>()));
}, |code, said| {
    aborted_saying(code, said, "this source panics");
    aborted_saying(code, said, "talc: a panic must not leave a global allocator");
});

case!(a_source_of_the_global_allocator_that_panics, allocator 3, if CHECKED {
    let _ = std::panic::catch_unwind(|| vec![0_u8; HEAP]);
}, |code, said| if CHECKED {
    // The panic itself allocates, in the middle of an allocation. Whatever is said: no deadlock.
    assert!(code.is_none() && !said.contains("still alive"), "{said}");
});

// Cells look for it in debug builds only.
case!(a_source_that_allocates, allocator 4, if cfg!(debug_assertions) {
    let _ = std::panic::catch_unwind(|| vec![0_u8; HEAP]);
}, |code, said| if cfg!(debug_assertions) {
    aborted_saying(code, said, "talc: this TalcCell is in use already, since ");
});

case!(damage_in_the_heap, allocator 1, if cfg!(feature = "error-scanning") { unsafe {
    let [block, _above] = [(); 2].map(|()| LOCK.alloc(LAYOUT).cast::<usize>());
    let header = block.cast::<u8>().add(LAYOUT.size()).cast::<usize>();
    header.write(header.read() | 2);
    LOCK.dealloc(block.cast(), LAYOUT);
} }, |code, said| if cfg!(feature = "error-scanning") {
    // Debug builds look at the allocation itself before they look at everything.
    let sentence = if CHECKED { "wrote beyond the end" } else { "invariant I4 of RawTalc is broken" };
    aborted_saying(code, said, sentence);
});

case!(running_out_of_memory, allocator 1, {
    let mut large = Vec::<u8>::new();
    assert!(large.try_reserve(2 * HEAP).is_err());
    assert!(large.try_reserve(isize::MAX as usize).is_err());
    assert!(large.try_reserve(HEAP / 2).is_ok());
    let _ = std::panic::catch_unwind(|| vec![1_u8; 2 * HEAP]);
}, |code, said| {
    // The handler is called without the lock; that of std prints and aborts.
    aborted_saying(code, said, "memory allocation of 2097152 bytes failed");
});

case!(what_is_right_is_silent, allocator 1, {
    let strings: Vec<String> = (0..1000).map(|n| n.to_string()).collect();
    assert_eq!(strings.concat().len(), 2890);
    assert_eq!(LOCK.lock().audit(), Ok(()));
}, |code, said| {
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("still alive") && !said.contains("talc:"), "{said}");
});
