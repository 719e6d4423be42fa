//! Visiting the parts of all heaps.

use core::fmt;
use core::ptr::{addr_of, NonNull};

use crate::memory::chunk::{Chunk, WORD};
use crate::memory::header::Header;
use crate::memory::heap::HeapBase;
use crate::memory::slab::Slab;
use crate::{Bins, RawTalc};

/// A part of a heap. Passed by [`RawTalc::visit`] to its visitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Part {
    /// The base of a heap: the first byte of its region that the allocator uses.
    Base(NonNull<u8>),
    /// The chunk that holds the table, unless the table is in the allocator's own value.
    Table {
        /// The address of the payload.
        payload: NonNull<u8>,
        /// The size of the payload in bytes.
        size: usize,
    },
    /// An allocated chunk.
    Allocated {
        /// The address of the payload.
        payload: NonNull<u8>,
        /// The size of the payload in bytes: that of the layout, or a bit more.
        size: usize,
    },
    /// A slab: a chunk that is cut into equal slots for small allocations.
    Slab {
        /// The address of the payload.
        payload: NonNull<u8>,
        /// The size of the payload in bytes.
        size: usize,
        /// The size of a slot in bytes.
        slot_size: usize,
        /// The number of slots.
        slots: usize,
        /// The number of free slots.
        free_slots: usize,
    },
    /// A gap.
    Gap {
        /// The address of the payload that the gap could hold.
        payload: NonNull<u8>,
        /// The size of that payload in bytes.
        size: usize,
    },
    /// The heap end.
    End(NonNull<u8>),
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
    /// Calls `visitor` with each part of each heap, from the heap's base upwards. The heap that was
    /// claimed last comes first. Allocates nothing.
    ///
    /// # Complexity
    /// O(n) in chunks, times the blocks in the [quarantine](RawTalc::set_quarantine).
    ///
    /// # Example
    ///
    /// ```
    /// use talc_core::{Part, RawTalc};
    ///
    /// fn gaps(talc: &RawTalc) -> usize {
    ///     let mut gaps = 0;
    ///     talc.visit(|part| gaps += usize::from(matches!(part, Part::Gap { .. })));
    ///     gaps
    /// }
    /// # let mut memory = [0_u8; 4096];
    /// # let mut talc = <RawTalc>::new();
    /// # assert_eq!(gaps(&talc), 0);
    /// # unsafe { talc.claim(memory.as_mut_ptr(), 4096) }.unwrap();
    /// # assert_eq!(gaps(&talc), 1);
    /// ```
    pub fn visit(&self, mut visitor: impl FnMut(Part)) {
        self.for_each_heap(|heap| {
            // SAFETY: no heap begins at address 0, and no payload.
            visitor(Part::Base(unsafe { NonNull::new_unchecked(heap.cast()) }));
            let show = |chunk: Chunk, header: Header| {
                // SAFETY: as above.
                let payload = unsafe { NonNull::new_unchecked(chunk.payload()) };
                let size = header.size().wrapping_sub(WORD);
                visitor(if header.is_sentinel() {
                    Part::End(payload)
                } else if header.is_gap()
                    || self.is_kept(chunk, header)
                    || self.is_quarantined(chunk.payload())
                {
                    Part::Gap { payload, size }
                } else if self.is_table_chunk(chunk) {
                    Part::Table { payload, size }
                } else if header.is_marked() && header.size() == SLAB {
                    let slab = payload.as_ptr().cast::<Slab>();
                    // SAFETY: a marked chunk of this size is a slab (I12).
                    let (class, free_slots) =
                        unsafe { ((*slab).class.into(), Slab::free_slots(slab, SLAB)) };
                    let free_slots = free_slots.unwrap_or(0) + self.ready_slots_of(slab);
                    let (slot_size, slots) = (Slab::slot_size(class), Slab::slots(SLAB, class));
                    Part::Slab { payload, size, slot_size, slots, free_slots }
                } else {
                    Part::Allocated { payload, size }
                });
                true
            };
            // SAFETY: the list has only bases of heaps (I10).
            unsafe { for_each_chunk(HeapBase::first_chunk(heap), show) };
        });
    }

    /// Returns whether a chunk holds the table.
    pub(crate) fn is_table_chunk(&self, chunk: Chunk) -> bool {
        // SAFETY: there is a chunk, and so a table (I10).
        !Self::IS_TABLE_INSIDE && chunk == unsafe { Self::chunk_of_table(self.table()) }
    }

    /// Calls `visitor` with each heap. The one that was claimed last comes first.
    pub(crate) fn for_each_heap(&self, mut visitor: impl FnMut(*mut HeapBase)) {
        let mut heap = self.books().heaps;
        while !heap.is_null() {
            visitor(heap);
            // SAFETY: the list has only bases of heaps (I10).
            heap = unsafe { addr_of!((*heap).next).read() };
        }
    }
}

/// Calls `visitor` with each chunk from `first` up to and including the sentinel, as long as it
/// returns `true`.
///
/// # Safety
/// `first` must be the first chunk of a heap.
pub(crate) unsafe fn for_each_chunk(first: Chunk, mut visitor: impl FnMut(Chunk, Header) -> bool) {
    let mut chunk = first;
    loop {
        // SAFETY: chunks follow each other from the first one to the sentinel (I2).
        let header = unsafe { chunk.header() };
        if !visitor(chunk, header) || header.size() == 0 {
            return;
        }
        // SAFETY: as above.
        chunk = unsafe { chunk.above(header.size()) };
    }
}

/// Shows each heap: where it is, and what is allocated and free in it.
impl<
        const LINEAR: usize,
        const PER_DOUBLING: usize,
        const WORDS: usize,
        const SLAB: usize,
        const CLASSES: usize,
        const KEPT: usize,
        const INSIDE: usize,
    > fmt::Debug for RawTalc<Bins<LINEAR, PER_DOUBLING, WORDS, SLAB, CLASSES, KEPT, INSIDE>>
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut heaps = f.debug_list();
        let mut heap = HeapSummary::default();
        self.visit(|part| match part {
            Part::Base(base) => heap = HeapSummary { base: Some(base), ..HeapSummary::default() },
            Part::Table { size, .. } => heap.table_bytes += size,
            Part::Allocated { size, .. } => {
                heap.allocations += 1;
                heap.allocated_bytes += size;
            }
            Part::Slab { slot_size, slots, free_slots, .. } => {
                heap.slabs += 1;
                heap.allocations += slots - free_slots;
                heap.allocated_bytes += (slots - free_slots) * slot_size;
                heap.free_bytes += free_slots * slot_size;
            }
            Part::Gap { size, .. } => {
                heap.gaps += 1;
                heap.free_bytes += size;
                heap.largest_gap = heap.largest_gap.max(size);
            }
            Part::End(end) => {
                heap.end = Some(end);
                heaps.entry(&heap);
            }
        });
        heaps.finish()
    }
}

/// What `Debug` shows of a heap.
#[derive(Debug, Default)]
#[allow(dead_code)] // The derived `Debug` is what reads the fields.
struct HeapSummary {
    base: Option<NonNull<u8>>,
    end: Option<NonNull<u8>>,
    table_bytes: usize,
    allocations: usize,
    allocated_bytes: usize,
    slabs: usize,
    gaps: usize,
    free_bytes: usize,
    largest_gap: usize,
}
