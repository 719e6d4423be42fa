//! A region of memory that is claimed when it is first needed.

use core::alloc::Layout;
use core::mem::size_of;
use core::ptr::NonNull;

use talc_core::RawTalc;

use crate::{Binning, OutOfMemory, RawTalcExt, Replaceable, Source};

/// Claims one region of memory when the allocator first runs out: what a static allocator needs,
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
    /// There is nothing to claim. The heap end of what was, until it is taken.
    Standby { end: Option<NonNull<u8>> },
}

// SAFETY: who made the `Claim` handed the region over to it.
unsafe impl Send for Claim {}

impl Claim {
    /// Will claim the `size` bytes at `base`.
    ///
    /// If they are too few for a first heap, all allocations fail:
    /// [`min_first_heap_size`](crate::min_first_heap_size).
    ///
    /// # Safety
    /// What [`RawTalc::claim`] requires of the region must hold from now on, for as long as the
    /// allocator, or anything that was allocated from it, may be used. That is longer than the
    /// allocator lives, where an allocation is leaked: what `Vec::leak` makes of a `Vec` in a
    /// `TalcCell` is as good as `'static` if the cell was given by value. A region on the stack is for
    /// allocators that are only lent out.
    #[inline]
    pub const unsafe fn new(base: *mut u8, size: usize) -> Self {
        Self(State::Ready { base, size })
    }

    /// Will claim the memory of an array.
    ///
    /// # Safety
    /// As for [`new`](Self::new).
    #[inline]
    pub const unsafe fn array<T, const N: usize>(array: *mut [T; N]) -> Self {
        Self(State::Ready { base: array.cast(), size: N * size_of::<T>() })
    }

    /// Has nothing to claim: acts like [`Manual`](crate::Manual).
    ///
    /// Replacing a claim that is ready by this one prevents it.
    #[inline]
    pub const fn standby() -> Self {
        Self(State::Standby { end: None })
    }

    /// Whether there is a region that has not been claimed yet.
    #[inline]
    pub const fn is_ready(&self) -> bool {
        matches!(self.0, State::Ready { .. })
    }

    /// The heap end, once the region has been claimed successfully; returned once only.
    #[inline]
    pub fn take_claim(&mut self) -> Option<NonNull<u8>> {
        match &mut self.0 {
            State::Standby { end } => end.take(),
            State::Ready { .. } => None,
        }
    }
}

// SAFETY: who made the `Claim` vouches for the region, which is claimed once.
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

// SAFETY: the region belongs to who made the `Claim`, and outlives it.
unsafe impl Replaceable for Claim {}
