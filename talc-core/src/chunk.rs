//! Chunks and heap ends as pointers: all pointer arithmetic of the crate stands here.
//!
//! Provenance: [`RawTalc::claim`](crate::RawTalc::claim) exposes the address of each heap, and a
//! payload that comes back from a caller, whose pointer may have been narrowed to the payload by
//! a reference, is turned into a chunk through its address. Everything else moves pointers with
//! `wrapping_add` and `wrapping_sub`, which keep the heap's provenance.

use core::mem::size_of;
use core::ptr::NonNull;

use crate::bins::Links;
use crate::header::Header;

/// One machine word: the size of a header and of a footer.
pub(crate) const WORD: usize = size_of::<usize>();

/// Chunk sizes are multiples of this, in bytes, and payloads are aligned to it.
pub(crate) const GRAIN: usize = 16;

/// The size of the smallest chunk in bytes: four words, which is what a gap needs for its header,
/// two links and footer.
///
/// Heaps are only extended and truncated by nothing or by at least this much.
pub const CHUNK_UNIT: usize = 4 * WORD;

const _: () = assert!(CHUNK_UNIT % GRAIN == 0);

/// The largest request in bytes that is looked at, so that its chunk is not larger than `isize::MAX`.
pub(crate) const MAX_REQUEST: usize = (isize::MAX as usize & !(GRAIN - 1)) - WORD;

/// The size of the chunk that holds a payload of `size` bytes, where `size <= MAX_REQUEST`.
#[inline]
pub(crate) const fn chunk_size(size: usize) -> usize {
    let rounded = (size + WORD + (GRAIN - 1)) & !(GRAIN - 1);
    if CHUNK_UNIT > GRAIN && rounded < CHUNK_UNIT {
        CHUNK_UNIT
    } else {
        rounded
    }
}

/// The size of the chunk that holds a payload of `size` bytes; `None` if that is larger than
/// [`MAX_REQUEST`]. Layouts of more than `isize::MAX` bytes, which should not exist, are too.
#[inline]
pub(crate) const fn checked_chunk_size(size: usize) -> Option<usize> {
    if size <= MAX_REQUEST {
        Some(chunk_size(size))
    } else {
        None
    }
}

/// A chunk, allocated or a gap, or the sentinel: the address of its header.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Chunk(NonNull<u8>);

impl Chunk {
    /// The chunk whose header is at `header`.
    ///
    /// # Safety
    /// It must not be null. No header is: below the first one of a heap stands its [`HeapBase`].
    #[inline]
    unsafe fn at(header: *mut u8) -> Self {
        // SAFETY: required of the caller.
        Self(unsafe { NonNull::new_unchecked(header) })
    }

    #[inline]
    fn ptr(self) -> *mut u8 {
        self.0.as_ptr()
    }

    /// The chunk whose payload is at `payload`.
    ///
    /// # Safety
    /// `payload` must not be at address [`WORD`], as none inside of a heap is.
    #[inline]
    pub(crate) unsafe fn of_payload(payload: *mut u8) -> Self {
        // The round trip through an address takes up the provenance that `claim` exposed.
        // SAFETY: required of the caller.
        unsafe { Self::at((payload as usize).wrapping_sub(WORD) as *mut u8) }
    }

    /// The gap whose links these are.
    ///
    /// # Safety
    /// As for [`of_payload`](Self::of_payload).
    #[inline]
    pub(crate) unsafe fn of_links(links: *mut Links) -> Self {
        // SAFETY: required of the caller.
        unsafe { Self::at(links.cast::<u8>().wrapping_sub(WORD)) }
    }

    #[inline]
    pub(crate) fn payload(self) -> *mut u8 {
        self.ptr().wrapping_add(WORD)
    }

    /// The links of a gap, which stand where an allocated chunk's payload is.
    #[inline]
    pub(crate) fn links(self) -> *mut Links {
        self.payload().cast()
    }

    #[inline]
    pub(crate) fn addr(self) -> usize {
        self.ptr() as usize
    }

    /// The chunk `size` bytes further up: the next one, if `size` is this chunk's.
    ///
    /// # Safety
    /// That must not be address 0.
    #[inline]
    pub(crate) unsafe fn above(self, size: usize) -> Self {
        // SAFETY: required of the caller.
        unsafe { Self::at(self.ptr().wrapping_add(size)) }
    }

    /// The chunk `size` bytes further down.
    ///
    /// # Safety
    /// As for [`above`](Self::above).
    #[inline]
    pub(crate) unsafe fn below(self, size: usize) -> Self {
        // SAFETY: required of the caller.
        unsafe { Self::at(self.ptr().wrapping_sub(size)) }
    }

    /// # Safety
    /// The header must lie inside of a heap, and be initialised (I2).
    #[inline]
    pub(crate) unsafe fn header(self) -> Header {
        // SAFETY: required of the caller; headers are word-aligned (I2).
        unsafe { self.ptr().cast::<Header>().read() }
    }

    /// # Safety
    /// The header must lie inside of a heap, outside of every payload (I2).
    #[inline]
    pub(crate) unsafe fn set_header(self, header: Header) {
        // SAFETY: required of the caller; headers are word-aligned (I2).
        unsafe { self.ptr().cast::<Header>().write(header) }
    }

    /// The size of the gap below, from its footer.
    ///
    /// # Safety
    /// This chunk must have a gap below (I4, I5).
    #[inline]
    pub(crate) unsafe fn size_below(self) -> usize {
        // SAFETY: the word below a header whose BELOW_FREE flag is set is a footer (I5).
        unsafe { self.ptr().wrapping_sub(WORD).cast::<usize>().read() }
    }

    /// Writes a gap: header and footer.
    ///
    /// # Safety
    /// The `header.size()` bytes from this chunk on must belong to the allocator, outside of every
    /// payload (I2, I9).
    #[inline]
    pub(crate) unsafe fn set_gap(self, header: Header) {
        // SAFETY: header and footer lie inside of the bytes that the caller vouches for.
        unsafe {
            let above = self.above(header.size());
            self.set_header(header);
            above.ptr().wrapping_sub(WORD).cast::<usize>().write(header.size());
        }
    }

    /// Marks the chunk as having a gap below, or not.
    ///
    /// # Safety
    /// As for [`set_header`](Self::set_header), and the header must be initialised.
    #[inline]
    pub(crate) unsafe fn set_below_free(self, is_free: bool) {
        // SAFETY: required of the caller.
        unsafe {
            let header = self.header();
            self.set_header(if is_free {
                header.with_below_free()
            } else {
                header.without_below_free()
            });
        }
    }

    /// How many bytes a chunk of alignment `align` must leave free at the start of this gap, so
    /// that its payload is aligned and the bytes left are a gap or nothing.
    #[inline]
    pub(crate) fn front_for(self, align: usize) -> usize {
        if align <= GRAIN {
            return 0;
        }
        let front = (self.payload() as usize).wrapping_neg() & (align - 1);
        // Payloads are multiples of `GRAIN` apart.
        if CHUNK_UNIT > GRAIN && front != 0 && front < CHUNK_UNIT {
            front + align
        } else {
            front
        }
    }

    /// How many bytes of this gap of `size` bytes lie below the highest slab of `slab` bytes that
    /// it can hold, so that the bytes left on both sides are gaps or nothing.
    pub(crate) fn front_for_slab(self, size: usize, slab: usize) -> Option<usize> {
        let lowest = self.payload() as usize;
        let highest = (lowest + size).checked_sub(slab)?;
        let mut payload = highest & !(slab - 1);
        let above = highest - payload;
        if above != 0 && above < CHUNK_UNIT {
            payload = payload.checked_sub(slab)?;
        }
        let front = payload.checked_sub(lowest)?;
        if front == 0 || front >= CHUNK_UNIT {
            Some(front)
        } else {
            None
        }
    }
}

/// The most that [`Chunk::front_for`] answers.
#[inline]
pub(crate) const fn max_front(align: usize) -> usize {
    if align <= GRAIN {
        0
    } else {
        align + (CHUNK_UNIT - GRAIN)
    }
}

/// The end of a heap: the address just past its sentinel, a multiple of [`GRAIN`] (I1).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct HeapEnd(*mut u8);

impl HeapEnd {
    /// The heap end that a caller hands back.
    #[inline]
    pub(crate) fn from_public(end: NonNull<u8>) -> Self {
        Self(end.as_ptr() as usize as *mut u8)
    }

    /// The heap end whose sentinel is `sentinel`.
    #[inline]
    pub(crate) fn of_sentinel(sentinel: Chunk) -> Self {
        Self(sentinel.payload())
    }

    /// The highest heap end in the `size` bytes at `base`; where they reach beyond the address space,
    /// below its top.
    #[inline]
    pub(crate) fn of_region(base: *mut u8, size: usize) -> Self {
        let top = (base as usize).saturating_add(size) & !(GRAIN - 1);
        Self(base.wrapping_add(top.wrapping_sub(base as usize)))
    }

    /// The sentinel below this heap end.
    ///
    /// # Safety
    /// This must be the end of a heap, or of where one will lie.
    #[inline]
    pub(crate) unsafe fn sentinel(self) -> Chunk {
        // SAFETY: below a heap end there is a whole chunk and its header (I1).
        unsafe { Chunk::at(self.0.wrapping_sub(WORD)) }
    }

    #[inline]
    pub(crate) fn addr(self) -> usize {
        self.0 as usize
    }

    /// The heap end at `addr`, a multiple of [`GRAIN`], in or just past the same heap.
    #[inline]
    pub(crate) fn at(self, addr: usize) -> Self {
        Self(self.0.wrapping_add(addr.wrapping_sub(self.addr())))
    }

    #[inline]
    pub(crate) fn public(self) -> NonNull<u8> {
        debug_assert!(!self.0.is_null());
        // SAFETY: a sentinel lies below each heap end, so that the address is not 0 (I1).
        unsafe { NonNull::new_unchecked(self.0) }
    }
}

/// What stands at the base of a heap, in front of its first chunk: its place in the list of heaps.
#[repr(C)]
pub(crate) struct HeapBase {
    pub(crate) next: *mut HeapBase,
    /// Null if it is the first one in the list.
    pub(crate) back: *mut HeapBase,
}

const _: () = assert!(size_of::<HeapBase>() == 2 * WORD);

impl HeapBase {
    /// The first chunk of a heap.
    ///
    /// # Safety
    /// `this` must be the base of a heap, or of where one will lie.
    #[inline]
    pub(crate) unsafe fn first_chunk(this: *mut Self) -> Chunk {
        // SAFETY: above a base, and so not null.
        unsafe { Chunk::at(this.cast::<u8>().wrapping_add(size_of::<Self>())) }
    }

    /// The base of a heap in a region that begins at `region`, a multiple of [`GRAIN`].
    #[inline]
    pub(crate) fn of_region(region: *mut u8) -> *mut Self {
        const CHUNK: usize = (size_of::<HeapBase>() + WORD + (GRAIN - 1)) / GRAIN * GRAIN - WORD;
        region.wrapping_add(CHUNK - size_of::<Self>()).cast()
    }

    /// The base of the heap whose first chunk is `first`.
    #[inline]
    pub(crate) fn of_first_chunk(first: Chunk) -> *mut Self {
        first.ptr().wrapping_sub(size_of::<Self>()).cast()
    }
}

/// Where a heap in the `size` bytes at `base` would lie: its base and its end, wide enough for
/// chunks of `chunks` bytes; `None` if the region is too small.
///
/// Pure arithmetic on addresses: nothing is read or written.
pub(crate) fn place_heap(base: *mut u8, size: usize, chunks: usize) -> Option<(Chunk, HeapEnd)> {
    let end = HeapEnd::of_region(base, size);
    let payload =
        (base as usize).checked_add(size_of::<HeapBase>() + WORD)?.checked_add(GRAIN - 1)?
            & !(GRAIN - 1);
    // The sentinel's header takes the place of one more chunk's header.
    let least_end = payload.checked_add(chunks)?;
    if end.addr() < least_end {
        return None;
    }
    // SAFETY: `payload - WORD` is two words or more above `base`, without wrapping around.
    let first = unsafe { Chunk::at(base.wrapping_add(payload - WORD - base as usize)) };
    Some((first, end))
}

/// The most that [`place_heap`] spends around the chunks of a heap, in bytes, whatever the
/// alignment of its region.
pub(crate) const HEAP_OVERHEAD: usize = size_of::<HeapBase>() + WORD + (GRAIN - 1);

/// What it spends where the region begins and ends at multiples of [`GRAIN`].
pub(crate) const ALIGNED_HEAP_OVERHEAD: usize =
    (size_of::<HeapBase>() + WORD + (GRAIN - 1)) / GRAIN * GRAIN;

#[cfg(test)]
mod tests {
    use super::*;
    use core::ptr::null_mut;

    /// Addresses only: nothing is dereferenced, so heaps may lie where no memory is.
    #[test]
    fn heaps_at_both_ends_of_the_address_space() {
        let top = usize::MAX as *mut u8;
        // The last grain of the address space is never part of a heap: its end would be 0.
        let (first, end) = place_heap(top.wrapping_sub(4095), 1 << 20, CHUNK_UNIT).unwrap();
        assert_eq!(end.addr(), usize::MAX & !(GRAIN - 1));
        assert!(first.addr() > usize::MAX - 4096 && first.addr() < end.addr());
        assert!(place_heap(top, 1, 0).is_none());
        assert!(place_heap(top.wrapping_sub(15), usize::MAX, 0).is_none());

        // At the bottom nothing is at address 0.
        let (first, end) = place_heap(null_mut(), 4096, CHUNK_UNIT).unwrap();
        assert!(HeapBase::of_first_chunk(first) as usize != 0);
        assert_eq!(end.addr(), 4096);
        assert!(place_heap(null_mut(), 0, 0).is_none());
        let (_, end) = place_heap(null_mut(), usize::MAX, CHUNK_UNIT).unwrap();
        assert_eq!(end.addr(), usize::MAX & !(GRAIN - 1));
    }

    #[test]
    fn heaps_fit_their_region_at_every_offset() {
        for base in 1000..1064_usize {
            for chunks in [0, CHUNK_UNIT, 5 * GRAIN + CHUNK_UNIT] {
                let least = (0..).find(|&n| place_heap(base as *mut u8, n, chunks).is_some());
                let least = least.unwrap();
                assert!(least <= chunks + HEAP_OVERHEAD);
                let (first, end) = place_heap(base as *mut u8, least, chunks).unwrap();
                assert!(HeapBase::of_first_chunk(first) as usize >= base);
                assert!(end.addr() <= base + least);
                // SAFETY: nothing is dereferenced.
                let sentinel = unsafe { end.sentinel() };
                assert_eq!(sentinel.addr() - first.addr(), chunks);
                assert_eq!(first.payload() as usize % GRAIN, 0);
            }
        }
    }

    #[test]
    fn chunk_sizes() {
        assert_eq!(chunk_size(0), CHUNK_UNIT);
        assert_eq!(chunk_size(CHUNK_UNIT - WORD), CHUNK_UNIT);
        assert_eq!(chunk_size(CHUNK_UNIT - WORD + 1), CHUNK_UNIT + GRAIN);
        assert!(chunk_size(MAX_REQUEST) >= MAX_REQUEST + WORD);
        assert_eq!(checked_chunk_size(MAX_REQUEST), Some(isize::MAX as usize & !(GRAIN - 1)));
        for size in [MAX_REQUEST + 1, isize::MAX as usize, usize::MAX - 20, usize::MAX] {
            assert_eq!(checked_chunk_size(size), None);
        }
    }
}
