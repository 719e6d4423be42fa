//! What each feature changes, and that nothing else changes with it: what grows in place, cache
//! lines of its own for each allocation, counters, the scan for damage.
#![allow(clippy::undocumented_unsafe_blocks)] // Arenas are local, frees of what was allocated.

use std::alloc::{GlobalAlloc, Layout};

use talc::source::Claim;
use talc::TalcCell;

const ARENA: usize = 1 << 17;

/// An allocator over memory that is never freed.
fn cell() -> TalcCell<Claim> {
    let memory = vec![0_u64; ARENA / 8].leak();
    TalcCell::new(unsafe { Claim::new(memory.as_mut_ptr().cast(), ARENA) })
}

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

const GROWS: bool =
    !cfg!(any(feature = "disable-grow-in-place", feature = "disable-realloc-in-place"));
const SHRINKS: bool = !cfg!(feature = "disable-realloc-in-place");

/// The features that forbid it are for less code; but then the code is gone.
#[test]
fn in_place_where_it_is_enabled() {
    for (old, new) in [(1000, 3000), (3000, 1000), (20_000, 50_000), (50_000, 20_000)] {
        let talc = cell();
        unsafe {
            let block = talc.alloc(layout(old, 8));
            for n in 0..old {
                block.add(n).write(n as u8);
            }
            // There is nothing above it.
            let moved = talc.realloc(block, layout(old, 8), new);
            assert_eq!(moved == block, if new > old { GROWS } else { SHRINKS }, "{old} {new}");
            for n in 0..old.min(new) {
                assert_eq!(moved.add(n).read(), n as u8);
            }
            talc.dealloc(moved, layout(new, 8));
        }
        assert!(talc.largest_gap().unwrap() > ARENA - 8192, "all of it is free again");
    }
}

#[cfg(feature = "cache-aligned-allocations")]
#[test]
fn no_two_allocations_share_a_cache_line() {
    let line = match std::env::consts::ARCH {
        "x86_64" | "aarch64" | "powerpc" | "powerpc64" => 128,
        "s390x" => 256,
        _ => 64,
    };
    let talc = cell();
    let mut lines = std::collections::BTreeSet::new();
    let mut live = Vec::new();
    for n in 0..100 {
        let layout = layout(1 + n * 7, 1 << (n % 10));
        let block = unsafe { talc.alloc(layout) };
        assert_eq!(block as usize % line.max(layout.align()), 0, "{layout:?}");
        live.push((block, layout));
    }
    // They fill their lines: the header of the next one is beyond them.
    let mut sorted = live.clone();
    sorted.sort_by_key(|&(block, _)| block);
    for pair in sorted.windows(2) {
        let lines = (pair[0].1.size() + line - 1) / line;
        assert!(pair[1].0 as usize - pair[0].0 as usize > lines * line);
    }
    // Resizing keeps to that, whether it moves or not.
    for (n, (block, layout)) in live.iter_mut().enumerate() {
        let size = 1 + (n * 37) % 900;
        *block = unsafe { talc.realloc(*block, *layout, size) };
        *layout = Layout::from_size_align(size, layout.align()).unwrap();
        assert_eq!(*block as usize % line.max(layout.align()), 0);
        unsafe { block.write_bytes(n as u8, size) };
    }
    for (n, (block, layout)) in live.into_iter().enumerate() {
        let first = block as usize / line;
        for shared in first..=(block as usize + layout.size() - 1) / line {
            assert!(lines.insert(shared), "a cache line of two allocations");
        }
        let contents = unsafe { std::slice::from_raw_parts(block, layout.size()) };
        assert!(contents.iter().all(|&byte| byte == n as u8));
    }
    // Rounding up to a line must not overflow.
    for less in 0..300 {
        let layout = layout(isize::MAX as usize - less, 1);
        assert!(unsafe { talc.alloc(layout) }.is_null());
    }
}

/// Allocations of whole lines are counted as such, and moving ones counted once more.
#[cfg(all(
    feature = "counters",
    not(feature = "cache-aligned-allocations"),
    not(feature = "disable-grow-in-place"),
    not(feature = "disable-realloc-in-place"),
))]
#[test]
fn counters_after_a_known_sequence() {
    let talc = cell();
    assert_eq!(talc.counters(), talc::base::Counters::default());
    unsafe {
        let first = talc.alloc(layout(1000, 8));
        let claimed = talc.counters().claimed_bytes;
        assert!((ARENA - 16..=ARENA).contains(&claimed));
        let second = talc.alloc(layout(600, 256));
        let first = talc.realloc(first, layout(1000, 8), 700);
        talc.dealloc(second, layout(600, 256));
        let first = talc.realloc(first, layout(700, 8), 2000);

        let counters = talc.counters();
        assert_eq!((counters.allocation_count, counters.total_allocation_count), (1, 2));
        assert_eq!(counters.allocated_bytes, 2000);
        assert_eq!(counters.total_allocated_bytes, 1000 + 600 + 1300);
        assert_eq!(counters.peak_allocated_bytes, 2000);
        assert_eq!(counters.total_freed_bytes(), 900);
        assert_eq!((counters.heap_count, counters.total_heap_count), (1, 1));
        assert_eq!((counters.claimed_bytes, counters.total_released_bytes()), (claimed, 0));
        assert_eq!((counters.fragment_count, talc.fragmentation()), (1, 0));
        let used = counters.allocated_bytes + counters.available_bytes;
        assert_eq!(counters.overhead_bytes(), claimed - used);

        talc.dealloc(first, layout(2000, 8));
    }
    let counters = talc.counters();
    assert_eq!((counters.allocation_count, counters.allocated_bytes), (0, 0));
    assert_eq!(counters.total_freed_bytes(), counters.total_allocated_bytes);

    // For people: one line for each thing, with its numbers.
    let text = counters.to_string();
    for word in ["allocations", "bytes", "peak", "gaps", "heaps", "overhead", "in total"] {
        assert!(text.contains(word), "{word} in\n{text}");
    }
    for number in [2900, 2000, counters.claimed_bytes, counters.available_bytes] {
        assert!(text.contains(&number.to_string()), "{number} in\n{text}");
    }
    assert!(text.lines().all(|line| line.len() <= 80), "{text}");
}

#[cfg(feature = "error-scanning-std")]
#[test]
fn damage_is_found_by_the_next_operation() {
    const WORD: usize = std::mem::size_of::<usize>();
    // Ends where its chunk ends.
    let size = 1024 - WORD;
    for operation in 0..3 {
        // Damage is reported once; then the allocator is as good as dead.
        let talc = cell();
        unsafe {
            let block = talc.alloc(layout(size, 8));
            let above = talc.alloc(layout(size, 8));
            let other = talc.alloc(layout(size, 8));
            let end = block.add(size).cast::<usize>();
            let sound = end.read();
            // One bit in one byte too far.
            let low = end.cast::<u8>().add(if cfg!(target_endian = "big") { WORD - 1 } else { 0 });
            low.write(low.read() | 2);
            let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                use allocator_api2::alloc::Allocator;
                let other = std::ptr::NonNull::new(other).unwrap();
                match operation {
                    0 => assert!(talc.allocate(layout(1, 1)).is_err()),
                    1 => talc.deallocate(other, layout(size, 8)),
                    _ => assert!(talc.grow(other, layout(size, 8), layout(size + 1, 8)).is_err()),
                }
            }));
            let message = *found.expect_err("damage").downcast::<String>().unwrap();
            assert!(message.starts_with("talc: invariant I"), "{message}");
            assert!(message.contains(&format!("{:#x}", end as usize)), "where: {message}");
            end.write(sound);
            // And nothing is found where there is nothing.
            talc.dealloc(above, layout(size, 8));
            talc.dealloc(block, layout(size, 8));
            talc.dealloc(other, layout(size, 8));
        }
        assert!(talc.largest_gap().unwrap() > ARENA - 8192);
    }
}

/// The heaps as `Debug` shows them, for a person who looks for what is wrong.
#[test]
fn debug_shows_the_heaps() {
    let mut talc = cell();
    assert_eq!(format!("{talc:?}"), "TalcCell { .. }");
    assert!(format!("{:?}", talc.get_mut()).contains("heaps: []"));
    let (first, second) = unsafe { (talc.alloc(layout(5000, 8)), talc.alloc(layout(6000, 8))) };
    unsafe { talc.dealloc(first, layout(5000, 8)) };
    let text = format!("{:#?}", talc.get_mut());
    let fields = ["base", "end", "table_bytes", "allocations: 1", "gaps: 2", "largest_gap"];
    for field in fields.into_iter().chain(["source: talc_sources::claim::Claim"]) {
        assert!(text.contains(field), "{field} in\n{text}");
    }
    assert_eq!(text.contains("counters"), cfg!(feature = "counters"));
    unsafe { talc.dealloc(second, layout(6000, 8)) };
}
