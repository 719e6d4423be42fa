//! The allocators that are interrupted.

use core::alloc::GlobalAlloc;
use core::cell::UnsafeCell;

use talc_sync::lock_api::{GuardNoSend, RawMutex};
use talc_sync::sharded::ShardHint;
use talc_sync::talc_sources::talc_core::Counters;
use talc_sync::talc_sources::{Binning, Manual};
use talc_sync::{RawCriticalSection, TalcLock, TalcSharded, TinyTalc};

/// An allocator for a program and its handlers.
pub(crate) trait Subject: GlobalAlloc {
    /// Creates one whose heap, if it is not inside, is [`HEAP`].
    fn new() -> Self;

    /// Trims and checks it, and returns its counters, or what is wrong.
    fn checked(&self) -> Result<Counters, &'static str>;
}

/// How much a reallocation copies under the lock: some do, and some do not.
const COPY_LIMIT: usize = 64;

const SIZE: usize = 256 << 10;

#[repr(align(16))]
struct Heap(UnsafeCell<[u8; SIZE]>);

// SAFETY: one allocator at a time has it.
unsafe impl Sync for Heap {}

static HEAP: Heap = Heap(UnsafeCell::new([0; SIZE]));

impl<R: RawMutex, B: Binning> Subject for TalcLock<R, Manual, B> {
    fn new() -> Self {
        let talc = TalcLock::new(Manual).with_copy_limit(COPY_LIMIT);
        // SAFETY: no other allocator is in use.
        unsafe { talc.lock().claim(HEAP.0.get().cast(), SIZE) }.expect("large enough");
        talc
    }

    fn checked(&self) -> Result<Counters, &'static str> {
        let mut guard = self.lock();
        guard.trim();
        guard.audit().map_err(|_| "the audit finds a fault")?;
        Ok(*guard.counters())
    }
}

/// There is one core.
pub(crate) struct One;

impl ShardHint for One {
    fn hint() -> usize {
        0
    }
}

impl<B: Binning> Subject for TalcSharded<RawCriticalSection, Manual, One, 2, B> {
    fn new() -> Self {
        let talc = TalcSharded::new(Manual).with_copy_limit(COPY_LIMIT);
        // SAFETY: no other allocator is in use.
        unsafe { talc.lock().claim(HEAP.0.get().cast(), SIZE) }.expect("large enough");
        talc
    }

    fn checked(&self) -> Result<Counters, &'static str> {
        self.trim();
        self.audit().map_err(|_| "the audit finds a fault")?;
        Ok(self.counters())
    }
}

impl<const SIZE: usize> Subject for TinyTalc<RawCriticalSection, SIZE> {
    fn new() -> Self {
        // SAFETY: it stays where it is put, before it is used.
        unsafe { TinyTalc::new() }
    }

    fn checked(&self) -> Result<Counters, &'static str> {
        let guard = self.lock();
        guard.audit().map_err(|_| "the audit finds a fault")?;
        Ok(*guard.counters())
    }
}

/// A lock that is none. With it, the test must fail.
pub(crate) struct Unmasked;

// SAFETY: it is not sound, on purpose.
unsafe impl RawMutex for Unmasked {
    #[allow(clippy::declare_interior_mutable_const)] // The trait asks for it.
    const INIT: Self = Self;
    type GuardMarker = GuardNoSend;

    fn lock(&self) {}

    fn try_lock(&self) -> bool {
        true
    }

    unsafe fn unlock(&self) {}
}
