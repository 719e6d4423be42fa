//! Sources over `memory.grow`. On targets that are not WebAssembly they have no memory to bring.

use core::alloc::Layout;
use core::ptr::NonNull;

use talc_sources::talc_core::RawTalc;
use talc_sources::{Binning, OutOfMemory, Replaceable, Source};

use crate::memory;

/// Brings new pages as a heap of their own each time: least code, some more fragmentation.
///
/// Heaps must not be managed by hand: [`MANUAL_HEAPS`](Source::MANUAL_HEAPS) is `false`.
#[derive(Debug, Default, Clone, Copy)]
pub struct WasmGrowAndClaim;

// SAFETY: grown pages are new, and claimed once.
unsafe impl<B: Binning> Source<B> for WasmGrowAndClaim {
    const MANUAL_HEAPS: bool = false;

    unsafe fn acquire(&mut self, talc: &mut RawTalc<B>, layout: Layout) -> Result<(), OutOfMemory> {
        claim_pages(talc, layout).map(|_| ())
    }
}

// SAFETY: memory of a module is never given back, and the source knows no allocator.
unsafe impl Replaceable for WasmGrowAndClaim {}

/// Brings new pages by extending the heap, as long as nobody else has grown the memory in between;
/// else by a new heap.
///
/// Heaps must not be managed by hand: [`MANUAL_HEAPS`](Source::MANUAL_HEAPS) is `false`. It cannot
/// be replaced by another, as it knows the end of its allocator's heap.
#[derive(Debug, Default)]
pub struct WasmGrowAndExtend {
    /// The end of the heap that was grown last.
    end: Option<NonNull<u8>>,
}

// SAFETY: the heap end is only given to the allocator that it came from.
unsafe impl Send for WasmGrowAndExtend {}

impl WasmGrowAndExtend {
    /// A source that has not grown anything yet.
    #[inline]
    pub const fn new() -> Self {
        Self { end: None }
    }
}

// SAFETY: grown pages are new, and are claimed or extended into once.
unsafe impl<B: Binning> Source<B> for WasmGrowAndExtend {
    const MANUAL_HEAPS: bool = false;

    unsafe fn acquire(&mut self, talc: &mut RawTalc<B>, layout: Layout) -> Result<(), OutOfMemory> {
        // SAFETY: the end is current: only this source moves it.
        unsafe {
            if let Some(end) = self.end {
                let more = B::extend_size(talc, end, layout).ok_or(OutOfMemory)?;
                let (base, size) = memory::grow(more).ok_or(OutOfMemory)?;
                // The memory may end with the address space, which no pointer can express.
                let top = (base as usize).saturating_add(size) as *mut u8;
                self.end = if base == end.as_ptr() {
                    Some(B::extend(talc, end, top))
                } else {
                    // Somebody else has grown the memory. If these pages are too few for a heap
                    // in which the layout fits, there will be more.
                    B::claim(talc, base, size).or(self.end)
                };
            } else {
                self.end = Some(claim_pages(talc, layout)?);
            }
        }
        Ok(())
    }
}

/// Grows the memory by a heap in which `layout` fits.
fn claim_pages<B: Binning>(
    talc: &mut RawTalc<B>,
    layout: Layout,
) -> Result<NonNull<u8>, OutOfMemory> {
    let bytes = B::claim_size(talc, layout).ok_or(OutOfMemory)?;
    let (base, size) = memory::grow(bytes).ok_or(OutOfMemory)?;
    // SAFETY: the pages are new, and nobody else's.
    unsafe { B::claim(talc, base, size) }.ok_or(OutOfMemory)
}
