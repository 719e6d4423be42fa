//! A stray write in a program whose global allocator is a `TalcLock`: a debug build reports it, and
//! neither hangs, as the message is allocated here, nor follows what was overwritten.
//!
//! Each case runs in a child process, which is this program again.
// Whole cache lines have room beyond the end, where a write does no damage.
#![cfg(not(feature = "cache-aligned-allocations"))]
#![cfg(all(
    any(debug_assertions, feature = "hardened"),
    unix,
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
#![allow(clippy::undocumented_unsafe_blocks)] // Misuse is what is tested; the heap is static.
#![allow(clippy::incompatible_msrv)] // The MSRV is that of the library.

use std::alloc::{alloc, dealloc, realloc, Layout};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use talc_sync::talc_sources::Claim;
use talc_sync::{RawSpinlock, TalcLock};

// Panics read debug information into it.
static mut HEAP: [u64; 1 << 24] = [0; 1 << 24];

#[global_allocator]
static TALC: TalcLock<RawSpinlock, Claim> = TalcLock::new(unsafe { Claim::array(&raw mut HEAP) });

const SIGABRT: i32 = 6;

/// The blocks beyond which is written.
const BLOCKS: [(usize, usize); 7] =
    [(40, 16), (600, 16), (100_000, 16), (600, 8), (24, 8), (250, 8), (5000, 64)];

/// What is written: bytes, words that look like small headers, like gaps, like addresses.
const PATTERNS: [[u64; 4]; 8] = [
    [0; 4],
    [u64::MAX; 4],
    [0xAAAA_AAAA_AAAA_AAAA; 4],
    [0x6F77_206F_6C6C_6548, 0x2121_646C_726F, 1, 2],
    [0x31, 0, 0, 0x31],
    [0x40, 0x41, 0x42, 0x43],
    [0x1009, 8, 16, 24],
    [0x7FFF_FFFF_FFF0, 0x7FFF_FFFF_FFF8, 0x7FFF_FFFF_FFF0, 0x7FFF_FFFF_FFF8],
];

/// What is above the block, and what is done afterwards.
const VARIANTS: [&str; 7] = [
    "free it, below a gap",
    "free it, below a block",
    "grow it",
    "shrink it",
    "free the block above",
    "allocate from the gap above",
    "use what was freed",
];

/// The child: does the damage, and what comes after it. Says "not noticed" if nothing comes of it.
fn do_damage(size: usize, align: usize, pattern: [u64; 4], variant: &str) {
    let layout = Layout::from_size_align(size, align).unwrap();
    unsafe {
        // Two neighbours, so that what is overwritten is this test's.
        let mut blocks: Vec<_> = (0..64).map(|_| alloc(layout)).collect();
        blocks.sort_unstable();
        let distance = blocks.windows(2).map(|pair| pair[1] as usize - pair[0] as usize).min();
        let is_next = |pair: &[*mut u8]| pair[1] as usize - pair[0] as usize == distance.unwrap();
        let first = blocks.windows(4).position(|blocks| blocks.windows(2).all(is_next)).unwrap();
        let [block, above] = [blocks[first + 1], blocks[first + 2]];
        // So that there is more than one in the list that the gap is in.
        for n in (first + 5..64).step_by(2) {
            dealloc(blocks[n], layout);
        }
        match variant {
            "free it, below a gap" | "allocate from the gap above" => dealloc(above, layout),
            "use what was freed" => dealloc(block, layout),
            _ => {}
        }
        // Slots of classes end where the next one begins.
        let write_at = match variant {
            "use what was freed" => block.wrapping_sub(8),
            _ => block.wrapping_add(size),
        };
        write_at.cast::<[u64; 4]>().write_unaligned(pattern);
        match variant {
            "free it, below a gap" | "free it, below a block" => dealloc(block, layout),
            "grow it" => _ = realloc(block, layout, size + 3000),
            "shrink it" => _ = realloc(block, layout, size / 2),
            "free the block above" => dealloc(above, layout),
            _ => {}
        }
        let again = [(); 12].map(|()| alloc(layout));
        for block in again {
            dealloc(block, layout);
        }
        let words: Vec<String> = (0..1000).map(|n| n.to_string()).collect();
        assert_eq!(words.concat().len(), 2890);
    }
    eprintln!("not noticed");
}

/// Runs the child to its end, and returns the signal that ended it and what it said.
fn wait(mut child: Child, case: &str) -> (Option<i32>, String) {
    let mut stderr = child.stderr.take().unwrap();
    let reader = std::thread::spawn(move || std::io::read_to_string(&mut stderr).unwrap());
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        match child.try_wait().unwrap() {
            Some(status) => return (status.signal(), reader.join().unwrap()),
            None if Instant::now() > deadline => {
                child.kill().unwrap();
                panic!("{case}: a deadlock, after {}", reader.join().unwrap());
            }
            None => std::thread::sleep(Duration::from_millis(1)),
        }
    }
}

#[test]
fn damage_is_reported() {
    if let Ok(case) = std::env::var("DAMAGE") {
        let numbers: Vec<usize> = case.split(' ').map(|n| n.parse().unwrap()).collect();
        let (size, align) = BLOCKS[numbers[0]];
        return do_damage(size, align, PATTERNS[numbers[1]], VARIANTS[numbers[2]]);
    }
    let mut noticed = [0; BLOCKS.len()];
    for (block, noticed) in noticed.iter_mut().enumerate() {
        for (pattern, words) in PATTERNS.iter().enumerate() {
            for (variant, name) in VARIANTS.iter().enumerate() {
                let child = Command::new(std::env::current_exe().unwrap())
                    .args(["damage_is_reported", "--exact", "--nocapture", "--test-threads=1"])
                    .env("DAMAGE", format!("{block} {pattern} {variant}"))
                    .env("RUST_BACKTRACE", "0")
                    .stdout(Stdio::null())
                    .stderr(Stdio::piped())
                    .spawn()
                    .unwrap();
                let case = format!("{:?}, {words:x?}, {name}", BLOCKS[block]);
                let (signal, said) = wait(child, &case);
                if !said.contains("not noticed") {
                    assert!(said.contains("talc: "), "{case}: {signal:?}, {said}");
                    assert_eq!(signal, Some(SIGABRT), "{case}: {said}");
                    *noticed += 1;
                }
            }
        }
    }
    // What a write to a slot's neighbour does is damage only where that is free.
    println!("noticed: {noticed:?}");
    let cases = PATTERNS.len() * VARIANTS.len();
    for (block, noticed) in BLOCKS.iter().zip(noticed) {
        let (size, align) = *block;
        let least = if size <= 256 && align <= 8 { 1 } else { cases * 3 / 4 };
        assert!(noticed >= least, "{block:?}: {noticed} of {cases} were noticed");
    }
}
