//! Sources over `memory.grow`. On targets that are not WebAssembly they have no memory to bring.

use core::alloc::Layout;
use core::ptr::NonNull;

use talc_sources::talc_core::RawTalc;
use talc_sources::{Binning, OutOfMemory, RawTalcExt, Replaceable, Source};

use crate::memory::{self, address, PAGE};

/// Brings new pages as a heap of their own each time: least code, some more fragmentation.
///
/// Each growth is by as many pages as the layout needs that does not fit. What is free at the end
/// of the last heap stays there, for smaller layouts.
///
/// Heaps must not be managed by hand: [`MANUAL_HEAPS`](Source::MANUAL_HEAPS) is `false`.
#[derive(Debug, Default, Clone, Copy)]
pub struct WasmGrowAndClaim;

// SAFETY: grown pages are new, and claimed once.
unsafe impl<B: Binning> Source<B> for WasmGrowAndClaim {
    const MANUAL_HEAPS: bool = false;
    const GROWS_FIRST: bool = true;
    const RELEASES: bool = false;

    unsafe fn acquire(&mut self, talc: &mut RawTalc<B>, layout: Layout) -> Result<(), OutOfMemory> {
        // SAFETY: without an end there is nothing to be kept.
        let bytes = unsafe { talc.claim_or_extend_size(None, layout) };
        let pages = grow(bytes.ok_or(OutOfMemory)?, 0).ok_or(OutOfMemory)?;
        // SAFETY: the pages are new, and nobody else's, and one is enough for a heap.
        let _end = unsafe { talc.claim_or_extend(None, pages.base, pages.bytes) };
        Ok(())
    }
}

// SAFETY: memory of a module is never given back, and the source knows no allocator.
unsafe impl Replaceable for WasmGrowAndClaim {}

/// Brings new pages by extending the heap; by a new heap, if somebody else has grown the memory in
/// between.
///
/// What is free at the end of the heap is made use of, so that only what is missing is brought.
/// With a `PART`, each growth also brings at least one part out of so many of what was grown before,
/// so that a program with much memory grows it less often: [`in_steps`](Self::in_steps). If there is no room
/// for that, it brings what the layout needs.
///
/// Heaps must not be managed by hand: [`MANUAL_HEAPS`](Source::MANUAL_HEAPS) is `false`. It cannot
/// be replaced by another, as it knows the end of its allocator's heap.
#[derive(Debug, Default)]
pub struct WasmGrowAndExtend<const PART: usize = 0> {
    /// The end of the heap that was grown last.
    end: Option<NonNull<u8>>,
    /// By how many pages this has grown the memory, if there are steps.
    grown: usize,
}

// SAFETY: the heap end is only given to the allocator that it came from.
unsafe impl<const PART: usize> Send for WasmGrowAndExtend<PART> {}

impl WasmGrowAndExtend {
    /// A source that has not grown anything yet, and will grow the memory by what is needed.
    #[inline]
    pub const fn new() -> Self {
        Self::in_steps()
    }
}

impl<const PART: usize> WasmGrowAndExtend<PART> {
    /// A source that has not grown anything yet, and will grow the memory by at least one part out of
    /// `PART` of what it has grown it by before: with 8, by an eighth. With 0, by what is needed, as with `new`.
    ///
    /// ```
    /// # #[cfg(all(target_family = "wasm", not(target_feature = "atomics")))]
    /// #[global_allocator]
    /// static TALC: talc_sync::TalcSyncCell<talc_wasm::WasmGrowAndExtend<8>> =
    ///     talc_sync::TalcSyncCell::new_wasm(talc_wasm::WasmGrowAndExtend::in_steps());
    /// ```
    #[inline]
    pub const fn in_steps() -> Self {
        Self { end: None, grown: 0 }
    }
}

// SAFETY: grown pages are new, and are claimed or extended into once.
unsafe impl<const PART: usize, B: Binning> Source<B> for WasmGrowAndExtend<PART> {
    const MANUAL_HEAPS: bool = false;
    const GROWS_FIRST: bool = true;
    const RELEASES: bool = false;

    unsafe fn acquire(&mut self, talc: &mut RawTalc<B>, layout: Layout) -> Result<(), OutOfMemory> {
        // SAFETY: the end is current: only this source moves it.
        let bytes = unsafe { talc.claim_or_extend_size(self.end, layout) };
        let step = self.grown.checked_div(PART).unwrap_or(0);
        let pages = grow(bytes.ok_or(OutOfMemory)?, step).ok_or(OutOfMemory)?;
        // If somebody else has grown the memory, the pages may be too few for the layout: then the
        // driver asks again, and this heap is extended.
        // SAFETY: the pages are new, and nobody else's, and one is enough for a heap; the end is
        // current, as above.
        self.end = Some(unsafe { talc.claim_or_extend(self.end, pages.base, pages.bytes) });
        if PART != 0 {
            self.grown += pages.bytes / PAGE;
        }
        Ok(())
    }
}

/// New pages.
struct Pages {
    base: *mut u8,
    bytes: usize,
}

/// Grows the memory by at least one page, so that `bytes` fit into the new ones; by `step` pages if
/// they are more, and available.
#[inline]
fn grow(bytes: usize, step: usize) -> Option<Pages> {
    let least = bytes.saturating_sub(1) / PAGE + 1;
    let wanted = least.max(step);
    let (pages, old) = match memory::grow(wanted) {
        None if wanted > least => (least, memory::grow(least)?),
        old => (wanted, old?),
    };
    Some(Pages { base: address(old), bytes: pages * PAGE })
}

#[cfg(test)]
mod tests;
