//! Talc behind a lock that counts the instructions for which it is held.

use super::{Contender, Kind};
use crate::arena::Region;
use crate::steps::trap;
use lock_api::{GuardNoSend, RawMutex};
use std::alloc::{GlobalAlloc, Layout};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use talc::base::binning::Binning;
use talc::source::Manual;
use talc::sync::TalcLock;

static COUNTS: AtomicBool = AtomicBool::new(false);
static LONGEST: AtomicU64 = AtomicU64::new(0);

/// Returns for how many instructions at a time such a lock is held during a call, at most; `None` where nothing can
/// be counted.
pub fn longest(call: impl FnOnce()) -> Option<u64> {
    LONGEST.store(0, Ordering::Relaxed);
    COUNTS.store(true, Ordering::Relaxed);
    call();
    COUNTS.store(false, Ordering::Relaxed);
    match LONGEST.load(Ordering::Relaxed) {
        0 => None,
        count => Some(count),
    }
}

/// A lock for one thread.
struct Counting;

// SAFETY: there is one thread, which does not take it twice.
unsafe impl RawMutex for Counting {
    const INIT: Self = Self;
    type GuardMarker = GuardNoSend;

    #[inline]
    fn lock(&self) {
        if COUNTS.load(Ordering::Relaxed) {
            trap::start();
        }
    }

    fn try_lock(&self) -> bool {
        self.lock();
        true
    }

    #[inline]
    unsafe fn unlock(&self) {
        if let (Some(count), true) = (trap::stop(), COUNTS.load(Ordering::Relaxed)) {
            LONGEST.fetch_max(count, Ordering::Relaxed);
        }
    }
}

/// Talc behind such a lock, under which it copies up to so many bytes.
pub struct Masked<B: Binning, const COPIED: usize>(TalcLock<Counting, Manual, B>);

impl<B: Binning, const COPIED: usize> Contender for Masked<B, COPIED> {
    const NAME: &'static str = "talc";
    const KIND: Kind = Kind::Ours;

    unsafe fn over(arena: Region) -> Option<Self> {
        let talc = TalcLock::new(Manual).with_copy_limit(COPIED);
        // SAFETY: the arena is ours alone.
        unsafe { talc.lock().claim(arena.base, arena.size) }?;
        Some(Self(talc))
    }

    unsafe fn alloc(&mut self, layout: Layout) -> *mut u8 {
        // SAFETY: the size is not zero.
        unsafe { self.0.alloc(layout) }
    }

    unsafe fn dealloc(&mut self, ptr: *mut u8, layout: Layout) {
        // SAFETY: passed on.
        unsafe { self.0.dealloc(ptr, layout) };
    }

    unsafe fn realloc(&mut self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: passed on.
        unsafe { self.0.realloc(ptr, layout, new_size) }
    }
}
