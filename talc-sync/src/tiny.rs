//! The global allocator for microcontrollers: [`TinyTalc`].

use core::alloc::Layout;
use core::cell::UnsafeCell;
use core::fmt;
use core::mem::MaybeUninit;
use core::ptr::NonNull;

use lock_api::RawMutex;
use talc_sources::talc_core::SmallBinning;
use talc_sources::{Manual, Talc};

use crate::glue::{self, Wrapper};
use crate::lock::{TalcGuard, TalcLock};

/// The global allocator for microcontrollers: a [`TalcLock`] with the heap in the same static, `SIZE` bytes of it, and
/// with [`SmallBinning`].
///
/// It is little flash and little RAM: 1,800 bytes on Cortex-M3 with `opt-level = "z"`, with the lock that masks
/// interrupts and with `memcpy`, and 288 bytes of RAM besides the heap. All of it is zero at first, if that holds for
/// the lock `R`, so it lies in `.bss` and takes no flash beyond its code. (`cargo run --release -p benches -- flash`)
/// Not so in debug builds: what they look for is not zero at first, and the heap takes flash, too.
///
/// Reallocations copy with the allocator not locked. The features `disable-grow-in-place` and
/// `disable-realloc-in-place` save more flash.
///
/// # Example
///
/// ```
/// # #[cfg(feature = "critical-section")] {
/// use talc_sync::{RawCriticalSection, TinyTalc};
///
/// #[global_allocator]
/// static TALC: TinyTalc<RawCriticalSection, { 16 << 10 }> =
///     // SAFETY: it is a static.
///     unsafe { TinyTalc::new() };
///
/// assert_eq!(vec![1, 2, 3].iter().sum::<u32>(), 6);
/// # }
/// ```
// The table first: instructions have short offsets to it. That saves 80 bytes on Cortex-M3.
#[repr(C)]
pub struct TinyTalc<R, const SIZE: usize> {
    talc: TalcLock<R, Manual, SmallBinning>,
    heap: UnsafeCell<Heap<SIZE>>,
}

/// Aligned as chunks are, so that none of it is lost.
#[repr(C, align(16))]
struct Heap<const SIZE: usize>(MaybeUninit<[u8; SIZE]>);

// SAFETY: the heap belongs to the allocator, which is locked.
unsafe impl<R: RawMutex + Sync, const SIZE: usize> Sync for TinyTalc<R, SIZE> {}

impl<R: RawMutex, const SIZE: usize> TinyTalc<R, SIZE> {
    /// Creates an allocator.
    ///
    /// # Safety
    /// It must not be moved once something was allocated: the heap is inside. Make it a static.
    #[inline]
    #[must_use]
    pub const unsafe fn new() -> Self {
        Self { heap: UnsafeCell::new(Heap(MaybeUninit::uninit())), talc: TalcLock::new(Manual) }
    }

    /// Locks the allocator. See [`TalcLock::lock`]. There is no heap before something was allocated.
    #[inline]
    pub fn lock(&self) -> TalcGuard<'_, R, Manual, SmallBinning> {
        self.talc.lock()
    }
}

impl<R, const SIZE: usize> TinyTalc<R, SIZE> {
    /// Claims the heap, if there is none yet. Returns whether it has.
    #[cold]
    #[inline(never)]
    fn claims(&self, talc: &mut Talc<Manual, SmallBinning>) -> bool {
        if SIZE < SmallBinning::MIN_FIRST_HEAP_SIZE || talc.has_heaps() {
            return false;
        }
        // The heap is aligned and large enough, so that nothing about it is tested. That saves 32 bytes on Cortex-M3.
        // SAFETY: the heap is claimed once, and stays where it is.
        unsafe { talc.claim_or_extend(None, self.heap.get().cast(), SIZE) };
        talc.has_heaps()
    }
}

impl<R: RawMutex, const SIZE: usize> Wrapper for TinyTalc<R, SIZE> {
    type Source = Manual;
    type Binning = SmallBinning;

    #[inline]
    fn copied_at_once(&self) -> usize {
        0
    }

    #[inline]
    fn with<T>(&self, f: impl FnOnce(&mut Talc<Manual, SmallBinning>) -> T) -> Option<T> {
        self.talc.with(f)
    }

    /// The first allocation finds no memory, as there is no heap yet. An interrupt that comes first must not find
    /// half of this done, so all of it is under the lock.
    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    fn allocate(&self, layout: Layout) -> Option<NonNull<u8>> {
        glue::try_with(self, |talc| loop {
            let block = talc.allocate(layout);
            if block.is_some() || !self.claims(talc) {
                return block;
            }
        })?
    }
}

impl<R: RawMutex, const SIZE: usize> fmt::Debug for TinyTalc<R, SIZE> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TinyTalc").field("size", &SIZE).finish_non_exhaustive()
    }
}
