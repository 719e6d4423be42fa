//! A quarantine below wrappers: what is freed is kept back in builds that can, and all of it goes back to the source.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use talc_sync::sharded::ByThread;
use talc_sync::talc_sources::{Claim, GlobalAllocSource};
use talc_sync::{RawSpinlock, TalcCell, TalcLock, TalcSharded};

/// Whether this build can have a quarantine.
const CAN: bool = cfg!(all(feature = "hardened-full", not(miri)));

const LAYOUTS: [Layout; 3] =
    [Layout::new::<[u64; 5]>(), Layout::new::<[u64; 100]>(), Layout::new::<[u64; 1000]>()];

/// Frees a block, and looks whether the next allocation gets another one.
fn is_kept_back(talc: &impl GlobalAlloc, layout: Layout) -> bool {
    // SAFETY: freed once, with the layout that they were allocated with.
    unsafe {
        let block = talc.alloc(layout);
        talc.dealloc(block, layout);
        let next = talc.alloc(layout);
        talc.dealloc(next, layout);
        assert!(!block.is_null() && !next.is_null());
        next != block
    }
}

#[test]
fn blocks_are_kept_back() {
    for layout in LAYOUTS {
        let mut memory = vec![0_u64; 1 << 15];
        // SAFETY: nothing else uses the memory, and one allocator at a time does.
        let mut claim = || unsafe { Claim::new(memory.as_mut_ptr().cast(), memory.len() * 8) };
        let talc = TalcLock::<RawSpinlock, Claim>::new(claim());
        assert!(!is_kept_back(&talc, layout));
        talc.lock().set_quarantine(8);
        assert_eq!(is_kept_back(&talc, layout), CAN);

        let talc = TalcCell::<Claim>::new(claim());
        assert!(!is_kept_back(&talc, layout));
        talc.set_quarantine(8);
        assert_eq!(is_kept_back(&talc, layout), CAN);

        let talc = TalcSharded::<RawSpinlock, Claim, ByThread, 1>::new(claim());
        talc.set_quarantine(8);
        // A shard may hand out what it keeps at any time, but it keeps no large blocks.
        assert!(is_kept_back(&talc, layout) == CAN || layout.size() < 8000);
        talc.trim();
        assert_eq!(talc.audit(), Ok(()));
    }
}

/// The system's allocator, and the bytes of it that are in use.
struct Counted<'a>(&'a Cell<usize>);

// SAFETY: forwarded as it came.
unsafe impl GlobalAlloc for Counted<'_> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.0.set(self.0.get() + layout.size());
        // SAFETY: required of the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        self.0.set(self.0.get() - layout.size());
        // SAFETY: required of the caller.
        unsafe { System.dealloc(block, layout) };
    }
}

#[test]
fn nothing_is_held_after_a_trim() {
    let held = [0, 100].map(|quarantine| {
        let held = Cell::new(0);
        // SAFETY: its memory is not inside of its value.
        let source = unsafe { GlobalAllocSource::new_unchecked(Counted(&held)) };
        let talc = TalcCell::<_>::new(source);
        talc.set_quarantine(quarantine);
        let mut blocks: Vec<_> = (0..3000)
            .map(|index| LAYOUTS[index % 3])
            // SAFETY: the layouts have sizes.
            .map(|layout| (unsafe { talc.alloc(layout) }, layout))
            .collect();
        let most = held.get();
        // In another order.
        blocks.sort_by_key(|&(block, layout)| (block as usize).wrapping_mul(7919) ^ layout.size());
        for (block, layout) in blocks {
            assert!(!block.is_null());
            // SAFETY: allocated above.
            unsafe { talc.dealloc(block, layout) };
        }
        assert!(held.get() < most, "most of it is not kept back");
        talc.trim();
        assert_eq!(talc.audit(), Ok(()));
        held.get()
    });
    assert_eq!(held[0], held[1]);
}
