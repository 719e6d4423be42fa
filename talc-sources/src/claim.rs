//! A region of memory that is claimed when it is first needed.

use core::alloc::Layout;
use core::mem::size_of;
use core::ptr::NonNull;

use talc_core::RawTalc;

use crate::{Binning, OutOfMemory, RawTalcExt, Replaceable, Source};

/// Claims one region of memory when the allocator first needs some. This is for static allocators,
/// which cannot claim anything before the program runs.
///
/// ```
/// use core::alloc::Layout;
/// use talc_sources::{Claim, Talc};
///
/// static mut HEAP: [u8; 10_000] = [0; 10_000];
///
/// // SAFETY: nothing else uses `HEAP`.
/// let mut talc = Talc::<_>::new(unsafe { Claim::array(&raw mut HEAP) });
/// assert!(talc.allocate(Layout::new::<[u32; 42]>()).is_some());
/// ```
#[derive(Debug)]
pub struct Claim(State);

#[derive(Debug)]
enum State {
    /// The region has not been claimed yet.
    Ready { base: *mut u8, size: usize },
    /// There is nothing to claim. The end of the heap that was claimed, until it is taken.
    Standby { end: Option<NonNull<u8>> },
}

// SAFETY: whoever made the `Claim` handed the region over to it.
unsafe impl Send for Claim {}

impl Claim {
    /// Creates a source that claims the `size` bytes at `base`.
    ///
    /// If they are fewer than [`min_first_heap_size`](crate::min_first_heap_size), all allocations
    /// may fail.
    ///
    /// # Safety
    /// The region must fulfil what [`RawTalc::claim`] requires from now on, for as long as the
    /// allocator, or anything that was allocated from it, may be used.
    ///
    /// That can be longer than the allocator lives: if a `Vec` owns its `TalcCell`, what
    /// `Vec::leak` returns can be `'static`. Use a region on the stack only for allocators that are
    /// borrowed.
    #[inline]
    pub const unsafe fn new(base: *mut u8, size: usize) -> Self {
        Self(State::Ready { base, size })
    }

    /// Creates a source that claims the memory of an array.
    ///
    /// # Safety
    /// As for [`new`](Self::new).
    #[inline]
    pub const unsafe fn array<T, const N: usize>(array: *mut [T; N]) -> Self {
        Self(State::Ready { base: array.cast(), size: N * size_of::<T>() })
    }

    /// Creates a source that has nothing to claim, and acts like [`Manual`](crate::Manual).
    ///
    /// Replacing a claim that is ready with this one prevents it.
    #[inline]
    pub const fn standby() -> Self {
        Self(State::Standby { end: None })
    }

    /// Returns whether there is a region that has not been claimed yet.
    #[inline]
    pub const fn is_ready(&self) -> bool {
        matches!(self.0, State::Ready { .. })
    }

    /// Returns the region that has not been claimed yet.
    pub(crate) const fn region(&self) -> Option<(*mut u8, usize)> {
        match self.0 {
            State::Ready { base, size } => Some((base, size)),
            State::Standby { .. } => None,
        }
    }

    /// Returns the heap end if the region has been claimed successfully. Returns it once.
    #[inline]
    pub fn take_claim(&mut self) -> Option<NonNull<u8>> {
        match &mut self.0 {
            State::Standby { end } => end.take(),
            State::Ready { .. } => None,
        }
    }
}

// SAFETY: whoever made the `Claim` vouches for the region, which is claimed once.
unsafe impl<B: Binning> Source<B> for Claim {
    const RELEASES: bool = false;

    unsafe fn acquire(&mut self, talc: &mut RawTalc<B>, _: Layout) -> Result<(), OutOfMemory> {
        match self.0 {
            State::Ready { base, size } => {
                // SAFETY: as above.
                let end = unsafe { talc.claim(base, size) };
                self.0 = State::Standby { end };
                end.map(|_| ()).ok_or(OutOfMemory)
            }
            State::Standby { .. } => Err(OutOfMemory),
        }
    }
}

// SAFETY: the region belongs to whoever made the `Claim`, and outlives it.
unsafe impl Replaceable for Claim {}
