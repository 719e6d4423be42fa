//! Damage by stray writes to the allocator's own words, recognised in debug builds before they are
//! used.
//!
//! Stray writes reach headers, the links and footers of gaps, the words of slabs and the links of
//! free slots. Each is compared with something that must agree with it: a header with a footer, a
//! link with the one that leads back, a size with the bounds of the heaps. Near words come first;
//! what they lead to is only read once they have been found sound.

use core::mem::size_of;

use crate::memory::chunk::{Chunk, Links, CHUNK_UNIT, GRAIN, WORD};
use crate::memory::fill::{find_written, find_written_in};
use crate::memory::header::Header;
use crate::memory::magazine::Magazine;
use crate::memory::slab::{Slab, Tag};
use crate::table::Table;
use crate::{Bins, Misuse, RawTalc};

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
    /// Returns whether `size` bytes at `addr` lie between the lowest heap base and the highest heap
    /// end.
    pub(crate) fn is_within(&self, addr: usize, size: usize) -> bool {
        !Self::KNOWS_BOUNDS || self.books().contain(addr, size)
    }

    /// Returns whether there can be a slot or the payload of a chunk at an address, as far as the bounds of the heaps say.
    pub(crate) fn can_be_payload(&self, addr: usize) -> bool {
        addr >= WORD && self.is_within(addr - WORD, CHUNK_UNIT)
    }

    /// Returns whether `links` can be links in a list, or is null.
    fn is_link(&self, links: *mut Links) -> bool {
        let addr = links as usize;
        links.is_null() || (addr % GRAIN == 0 && self.can_be_payload(addr))
    }

    /// Returns whether the head of a bin can point to a gap, or is null.
    ///
    /// # Safety
    /// The table must exist, and have a head for `bin`.
    pub(crate) unsafe fn head_is_sound(&self, bin: usize) -> bool {
        // SAFETY: required of the caller.
        self.is_link(unsafe { Table::head(self.table(), bin).read() })
    }

    /// Returns whether `gap` is a gap, in its list and between its neighbours.
    ///
    /// # Safety
    /// What is at the address must be readable, if it is between the bounds of the heaps.
    pub(crate) unsafe fn gap_is_sound(&self, gap: Chunk) -> bool {
        if gap.payload() as usize % GRAIN != 0 || !self.is_within(gap.addr(), CHUNK_UNIT + WORD) {
            return false;
        }
        // SAFETY: readable, as required of the caller; from here on, between the bounds of the
        // heaps, where a sound header and sound links lead.
        unsafe {
            let header = gap.header();
            let size = header.size();
            let is_near_sound = header.is_gap()
                && !header.is_marked()
                && size >= CHUNK_UNIT
                && self.is_within(gap.addr(), size)
                && self.is_within(gap.addr(), size + WORD)
                && self.is_link((*gap.links()).next.target())
                && self.is_link((*gap.links()).back.target());
            if !is_near_sound {
                return false;
            }
            let above = gap.above(size);
            let above_header = above.header();
            above.size_below() == size
                && above_header.is_below_free()
                && !above_header.is_gap()
                && !above_header.is_base()
                && Table::is_linked(self.table(), Self::bin_of(size), gap)
        }
    }

    /// Returns whether there is a sound gap below a chunk whose header says that there is one.
    ///
    /// # Safety
    /// `chunk` must be a chunk or a sentinel.
    pub(crate) unsafe fn gap_below_is_sound(&self, chunk: Chunk) -> bool {
        // SAFETY: required of the caller; the gap's header is between the bounds of the heaps, and
        // agrees with its footer.
        unsafe {
            let size = chunk.size_below();
            size >= CHUNK_UNIT
                && size % GRAIN == 0
                && size <= chunk.addr()
                && self.is_within(chunk.addr() - size, size)
                && chunk.below(size).header().size() == size
                && self.gap_is_sound(chunk.below(size))
        }
    }

    /// Returns what is wrong with the chunks above and below an allocated chunk, whose own header
    /// is sound.
    ///
    /// # Safety
    /// `chunk` must be an allocated chunk with that header.
    pub(crate) unsafe fn damage_around(&self, chunk: Chunk, header: Header) -> Option<Misuse> {
        if !self.is_within(chunk.addr(), header.size() + WORD) {
            return Some(Misuse::WrongSize);
        }
        // SAFETY: above and below are words in the heap, or at least between the bounds of the
        // heaps.
        unsafe {
            let above = chunk.above(header.size());
            let above_header = above.header();
            let is_sound = if above_header.is_gap() {
                self.gap_is_sound(above)
            } else {
                // I3, I4, I6
                !above_header.is_below_free()
                    && !above_header.is_base()
                    && (above_header.is_sentinel()
                        || (above_header.size() >= CHUNK_UNIT
                            && self.is_within(above.addr(), above_header.size())))
            };
            if !is_sound {
                return Some(Misuse::Overrun);
            }
            if header.is_below_free() && !self.gap_below_is_sound(chunk) {
                return Some(Misuse::Damaged);
            }
        }
        None
    }

    /// Returns whether what the table has as a slab can be one. If not, notes it.
    pub(crate) fn slab_is_sound(&mut self, slab: *mut Slab) -> bool {
        let is_sound = self.can_be_slab(slab);
        if !is_sound {
            self.note(Misuse::Damaged, slab as usize);
        }
        is_sound
    }

    /// Returns whether a slab's words, and the first slot of its free list, are sound.
    /// If not, notes it, and empties the list.
    ///
    /// # Safety
    /// `slab` must be a current or partial slab.
    pub(crate) unsafe fn free_slots_are_sound(&mut self, slab: *mut Slab) -> bool {
        // SAFETY: required of the caller; a slot is only read once it is known to be a slot.
        unsafe {
            let is_sound = Slab::tagged(slab) == Tag::Slab
                && usize::from((*slab).class) < CLASSES
                && Slab::is_fresh_sound(slab, SLAB)
                && (*slab).free.is_sound(|slot| Slab::has_slot(slab, SLAB, slot));
            if !is_sound {
                (*slab).free = Magazine::with_room(0);
                self.note(Misuse::Damaged, slab as usize);
            }
            is_sound
        }
    }

    /// Returns whether the first block of a magazine is one, and the second can be.
    ///
    /// # Safety
    /// It must be a magazine of the table, or of its placeholder.
    #[inline]
    pub(crate) unsafe fn magazine_is_sound(&self, magazine: *const Magazine) -> bool {
        // SAFETY: required of the caller.
        unsafe { &*magazine }.is_sound(|block| self.can_be_block(block))
            || !self.is_metadata_established()
    }

    /// Returns whether there can be a block of a magazine at an address.
    #[inline]
    pub(crate) fn can_be_block(&self, block: *const u8) -> bool {
        let addr = block as usize;
        addr % (GRAIN / 2) == 0 && self.is_within(addr, Magazine::MIN_BLOCK)
    }

    /// Looks for what was written to a free block of `size` bytes behind the words of its magazine, and notes it.
    ///
    /// # Safety
    /// The block must be the allocator's, and filled.
    #[inline]
    pub(crate) unsafe fn check_free(&mut self, block: *mut u8, size: usize) {
        // SAFETY: required of the caller.
        if let Some(written) = unsafe { find_written_in(block, size) } {
            self.note(Misuse::WrittenWhileFree, written);
        }
    }

    /// Looks for what was written to a gap up to `end`, beyond which it stays free, and notes it.
    ///
    /// # Safety
    /// It must have been a gap with that header until now, and still be as it was.
    #[inline]
    pub(crate) unsafe fn check_gap(&mut self, gap: Chunk, header: Header, end: usize) {
        if header.is_filled() {
            let start = gap.payload() as usize + size_of::<Links>();
            let footer = gap.addr() + header.size() - WORD;
            // SAFETY: required of the caller.
            if let Some(written) = unsafe { find_written(start, end.min(footer)) } {
                self.note(Misuse::WrittenWhileFree, written);
            }
        }
    }

    /// Returns whether there can be a slab at this address.
    pub(crate) fn can_be_slab(&self, slab: *mut Slab) -> bool {
        SLAB != 0 && slab as usize % SLAB == 0 && self.is_within(slab as usize, size_of::<Slab>())
    }

    /// Returns whether the neighbours of a slab in its class's list lead back to it. If not, notes
    /// it.
    ///
    /// # Safety
    /// `slab` must be a partial slab.
    pub(crate) unsafe fn list_is_sound(&mut self, slab: *mut Slab) -> bool {
        // SAFETY: required of the caller; neighbours are only read where slabs can be.
        let is_sound = unsafe {
            let (next, back) = ((*slab).next, (*slab).back);
            usize::from((*slab).class) < CLASSES
                && self.can_be_slab(next)
                && self.can_be_slab(back)
                && (*next).back == slab
                && (*back).next == slab
        };
        if !is_sound {
            self.note(Misuse::Damaged, slab as usize);
        }
        is_sound
    }

    /// Returns whether the first gap of a bin is sound. If not, notes it, and abandons the bin.
    ///
    /// # Safety
    /// The table must exist, and its bit for `bin` must be set.
    pub(crate) unsafe fn first_is_sound(&mut self, bin: usize) -> bool {
        // SAFETY: required of the caller.
        unsafe {
            let is_sound = self.head_is_sound(bin)
                && !Table::head(self.table(), bin).read().is_null()
                && self.gap_is_sound(Table::first_gap(self.table(), bin));
            if !is_sound {
                let gap = Table::head(self.table(), bin).read();
                Table::abandon(self.table_mut(), bin);
                self.note(Misuse::Damaged, gap as usize);
            }
            is_sound
        }
    }
}
