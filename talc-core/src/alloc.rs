//! Allocating: finding a gap and taking a chunk from it.

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::bins::Bins;
use crate::chunk::{chunk_size, max_front, Chunk, CHUNK_UNIT, GRAIN, MAX_REQUEST};
use crate::header::Header;
use crate::{RawTalc, SEARCH_LIMIT};

impl<const L: usize, const P: usize, const W: usize, const SLAB: usize, const CLASSES: usize>
    RawTalc<Bins<L, P, W, SLAB, CLASSES>>
{
    /// Allocates memory for `layout`, or answers `None` and changes nothing.
    ///
    /// A layout of size zero gets memory of its own, too. After `None`, [`trim`](Self::trim) may
    /// make room.
    ///
    /// # Complexity
    /// O(1): the first gap of the first bin all of whose gaps fit. Before it answers `None` it
    /// also looks at gaps that may fit, at most [`SEARCH_LIMIT`] of one bin, or of each of the
    /// bins between the smallest and the largest gap that an over-aligned layout may need. So
    /// `None` can mean that a gap would have fitted among more than that many of almost its size.
    #[inline]
    pub fn try_allocate(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        if self.table.is_null() || layout.size() > MAX_REQUEST {
            return None;
        }
        if let Some(slot) = self.allocate_slot(layout) {
            return Some(slot);
        }
        self.allocate_chunk(layout)
    }

    /// Allocates a chunk.
    #[inline]
    fn allocate_chunk(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        let need = chunk_size(layout.size());
        // SAFETY: the table exists; the bin that is found is not empty (I8), and what the searches
        // find is a gap in a list that is large enough.
        let payload = unsafe {
            if layout.align() > GRAIN {
                let (gap, front) = self.search_aligned(need, layout.align())?;
                self.take(gap, front, need)
            } else {
                let bin = Bins::<L, P, W, SLAB, CLASSES>::bin_above(need);
                match Bins::first_from(self.table, bin) {
                    Some(bin) => self.take_first(bin, need),
                    None => self.take(self.search_one_bin(need)?, 0, need),
                }
            }
        };
        self.tally.record(|counters| counters.allocated(layout.size()));
        if Self::class_of(layout) < CLASSES {
            // SAFETY: just allocated.
            unsafe { self.count_small_chunk(Chunk::of_payload(payload.as_ptr())) };
        }
        Some(payload)
    }

    /// Takes a chunk of `need` bytes from the start of the first gap of `bin`.
    ///
    /// # Safety
    /// The bin must not be empty, and all its gaps be large enough; `need` a chunk size (I2).
    #[inline]
    unsafe fn take_first(&mut self, bin: usize, need: usize) -> NonNull<u8> {
        // SAFETY: the first gap of the bin is the allocator's to cut up (I9).
        unsafe {
            let gap = Bins::first_gap(self.table, bin);
            let header = gap.header();
            let size = header.size();
            let rest = size - need;
            if rest >= CHUNK_UNIT && Bins::<L, P, W, SLAB, CLASSES>::bin_of(rest) == bin {
                // What is left stays where it is in the list: as of a large gap at the top of a
                // heap, time and again.
                let above = gap.above(need);
                Bins::replace_first(self.table, bin, gap, above);
                above.set_gap(Header::gap(rest).with_top_of(header));
                gap.set_header(Header::allocated(need).with_lower_flags_of(header));
                self.tally.record(|counters| counters.gap_resized(size, rest));
            } else {
                Bins::unlink_first(self.table, bin, gap);
                self.tally.record(|counters| counters.gap_removed(size));
                self.occupy(gap, size, need, header, header);
            }
            NonNull::new_unchecked(gap.payload())
        }
    }

    /// Looks for a gap of `need` bytes in the one bin of which not every gap is large enough.
    #[cold]
    #[inline(never)]
    fn search_one_bin(&self, need: usize) -> Option<Chunk> {
        let bin = Bins::<L, P, W, SLAB, CLASSES>::bin_of(need);
        self.search_bin(bin, |_, size| size >= need)
    }

    /// Looks for a gap with room for an aligned chunk, and how much of the gap's start that
    /// leaves.
    #[inline(never)]
    fn search_aligned(&self, need: usize, align: usize) -> Option<(Chunk, usize)> {
        let fits = |gap: Chunk, size: usize| {
            gap.front_for(align).checked_add(need).map_or(false, |needed| needed <= size)
        };
        let sure = need.checked_add(max_front(align))?;
        let sure_bin = Bins::<L, P, W, SLAB, CLASSES>::bin_above(sure);
        // SAFETY: `try_allocate` checked that the table exists; the bin is not empty (I8).
        unsafe {
            if let Some(bin) = Bins::first_from(self.table, sure_bin) {
                let gap = Bins::first_gap(self.table, bin);
                return Some((gap, gap.front_for(align)));
            }
        }
        // The gaps that may fit are smaller than that, and no smaller than the chunk.
        let mut bin = Bins::<L, P, W, SLAB, CLASSES>::bin_of(need);
        // SAFETY: as above.
        while let Some(found) = unsafe { Bins::first_from(self.table, bin) } {
            if let Some(gap) = self.search_bin(found, fits) {
                return Some((gap, gap.front_for(align)));
            }
            bin = found + 1;
        }
        None
    }

    /// The first gap of a bin that `fits` accepts, among its first [`SEARCH_LIMIT`] ones.
    fn search_bin(&self, bin: usize, fits: impl Fn(Chunk, usize) -> bool) -> Option<Chunk> {
        let mut gap = None;
        for _ in 0..SEARCH_LIMIT {
            // SAFETY: the table exists, and each gap comes from this bin's list (I7).
            unsafe {
                let next = Bins::next_gap(self.table, bin, gap)?;
                if fits(next, next.header().size()) {
                    return Some(next);
                }
                gap = Some(next);
            }
        }
        None
    }

    /// Takes a chunk of `need` bytes out of `gap`, `front` bytes above its start.
    ///
    /// # Safety
    /// `gap` must be a gap of at least `front + need` bytes, in its bin's list; `need` a chunk size
    /// (I2), and `front` 0 or at least [`CHUNK_UNIT`], a multiple of [`GRAIN`].
    #[inline(never)]
    unsafe fn take(&mut self, mut gap: Chunk, front: usize, need: usize) -> NonNull<u8> {
        // SAFETY: `gap` is a gap in a list; its bytes are the allocator's to cut up (I9).
        unsafe {
            let header = gap.header();
            let mut size = header.size();
            self.remove_gap(gap, size);
            let mut lower = header;
            if front != 0 {
                self.add_gap(gap, Header::gap(front).with_lower_flags_of(header));
                gap = gap.above(front);
                size -= front;
                lower = Header::allocated(0).with_below_free();
            }
            self.occupy(gap, size, need, lower, header);
            NonNull::new_unchecked(gap.payload())
        }
    }

    /// Makes the first `need` of `size` free bytes an allocated chunk, and the rest a gap if it is
    /// large enough to be one. `lower` has the chunk's own lower flags, and `top` the `TOP` flag
    /// of the gap that reached up to the same end.
    ///
    /// # Safety
    /// The bytes must be the allocator's (I9) and in no list, `size >= need`, both multiples of
    /// [`GRAIN`]; above them stands an allocated chunk or a sentinel, marked `BELOW_FREE`.
    #[inline]
    pub(crate) unsafe fn occupy(
        &mut self,
        chunk: Chunk,
        size: usize,
        need: usize,
        lower: Header,
        top: Header,
    ) {
        let rest = size - need;
        // SAFETY: all headers written lie at the start, the end or inside of the caller's bytes.
        unsafe {
            if rest >= CHUNK_UNIT {
                chunk.set_header(Header::allocated(need).with_lower_flags_of(lower));
                self.add_gap(chunk.above(need), Header::gap(rest).with_top_of(top));
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
            Bins::link(self.table, gap, header.size());
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
        unsafe { Bins::unlink(self.table, gap) };
        self.tally.record(|counters| counters.gap_removed(size));
    }
}
