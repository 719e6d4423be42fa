//! Sources that call `memory.grow`. On targets other than WebAssembly they bring nothing.

use core::alloc::Layout;
use core::ptr::NonNull;

use talc_sources::talc_core::RawTalc;
use talc_sources::{Binning, OutOfMemory, RawTalcExt, Replaceable, Source};

use crate::memory::{self, address, PAGE};

/// A source that brings new pages as a heap of their own each time: the least code, and somewhat more
/// fragmentation.
///
/// It grows the memory by as many pages as are needed for the layout that does not fit. What is free at
/// the end of the last heap stays there, for smaller layouts.
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
        // SAFETY: there is no heap end that would have to be current.
        let bytes = unsafe { talc.claim_or_extend_size(None, layout) };
        let pages = grow(bytes.ok_or(OutOfMemory)?, 0).ok_or(OutOfMemory)?;
        // SAFETY: the pages are new and used by nothing else, and one is enough for a heap.
        let _end = unsafe { talc.claim_or_extend(None, pages.base, pages.bytes) };
        Ok(())
    }
}

// SAFETY: the memory of a module is never given back, and the source keeps nothing of its allocator.
unsafe impl Replaceable for WasmGrowAndClaim {}

/// A source that brings new pages by extending its heap, or as a new heap if somebody else has grown the
/// memory in between.
///
/// It uses what is free at the end of the heap, and grows the memory by what is missing. If `PART` is not
/// 0, it grows the memory by at least one `PART`-th of what it has already grown it by, so that a program
/// with much memory grows it less often: see [`in_steps`](Self::in_steps). If there is no room for that, it
/// grows the memory by what is missing.
///
/// Heaps must not be managed by hand: [`MANUAL_HEAPS`](Source::MANUAL_HEAPS) is `false`. This source is
/// not [`Replaceable`], because it keeps the end of its allocator's heap.
#[derive(Debug, Default)]
pub struct WasmGrowAndExtend<const PART: usize = 0> {
    /// The end of the heap that was grown last.
    end: Option<NonNull<u8>>,
    /// The number of pages that this has grown the memory by; 0 if `PART` is 0.
    grown: usize,
}

// SAFETY: the heap end is passed only to the allocator that it came from.
unsafe impl<const PART: usize> Send for WasmGrowAndExtend<PART> {}

impl WasmGrowAndExtend {
    /// Creates a source that grows the memory by what is missing.
    #[inline]
    pub const fn new() -> Self {
        Self::in_steps()
    }
}

impl<const PART: usize> WasmGrowAndExtend<PART> {
    /// Creates a source that grows the memory by at least one `PART`-th of what it has already grown it by:
    /// with 8, by at least an eighth. With 0, it grows the memory by what is missing, as that of
    /// [`new`](WasmGrowAndExtend::new).
    ///
    /// # Example
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
        // If somebody else has grown the memory, the pages may be too few for the layout. The driver
        // then calls this again, and the new heap is extended.
        // SAFETY: the pages are new and used by nothing else, and one is enough for a heap; the end is
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

/// Grows the memory by at least one page, so that `bytes` fit into the new pages; or by `step` pages, if
/// these are more and available. Returns `None` if the memory cannot grow so far.
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
