//! Allocators that threads share, as a program would declare them: behind `GlobalAlloc`.
//!
//! Here a virtual call on each operation is no loss: it is what keeps every allocator out of the measuring
//! loop, as the call of a global allocator does in a program.

use super::Kind;
use crate::arena::{Arena, Region};
use ax_sync::interface::{AcquireResult, ContextState, LockMetadata, SpinOps};
use buddy_slab_allocator::interface::BuddySlabIf;
use buddy_slab_allocator::{GlobalAllocator, PerCpuSlab, SlabPoolTrait, StaticSlabPool};
use std::alloc::{GlobalAlloc, System};
use std::panic::Location;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::LazyLock;
use talc::sync::{ByThread, ShardHint};
use talc::RawYieldLock;

/// Talc without a lock.
const ONE_THREAD: &str = "talc, no lock";

/// Bytes of the arena of each that needs one.
const ARENA: usize = 256 << 20;

/// An allocator that lives until the program ends.
#[derive(Clone, Copy)]
pub struct Threaded {
    /// As on the command line and in tables.
    pub name: &'static str,
    /// What sort of allocator it is.
    pub kind: Kind,
    /// How many threads may use it at a time.
    pub threads: usize,
    /// The allocator.
    pub allocator: &'static (dyn GlobalAlloc + Sync),
}

/// The cores or threads that a buddy-slab-allocator is told of. It needs one number for each that may
/// allocate at a time.
const CPUS: usize = 64;
const PAGE: usize = 4096;

static SLABS: LazyLock<StaticSlabPool<PAGE, CPUS>> = LazyLock::new(|| {
    let slabs = std::array::from_fn(|cpu| PerCpuSlab::new(cpu as u16));
    StaticSlabPool::new(slabs, || ByThread::hint() % CPUS)
});

struct Platform;

#[ax_crate_interface::impl_interface]
impl BuddySlabIf for Platform {
    fn virt_to_phys(vaddr: usize) -> usize {
        vaddr
    }

    fn slab_pool() -> &'static dyn SlabPoolTrait {
        &*SLABS
    }
}

/// The locks of buddy-slab-allocator, which an operating system has to bring: they spin, then yield.
struct Locks;

#[ax_crate_interface::impl_interface]
impl SpinOps for Locks {
    fn acquire(
        locked: &AtomicBool,
        _metadata: &LockMetadata,
        _lock: usize,
        _context: u8,
        _subclass: u32,
        _caller: &'static Location<'static>,
    ) -> ContextState {
        let mut spins = 0;
        while locked.swap(true, Ordering::Acquire) {
            while locked.load(Ordering::Relaxed) {
                spins += 1;
                if spins % 64 == 0 {
                    std::thread::yield_now();
                } else {
                    std::hint::spin_loop();
                }
            }
        }
        ContextState::new(0, 0)
    }

    fn try_acquire(
        locked: &AtomicBool,
        _metadata: &LockMetadata,
        _lock: usize,
        _context: u8,
        _subclass: u32,
        _caller: &'static Location<'static>,
    ) -> AcquireResult {
        AcquireResult::new(!locked.swap(true, Ordering::Acquire), ContextState::new(0, 0))
    }

    fn release(locked: &AtomicBool, _lock: usize, _context: u8, _state: ContextState) {
        locked.store(false, Ordering::Release);
    }

    fn force_release(locked: &AtomicBool, _lock: usize, _context: u8) {
        locked.store(false, Ordering::Release);
    }

    fn is_locked(locked: &AtomicBool) -> bool {
        locked.load(Ordering::Relaxed)
    }
}

fn forever<T>(value: T) -> &'static mut T {
    Box::leak(Box::new(value))
}

fn arena() -> Region {
    forever(Arena::untouched(ARENA)).region()
}

/// All of them that `wants` names, in the order of the tables.
pub fn threaded(wants: impl Fn(&str) -> bool) -> Vec<Threaded> {
    let mut all = Vec::new();
    let mut add = |name, kind, make: &dyn Fn() -> &'static (dyn GlobalAlloc + Sync)| {
        if wants(name) {
            let threads = if name == ONE_THREAD { 1 } else { usize::MAX };
            all.push(Threaded { name, kind, threads, allocator: make() });
        }
    };
    add("talc sharded", Kind::Ours, &|| {
        let Region { base, size } = arena();
        // SAFETY: nothing else uses the arena.
        let claim = unsafe { talc::source::Claim::new(base, size) };
        forever(talc::TalcSharded::<RawYieldLock, _, ByThread>::new(claim))
    });
    add("talc, one lock", Kind::Ours, &|| {
        let Region { base, size } = arena();
        // SAFETY: nothing else uses the arena.
        let claim = unsafe { talc::source::Claim::new(base, size) };
        forever(talc::TalcLock::<RawYieldLock, _>::new(claim))
    });
    add(ONE_THREAD, Kind::Ours, &|| {
        let Region { base, size } = arena();
        // SAFETY: nothing else uses the arena, and one thread at a time uses the allocator.
        unsafe {
            let claim = talc::source::Claim::new(base, size);
            forever(talc::cell::TalcSyncCell::<_>::new(talc::TalcCell::new(claim)))
        }
    });
    add("talc 5.1.1, one lock", Kind::Peer, &|| {
        let Region { base, size } = arena();
        let talc = talc5::TalcLock::<RawYieldLock, _>::new(talc5::source::Manual);
        // SAFETY: nothing else uses the arena.
        unsafe { talc.lock().claim(base, size) }.expect("the arena is large");
        forever(talc)
    });
    #[cfg(feature = "frusa")]
    add("frusa", Kind::Peer, &|| forever(frusa::Frusa4K::new(&System)));
    add("buddy-slab", Kind::Peer, &|| {
        let Region { base, size } = arena();
        let allocator = forever(GlobalAllocator::<PAGE>::new());
        // SAFETY: nothing else uses the arena.
        unsafe { allocator.init(std::slice::from_raw_parts_mut(base, size)) }
            .expect("the arena is large");
        allocator
    });
    #[cfg(feature = "hosted")]
    {
        add("mimalloc", Kind::Hosted, &|| &mimalloc::MiMalloc);
        add("jemalloc", Kind::Hosted, &|| &tikv_jemallocator::Jemalloc);
        add("snmalloc", Kind::Hosted, &|| &snmalloc_rs::SnMalloc);
    }
    add("system", Kind::Hosted, &|| &System);
    all
}
