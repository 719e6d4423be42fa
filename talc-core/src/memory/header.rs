//! The header, which is the word in front of every payload: a size and four flags.

use core::mem::size_of;

use crate::tier::{FILLS, NOTES};

/// A chunk's header: its size in bytes, a multiple of [`GRAIN`](super::chunk::GRAIN), and flags in
/// the low four bits.
///
/// | `FREE` | `MARK` | size | what stands there |
/// |:------:|:------:|:----:|-------------------|
/// | 0      | 0      | > 0  | an allocated chunk |
/// | 0      | 1      | > 0  | an allocated chunk with a mark: a slab, or a small one that is counted |
/// | 1      | 0      | > 0  | a gap |
/// | 0      | 1      | 0    | the sentinel at the heap end |
///
/// With [`NOTES`], the highest byte is about the layout of an allocation: see [`noting`](Header::noting). No
/// heap is that large.
///
/// `BELOW_FREE` and `BASE` are independent of these. They say that the chunk below, in the same
/// heap, is a gap; and that the chunk is the first one of its heap.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct Header(usize);

impl Header {
    const FREE: usize = 1 << 0;
    const BELOW_FREE: usize = 1 << 1;
    const BASE: usize = 1 << 2;
    const MARK: usize = 1 << 3;
    const FLAGS: usize = 0b1111;
    const NOTE: usize = 0xFF << Self::NOTE_SHIFT;
    const NOTE_SHIFT: u32 = usize::BITS - 8;
    /// The bits of the size.
    const SIZE: usize = if NOTES { !(Self::FLAGS | Self::NOTE) } else { !Self::FLAGS };

    /// The sentinel at a heap end, above an allocated chunk.
    pub(crate) const SENTINEL: Self = Self(Self::MARK);

    /// What builds with [checks](crate::tier::CHECKS) leave in place of a freed chunk's header. No chunk
    /// is free and empty, so a second free of the same pointer is recognised.
    pub(crate) const FREED: Self = Self(Self::FREE);

    #[inline]
    pub(crate) const fn allocated(size: usize, below: Below) -> Self {
        Self(size | below.flags())
    }

    #[inline]
    pub(crate) const fn gap(size: usize, below: Below) -> Self {
        Self(size | below.flags() | Self::FREE)
    }

    #[inline]
    pub(crate) const fn size(self) -> usize {
        self.0 & Self::SIZE
    }

    /// Returns the header of an allocated chunk whose layout has `size` bytes, as far as it has room for that: with
    /// the low byte of the number of words.
    #[inline]
    pub(crate) const fn noting(self, size: usize) -> Self {
        if NOTES {
            Self((self.0 & !Self::NOTE) | Self::note(size))
        } else {
            self
        }
    }

    /// Returns the header of a gap all of whose words but its links and its footer are [filled](super::fill), or not,
    /// as far as it has room for that.
    #[inline]
    pub(crate) const fn filled(self, is_filled: bool) -> Self {
        if NOTES && is_filled {
            Self(self.0 | Self::NOTE)
        } else {
            self
        }
    }

    /// Returns whether this gap is [filled](Self::filled).
    #[inline]
    pub(crate) const fn is_filled(self) -> bool {
        NOTES && FILLS && self.0 & Self::NOTE != 0
    }

    /// Words, because whoever keeps allocations of several sizes for one of them may round to these.
    const fn note(size: usize) -> usize {
        (size.saturating_sub(1) / size_of::<usize>()) << Self::NOTE_SHIFT
    }

    /// Returns whether the layout may have `size` bytes, by what was [noted](Self::noting).
    #[inline]
    pub(crate) const fn has_noted(self, size: usize) -> bool {
        !NOTES || (self.0 ^ Self::note(size)) & Self::NOTE == 0
    }

    #[inline]
    pub(crate) const fn is_gap(self) -> bool {
        self.0 & Self::FREE != 0
    }

    #[inline]
    pub(crate) const fn is_below_free(self) -> bool {
        self.below().is_gap()
    }

    #[inline]
    pub(crate) const fn is_base(self) -> bool {
        self.below().is_base()
    }

    /// Returns whether this allocated chunk has a mark.
    #[inline]
    pub(crate) const fn is_marked(self) -> bool {
        self.0 & Self::MARK != 0
    }

    #[inline]
    pub(crate) const fn with_mark(self) -> Self {
        Self(self.0 | Self::MARK)
    }

    /// As [`with_mark`](Self::with_mark), of a header without one.
    ///
    /// This and what takes a flag away is arithmetic, as compilers make `|` and `&` a write of one byte. A load of the
    /// whole word has to wait until that is in the cache: a pair of 512 bytes took 6.8 ns instead of 3.6.
    #[inline]
    pub(crate) const fn marked(self) -> Self {
        debug_assert!(!self.is_marked());
        Self(self.0.wrapping_add(Self::MARK))
    }

    /// Returns this header, which must have a mark, without it.
    #[inline]
    pub(crate) const fn without_mark(self) -> Self {
        debug_assert!(self.is_marked());
        Self(self.0.wrapping_sub(Self::MARK))
    }

    #[inline]
    pub(crate) const fn is_sentinel(self) -> bool {
        self.0 & !Self::BELOW_FREE == Self::MARK
    }

    /// Returns whether this is the header of the sentinel, or of a slab of `slab` bytes. Of all
    /// marked chunks, only their sizes are multiples of a slab's.
    #[inline]
    pub(crate) const fn is_sentinel_or_slab(self, slab: usize) -> bool {
        self.0 & slab.wrapping_sub(1) & !Self::BELOW_FREE == Self::MARK
    }

    #[inline]
    pub(crate) const fn with_below_free(self) -> Self {
        Self(self.0 | Self::BELOW_FREE)
    }

    #[inline]
    pub(crate) const fn without_below_free(self) -> Self {
        debug_assert!(self.is_below_free());
        Self(self.0.wrapping_sub(Self::BELOW_FREE))
    }

    /// Returns what stands below the chunk.
    #[inline]
    pub(crate) const fn below(self) -> Below {
        Below(self.0)
    }
}

/// What stands below a chunk in its heap, as the flags `BELOW_FREE` and `BASE` of its header. The
/// other bits can be anything.
#[derive(Clone, Copy)]
pub(crate) struct Below(usize);

impl Below {
    /// An allocated chunk.
    pub(crate) const CHUNK: Self = Self(0);

    /// A gap.
    pub(crate) const GAP: Self = Self(Header::BELOW_FREE);

    /// The base of the heap.
    pub(crate) const BASE: Self = Self(Header::BASE);

    #[inline]
    pub(crate) const fn is_gap(self) -> bool {
        self.0 & Header::BELOW_FREE != 0
    }

    #[inline]
    pub(crate) const fn is_base(self) -> bool {
        self.0 & Header::BASE != 0
    }

    #[inline]
    const fn flags(self) -> usize {
        self.0 & (Header::BASE | Header::BELOW_FREE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::chunk::{CHUNK_UNIT, GRAIN};

    /// What stands below, and whether it is a gap, and the base.
    const BELOW: [(Below, bool, bool); 4] = [
        (Below::CHUNK, false, false),
        (Below::GAP, true, false),
        (Below::BASE, false, true),
        (Below(usize::MAX), true, true),
    ];

    /// Every header that can be made says what it was made of, and each change changes one flag.
    #[test]
    fn headers_say_what_they_were_made_of() {
        let largest = isize::MAX as usize & Header::SIZE;
        let sizes = (CHUNK_UNIT..1 << 16).step_by(GRAIN);
        let powers = (16..largest.count_ones() + 4).map(|n| 1_usize << n);
        let around = powers.flat_map(|size| [size - GRAIN, size, size + GRAIN]);
        for size in sizes.chain(around).chain([largest - GRAIN, largest]) {
            for (below, is_below_free, is_base) in BELOW {
                for is_gap in [false, true] {
                    for is_marked in [false, true] {
                        let header = match is_gap {
                            true => Header::gap(size, below),
                            false => Header::allocated(size, below),
                        };
                        let header = if is_marked { header.with_mark() } else { header };
                        let says = |header: Header| {
                            assert_eq!(header.size(), size);
                            assert!(!header.is_filled(), "nobody has said so");
                            assert!(!header.is_sentinel());
                            let Below(flags) = header.below();
                            assert_eq!(header.is_below_free(), Below(flags).is_gap());
                            (
                                header.is_gap(),
                                header.is_marked(),
                                header.is_below_free(),
                                header.is_base(),
                            )
                        };
                        assert_eq!(says(header), (is_gap, is_marked, is_below_free, is_base));
                        assert_eq!(
                            says(header.with_mark()),
                            (is_gap, true, is_below_free, is_base)
                        );
                        if is_marked {
                            let unmarked = header.without_mark();
                            assert_eq!(says(unmarked), (is_gap, false, is_below_free, is_base));
                            assert!(unmarked.marked() == header);
                        }
                        assert_eq!(
                            says(header.with_below_free()),
                            (is_gap, is_marked, true, is_base)
                        );
                        if is_below_free {
                            assert_eq!(
                                says(header.without_below_free()),
                                (is_gap, is_marked, false, is_base)
                            );
                        }
                        // What has a slab's size and a mark is one, and nothing else.
                        for slab in (8..16).map(|n| 1 << n) {
                            // The rule only holds for marked chunks and bases' flags that slabs can have.
                            if is_marked && !is_gap && !is_base {
                                assert_eq!(header.is_sentinel_or_slab(slab), size % slab == 0);
                            }
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn sentinels_are_like_nothing_else() {
        for header in [Header::SENTINEL, Header::SENTINEL.with_below_free()] {
            assert!(header.is_sentinel() && header.is_marked());
            assert!(!header.is_gap() && !header.is_base());
            assert_eq!(header.size(), 0);
            assert!((8..16).all(|n| header.is_sentinel_or_slab(1 << n)));
        }
        // Zeroed memory is none, nor is what a freed chunk leaves.
        for header in [Header(0), Header::FREED] {
            assert!(!header.is_sentinel());
        }
        assert!(Header::FREED.is_gap() && Header::FREED.size() == 0);
    }
}
