//! Allocating: finding a gap and taking a chunk from it.

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::bins::{Binning, Parts};
use crate::chunk::{checked_chunk_size, max_front, Chunk, CHUNK_UNIT, GRAIN};
use crate::damage::CHECKS;
use crate::header::Header;
use crate::{Misuse, RawTalc, SEARCH_LIMIT};

/// Chunks of this size and more are worth a look at gaps of almost their size first: it keeps
/// memory together, and costs little beside what is done with so much memory. Where smaller ones
/// look as well, random sizes take 7% longer.
const LARGE: usize = 32 << 10;

/// How many gaps are looked at first.
const PROBES: usize = 4;

impl<B: Binning> RawTalc<B> {
    /// Allocates memory for `layout`; returns `None` and changes nothing if it does not fit.
    ///
    /// A layout of size zero gets memory of its own, too. After `None`, [`trim`](Self::trim) may
    /// make room.
    ///
    /// # Complexity
    /// O(1): the first gap of the first bin all of whose gaps fit; for requests of 32 KiB and more,
    /// and over-aligned ones, after a look at the first few gaps that may fit.
    ///
    /// Before it returns `None` it also looks at gaps that may fit: at [`SEARCH_LIMIT`], and for an
    /// over-aligned layout at the first one of each bin. So `None` can mean that a gap would have
    /// fitted among more than [`SEARCH_LIMIT`] of almost its size, or of up to its size and
    /// alignment.
    ///
    /// [`CompactBins`](crate::CompactBins) only ever look at the first gap of each bin.
    #[inline]
    pub fn try_allocate(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        let class = Self::class_of(layout);
        let block = if class < B::CLASSES {
            // SAFETY: the class is one.
            unsafe { self.allocate_small(class, layout) }
        } else {
            self.allocate_chunk(layout)
        };
        self.report();
        block
    }

    /// Allocates a chunk.
    #[inline]
    pub(crate) fn allocate_chunk(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        let need = checked_chunk_size(layout.size())?;
        if B::IS_COMPACT {
            return self.allocate_compactly(layout, need);
        }
        if layout.align() <= GRAIN && need < LARGE {
            // SAFETY: where a bit is set, there is a table; the bin that is found is not empty (I8),
            // and all its gaps are large enough.
            unsafe {
                if let Some(bin) = B::first_from(self.table(), B::bin_above(need)) {
                    if CHECKS && !self.first_is_sound(bin) {
                        return None;
                    }
                    self.tally.record(|counters| counters.allocated(layout.size()));
                    return Some(self.take_first(bin, need));
                }
            }
        }
        // Out of line, as the last thing to do: so this function needs no stack.
        self.allocate_with_search(layout, need)
    }

    /// Whether the first gap of a bin is sound. If not, notes it, and abandons the bin.
    ///
    /// # Safety
    /// The table must exist, and its bit for `bin` be set.
    unsafe fn first_is_sound(&mut self, bin: usize) -> bool {
        // SAFETY: required of the caller.
        unsafe {
            let is_sound = self.head_is_sound(bin)
                && !B::head(self.table(), bin).read().is_null()
                && self.gap_is_sound(B::first_gap(self.table(), bin));
            if !is_sound {
                B::abandon(self.table_mut(), bin);
                self.diagnosis.note(Misuse::Damaged);
            }
            is_sound
        }
    }

    /// Takes a chunk of `need` bytes from the start of the first gap of `bin`.
    ///
    /// # Safety
    /// The bin must not be empty, and all its gaps be large enough; `need` a chunk size (I2).
    #[inline]
    unsafe fn take_first(&mut self, bin: usize, need: usize) -> NonNull<u8> {
        // SAFETY: a gap is the allocator's to cut up (I9).
        unsafe {
            let gap = B::take_first(self.table_mut(), bin);
            let header = gap.header();
            let size = header.size();
            self.tally.record(|counters| counters.gap_removed(size));
            self.occupy(gap, size, need, header);
            NonNull::new_unchecked(gap.payload())
        }
    }

    /// Allocates a chunk where the first gap at hand will not do: for large and over-aligned
    /// layouts, and for small ones if there is no gap that is surely large enough.
    #[cold]
    #[inline(never)]
    fn allocate_with_search(&mut self, layout: Layout, need: usize) -> Option<NonNull<u8>> {
        let gap = self.search_for(need, layout.align())?;
        self.tally.record(|counters| counters.allocated(layout.size()));
        // SAFETY: the search finds gaps that are large enough.
        unsafe {
            let chunk = self.take(gap, gap.front_for(layout.align()), need);
            Some(NonNull::new_unchecked(chunk.payload()))
        }
    }

    /// The one way of allocating a chunk where there is only one. Out of line, so that what
    /// allocates a slot can be in line.
    #[inline(never)]
    fn allocate_compactly(&mut self, layout: Layout, need: usize) -> Option<NonNull<u8>> {
        let chunk = self.take_compactly(need, layout.align(), false)?;
        self.tally.record(|counters| counters.allocated(layout.size()));
        // SAFETY: no payload is at address 0.
        unsafe { Some(NonNull::new_unchecked(chunk.payload())) }
    }

    /// Takes an aligned chunk from the first gap of a bin, where it fits; exactly of that size, if
    /// it `is_slab`.
    #[inline]
    pub(crate) fn take_compactly(
        &mut self,
        need: usize,
        align: usize,
        is_slab: bool,
    ) -> Option<Chunk> {
        let bin = self.search_compactly(need, align, is_slab)?;
        // SAFETY: the bin is not empty (I8), and its first gap is large enough.
        unsafe {
            let gap = B::first_gap(self.table(), bin);
            Some(self.take_from(bin, gap, gap.front_for(align), need))
        }
    }

    /// Looks for a gap with room for an aligned chunk.
    fn search_for(&mut self, need: usize, align: usize) -> Option<Chunk> {
        let fits = |gap: Chunk, size: usize| size >= need && size - need >= gap.front_for(align);
        let sure = need.checked_add(max_front(align))?;
        let mut gap = self.search(B::bin_of(need), PROBES, usize::MAX, fits);
        if gap.is_none() {
            gap = self.search(B::bin_above(sure), 1, 1, |_, _| true);
        }
        if gap.is_none() {
            gap = self.search(B::bin_of(need), SEARCH_LIMIT, usize::MAX, fits);
        }
        if gap.is_none() && align > GRAIN {
            // The gap that a source has just brought is the first one of its bin.
            gap = self.search(B::bin_of(need), usize::MAX, 1, fits);
        }
        gap
    }

    /// The first gap that `fits` accepts, among the first `depth` ones of each bin from `bin` on,
    /// and among `limit` in all.
    #[inline]
    pub(crate) fn search(
        &mut self,
        mut bin: usize,
        mut limit: usize,
        depth: usize,
        mut fits: impl FnMut(Chunk, usize) -> bool,
    ) -> Option<Chunk> {
        loop {
            // SAFETY: where a bit is set, there is a table; the bin is not empty (I8), and each gap
            // comes from its list (I7).
            unsafe {
                bin = B::first_from(self.table(), bin)?;
                if CHECKS && !self.first_is_sound(bin) {
                    return None;
                }
                let mut next = Some(B::first_gap(self.table(), bin));
                let mut left = depth;
                while let Some(gap) = next {
                    if limit == 0 {
                        return None;
                    }
                    if CHECKS && !self.gap_is_sound(gap) {
                        self.diagnosis.note(Misuse::Damaged);
                        return None;
                    }
                    if fits(gap, gap.header().size()) {
                        return Some(gap);
                    }
                    limit -= 1;
                    left -= 1;
                    if left == 0 {
                        break;
                    }
                    next = B::next_gap(self.table(), bin, Some(gap));
                }
            }
            bin += 1;
        }
    }

    /// A bin whose first gap has room for an aligned chunk: of those all of whose gaps hold `need`
    /// bytes; if they are all empty, or the layout is over-aligned, of those from that of `need` on.
    /// There is one word of bitmap.
    ///
    /// A slab has exactly its size: what is left above it must be a gap or nothing.
    #[inline]
    fn search_compactly(&mut self, need: usize, align: usize, is_slab: bool) -> Option<usize> {
        // SAFETY: the bins are not empty (I8), and their first gaps have headers.
        unsafe {
            let map = B::Table::map(self.table()).read();
            // The same as from `bin_above` on, which may be one too many to shift by.
            let mut bits = map & (!1 << B::bin_of(need - GRAIN));
            if bits == 0 || align > GRAIN {
                bits = map & (!0 << B::bin_of(need));
            }
            while bits != 0 {
                let bin = bits.trailing_zeros() as usize;
                if CHECKS && !self.first_is_sound(bin) {
                    return None;
                }
                let gap = B::first_gap(self.table(), bin);
                let (size, front) = (gap.header().size(), gap.front_for(align));
                if size >= need
                    && size - need >= front
                    && !(is_slab && CHUNK_UNIT > GRAIN && size - need - front == CHUNK_UNIT - GRAIN)
                {
                    return Some(bin);
                }
                bits &= bits - 1;
            }
        }
        None
    }

    /// Takes a chunk of `need` bytes out of `gap`, `front` bytes above its start.
    ///
    /// # Safety
    /// `gap` must be a gap of at least `front + need` bytes, in its bin's list; `need` a chunk size
    /// (I2), and `front` 0 or at least [`CHUNK_UNIT`], a multiple of [`GRAIN`].
    pub(crate) unsafe fn take(&mut self, gap: Chunk, front: usize, need: usize) -> Chunk {
        // SAFETY: required of the caller; a gap has a header.
        unsafe { self.take_from(B::bin_of(gap.header().size()), gap, front, need) }
    }

    /// The same where the gap's bin is known.
    ///
    /// # Safety
    /// As for [`take`](Self::take), and `bin` must be that of the gap.
    #[inline]
    unsafe fn take_from(&mut self, bin: usize, gap: Chunk, front: usize, need: usize) -> Chunk {
        // SAFETY: `gap` is a gap in a list; its bytes are the allocator's to cut up (I9).
        unsafe {
            let header = gap.header();
            let size = header.size();
            B::unlink(self.table_mut(), gap, bin);
            self.tally.record(|counters| counters.gap_removed(size));
            let mut lower = header;
            if front != 0 {
                self.add_gap(gap, Header::gap(front).with_lower_flags_of(header));
                lower = Header::allocated(0).with_below_free();
            }
            let chunk = gap.above(front);
            self.occupy(chunk, size - front, need, lower);
            chunk
        }
    }

    /// Makes the first `need` of `size` free bytes an allocated chunk, and the rest a gap if it is
    /// large enough to be one. `lower` has the chunk's own lower flags.
    ///
    /// # Safety
    /// The bytes must be the allocator's (I9) and in no list, `size >= need`, both multiples of
    /// [`GRAIN`]; above them stands an allocated chunk or a sentinel, marked `BELOW_FREE`.
    #[inline]
    pub(crate) unsafe fn occupy(&mut self, chunk: Chunk, size: usize, need: usize, lower: Header) {
        let rest = size - need;
        // SAFETY: all headers written lie at the start, the end or inside of the caller's bytes.
        unsafe {
            if rest >= CHUNK_UNIT {
                chunk.set_header(Header::allocated(need).with_lower_flags_of(lower));
                self.add_gap(chunk.above(need), Header::gap(rest));
            } else {
                chunk.set_header(Header::allocated(size).with_lower_flags_of(lower));
                chunk.above(size).set_below_free(false);
            }
        }
    }

    /// Writes a gap and puts it into its list.
    ///
    /// # Safety
    /// As for [`Chunk::set_gap`]. The header above must already be marked `BELOW_FREE`.
    #[inline]
    pub(crate) unsafe fn add_gap(&mut self, gap: Chunk, header: Header) {
        // SAFETY: required of the caller; the table exists wherever there is a chunk (I10).
        unsafe {
            gap.set_gap(header);
            if CHECKS && !self.head_is_sound(B::bin_of(header.size())) {
                self.diagnosis.note(Misuse::Damaged);
                B::abandon(self.table_mut(), B::bin_of(header.size()));
            }
            B::link(self.table_mut(), gap, header.size());
        }
        self.tally.record(|counters| counters.gap_added(header.size()));
    }

    /// Takes a gap out of its list. Its bytes stay as they are.
    ///
    /// # Safety
    /// `gap` must be a gap of `size` bytes, in its list.
    #[inline]
    pub(crate) unsafe fn remove_gap(&mut self, gap: Chunk, size: usize) {
        // SAFETY: required of the caller; the table exists wherever there is a chunk (I10).
        unsafe { B::unlink(self.table_mut(), gap, B::bin_of(size)) };
        self.tally.record(|counters| counters.gap_removed(size));
    }
}
