//! Checking every invariant over all heaps.

use core::fmt;

use crate::inspect::visit::for_each_chunk;
use crate::memory::chunk::{Chunk, CHUNK_UNIT, GRAIN, WORD};
use crate::memory::header::Header;
use crate::memory::heap::{HeapBase, HeapEnd};
use crate::memory::slab::{is_slot, Slab, State, Tag, FIRST_SLOT, QUIET};
use crate::table::Table;
use crate::{Bins, RawTalc};

/// A broken invariant. Returned by [`RawTalc::audit`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// The number of the invariant in the documentation of [`RawTalc`]; 0 for the counters.
    pub invariant: u8,
    /// The address of the chunk or heap base that is wrong, or 0 if it is the table.
    pub address: usize,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { invariant, address } = self;
        if *invariant == 0 {
            return f.write_str("talc: the counters do not agree with the heaps");
        }
        write!(f, "talc: invariant I{invariant} of RawTalc is broken at {address:#x}")
    }
}

/// A set of gaps or slabs, by sums that equal sets have in common.
#[derive(Default, PartialEq, Eq, Clone, Copy)]
struct Set {
    count: usize,
    bytes: usize,
    address_sum: usize,
}

impl Set {
    fn add(&mut self, chunk: Chunk, bytes: usize) {
        self.count += 1;
        self.bytes += bytes;
        self.address_sum = self.address_sum.wrapping_add(chunk.addr());
    }
}

/// What a walk over all heaps has found.
#[derive(Default)]
struct Found {
    heaps: usize,
    heap_bytes: usize,
    tables: usize,
    gaps: Set,
    current: Set,
    partial: Set,
    spare: Set,
    /// In all slabs.
    free_slot_bytes: usize,
    /// Chunks in magazines.
    kept: Set,
    small_chunks: usize,
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
    /// Checks every invariant over all heaps and lists, and the counters. Allocates nothing.
    ///
    /// # Errors
    /// Returns the first fault that is found. Memory may have been corrupted long before.
    ///
    /// Pointers out of the heaps are not followed, except with [`CompactBins`](crate::CompactBins)
    /// in release builds: there the bounds of the heaps are not known, and the check itself can
    /// crash.
    ///
    /// # Complexity
    /// O(n) in chunks and gaps.
    pub fn audit(&self) -> Result<(), Fault> {
        let mut fault = None;
        let mut found = Found::default();
        self.for_each_heap(|heap| {
            found.heaps += 1;
            // SAFETY: the list has only bases of heaps (I10).
            let end = unsafe { self.audit_heap(HeapBase::first_chunk(heap), &mut found) };
            match end {
                Ok(end) => {
                    found.heap_bytes += end.addr() - heap as usize;
                    let bytes = end.addr() - heap as usize;
                    if !self.is_within(heap as usize, bytes) || !self.has_heads_for(bytes) {
                        fault = fault.or(Some(Fault { invariant: 10, address: heap as usize }));
                    }
                }
                Err(broken) => fault = fault.or(Some(broken)),
            }
        });
        if let Some(fault) = fault {
            return Err(fault);
        }
        if !Self::IS_TABLE_INSIDE && found.tables != usize::from(self.is_metadata_established()) {
            return Err(Fault { invariant: 10, address: 0 });
        }
        if Self::KNOWS_HEAP_BYTES && self.books().heap_bytes != found.heap_bytes {
            return Err(Fault { invariant: 10, address: 0 });
        }
        if self.audit_bins()? != found.gaps {
            return Err(Fault { invariant: 7, address: 0 });
        }
        self.audit_slabs(&found)?;
        self.audit_magazines(&mut found)?;
        self.audit_quarantine(&mut found)?;
        self.audit_counters(&found)
    }

    /// Checks each magazine, and compares the chunks in them with those that are marked as such. Adds what
    /// is in magazines to what is free.
    fn audit_magazines(&self, found: &mut Found) -> Result<(), Fault> {
        let mut kept = Set::default();
        let mut is_sound = true;
        let mut free_slot_bytes = 0;
        self.for_each_magazine(|magazine, index| {
            is_sound &= magazine.all(|block| {
                let addr = block as usize;
                if !self.can_be_payload(addr) {
                    return false;
                }
                // SAFETY: between the bounds of the heaps; a slot is only read if it is one.
                unsafe {
                    if let Some(index) = index {
                        let chunk = Chunk::of_payload(block);
                        kept.add(chunk, chunk.header().size());
                        return addr % GRAIN == 0 && Self::can_be_kept(chunk.header(), index);
                    }
                    self.audit_slot(block, &mut free_slot_bytes)
                }
            });
        });
        if !is_sound || kept != found.kept {
            return Err(Fault { invariant: 15, address: 0 });
        }
        found.free_slot_bytes += free_slot_bytes;
        found.gaps.count += kept.count;
        found.gaps.bytes += kept.bytes;
        Ok(())
    }

    /// Checks each block in the quarantine. Adds them to what is free.
    fn audit_quarantine(&self, found: &mut Found) -> Result<(), Fault> {
        let mut address = 0;
        let is_sound = self.quarantine.all(|block| {
            address = block as usize;
            if !self.can_be_payload(address) {
                return false;
            }
            // SAFETY: between the bounds of the heaps.
            unsafe {
                if SLAB != 0 && is_slot(block) {
                    return self.audit_slot(block, &mut found.free_slot_bytes);
                }
                let header = Chunk::of_payload(block).header();
                found.gaps.count += 1;
                found.gaps.bytes += header.size();
                address % GRAIN == 0
                    && !header.is_gap()
                    && header.size() >= CHUNK_UNIT
                    && !self.is_kept(Chunk::of_payload(block), header)
                    && !(header.is_marked() && header.size() == SLAB)
            }
        });
        if is_sound {
            Ok(())
        } else {
            Err(Fault { invariant: 16, address })
        }
    }

    /// Returns whether there is a slot that its slab takes for one in use, and adds its size to `bytes`.
    ///
    /// # Safety
    /// `block` must be between the bounds of the heaps.
    unsafe fn audit_slot(&self, block: *mut u8, bytes: &mut usize) -> bool {
        let slab = Slab::of_slot(block, SLAB);
        // SAFETY: required of the caller; a slot is only read if it is one.
        unsafe {
            let is_slot = self.can_be_slab(slab)
                && Slab::chunk(slab).header().is_marked()
                && Slab::chunk(slab).header().size() == SLAB
                && Slab::has_slot(slab, SLAB, block.cast());
            if is_slot {
                *bytes += Slab::slot_size((*slab).class.into());
            }
            is_slot && Slab::is_free(slab, SLAB, block) == Some(false)
        }
    }

    /// Checks each list. Returns the gaps in them.
    fn audit_bins(&self) -> Result<Set, Fault> {
        let mut in_bins = Set::default();
        if !self.is_metadata_established() {
            return Ok(in_bins);
        }
        for bin in 0..Bins::<LINEAR, PER_DOUBLING, WORDS, SLAB, CLASSES, KEPT, INSIDE>::COUNT {
            let has_head = Self::IS_TABLE_INSIDE || bin < self.books().heads.into();
            // SAFETY: the table exists, and gaps come from this bin's list; they are checked before
            // their links are followed.
            unsafe {
                let mut is_empty = true;
                let mut next = if has_head { Table::first(self.table(), bin) } else { None };
                while let Some(gap) = next {
                    let fault = Fault { invariant: 7, address: gap.addr() };
                    if !self.gap_is_sound(gap) {
                        return Err(fault);
                    }
                    let header = gap.header();
                    if Self::bin_of(header.size()) != bin {
                        return Err(fault);
                    }
                    in_bins.add(gap, header.size());
                    is_empty = false;
                    next = gap.next_gap();
                }
                if Table::is_marked(self.table(), bin) == is_empty {
                    return Err(Fault { invariant: 8, address: 0 });
                }
            }
        }
        Ok(in_bins)
    }

    /// Compares the slabs in the table with those in the heaps.
    fn audit_slabs(&self, found: &Found) -> Result<(), Fault> {
        let fault = Err(Fault { invariant: 13, address: 0 });
        if !self.is_metadata_established() || !self.has_slab_books() {
            // Without books, there must be no slab and no counted chunk.
            return if [found.current, found.partial, found.spare] == [Set::default(); 3]
                && found.small_chunks == 0
            {
                Ok(())
            } else {
                fault
            };
        }
        let mut current = Set::default();
        let mut partial = Set::default();
        let mut spare = Set::default();
        let mut open = 0;
        // SAFETY: the table exists, and has only slabs (I13); links are followed only to where
        // slabs can be.
        unsafe {
            let books = self.slab_books();
            let mut counted = 0;
            for class in 0..self.classes() {
                let class_books = &*self.class_books(class);
                if Self::is_small_class(class) {
                    counted += class_books.chunks as usize;
                }
                let slab = class_books.current;
                if !slab.is_null() {
                    if !self.can_be_slab(slab) || usize::from((*slab).class) != class {
                        return fault;
                    }
                    current.add(Slab::chunk(slab), SLAB);
                }
                let first = class_books.partial;
                let mut slab = first;
                while !slab.is_null() {
                    if !self.can_be_slab(slab)
                        || usize::from((*slab).class) != class
                        || !self.can_be_slab((*slab).next)
                        || (*(*slab).next).back != slab
                    {
                        return fault;
                    }
                    partial.add(Slab::chunk(slab), SLAB);
                    slab = (*slab).next;
                    if slab == first {
                        break;
                    }
                }
                if Self::is_small_class(class) {
                    open = current.count + partial.count;
                }
            }
            let mut slab = books.spare;
            while !slab.is_null() && spare.count <= found.spare.count {
                if !self.can_be_slab(slab) {
                    return fault;
                }
                spare.add(Slab::chunk(slab), SLAB);
                slab = (*slab).next;
            }
            if current != found.current
                || partial != found.partial
                || spare != found.spare
                || counted != found.small_chunks
                || (Self::WEIGHS_SLABS
                    && (books.open != open || usize::from(books.spares) != spare.count))
            {
                return fault;
            }
        }
        Ok(())
    }

    #[cfg(feature = "counters")]
    fn audit_counters(&self, found: &Found) -> Result<(), Fault> {
        let counters = self.counters();
        let available = found.gaps.bytes + found.free_slot_bytes;
        if counters.fragment_count == found.gaps.count
            && counters.available_bytes == available
            && counters.heap_count == found.heaps
            && counters.claimed_bytes == found.heap_bytes
            && counters.allocated_bytes <= found.heap_bytes - available
            && counters.allocated_bytes <= counters.peak_allocated_bytes
        {
            Ok(())
        } else {
            Err(Fault { invariant: 0, address: 0 })
        }
    }

    #[cfg(not(feature = "counters"))]
    fn audit_counters(&self, _: &Found) -> Result<(), Fault> {
        Ok(())
    }

    /// Checks the chunks of one heap, and adds them to `found`. Returns the heap end.
    ///
    /// # Safety
    /// `first` must be the first chunk of a heap.
    unsafe fn audit_heap(&self, first: Chunk, found: &mut Found) -> Result<HeapEnd, Fault> {
        let mut fault = None;
        let mut end = None;
        let mut below: Option<(Chunk, Header)> = None;
        let check_chunk = |chunk: Chunk, header: Header| {
            let mut check = |invariant: u8, holds: bool| {
                if !holds && fault.is_none() {
                    fault = Some(Fault { invariant, address: chunk.addr() });
                }
            };
            let below_gap = below.filter(|(_, header)| header.is_gap());
            check(2, chunk.payload() as usize % GRAIN == 0);
            check(4, header.is_below_free() == below_gap.is_some());
            check(6, header.is_base() == (chunk == first));
            if let Some((gap, gap_header)) = below_gap {
                check(3, !header.is_gap() && !gap_header.is_marked());
                // SAFETY: the gap below is there, so its last word can be read.
                check(5, unsafe { chunk.size_below() } == gap_header.size());
                found.gaps.add(gap, gap_header.size());
            }
            if header.size() == 0 {
                check(1, header.is_sentinel());
                end = Some(HeapEnd::of_sentinel(chunk));
            } else {
                let has_room = self.has_room_for(chunk, header);
                check(2, header.size() >= CHUNK_UNIT && has_room);
                if !has_room {
                    return false;
                }
                found.tables += usize::from(self.is_table_chunk(chunk) && !header.is_gap());
                if !header.is_gap() {
                    if self.is_kept(chunk, header) {
                        found.kept.add(chunk, header.size());
                    } else if header.is_marked() {
                        check(12, self.audit_marked(chunk, header, found));
                    }
                }
            }
            below = Some((chunk, header));
            fault.is_none()
        };
        // SAFETY: required of the caller.
        unsafe { for_each_chunk(first, check_chunk) };
        match (fault, end) {
            (None, Some(end)) => Ok(end),
            (fault, _) => Err(fault.unwrap_or(Fault { invariant: 1, address: first.addr() })),
        }
    }

    /// Returns whether the header above a chunk lies between the bounds of the heaps, if they are
    /// known. A size that was overwritten leads out of them.
    fn has_room_for(&self, chunk: Chunk, header: Header) -> bool {
        header.size().checked_add(WORD).map_or(false, |size| self.is_within(chunk.addr(), size))
    }

    /// Returns whether a chunk that is marked, as a slab or as counted, is sound (I12, I13).
    fn audit_marked(&self, chunk: Chunk, header: Header, found: &mut Found) -> bool {
        let size = header.size();
        if size != SLAB {
            found.small_chunks += 1;
            return Self::small_chunk_index(size) < Self::SMALL_CLASSES;
        }
        let slab = chunk.payload().cast::<Slab>();
        // SAFETY: the chunk is large enough for a slab; slots are only followed as long as they are
        // in it.
        unsafe {
            let class = usize::from((*slab).class);
            let fresh = usize::from((*slab).fresh);
            if slab as usize % SLAB != 0
                || class >= CLASSES
                || fresh < FIRST_SLOT
                || fresh > SLAB
                || (Self::KNOWS_BOUNDS && Slab::tagged(slab) != Tag::Slab)
            {
                return false;
            }
            let (slots, slot_size) = (Slab::slots(SLAB, class), Slab::slot_size(class));
            let free = match Slab::free_slots(slab, SLAB) {
                Some(free) if free <= slots => free,
                _ => return false,
            };
            found.free_slot_bytes += free * slot_size;
            let count = (*slab).count as usize;
            match (*slab).state {
                State::CURRENT => {
                    found.current.add(chunk, SLAB);
                    let is_quiet = (*slab).count & QUIET != 0;
                    count & !(QUIET as usize) == slots - free && (Self::WATCHES || is_quiet)
                }
                State::PARTIAL => {
                    found.partial.add(chunk, SLAB);
                    count == slots - free && free > 0 && count > 0
                }
                State::FULL => free == 0 && count == 1,
                State::SPARE => {
                    found.spare.add(chunk, SLAB);
                    free == slots && count == 0
                }
                _ => false,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::alloc::Layout;

    /// Breaks one word of a healthy heap at a time, and each must be noticed.
    #[test]
    fn every_kind_of_damage_is_found() {
        #[repr(align(16))]
        struct Memory([usize; 1024]);
        let mut memory = Memory([0; 1024]);
        let mut talc = <RawTalc>::new();
        let base = memory.0.as_mut_ptr().cast::<u8>();
        // SAFETY: nothing else uses the memory.
        unsafe { talc.claim(base, core::mem::size_of::<Memory>()) }.unwrap();
        let layout = Layout::new::<[u8; 100]>();
        let blocks = [(); 6].map(|()| talc.try_allocate(layout).unwrap().as_ptr());
        for freed in [1, 3] {
            // SAFETY: allocated above.
            unsafe { talc.deallocate(blocks[freed], layout) };
        }
        assert_eq!(talc.audit(), Ok(()));

        let damage = |word: *mut usize, value: usize| {
            // SAFETY: a word of the heap, put back as it was after the audit.
            let fault = unsafe {
                let sound = word.read();
                word.write(value);
                let fault = talc.audit();
                word.write(sound);
                fault
            };
            assert_eq!(talc.audit(), Ok(()));
            fault.expect_err("the audit must notice").invariant
        };
        let header = |n: usize| blocks[n].cast::<usize>().wrapping_sub(1);
        let read = |n: usize| {
            // SAFETY: the header of a chunk.
            unsafe { header(n).read() }
        };
        let words = |n: usize| blocks[n].cast::<usize>();
        assert_eq!(damage(header(0), read(0) | 2), 4, "a gap below that is not there");
        assert_eq!(damage(header(2), read(2) & !2), 4, "a gap below that is forgotten");
        assert_eq!(damage(header(1), read(1) & !1), 4, "a gap that says it is allocated");
        assert_eq!(damage(header(4), read(4) | 4), 6, "a heap base in the middle");
        assert_eq!(damage(header(1), read(1) | 8), 3, "a gap with a mark");
        assert_eq!(damage(header(0), 0), 1, "an end in the middle");
        assert_eq!(damage(header(2).wrapping_sub(1), 16), 5, "a wrong footer");
        let first = words(1) as usize;
        assert_eq!(damage(words(1), first), 7, "a link in a circle");
    }
}
