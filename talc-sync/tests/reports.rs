//! When the lock is held and when it is not: never while a broken rule is reported, and never while
//! a large block is copied.
//!
//! The lock of these tests counts its holders, of which the panic hook takes note; and between two
//! acquisitions it can do what another thread could do then.
#![allow(clippy::undocumented_unsafe_blocks)] // Misuse is what is tested; the heap is local.
#![allow(clippy::incompatible_msrv)] // The MSRV is that of the library.
#![cfg_attr(feature = "nightly", feature(allocator_api))]

#[macro_use]
mod common;

use std::alloc::{GlobalAlloc, System};
use std::cell::{Cell, RefCell};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Once;

use allocator_api2::alloc::Allocator;
use common::{arena, fill, layout, panic_message, verify};
use talc_sync::lock_api::{GuardNoSend, RawMutex};
use talc_sync::talc_sources::{Claim, GlobalAllocSource};
use talc_sync::TalcLock;

thread_local! {
    /// Locks that this thread holds, and how often it has taken one.
    static HELD: Cell<usize> = const { Cell::new(0) };
    static TAKEN: Cell<usize> = const { Cell::new(0) };
    /// `HELD`, at the time of the last panic.
    static HELD_AT_PANIC: Cell<Option<usize>> = const { Cell::new(None) };
    /// What happens after the next release.
    static MEANWHILE: RefCell<Option<Box<dyn FnOnce()>>> = const { RefCell::new(None) };
}

struct Watched(AtomicBool);

unsafe impl RawMutex for Watched {
    #[allow(clippy::declare_interior_mutable_const)] // As the trait has it.
    const INIT: Self = Self(AtomicBool::new(false));
    type GuardMarker = GuardNoSend;

    fn lock(&self) {
        assert!(self.try_lock(), "a deadlock, as these tests have one thread each");
    }

    fn try_lock(&self) -> bool {
        let was_locked = self.0.swap(true, Ordering::Acquire);
        if !was_locked {
            HELD.set(HELD.get() + 1);
            TAKEN.set(TAKEN.get() + 1);
        }
        !was_locked
    }

    unsafe fn unlock(&self) {
        self.0.store(false, Ordering::Release);
        HELD.set(HELD.get() - 1);
        if let Some(meanwhile) = MEANWHILE.take() {
            meanwhile();
        }
    }
}

type Lock = TalcLock<Watched, Claim>;

/// Rules of unsafe functions are looked at in debug builds and with the feature `hardened` only; breaking them is undefined
/// behaviour in others.
const CHECKED: bool = talc_sync::talc_sources::talc_core::CHECKS;

/// A size that ends where its chunk ends: the next chunk's header is just above.
const WHOLE: usize = 1024 - std::mem::size_of::<usize>();

/// The message of a panic of `f`; asserts that no lock was held when it was made.
fn report<T>(f: impl FnOnce() -> T) -> String {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            HELD_AT_PANIC.set(Some(HELD.get()));
            usual(info);
        }));
    });
    let message = panic_message(f);
    assert_eq!(HELD_AT_PANIC.take(), Some(0), "the lock was held for: {message}");
    assert_eq!(HELD.get(), 0, "the lock is still held after: {message}");
    message
}

/// Asserts that a double free or a wrong layout is reported: in debug builds.
fn check_reports(talc: &Lock, seems: &str, block: NonNull<u8>, said: std::alloc::Layout) {
    let more = layout(said.size() + 100, said.align());
    let less = layout(said.size() / 2, said.align());
    let reports = [
        report(|| unsafe { Allocator::deallocate(talc, block, said) }),
        report(|| unsafe { Allocator::grow(talc, block, said, more) }),
        report(|| unsafe { Allocator::grow_zeroed(talc, block, said, more) }),
        report(|| unsafe { Allocator::shrink(talc, block, said, less) }),
        report(|| unsafe { Allocator::shrink(talc, block, said, layout(0, 8)) }),
    ];
    for message in reports {
        assert!(message.starts_with("talc: ") && message.contains(seems), "{message}");
    }
    assert_eq!(talc.lock().audit(), Ok(()), "what is reported is not done");
}

#[test]
fn misuse_is_reported_with_the_lock_free() {
    if !CHECKED {
        return;
    }
    let (_memory, claim) = arena(1 << 17);
    let talc = Lock::new(claim);
    let [first, block, last] =
        [600, 1000, 600].map(|size| talc.allocate(layout(size, 8)).unwrap().cast::<u8>());
    check_reports(&talc, "another size", block, layout(500, 8));
    check_reports(&talc, "another size", block, layout(2000, 8));
    let odd = unsafe { NonNull::new_unchecked(block.as_ptr().add(8)) };
    check_reports(&talc, "not allocated here", odd, layout(1000, 8));
    let align = 1 << (block.as_ptr() as usize).trailing_zeros();
    check_reports(&talc, "another alignment", block, layout(1000, align * 2));
    unsafe {
        talc.deallocate(block, layout(1000, 8));
        check_reports(&talc, "free already", block, layout(1000, 8));
        // Also where it became part of a larger gap.
        talc.deallocate(first, layout(600, 8));
        check_reports(&talc, "free already", block, layout(1000, 8));
        talc.deallocate(last, layout(600, 8));
        for freed in [first, block, last] {
            check_reports(&talc, "free already", freed, layout(600, 8));
        }
    }
}

#[test]
fn a_write_beyond_the_end_is_reported_with_the_lock_free() {
    // Whole cache lines have room beyond the end, where a write does no damage.
    if !CHECKED || cfg!(feature = "cache-aligned-allocations") {
        return;
    }
    let (_memory, claim) = arena(1 << 14);
    let talc = Lock::new(claim);
    let [block, _above] = [(); 2].map(|()| talc.allocate(layout(WHOLE, 8)).unwrap().cast::<u8>());
    let above = unsafe { block.as_ptr().add(WHOLE).cast::<usize>() };
    // The scan of all heaps that comes first with `error-scanning` would follow the second one.
    let values: &[usize] = if cfg!(feature = "error-scanning") { &[0] } else { &[0, usize::MAX] };
    for &value in values {
        unsafe {
            let sound = above.read();
            above.write(value);
            let message = report(|| talc.deallocate(block, layout(WHOLE, 8)));
            assert!(cfg!(feature = "error-scanning") || message.contains("wrote beyond the end"));
            above.write(sound);
        }
    }
    unsafe { talc.deallocate(block, layout(WHOLE, 8)) };
    assert_eq!(talc.lock().audit(), Ok(()));
}

#[test]
fn heaps_by_hand_are_reported_with_the_lock_free() {
    if !CHECKED {
        return;
    }
    let talc = TalcLock::<Watched, _>::new(GlobalAllocSource::new(System));
    let block = unsafe { talc.alloc(layout(10, 8)) };
    let mut region = [0_u8; 4096];
    let base = region.as_mut_ptr();
    let end = NonNull::new(base).unwrap();
    let reports = [
        report(|| unsafe { talc.lock().claim(base, 4096) }),
        report(|| unsafe { talc.lock().extend(end, base) }),
        report(|| unsafe { talc.lock().truncate(end, base) }),
        report(|| unsafe { talc.lock().resize(end, base) }),
    ];
    for message in reports {
        assert!(message.contains("manages its heaps itself"), "{message}");
    }
    unsafe { talc.dealloc(block, layout(10, 8)) };
    assert_eq!(talc.lock().audit(), Ok(()));
}

/// A block that is too large to be copied under the lock is freed by somebody else meanwhile.
#[test]
fn a_block_freed_while_it_is_copied_is_reported_with_the_lock_free() {
    if !CHECKED {
        return;
    }
    let (_memory, claim) = arena(1 << 18);
    let talc: &'static Lock = Box::leak(Box::new(Lock::new(claim)));
    let (old, new) = (layout(40_000, 8), layout(60_000, 8));
    let block = talc.allocate(old).unwrap().cast::<u8>();
    // Aligned, so that it is a chunk, above the block.
    let _hem = talc.allocate(layout(8, 16)).unwrap();
    let address = block.as_ptr() as usize;
    MEANWHILE.set(Some(Box::new(move || unsafe { talc.dealloc(address as *mut u8, old) })));
    let message = report(|| unsafe { talc.grow(block, old, new) });
    assert!(message.contains("free already"), "{message}");
    assert_eq!(talc.lock().audit(), Ok(()));
}

#[test]
fn damage_is_reported_with_the_lock_free() {
    if !cfg!(feature = "error-scanning") {
        return;
    }
    // Damage is reported once: each operation has an allocator of its own.
    for operation in 0..5 {
        let (_memory, claim) = arena(1 << 18);
        let talc: &'static Lock = Box::leak(Box::new(Lock::new(claim)));
        let large = layout(40_000, 8);
        // The last one is aligned, so that it is a chunk.
        let [block, victim, _above] = [(40_000, 8), (WHOLE, 8), (8, 16)]
            .map(|(size, align)| talc.allocate(layout(size, align)).unwrap().cast::<u8>());
        let end = unsafe { victim.as_ptr().add(WHOLE).cast::<usize>() };
        let sound = unsafe { end.read() };
        let (address, damaged) = (end as usize, sound | 2);
        let damage = move || unsafe { (address as *mut usize).write(damaged) };
        if operation == 4 {
            // Done by another thread while a large block is copied.
            MEANWHILE.set(Some(Box::new(damage)));
        } else {
            damage();
        }
        let message = report(|| unsafe {
            match operation {
                0 => drop(talc.allocate(layout(8, 8))),
                1 => talc.deallocate(block, large),
                2 => drop(Allocator::grow(talc, block, large, layout(50_000, 8))),
                3 => drop(Allocator::shrink(talc, block, large, layout(10, 8))),
                _ => drop(Allocator::grow(talc, block, large, layout(90_000, 8))),
            }
        });
        assert!(message.contains("invariant I4"), "{message}");
        unsafe { end.write(sound) };
        assert_eq!(talc.lock().audit(), Ok(()));
    }
}

#[test]
fn only_small_blocks_are_copied_under_the_lock() {
    let usual = 16 << 10;
    for (limit, size, acquisitions) in [
        (usual, 100, 1),
        (usual, usual, 1),
        (usual, usual + 8, 2),
        (usual, 100_000, 2),
        (256, 256, 1),
        (256, 264, 2),
        (0, 8, 2),
        (usize::MAX, 100_000, 1),
    ] {
        let (_memory, claim) = arena(1 << 20);
        let talc = Lock::new(claim);
        let talc = if limit == usual { talc } else { talc.with_copy_limit(limit) };
        let (old, new) = (layout(size, 8), layout(size + 1000, 8));
        unsafe {
            let block = talc.alloc(old);
            fill(block, size, 1);
            // Aligned so that it is a chunk, which is in the way.
            let hem = talc.alloc(layout(8, 16));
            TAKEN.set(0);
            let moved = talc.realloc(block, old, new.size());
            assert_eq!(TAKEN.get(), acquisitions, "for {size} bytes");
            assert!(moved != block);
            verify(moved, size, 1);
            talc.dealloc(moved, new);
            talc.dealloc(hem, layout(8, 16));
        }
        assert_eq!(HELD.get(), 0);
        assert_eq!(talc.lock().audit(), Ok(()));
    }
}
