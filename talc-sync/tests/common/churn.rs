//! A program with more threads than cores, all of which allocate. Each file `global_*.rs` runs it
//! with another lock around the global allocator, which a program has one of.

#[path = "../../../talc-sources/tests/common/support.rs"]
#[allow(dead_code, unreachable_pub)] // A part of it is used here.
mod support;

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::mpsc::{channel, Receiver, Sender};
use std::thread;
use std::time::Duration;

use support::{rounds, Random};
#[allow(unused_imports)] // For `global_allocator`.
pub(crate) use talc_sync::{talc_sources::Claim, TalcLock};

/// Declares a global allocator that has a lock of this type around a heap, and the test of it.
#[allow(unused_macros)] // `global_held.rs` has another source.
macro_rules! global_allocator {
    ($lock:ty, scans: $scans:expr) => {
        const BYTES: usize = 48 << 20;
        static mut HEAP: [u64; BYTES / 8] = [0; BYTES / 8];

        #[global_allocator]
        static TALC: churn::TalcLock<$lock, churn::Claim> = {
            // SAFETY: nothing else uses `HEAP`.
            let source = unsafe { churn::Claim::array(&raw mut HEAP) };
            churn::TalcLock::new(source)
        };

        #[test]
        fn more_threads_than_cores() {
            churn::more_threads_than_cores($scans);
            // Tests of talc-sync always have this feature, those of talc need not.
            #[cfg(feature = "audit")]
            {
                let audit = TALC.lock().audit();
                assert_eq!(audit, Ok(()));
            }
        }
    };
}

/// Longer than this means a deadlock. It takes a second or two; emulators take longer.
const LIMIT: Duration = Duration::from_secs(120);

/// Lets threads allocate, resize, free and pass to each other what they check before they drop it.
/// Then once more, with new threads. `scans` says that each operation looks at every chunk.
pub(crate) fn more_threads_than_cores(scans: bool) {
    thread::spawn(|| {
        thread::sleep(LIMIT);
        // Nothing here allocates.
        let _ = std::io::stderr().write_all(b"a deadlock: this test did not come to its end\n");
        std::process::abort();
    });
    let threads = thread::available_parallelism().map_or(8, |cores| (2 * cores.get()).max(8));
    let parcels = rounds(if scans { 2_000 } else { 30_000 }) / threads;
    for wave in 0..2 {
        let (first, mut receiver) = channel();
        let mut workers = Vec::new();
        for id in 1..threads {
            let (sender, next) = channel();
            let receiver = std::mem::replace(&mut receiver, next);
            let seed = wave * threads + id;
            workers.push(thread::spawn(move || work(seed, parcels, &receiver, sender)));
        }
        workers.push(thread::spawn(move || work(wave * threads, parcels, &receiver, first)));
        for worker in workers {
            worker.join().expect("what was sent arrives as it was");
        }
    }
}

/// One thread: what it sends goes to the next one, and what it receives comes from the one before.
fn work(seed: usize, parcels: usize, receiver: &Receiver<Parcel>, sender: Sender<Parcel>) {
    let mut random = Random(0xFEED + seed as u64);
    let mut live = Vec::new();
    for _ in 0..parcels {
        live.push(Parcel::new(&mut random));
        let (some, other) = (random.below(live.len()), random.below(live.len()));
        live[some].resize(&mut random);
        let taken = live.swap_remove(other);
        match random.below(4) {
            0 => live.push(taken),
            1 => sender.send(taken).expect("the next thread waits for what this one sends"),
            _ => taken.check(),
        }
        live.extend(receiver.try_iter());
        while live.len() > 30 {
            live.swap_remove(random.below(live.len())).check();
        }
    }
    drop(sender);
    live.into_iter().chain(receiver.iter()).for_each(|parcel| parcel.check());
}

/// Something allocated that knows what it must contain.
struct Parcel {
    seed: usize,
    contents: Contents,
}

enum Contents {
    Bytes(Vec<u8>),
    Text(String),
    Numbers(Box<[usize; 40]>),
    Map(BTreeMap<usize, String>),
}

impl Parcel {
    fn new(random: &mut Random) -> Self {
        let seed = random.below(1 << 20);
        let contents = match random.below(4) {
            0 => Contents::Bytes((0..random.size(9)).map(|n| (n ^ seed) as u8).collect()),
            1 => Contents::Text((0..1 + seed % 30).map(|n| format!("{},", n ^ seed)).collect()),
            2 => Contents::Numbers(Box::new(std::array::from_fn(|n| n ^ seed))),
            _ => Contents::Map((0..random.size(4)).map(|n| (n, (n ^ seed).to_string())).collect()),
        };
        Self { seed, contents }
    }

    /// Makes it longer or shorter.
    fn resize(&mut self, random: &mut Random) {
        let seed = self.seed;
        match &mut self.contents {
            Contents::Bytes(bytes) => {
                // What is large is copied without the lock held.
                let doublings = if random.below(50) == 0 { 17 } else { 10 };
                let size = random.size(doublings);
                let old = bytes.len();
                bytes.truncate(size);
                bytes.extend((old..size).map(|n| (n ^ seed) as u8));
                bytes.shrink_to_fit();
            }
            Contents::Text(text) => {
                let count = text.matches(',').count();
                for n in count..count + random.size(5) {
                    text.push_str(&format!("{},", n ^ seed));
                }
            }
            Contents::Numbers(numbers) => *numbers = numbers.clone(),
            Contents::Map(map) => {
                let added = map.len();
                map.insert(added, (added ^ seed).to_string());
            }
        }
    }

    fn check(self) {
        let seed = self.seed;
        match self.contents {
            Contents::Bytes(bytes) => {
                assert!(bytes.iter().enumerate().all(|(n, &byte)| byte == (n ^ seed) as u8));
            }
            Contents::Text(text) => {
                let numbers = text.split_terminator(',').map(|number| number.parse());
                assert!(numbers.enumerate().all(|(n, number)| number == Ok(n ^ seed)));
            }
            Contents::Numbers(numbers) => {
                assert!(numbers.iter().enumerate().all(|(n, &number)| number == n ^ seed));
            }
            Contents::Map(map) => {
                assert!(map.iter().all(|(n, number)| number.parse() == Ok(n ^ seed)));
            }
        }
    }
}
