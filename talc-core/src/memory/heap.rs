//! Both ends of a heap: its base, and the heap end.

use core::mem::size_of;
use core::ptr::NonNull;

use super::chunk::{Chunk, GRAIN, WORD};

/// The end of a heap: the address just past its sentinel, a multiple of [`GRAIN`] (I1).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct HeapEnd(*mut u8);

impl HeapEnd {
    /// Returns the heap end that a caller has passed.
    #[inline]
    pub(crate) fn from_public(end: NonNull<u8>) -> Self {
        Self(end.as_ptr() as usize as *mut u8)
    }

    /// Returns the heap end whose sentinel is `sentinel`.
    #[inline]
    pub(crate) fn of_sentinel(sentinel: Chunk) -> Self {
        Self(sentinel.payload())
    }

    /// Returns the highest heap end in the `size` bytes at `base`, also if they reach beyond the
    /// address space.
    #[inline]
    pub(crate) fn of_region(base: *mut u8, size: usize) -> Self {
        let top = (base as usize).saturating_add(size) & !(GRAIN - 1);
        Self(base.wrapping_add(top.wrapping_sub(base as usize)))
    }

    /// Returns the sentinel below this heap end.
    ///
    /// # Safety
    /// This must be the end of a heap, or of a future one.
    #[inline]
    pub(crate) unsafe fn sentinel(self) -> Chunk {
        // SAFETY: below a heap end there is a whole chunk and its header (I1).
        unsafe { Chunk::at(self.0.wrapping_sub(WORD)) }
    }

    #[inline]
    pub(crate) fn addr(self) -> usize {
        self.0 as usize
    }

    /// Returns the heap end at `addr`, a multiple of [`GRAIN`], in or just past the same heap.
    #[inline]
    pub(crate) fn at(self, addr: usize) -> Self {
        Self(self.0.wrapping_add(addr.wrapping_sub(self.addr())))
    }

    #[inline]
    pub(crate) fn public(self) -> NonNull<u8> {
        debug_assert!(!self.0.is_null());
        // SAFETY: a sentinel is below each heap end, so the address is not 0 (I1).
        unsafe { NonNull::new_unchecked(self.0) }
    }
}

/// What stands at the base of a heap, in front of its first chunk: its links in the list of heaps.
#[repr(C)]
pub(crate) struct HeapBase {
    pub(crate) next: *mut HeapBase,
    /// Null in the first heap of the list.
    pub(crate) back: *mut HeapBase,
}

const _: () = assert!(size_of::<HeapBase>() == 2 * WORD);

impl HeapBase {
    /// Returns the first chunk of a heap.
    ///
    /// # Safety
    /// `this` must be the base of a heap, or of a future one.
    #[inline]
    pub(crate) unsafe fn first_chunk(this: *mut Self) -> Chunk {
        // SAFETY: it is above a base, and so not null.
        unsafe { Chunk::at(this.cast::<u8>().wrapping_add(size_of::<Self>())) }
    }

    /// Returns the base of a heap in a region that begins at `region`, a multiple of [`GRAIN`].
    #[inline]
    pub(crate) fn of_region(region: *mut u8) -> *mut Self {
        const CHUNK: usize = (size_of::<HeapBase>() + WORD + (GRAIN - 1)) / GRAIN * GRAIN - WORD;
        region.wrapping_add(CHUNK - size_of::<Self>()).cast()
    }

    /// Returns the base of the heap whose first chunk is `first`.
    #[inline]
    pub(crate) fn of_first_chunk(first: Chunk) -> *mut Self {
        first.ptr().wrapping_sub(size_of::<Self>()).cast()
    }
}

/// Returns the first chunk and the end of a heap in the `size` bytes at `base`; `None` if it has no
/// room for `chunks` bytes of chunks.
///
/// This is arithmetic on addresses only: nothing is read or written.
pub(crate) fn place_heap(base: *mut u8, size: usize, chunks: usize) -> Option<(Chunk, HeapEnd)> {
    let end = HeapEnd::of_region(base, size);
    let payload =
        (base as usize).checked_add(size_of::<HeapBase>() + WORD)?.checked_add(GRAIN - 1)?
            & !(GRAIN - 1);
    // The sentinel is where one more chunk's header would be.
    let least_end = payload.checked_add(chunks)?;
    if end.addr() < least_end {
        return None;
    }
    // SAFETY: `payload - WORD` is two words or more above `base`, without wrapping around.
    let first = unsafe { Chunk::at(base.wrapping_add(payload - WORD - base as usize)) };
    Some((first, end))
}

/// The bytes of a heap around its chunks: its base and its sentinel.
pub(crate) const HEAP_WORDS: usize = size_of::<HeapBase>() + WORD;

/// Maximum number of bytes that [`place_heap`] spends around the chunks of a heap, whatever the
/// alignment of its region.
pub(crate) const HEAP_OVERHEAD: usize = size_of::<HeapBase>() + WORD + (GRAIN - 1);

/// The number of bytes that it spends if the region begins and ends at multiples of [`GRAIN`].
pub(crate) const ALIGNED_HEAP_OVERHEAD: usize =
    (size_of::<HeapBase>() + WORD + (GRAIN - 1)) / GRAIN * GRAIN;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CHUNK_UNIT;
    use core::ptr::null_mut;

    /// Addresses only: nothing is dereferenced, so heaps may lie where no memory is.
    #[test]
    fn heaps_at_both_ends_of_the_address_space() {
        let top = usize::MAX as *mut u8;
        // The last grain of the address space is never part of a heap, whose end would be 0.
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
}
