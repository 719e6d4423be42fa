//! A region first, then another source.

use core::alloc::Layout;
use core::fmt;
use core::ptr::{null_mut, NonNull};

use talc_core::RawTalc;

use crate::{Binning, Claim, OutOfMemory, Source};

/// Claims a region when memory is first needed, and asks another source when that is full.
///
/// Several regions are a chain of chains: `Chain::new(first, Chain::new(second, source))`. The last source
/// may take memory back; the regions stay with the allocator.
///
/// Once there are heaps of both, an allocation may come from either: Talc takes the gap that fits. For memories that
/// must be told apart, take an allocator for each.
///
/// ```
/// use core::alloc::Layout;
/// use talc_sources::{Chain, Claim, GlobalAllocSource, Talc};
///
/// static mut HEAP: [u8; 16 << 10] = [0; 16 << 10];
///
/// // SAFETY: nothing else uses `HEAP`.
/// let region = unsafe { Claim::array(&raw mut HEAP) };
/// let mut talc = Talc::<_>::new(Chain::new(region, GlobalAllocSource::new(std::alloc::System)));
/// let layout = Layout::new::<[u8; 10_000]>();
/// // The second one does not fit into the region.
/// let blocks = [(); 2].map(|()| talc.allocate(layout).unwrap());
/// // SAFETY: freed once.
/// blocks.map(|block| unsafe { talc.deallocate(block.as_ptr(), layout) });
/// ```
pub struct Chain<S> {
    first: Claim,
    /// The region, once it is claimed, too.
    base: *mut u8,
    size: usize,
    then: S,
}

// SAFETY: whoever made the `Claim` handed the region over to it.
unsafe impl<S: Send> Send for Chain<S> {}

impl<S> Chain<S> {
    /// Creates a source that has the region of `first`, and then what `then` brings.
    #[inline]
    pub const fn new(first: Claim, then: S) -> Self {
        let (base, size) = match first.region() {
            Some(region) => region,
            None => (null_mut(), 0),
        };
        Self { first, base, size, then }
    }

    /// Returns the source that is asked when the region is full.
    #[inline]
    pub const fn then(&self) -> &S {
        &self.then
    }
}

// SAFETY: the region is claimed once, as `Claim` does it. The other source is told of its own heaps only.
unsafe impl<S: Source<B>, B: Binning> Source<B> for Chain<S> {
    const MANUAL_HEAPS: bool = S::MANUAL_HEAPS;
    const GROWS_FIRST: bool = S::GROWS_FIRST;
    const RELEASES: bool = S::RELEASES;
    const MAY_REENTER: bool = S::MAY_REENTER;

    unsafe fn acquire(&mut self, talc: &mut RawTalc<B>, layout: Layout) -> Result<(), OutOfMemory> {
        // SAFETY: required of the caller.
        unsafe {
            if self.first.is_ready() && self.first.acquire(talc, layout).is_ok() {
                return Ok(());
            }
            self.then.acquire(talc, layout)
        }
    }

    #[inline]
    unsafe fn release(&mut self, talc: &mut RawTalc<B>, end: NonNull<u8>) {
        // A heap ends above its base. The region stays with the allocator.
        let offset = (end.as_ptr() as usize).wrapping_sub(self.base as usize);
        if offset == 0 || offset > self.size {
            // SAFETY: required of the caller.
            unsafe { self.then.release(talc, end) };
        }
    }
}

impl<S: fmt::Debug> fmt::Debug for Chain<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chain").field("first", &self.first).field("then", &self.then).finish()
    }
}
