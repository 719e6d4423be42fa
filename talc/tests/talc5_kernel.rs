//! A program for talc 5.1.1: a kernel's start. The global allocator begins with a small static
//! region under a lock of spin 0.12, and gets more memory once the machine is known.
#![allow(clippy::undocumented_unsafe_blocks)]

use std::collections::{BTreeMap, HashMap};
use std::mem::MaybeUninit;
use std::ptr::{null_mut, NonNull};
use std::sync::Arc;
use std::thread;

use talc::source::Claim;
use talc::TalcLock;

const BOOT: usize = 2 << 20;
const PAGES: usize = 1 << 20;

#[global_allocator]
static KERNEL_HEAP: TalcLock<spin::Mutex<()>, Claim> = TalcLock::new(unsafe {
    static mut BOOT_MEMORY: [MaybeUninit<u8>; BOOT] = [MaybeUninit::uninit(); BOOT];
    Claim::array(&raw mut BOOT_MEMORY)
});

/// A region that the memory map calls usable.
static mut PAGE_FRAMES: [MaybeUninit<u64>; PAGES / 8] = [MaybeUninit::uninit(); PAGES / 8];

#[derive(Debug, Clone, PartialEq)]
struct Process {
    name: String,
    parent: Option<u32>,
    descriptors: Vec<(u32, String)>,
}

fn spawn(id: u32) -> Process {
    Process {
        name: format!("worker/{id}"),
        parent: id.checked_sub(1),
        descriptors: (0..id % 5).map(|n| (n, format!("/dev/tty{n}"))).collect(),
    }
}

/// Claims the region, uses it, and hands back what is left over of it.
unsafe fn map_memory() -> NonNull<u8> {
    let base = (&raw mut PAGE_FRAMES).cast::<u8>();
    let end = unsafe { KERNEL_HEAP.lock().claim(base, PAGES) }.expect("the region is large");
    assert!(end.as_ptr() > base && end.as_ptr() <= base.wrapping_add(PAGES));
    end
}

#[test]
fn it_boots() {
    // Allocated before the second region is there.
    let mut table = BTreeMap::new();
    table.extend((0..50).map(|id| (id, spawn(id))));

    let end = unsafe { map_memory() };
    assert_eq!(KERNEL_HEAP.lock().counters().heap_count, 2);
    table.extend((50..500).map(|id| (id, spawn(id))));
    let buffer = vec![0xa5_u8; 3 * PAGES / 4];
    table.retain(|id, _| id % 3 != 0);
    for (&id, process) in &table {
        assert_eq!(*process, spawn(id));
    }
    assert!(buffer.iter().all(|&byte| byte == 0xa5));
    drop(buffer);

    // A heap in use cannot be truncated away; one out of use can.
    let mut lock = KERNEL_HEAP.lock();
    let reserved = unsafe { lock.reserved(end) };
    assert!(reserved.up_to <= end);
    let left = unsafe { lock.truncate(end, null_mut()) };
    drop(lock);
    assert_eq!(left.is_some(), reserved.any);
    drop(table);

    let counters = *KERNEL_HEAP.lock().counters();
    assert!(counters.allocation_count > 0, "the test harness has allocations");
    assert_eq!(counters.total_heap_count, 2);
}

#[test]
fn cores_share_it() {
    let words = Arc::new((0..100).map(|n| format!("word {n}")).collect::<Vec<_>>());
    let cores: Vec<_> = (0..4)
        .map(|core| {
            let words = Arc::clone(&words);
            thread::spawn(move || {
                let mut counts = HashMap::<String, Vec<usize>>::new();
                for round in 0..200 {
                    let word = &words[(round * 7 + core) % words.len()];
                    counts.entry(word.clone()).or_default().push(round);
                    if round % 10 == 9 {
                        counts.retain(|_, rounds| rounds.len() > 1 || rounds[0] % 2 == 0);
                    }
                }
                counts.values().map(Vec::len).sum::<usize>()
            })
        })
        .collect();
    for core in cores {
        assert!(core.join().unwrap() > 0);
    }
}
