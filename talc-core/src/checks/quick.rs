//! The usual case, recognised at once: a pointer and a layout that fit each other, and nothing beside it that is
//! free.

use core::alloc::Layout;

use crate::memory::chunk::{chunk_size, Chunk, CHUNK_UNIT, GRAIN};
use crate::memory::fill::is_sealed;
use crate::memory::header::{Below, Header};
use crate::memory::magazine::Magazine;
use crate::memory::slab::{is_slot, Slab, Tag, FIRST_SLOT};
use crate::tier::MARKS;
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
    /// Returns whether [`misuse`](Self::misuse) would find nothing, as far as that is seen without a look at gaps and
    /// lists.
    ///
    /// # Safety
    /// As for [`misuse`](Self::misuse).
    #[inline]
    pub(super) unsafe fn is_plainly_sound(&self, ptr: *mut u8, layout: Layout) -> bool {
        // SAFETY: required of the caller.
        unsafe {
            if SLAB != 0 && is_slot(ptr) {
                self.slot_is_plainly_sound(ptr, layout)
            } else {
                self.chunk_is_plainly_sound(ptr, layout)
            }
        }
    }

    /// As [`is_plainly_sound`](Self::is_plainly_sound), for an address of a slot.
    ///
    /// # Safety
    /// As for [`misuse`](Self::misuse).
    #[inline(always)]
    pub(crate) unsafe fn slot_is_plainly_sound(&self, ptr: *mut u8, layout: Layout) -> bool {
        if !MARKS || layout.align() > GRAIN / 2 {
            return false;
        }
        let slab = Slab::of_slot(ptr, SLAB);
        // SAFETY: required of the caller. The tag of a slab is in the same page as its start.
        unsafe {
            if !self.has_between(slab as usize) || Slab::tagged(slab) != Tag::Slab {
                return false;
            }
            let class = (*slab).class;
            let offset = (ptr as usize - slab as usize).wrapping_sub(FIRST_SLOT);
            usize::from(class) == Self::class_of_size(layout.size())
                && offset < usize::from((*slab).fresh).wrapping_sub(FIRST_SLOT)
                && Slab::is_multiple(offset, class)
                && !Magazine::has_marked(ptr)
                && is_sealed(ptr, layout.size())
        }
    }

    /// As [`is_plainly_sound`](Self::is_plainly_sound), for an address of a chunk's payload.
    ///
    /// # Safety
    /// As for [`misuse`](Self::misuse).
    #[inline(always)]
    pub(crate) unsafe fn chunk_is_plainly_sound(&self, ptr: *mut u8, layout: Layout) -> bool {
        if !MARKS {
            return false;
        }
        let need = chunk_size(layout.size());
        // SAFETY: required of the caller. The header of a chunk leads to a word between the bounds of the heaps.
        unsafe {
            let chunk = Chunk::of_payload(ptr);
            let above = chunk.above(need);
            if ptr as usize & ((layout.align() - 1) | (GRAIN - 1)) != 0
                || !self.has_between(chunk.addr())
                || chunk.header() != Header::allocated(need, Below::CHUNK).noting(layout.size())
                || !self.has_between(above.addr())
            {
                return false;
            }
            let header = above.header();
            !header.is_gap()
                && !header.is_below_free()
                && header.size() >= CHUNK_UNIT
                && header.size() <= self.books().highest - above.addr()
                && !Magazine::has_marked(ptr)
                && is_sealed(ptr, layout.size())
        }
    }

    /// Returns whether an address is between the bounds of the heaps.
    #[inline]
    fn has_between(&self, addr: usize) -> bool {
        let books = self.books();
        addr.wrapping_sub(books.lowest) < books.highest.wrapping_sub(books.lowest)
    }
}
