//! Chunks as pointers, and their sizes.
//!
//! Provenance: [`RawTalc::claim`](crate::RawTalc::claim) exposes the address of each heap. A
//! pointer that comes back from a caller may have been narrowed to its payload by a reference, so
//! it is turned into a chunk through its address. Everything else moves pointers with
//! `wrapping_add` and `wrapping_sub`, which keep the heap's provenance.

use core::mem::{size_of, MaybeUninit};
use core::ptr::{addr_of, NonNull};

use super::fill::{seal, SEAL};
use super::header::Header;
use super::key::key;
use super::magazine::Magazine;
use crate::tier::{FILLS, NOTES};

/// The size of a machine word, and so of a header and of a footer.
pub(crate) const WORD: usize = size_of::<usize>();

/// Chunk sizes are multiples of this, in bytes, and payloads are aligned to it.
pub(crate) const GRAIN: usize = 16;

/// The size of the smallest chunk in bytes: four words, as a gap needs them for its header, two
/// links and footer.
///
/// A heap is extended or truncated by at least this much, or not at all.
pub const CHUNK_UNIT: usize = 4 * WORD;

const _: () = assert!(CHUNK_UNIT % GRAIN == 0);

/// The size of a rest that is too small for a gap; 0 if there is none.
pub(crate) const HOLE: usize = CHUNK_UNIT - GRAIN;
const _: () = assert!(HOLE == 0 || HOLE == GRAIN);

/// Maximum size of a request in bytes, so that its chunk is not larger than `isize::MAX`.
pub(crate) const MAX_REQUEST: usize = (isize::MAX as usize & !(GRAIN - 1)) - WORD - SEAL;

/// Returns the size of the chunk for a layout of `size` bytes, where `size <= MAX_REQUEST`.
#[inline]
pub(crate) const fn chunk_size(size: usize) -> usize {
    size_around(size + SEAL)
}

/// Returns the size of the chunk whose payload has at least `payload` bytes.
#[inline]
pub(crate) const fn size_around(payload: usize) -> usize {
    let rounded = (payload + WORD + (GRAIN - 1)) & !(GRAIN - 1);
    if CHUNK_UNIT > GRAIN && rounded < CHUNK_UNIT {
        CHUNK_UNIT
    } else {
        rounded
    }
}

/// Returns the size of the chunk for a layout of `size` bytes; `None` if `size` is larger
/// than [`MAX_REQUEST`], as in layouts of more than `isize::MAX` bytes, which should not exist.
#[inline]
pub(crate) const fn checked_chunk_size(size: usize) -> Option<usize> {
    if size <= MAX_REQUEST {
        Some(chunk_size(size))
    } else {
        None
    }
}

/// The links of a gap in its bin's list. They are where an allocated chunk's payload is.
#[repr(C)]
pub(crate) struct Links {
    /// First, so that a pointer to a list's head can stand for a pointer to the links before it.
    pub(crate) next: Link,
    /// To null in the first gap of a list.
    pub(crate) back: Link,
}

/// A link as it stands in a gap: combined with the [key](super::key), if there is one.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct Link(*mut Links);

impl Link {
    /// Returns the link that leads to `links`, or to null.
    #[inline]
    pub(crate) fn to(links: *mut Links) -> Self {
        Self(with_key(links))
    }

    /// Returns what stands for the link in a list's head: the pointer itself.
    #[inline]
    pub(crate) fn in_head(links: *mut Links) -> Self {
        Self(links)
    }

    /// Returns where the link leads.
    #[inline]
    pub(crate) fn target(self) -> *mut Links {
        with_key(self.0)
    }
}

/// Combines a pointer with the key, or takes the key out of it again.
#[inline]
fn with_key(links: *mut Links) -> *mut Links {
    if FILLS {
        // The round trip through an address takes up the provenance that `claim` exposed.
        (links as usize ^ key()) as *mut Links
    } else {
        links
    }
}

/// A chunk, allocated or a gap, or the sentinel, as the address of its header.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Chunk(NonNull<u8>);

impl Chunk {
    /// Returns the chunk whose header is at `header`.
    ///
    /// # Safety
    /// `header` must not be null. No header is: the base of its heap is below it.
    #[inline]
    pub(crate) unsafe fn at(header: *mut u8) -> Self {
        // SAFETY: required of the caller.
        Self(unsafe { NonNull::new_unchecked(header) })
    }

    #[inline]
    pub(crate) fn ptr(self) -> *mut u8 {
        self.0.as_ptr()
    }

    /// Returns the chunk whose payload is at `payload`.
    ///
    /// # Safety
    /// `payload` must not be at address [`WORD`], as none inside of a heap is.
    #[inline]
    pub(crate) unsafe fn of_payload(payload: *mut u8) -> Self {
        // The round trip through an address takes up the provenance that `claim` exposed.
        // SAFETY: required of the caller.
        unsafe { Self::at((payload as usize).wrapping_sub(WORD) as *mut u8) }
    }

    /// Returns the gap whose links these are.
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

    /// Returns the payload, as a new allocation of `size` bytes.
    ///
    /// # Safety
    /// It must be an allocated chunk.
    #[inline]
    pub(crate) unsafe fn allocation(self, size: usize) -> NonNull<u8> {
        // SAFETY: required of the caller.
        unsafe {
            // First, as the seal may be where the mark was.
            Magazine::clear_mark(self.payload());
            self.set_layout_size(size);
        }
        // SAFETY: it is above a header, and no heap reaches beyond the top of the address space.
        unsafe { NonNull::new_unchecked(self.payload()) }
    }

    /// [Notes](Header::noting) the size of the layout that the chunk is allocated for, and [seals](seal) it there.
    ///
    /// # Safety
    /// It must be an allocated chunk that is large enough.
    #[inline]
    pub(crate) unsafe fn set_layout_size(self, size: usize) {
        // SAFETY: required of the caller.
        unsafe {
            if NOTES {
                self.set_header(self.header().noting(size));
            }
            seal(self.payload(), size);
        }
    }

    /// Returns the links of a gap.
    #[inline]
    pub(crate) fn links(self) -> *mut Links {
        self.payload().cast()
    }

    /// Returns the gap after this one in its list; `None` if it is the last one.
    ///
    /// # Safety
    /// This must be a gap in a list (I7).
    #[inline]
    pub(crate) unsafe fn next_gap(self) -> Option<Self> {
        // SAFETY: the links of a gap in a list are initialised, and lead to links of gaps (I7).
        unsafe {
            let next = addr_of!((*self.links()).next).read().target();
            if next.is_null() {
                None
            } else {
                Some(Self::of_links(next))
            }
        }
    }

    #[inline]
    pub(crate) fn addr(self) -> usize {
        self.ptr() as usize
    }

    /// Returns the chunk `size` bytes further up, which is the next one if `size` is this chunk's.
    ///
    /// # Safety
    /// Its address must not be 0.
    #[inline]
    pub(crate) unsafe fn above(self, size: usize) -> Self {
        // SAFETY: required of the caller.
        unsafe { Self::at(self.ptr().wrapping_add(size)) }
    }

    /// Returns the chunk `size` bytes further down.
    ///
    /// # Safety
    /// As for [`above`](Self::above).
    #[inline]
    pub(crate) unsafe fn below(self, size: usize) -> Self {
        // SAFETY: required of the caller.
        unsafe { Self::at(self.ptr().wrapping_sub(size)) }
    }

    /// Reads the header.
    ///
    /// # Safety
    /// The header must be in a heap, and be initialised (I2).
    #[inline]
    pub(crate) unsafe fn header(self) -> Header {
        // SAFETY: required of the caller; headers are word-aligned (I2).
        unsafe { self.ptr().cast::<Header>().read() }
    }

    /// Reads the word of this header for the cache alone. That does not wait for other loads, as [`above`](Self::above) with a
    /// size from a header does: where both are far away, their latencies overlap.
    ///
    /// # Safety
    /// The word must be in a heap.
    #[inline]
    pub(crate) unsafe fn prefetch(self) {
        // Not all targets have an instruction for it that stable compilers know.
        // SAFETY: required of the caller; the word may be a part of a payload, and not be initialised.
        unsafe { self.ptr().cast::<MaybeUninit<Header>>().read_volatile() };
    }

    /// Writes the header.
    ///
    /// # Safety
    /// The header must be in a heap, outside of every payload (I2).
    #[inline]
    pub(crate) unsafe fn set_header(self, header: Header) {
        // SAFETY: required of the caller; headers are word-aligned (I2).
        unsafe { self.ptr().cast::<Header>().write(header) }
    }

    /// Returns the size of the gap below, from its footer.
    ///
    /// # Safety
    /// There must be a gap below this chunk (I4, I5).
    #[inline]
    pub(crate) unsafe fn size_below(self) -> usize {
        // SAFETY: the word below a header whose BELOW_FREE flag is set is a footer (I5).
        unsafe { self.ptr().wrapping_sub(WORD).cast::<usize>().read() }
    }

    /// Writes a gap's header and footer.
    ///
    /// # Safety
    /// The `header.size()` bytes from this chunk on must belong to the allocator, outside of every
    /// payload (I2, I9).
    #[inline]
    pub(crate) unsafe fn set_gap(self, header: Header) {
        // SAFETY: header and footer are in the bytes that the caller vouches for.
        unsafe {
            let above = self.above(header.size());
            self.set_header(header);
            above.ptr().wrapping_sub(WORD).cast::<usize>().write(header.size());
        }
    }

    /// Marks the chunk as having a gap below, or not.
    ///
    /// # Safety
    /// As for [`set_header`](Self::set_header); and the header must be initialised.
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

    /// Returns how many bytes a chunk of alignment `align` must leave free at the start of this
    /// gap, so that its payload is aligned and the bytes left are a gap or nothing.
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

    /// Returns how many bytes of this gap of `size` bytes are below the highest slab of `slab`
    /// bytes that it can hold, so that the bytes left on both sides are gaps or nothing; `None` if
    /// it holds none.
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

/// Returns the maximum of what [`Chunk::front_for`] returns.
#[inline]
pub(crate) const fn max_front(align: usize) -> usize {
    if align <= GRAIN {
        0
    } else {
        align + HOLE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunk_sizes() {
        assert_eq!(chunk_size(0), CHUNK_UNIT);
        assert_eq!(chunk_size(CHUNK_UNIT - WORD - SEAL), CHUNK_UNIT);
        assert_eq!(chunk_size(CHUNK_UNIT - WORD - SEAL + 1), CHUNK_UNIT + GRAIN);
        assert!(chunk_size(MAX_REQUEST) >= MAX_REQUEST + WORD + SEAL);
        assert_eq!(checked_chunk_size(MAX_REQUEST), Some(isize::MAX as usize & !(GRAIN - 1)));
        for size in [MAX_REQUEST + 1, isize::MAX as usize, usize::MAX - 20, usize::MAX] {
            assert_eq!(checked_chunk_size(size), None);
        }
    }

    /// For every size in a small domain, and near the limit: the least multiple of a grain that holds the
    /// payload and a header, and is a chunk. So it grows with the size.
    #[test]
    fn chunk_sizes_are_the_least() {
        let limit = MAX_REQUEST - 4096..=MAX_REQUEST;
        for size in (0..1 << 16).chain(limit) {
            let chunk = chunk_size(size);
            assert_eq!(checked_chunk_size(size), Some(chunk));
            assert!(chunk % GRAIN == 0 && chunk >= CHUNK_UNIT && chunk >= size + WORD + SEAL);
            assert!(chunk == CHUNK_UNIT || chunk - GRAIN < size + WORD + SEAL, "{size}");
        }
    }

    /// A chunk at every place that one can have in so many bytes; nothing is dereferenced.
    fn chunks_below(limit: usize) -> impl Iterator<Item = Chunk> {
        // SAFETY: none is at address 0.
        (2 * GRAIN..limit).step_by(GRAIN).map(|addr| unsafe { Chunk::of_payload(addr as *mut u8) })
    }

    /// For every place and alignment in a small domain: the least front after which the payload is
    /// aligned, which is a gap or nothing; and never more than the maximum.
    #[test]
    fn fronts_are_the_least() {
        for log2 in 0..13 {
            let align = 1_usize << log2;
            for gap in chunks_below(3 << 13) {
                let addr = gap.payload() as usize;
                let least = (0..).step_by(GRAIN).find(|&front| {
                    (addr + front) % align.max(GRAIN) == 0 && (front == 0 || front >= CHUNK_UNIT)
                });
                assert_eq!(Some(gap.front_for(align)), least, "{addr:#x} for {align}");
                assert!(gap.front_for(align) <= max_front(align));
            }
        }
    }

    /// For every gap in a small domain: the highest slab with gaps or nothing on both sides.
    #[test]
    fn fronts_for_slabs_are_the_highest() {
        for slab in [256, 512] {
            for gap in chunks_below(3 * slab) {
                for size in (CHUNK_UNIT..4 * slab).step_by(GRAIN) {
                    let lowest = gap.payload() as usize;
                    let is_gap_or_nothing = |bytes: usize| bytes == 0 || bytes >= CHUNK_UNIT;
                    let suits = |front: &usize| {
                        (lowest + front) % slab == 0
                            && front + slab <= size
                            && is_gap_or_nothing(*front)
                            && is_gap_or_nothing(size - front - slab)
                    };
                    let highest = (0..=size).step_by(GRAIN).filter(suits).last();
                    assert_eq!(gap.front_for_slab(size, slab), highest, "{size} at {lowest:#x}");
                }
            }
        }
    }
}
