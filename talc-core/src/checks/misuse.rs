//! Broken rules of unsafe callers, recognised where that is cheap.

use core::alloc::Layout;
use core::fmt;
use core::ptr::NonNull;

use crate::memory::chunk::{chunk_size, Chunk, CHUNK_UNIT, GRAIN, MAX_REQUEST, WORD};
use crate::memory::fill::is_sealed;
use crate::memory::heap::HeapEnd;
use crate::memory::magazine::Magazine;
use crate::memory::slab::{is_slot, Slab, Tag, FIRST_SLOT};
use crate::tier::{CHECKS, MARKS};
use crate::{Bins, RawTalc};

/// A rule that a caller of an unsafe method broke. `Display` describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Misuse {
    /// The pointer is not an allocation: it is outside of all heaps, or where no allocation can be.
    NotAnAllocation,
    /// The pointer does not have the alignment of the layout.
    WrongAlignment,
    /// The memory is free already.
    AlreadyFree,
    /// The allocation's size is not that of the layout; or a write beyond the end of the allocation
    /// below it has overwritten its header.
    WrongSize,
    /// The header above the allocation was overwritten, by a write beyond the end of the
    /// allocation.
    Overrun,
    /// Memory was written to while it was free. With the feature `hardened-full`.
    WrittenWhileFree,
    /// Words of the allocator itself were overwritten, by a write to free memory, in front of an
    /// allocation or beyond its end. Each allocator reports it once.
    Damaged,
    /// An allocation was to be grown to a smaller size, or shrunk to a larger one.
    WrongDirection,
    /// The address is not a heap end: heap ends are what `claim`, `extend` and `truncate` return.
    NotAHeapEnd,
    /// The region is not aligned, or too small for a heap.
    UnsuitableRegion,
    /// The region overlaps a heap. Most often, it is claimed for the second time.
    Overlap,
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAnAllocation => "talc: this pointer was not allocated here",
            Self::WrongAlignment => "talc: this pointer was allocated with another alignment",
            Self::AlreadyFree => "talc: this memory is free already (a double free?)",
            Self::WrongSize => {
                "talc: this allocation has another size than the layout says \
                 (or something wrote beyond the end of the allocation below it)"
            }
            Self::Overrun => "talc: something wrote beyond the end of this allocation",
            Self::WrittenWhileFree => "talc: something wrote to memory after it was freed",
            Self::Damaged => {
                "talc: something wrote to free memory, in front of an allocation or beyond its end"
            }
            Self::WrongDirection => {
                "talc: growing needs a size that is not smaller, shrinking one that is not larger"
            }
            Self::NotAHeapEnd => {
                "talc: this is not a heap end: heap ends are what claim, extend and truncate return"
            }
            Self::UnsuitableRegion => {
                "talc: this region is not aligned to 16 bytes, or too small for a heap"
            }
            Self::Overlap => "talc: this region overlaps a heap (is it claimed twice?)",
        })
    }
}

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
    /// Returns what seems to be wrong with the claim that `ptr` is a live allocation of `layout`.
    /// `None` is no proof that it is one.
    ///
    /// [`deallocate`](Self::deallocate) and the methods that resize check this themselves, and
    /// panic, if debug assertions are enabled. This is for callers that report errors in their own
    /// way.
    ///
    /// # Complexity
    /// O(1). For a slot, this includes the slots of its slab, but not with the feature `hardened`.
    ///
    /// # Safety
    /// `ptr` must be, or have been, an allocation of this `RawTalc`, in a heap that still exists.
    /// Other pointers are recognised, too, if what they point to is readable, or not between the
    /// lowest heap base and the highest heap end.
    pub unsafe fn misuse(&self, ptr: *mut u8, layout: Layout) -> Option<Misuse> {
        let addr = ptr as usize;
        if !self.can_be_payload(addr) {
            return Some(Misuse::NotAnAllocation);
        }
        // SAFETY: required of the caller.
        unsafe {
            if SLAB != 0 && is_slot(ptr) {
                self.misuse_of_slot(ptr, layout)
            } else if addr % GRAIN != 0 {
                Some(Misuse::NotAnAllocation)
            } else {
                self.misuse_of_chunk(ptr, layout)
            }
        }
    }

    /// As [`misuse`](Self::misuse), for an address of a chunk's payload.
    ///
    /// # Safety
    /// As for [`misuse`](Self::misuse).
    unsafe fn misuse_of_chunk(&self, ptr: *mut u8, layout: Layout) -> Option<Misuse> {
        if ptr as usize % layout.align() != 0 {
            return Some(Misuse::WrongAlignment);
        }
        // SAFETY: the header of an allocation is readable, as required of the caller; what is above
        // and below is only read if the size is that of the layout.
        unsafe {
            let chunk = Chunk::of_payload(ptr);
            let header = chunk.header();
            if header.is_gap() {
                return Some(Misuse::AlreadyFree);
            }
            if SLAB != 0 && header.is_marked() && header.size() == SLAB {
                return Some(Misuse::NotAnAllocation);
            }
            // In a magazine of this allocator, or of somebody who keeps allocations.
            if self.is_kept(chunk, header) || Magazine::has_marked(ptr) {
                return Some(Misuse::AlreadyFree);
            }
            let need = chunk_size(layout.size().min(MAX_REQUEST));
            // I11
            if header.size() < need
                || header.size() - need >= CHUNK_UNIT
                || !header.has_noted(layout.size())
            {
                return Some(Misuse::WrongSize);
            }
            if !is_sealed(ptr, layout.size()) {
                return Some(Misuse::Overrun);
            }
            self.damage_around(chunk, header)
        }
    }

    /// As [`misuse`](Self::misuse), for an address of a slot.
    ///
    /// # Safety
    /// As for [`misuse`](Self::misuse).
    unsafe fn misuse_of_slot(&self, ptr: *mut u8, layout: Layout) -> Option<Misuse> {
        let slab = Slab::of_slot(ptr, SLAB);
        if slab as usize == 0 || !self.is_within(slab as usize - WORD, SLAB) {
            return Some(Misuse::NotAnAllocation);
        }
        // SAFETY: the tag is in the same block of `SLAB` bytes as the slot; more is only read if
        // the tag says that there is a slab, and slots only where a sound free list leads.
        unsafe {
            if Self::KNOWS_BOUNDS {
                match Slab::tagged(slab) {
                    Tag::Slab => {}
                    Tag::Closed => return Some(Misuse::AlreadyFree),
                    Tag::Other => return Some(Misuse::NotAnAllocation),
                }
            }
            let class = usize::from((*slab).class);
            // With marks, the header is looked at when the slab is closed: it is in another page.
            let header = Slab::chunk(slab).header();
            if class >= CLASSES || (!MARKS && (!header.is_marked() || header.size() != SLAB)) {
                return Some(Misuse::Damaged);
            }
            let offset = ptr as usize - slab as usize;
            if offset < FIRST_SLOT || !Slab::is_multiple(offset - FIRST_SLOT, (*slab).class) {
                return Some(Misuse::NotAnAllocation);
            }
            if layout.align() > GRAIN / 2 {
                return Some(Misuse::WrongAlignment);
            }
            let needed = Self::class_of(layout);
            if needed > class || (needed < class && !(*slab).has_shrunk) {
                return Some(Misuse::WrongSize);
            }
            // Those from `fresh` on were never used.
            if offset >= usize::from((*slab).fresh) || Magazine::has_marked(ptr) {
                return Some(Misuse::AlreadyFree);
            }
            if !is_sealed(ptr, layout.size()) {
                return Some(Misuse::Overrun);
            }
            if MARKS {
                return None;
            }
            match Slab::is_free(slab, SLAB, ptr) {
                Some(false) if self.is_ready(ptr) => Some(Misuse::AlreadyFree),
                Some(false) => None,
                Some(true) => Some(Misuse::AlreadyFree),
                None => Some(Misuse::Damaged),
            }
        }
    }

    /// Returns what is wrong with a heap end that a caller has passed.
    ///
    /// # Safety
    /// What is below `end` must be readable, if it is between the bounds of the heaps.
    pub(crate) unsafe fn misuse_of_end(&self, end: NonNull<u8>) -> Option<Misuse> {
        let addr = end.as_ptr() as usize;
        if addr % GRAIN != 0 || !self.is_within(addr - WORD, WORD) {
            return Some(Misuse::NotAHeapEnd);
        }
        // SAFETY: required of the caller.
        unsafe {
            let sentinel = HeapEnd::from_public(end).sentinel();
            if !sentinel.header().is_sentinel() {
                Some(Misuse::NotAHeapEnd)
            } else if sentinel.header().is_below_free() && !self.gap_below_is_sound(sentinel) {
                Some(Misuse::Damaged)
            } else {
                None
            }
        }
    }

    /// Returns whether `end` is a heap end, as far as builds with checks can tell. Panics if not, unless
    /// reports are deferred.
    ///
    /// # Safety
    /// As for [`misuse_of_end`](Self::misuse_of_end).
    pub(crate) unsafe fn is_heap_end(&self, end: NonNull<u8>) -> bool {
        // SAFETY: required of the caller.
        match if CHECKS { unsafe { self.misuse_of_end(end) } } else { None } {
            None => true,
            Some(_) if self.diagnosis.is_deferred() => false,
            Some(misuse) => panic!("{}", self.finding(misuse, end.as_ptr() as usize)),
        }
    }

    /// Returns whether something is wrong with the claim that `ptr` is a live allocation of `layout`, and keeps it for
    /// [`take_report`](Self::take_report). Always `false` in builds without [checks](crate::CHECKS).
    ///
    /// # Complexity
    /// As for [`misuse`](Self::misuse).
    ///
    /// # Safety
    /// As for [`misuse`](Self::misuse).
    pub unsafe fn is_misused(&mut self, ptr: *mut u8, layout: Layout) -> bool {
        // SAFETY: required of the caller.
        CHECKS && unsafe { !self.is_plainly_sound(ptr, layout) && self.has_noted(ptr, layout) }
    }

    /// Looks for what is wrong with the claim that `ptr` is a live allocation of `layout`. Returns whether
    /// something is, and notes it.
    ///
    /// # Safety
    /// As for [`misuse`](Self::misuse).
    #[cold]
    #[inline(never)]
    pub(crate) unsafe fn has_noted(&mut self, ptr: *mut u8, layout: Layout) -> bool {
        // SAFETY: required of the caller.
        let misuse = unsafe { self.misuse(ptr, layout) };
        if let Some(misuse) = misuse {
            self.note(misuse, ptr as usize);
        }
        misuse.is_some()
    }

    /// Returns whether `end` is not the end of a heap, or what is below it is damaged, and notes
    /// it. Always `false` in builds without
    /// [checks](crate::CHECKS).
    ///
    /// # Safety
    /// What is below `end` must be readable, if it is between the bounds of the heaps.
    pub(crate) unsafe fn is_misused_end(&mut self, end: NonNull<u8>) -> bool {
        if CHECKS {
            // SAFETY: required of the caller.
            if let Some(misuse) = unsafe { self.misuse_of_end(end) } {
                self.note(misuse, end.as_ptr() as usize);
                return true;
            }
        }
        false
    }
}
