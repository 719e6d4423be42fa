//! Broken rules of unsafe callers, recognised where that is cheap.

use core::alloc::Layout;
use core::fmt;

use crate::bins::Binning;
use crate::chunk::{chunk_size, Chunk, CHUNK_UNIT, GRAIN, MAX_REQUEST};
use crate::header::Header;
use crate::slab::{Slab, FIRST_SLOT};
use crate::slots::is_slot;
use crate::RawTalc;

/// A rule that a caller of an unsafe method broke. `Display` says which, and what to look for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Misuse {
    /// The pointer cannot be an allocation: it is not aligned as all of them are.
    NotAnAllocation,
    /// The pointer is not aligned as the layout says.
    WrongAlignment,
    /// The memory is free already.
    AlreadyFree,
    /// The allocation has another size than the layout; or a write beyond the end of the
    /// allocation below it has overwritten its header.
    WrongSize,
    /// The header above the allocation is not what it must be: a write beyond the end of the
    /// allocation has overwritten it.
    Overrun,
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
        })
    }
}

impl<B: Binning> RawTalc<B> {
    /// Looks for signs that `ptr` is not a live allocation of `layout`: a check for those who
    /// report errors themselves. `None` is no proof that all is well.
    ///
    /// [`deallocate`](Self::deallocate) and the methods that resize panic on such signs if debug
    /// assertions are enabled.
    ///
    /// # Complexity
    /// O(1); for a slot, O(n) in heaps and in the constant number of slots of a slab.
    ///
    /// # Safety
    /// `ptr` must be, or have been, an allocation of this `RawTalc`, in a heap that still exists.
    pub unsafe fn misuse(&self, ptr: *mut u8, layout: Layout) -> Option<Misuse> {
        let addr = ptr as usize;
        if !self.is_metadata_established() || addr == 0 {
            return Some(Misuse::NotAnAllocation);
        }
        if B::SLAB != 0 && is_slot(ptr) {
            // SAFETY: required of the caller.
            return unsafe { self.misuse_of_slot(ptr, layout) };
        }
        if addr % GRAIN != 0 {
            return Some(Misuse::NotAnAllocation);
        }
        if addr % layout.align() != 0 {
            return Some(Misuse::WrongAlignment);
        }
        let chunk = Chunk::of_payload(ptr);
        // SAFETY: in a heap, which is readable; the second header is only read if the size of the
        // first is what the layout says.
        unsafe {
            let header = chunk.header();
            if header.is_gap() {
                return Some(Misuse::AlreadyFree);
            }
            let need = chunk_size(layout.size().min(MAX_REQUEST));
            // I11
            if header.size() < need || header.size() - need >= CHUNK_UNIT {
                return Some(Misuse::WrongSize);
            }
            let above = chunk.above(header.size()).header();
            // I4, I3
            if above.is_below_free()
                || above.is_base()
                || (above.size() == 0) != above.is_sentinel()
            {
                return Some(Misuse::Overrun);
            }
        }
        None
    }

    /// The same for what is, by its address, a slot.
    ///
    /// # Safety
    /// As for [`misuse`](Self::misuse).
    unsafe fn misuse_of_slot(&self, ptr: *mut u8, layout: Layout) -> Option<Misuse> {
        let slab = Slab::of_slot(ptr, B::SLAB);
        let offset = ptr as usize - slab as usize;
        // What is no slot, but looks like one, may be near the base of a heap.
        let mut heap = 0;
        self.for_each_heap(|base| {
            if base as usize <= ptr as usize {
                heap = heap.max(base as usize);
            }
        });
        if Slab::chunk(slab).addr() < heap {
            return Some(Misuse::NotAnAllocation);
        }
        // SAFETY: in a heap, which is readable; the slab is only read as one if its chunk says it
        // is one.
        unsafe {
            let header = Slab::chunk(slab).header();
            if header == Header::FREED || (header.is_gap() && header.size() == B::SLAB) {
                return Some(Misuse::AlreadyFree);
            }
            if !header.is_marked() || header.size() != B::SLAB {
                return Some(Misuse::NotAnAllocation);
            }
            let slot_size = Slab::slot_size((*slab).class.into());
            if offset < FIRST_SLOT || (offset - FIRST_SLOT) % slot_size != 0 {
                return Some(Misuse::NotAnAllocation);
            }
            if layout.align() > GRAIN / 2 {
                return Some(Misuse::WrongAlignment);
            }
            if layout.size() > slot_size {
                return Some(Misuse::WrongSize);
            }
            if Slab::is_free(slab, ptr) {
                return Some(Misuse::AlreadyFree);
            }
        }
        None
    }

    /// Panics on [`misuse`](Self::misuse), in debug builds.
    ///
    /// # Safety
    /// As for [`misuse`](Self::misuse).
    #[inline]
    #[track_caller]
    pub(crate) unsafe fn debug_check(&self, ptr: *mut u8, layout: Layout) {
        if cfg!(debug_assertions) {
            // SAFETY: required of the caller.
            if let Some(misuse) = unsafe { self.misuse(ptr, layout) } {
                panic!("{misuse}");
            }
        }
    }
}
