//! Freeing a chunk: it becomes a gap, and is joined with the gaps next to it.

use core::mem::size_of;

use crate::memory::chunk::{Chunk, Links, WORD};
use crate::memory::fill::fill;
use crate::memory::header::Header;
use crate::tier::CHECKS;
use crate::{Bins, RawTalc};

impl<
        const LINEAR: usize,
        const PER_DOUBLING: usize,
        const WORDS: usize,
        const SLAB: usize,
        const CLASSES: usize,
        const KEPT: usize,
        const INSIDE: usize,
    > RawTalc<Bins<LINEAR, PER_DOUBLING, WORDS, SLAB, CLASSES, KEPT, INSIDE>>
{
    /// Makes an allocated chunk, whose header is or would be `header`, a gap. Returns the gap that it
    /// is now in, and its size.
    ///
    /// # Safety
    /// The chunk must be the allocator's (I9), and in no list. It may be smaller than a chunk can
    /// be (I2) if there is a gap above it.
    pub(crate) unsafe fn make_gap(&mut self, mut chunk: Chunk, header: Header) -> (Chunk, usize) {
        let mut size = header.size();
        let mut below = header.below();
        // SAFETY: above a chunk stands a chunk or the sentinel (I2); below a chunk that says so
        // stands a gap, with a footer (I4, I5).
        unsafe {
            let above = chunk.above(size);
            let mut is_filled = fill(chunk.payload() as usize, above.addr());
            let above_header = above.header();
            if above_header.is_gap() {
                self.remove_gap(above, above_header.size());
                size += above_header.size();
                // What was its header and its links is inside now.
                is_filled &= above_header.is_filled()
                    && fill(above.addr(), above.payload() as usize + size_of::<Links>());
            } else {
                above.set_header(above_header.with_below_free());
            }
            if below.is_gap() {
                let size_below = chunk.size_below();
                let gap = chunk.below(size_below);
                let gap_header = gap.header();
                below = gap_header.below();
                self.remove_gap(gap, size_below);
                size += size_below;
                // And what was its footer.
                is_filled &=
                    gap_header.is_filled() && fill(chunk.addr() - WORD, chunk.payload() as usize);
                if CHECKS && !is_filled {
                    chunk.set_header(Header::FREED);
                }
                chunk = gap;
            }
            self.add_gap(chunk, Header::gap(size, below).filled(is_filled));
            (chunk, size)
        }
    }
}
