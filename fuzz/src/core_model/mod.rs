//! The core with heaps that are managed by hand: its allocations. What is done to heaps is in `heaps`.

mod heaps;

use alloc::vec::Vec;
use core::alloc::Layout;
#[cfg(feature = "counters")]
use core::mem::size_of;
use core::ops::Range;
use core::ptr::NonNull;

#[cfg(feature = "counters")]
use talc_core::SEAL;
use talc_core::{Part, RawTalc, CHUNK_UNIT};
use talc_sources::{Binning, RawTalcExt};

use crate::action::{layout, Action, Pick, Size};
use crate::reference::{searched, Reference};
use crate::{is_compact, watches, Shadow};

/// Bytes in a region; there are [`REGIONS`] of them.
const REGION: usize = 64 << 10;
const REGIONS: usize = 4;
/// The contents of memory that belongs to no heap.
const UNCLAIMED: u8 = 0xC5;

/// A [`RawTalc`] with up to four heaps, each in a region of its own, checked at each step.
pub struct CoreModel<B> {
    talc: RawTalc<B>,
    shadow: Shadow,
    regions: [Region; REGIONS],
    steps: usize,
}

struct Region {
    base: *mut u8,
    heap: Option<Heap>,
}

#[derive(Clone, Copy)]
struct Heap {
    /// Where the claimed memory begins.
    start: *mut u8,
    end: NonNull<u8>,
}

const REGION_LAYOUT: Layout = match Layout::from_size_align(REGION, REGION) {
    Ok(layout) => layout,
    Err(_) => panic!(),
};

impl<B: Binning> Default for CoreModel<B> {
    fn default() -> Self {
        Self::new()
    }
}

impl<B: Binning> CoreModel<B> {
    /// Creates an allocator without a heap.
    pub fn new() -> Self {
        Self::over(RawTalc::<B>::new())
    }

    /// As [`new`](Self::new), with a table that is complete from the first heap on.
    pub fn with_complete_table() -> Self {
        Self::over(RawTalc::<B>::with_complete_table())
    }

    /// Keeps so many freed blocks back, in builds that can.
    pub fn set_quarantine(&mut self, blocks: usize) {
        self.talc.set_quarantine(blocks);
    }

    fn over(talc: RawTalc<B>) -> Self {
        let region = || {
            // SAFETY: the layout has a size.
            let base = unsafe { alloc::alloc::alloc(REGION_LAYOUT) };
            assert!(!base.is_null());
            // SAFETY: just allocated.
            unsafe { base.write_bytes(UNCLAIMED, REGION) };
            Region { base, heap: None }
        };
        let mut regions = [region(), region(), region(), region()];
        // The same actions then mean the same wherever the regions are.
        regions.sort_by_key(|region| region.base);
        Self { talc, shadow: Shadow::default(), regions, steps: 0 }
    }

    /// Does one action and checks everything.
    ///
    /// # Panics
    /// Panics if the allocator does anything that it must not do.
    pub fn step(&mut self, action: &Action) {
        self.act(action);
        self.check();
    }

    /// Does one action, and checks what it returns.
    ///
    /// # Panics
    /// Panics if the allocator does anything that it must not do.
    pub fn act(&mut self, action: &Action) {
        match *action {
            Action::Allocate { size, align } => {
                if let Some(layout) = layout(size, align) {
                    self.allocate(layout);
                }
            }
            Action::Deallocate { block } => self.deallocate(block),
            Action::Grow { block, by } => self.grow(block, by),
            Action::GrowDownwards { block, by } => self.grow_downwards(block, by),
            Action::Shrink { block, to } => self.shrink(block, to),
            Action::Reallocate { block, to } => self.reallocate(block, to),
            Action::Claim { region, offset, size } => {
                let Size(bits) = size;
                // Often just around the smallest heap that is possible.
                let size = if bits & 1 == 0 { size.small_bytes() } else { REGION };
                self.claim(region, usize::from(offset.0) % 4096, size);
            }
            Action::Extend { heap, by } => self.extend(heap, by.small_bytes()),
            Action::Truncate { heap, by } => self.truncate(heap, by.small_bytes()),
            Action::Resize { heap, to } => self.resize(heap, to.small_bytes()),
            Action::ClaimFor { region, offset, size, align } => {
                if let Some(layout) = layout(size, align) {
                    self.claim_for(region, usize::from(offset.0) % 512, layout);
                }
            }
            Action::ExtendFor { heap, size, align } => {
                if let Some(layout) = layout(size, align) {
                    self.extend_for(heap, layout);
                }
            }
            Action::ClaimOrExtendFor { region, offset, size, align } => {
                if let Some(layout) = layout(size, align) {
                    self.claim_or_extend_for(region, usize::from(offset.0) % 256 * 16, layout);
                }
            }
            Action::Trim => self.trim(),
            Action::FailAfter { .. } => {}
        }
    }

    /// Frees everything, and checks that each heap can then be given back without `trim`, and is
    /// one gap after it.
    pub fn finish(mut self) {
        while let Some((ptr, _)) = self.shadow.pick(Pick(self.steps as u16)) {
            self.deallocate_at(ptr);
            self.steps += 7;
        }
        self.check();
        if self.steps.is_multiple_of(2) {
            self.trim();
            self.check();
            let mut gaps = 0;
            self.talc.visit(|part| gaps += usize::from(matches!(part, Part::Gap { .. })));
            let heaps = self.regions.iter().filter(|region| region.heap.is_some());
            let around_table = heaps.clone().any(|region| self.holds_table(region.heap.unwrap()));
            assert!(gaps <= heaps.count() + usize::from(around_table));
        }
        for index in 0..REGIONS {
            if let Some(heap) = self.regions[index].heap {
                let first = self.holds_table(heap);
                // SAFETY: the end is current.
                let gone = unsafe {
                    assert_eq!(self.talc.reserved(heap.end).any, first);
                    self.talc.truncate(heap.end, core::ptr::null_mut()).is_none()
                };
                assert_eq!(gone, !first, "a heap is gone unless it holds the table");
            }
        }
        #[cfg(feature = "audit")]
        self.talc.audit().expect("what is left is sound");
    }

    fn trim(&mut self) {
        while let Some(end) = self.talc.trim() {
            assert!(self.heaps().iter().any(|heap| heap.end == end.as_ptr() as usize));
        }
    }

    fn heaps(&self) -> Vec<Range<usize>> {
        let heaps = self.regions.iter().filter_map(|region| region.heap);
        heaps.map(|heap| heap.start as usize..heap.end.as_ptr() as usize).collect()
    }

    fn allocate(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        let largest = self.talc.largest_gap();
        let block = self.talc.try_allocate(layout);
        self.check_largest_gap(largest, layout, block.is_some());
        match block {
            Some(block) => {
                self.shadow.add(block.as_ptr(), layout, &self.heaps());
                self.watch_if_first(block.as_ptr());
            }
            None => self.reference().check_refusal(layout, is_compact::<B>()),
        }
        block
    }

    /// The heap that an address is in.
    fn heap_of(&self, ptr: *mut u8) -> Heap {
        let heap = self.regions.iter().filter_map(|region| region.heap).find(|heap| {
            (heap.start as usize..heap.end.as_ptr() as usize).contains(&(ptr as usize))
        });
        heap.unwrap_or_else(|| panic!("{ptr:p} is in no heap"))
    }

    fn live_in(&self, heap: Heap) -> usize {
        self.shadow.count(heap.start as usize..heap.end.as_ptr() as usize)
    }

    /// Does what the owner of a heap does that was reported as free, and is in use again.
    fn watch_if_first(&mut self, ptr: *mut u8) {
        let heap = self.heap_of(ptr);
        if self.live_in(heap) == 1 {
            self.watch(heap.end);
        }
    }

    /// Checks that `watch` returns what `reserved` does.
    fn watch(&mut self, end: NonNull<u8>) {
        // SAFETY: the end is current.
        unsafe { assert_eq!(self.talc.reserved(end), self.talc.watch(end)) };
    }

    /// What is free, for a comparison with a plain allocator.
    fn reference(&self) -> Reference {
        let mut reference = Reference::default();
        self.talc.visit(|part| reference.add(part));
        reference
    }

    /// Checks what the size of the largest gap has promised for an allocation: that it succeeds, or that only
    /// magazines and slots can serve it.
    fn check_largest_gap(&self, largest: Option<usize>, layout: Layout, succeeded: bool) {
        if layout.align() > 16 {
            return;
        }
        let is_promised = Some(layout.size()) <= largest;
        assert!(succeeded || !is_promised, "{layout:?} was promised");
        // No slot is larger.
        let is_chunk = layout.size() > 4096;
        assert!(
            is_promised || !succeeded || !is_chunk || self.keeps_blocks(),
            "{layout:?} is larger than the largest gap"
        );
        assert!(succeeded || self.talc.largest_gap() < Some(layout.size()));
    }

    /// Whether blocks that were freed may still count as in use somewhere.
    fn keeps_blocks(&self) -> bool {
        self.talc.has_magazines() || self.talc.has_quarantine()
    }

    /// Compares the largest gap with those that there are.
    fn check_gaps(&self) {
        let reference = self.reference();
        let largest = self.talc.largest_gap();
        assert!(largest <= reference.largest());
        // A chunk in a magazine or in the quarantine is seen as a gap.
        let is_exact = reference.gaps() <= searched(is_compact::<B>()) && !self.keeps_blocks();
        assert!(!is_exact || largest == reference.largest());
    }

    /// Checks what freeing the block at `ptr` returned, and does what the driver does with it.
    fn check_touched(&mut self, ptr: *mut u8, touched: Option<NonNull<u8>>) {
        let heap = self.heap_of(ptr);
        // SAFETY: the end is current.
        let reserved = unsafe { self.talc.reserved(heap.end) };
        let is_top_free = reserved.up_to.as_ptr() <= ptr;
        if let Some(end) = touched {
            if self.keeps_blocks() {
                // Another block was given back, too.
                assert!(self.heaps().iter().any(|heap| heap.end == end.as_ptr() as usize));
            } else {
                assert!(is_top_free && end == heap.end);
            }
            self.watch(end);
        } else {
            // What is in a magazine or in the quarantine is not noticed until it leaves it.
            let is_noticed = watches::<B>() && !self.keeps_blocks();
            // Slabs that are kept may lie above it, if it was not the last allocation.
            assert!(
                self.live_in(heap) > 0 || self.holds_table(heap) || !is_noticed,
                "{ptr:p} was the last one in its heap"
            );
            let is_slot = !(ptr as usize).is_multiple_of(16);
            // So may the table, which can be moved down.
            let is_below = self.has_slabs(heap) || self.holds_table(heap);
            assert!(!is_top_free || is_slot || is_below || !is_noticed);
        }
        if self.live_in(heap) == 0 {
            assert_eq!(reserved.any, self.holds_table(heap));
        }
    }

    fn has_slabs(&self, heap: Heap) -> bool {
        let mut has_slabs = false;
        self.talc.visit(|part| {
            if let Part::Slab { payload, .. } = part {
                has_slabs |= (heap.start..heap.end.as_ptr()).contains(&payload.as_ptr());
            }
        });
        has_slabs
    }

    /// Whether the table is in this heap.
    fn holds_table(&self, heap: Heap) -> bool {
        let mut holds_table = false;
        self.talc.visit(|part| {
            if let Part::Table { payload, .. } = part {
                holds_table |= (heap.start..heap.end.as_ptr()).contains(&payload.as_ptr());
            }
        });
        holds_table
    }

    fn deallocate(&mut self, block: Pick) {
        if let Some((ptr, _)) = self.shadow.pick(block) {
            self.deallocate_at(ptr);
        }
    }

    fn deallocate_at(&mut self, ptr: *mut u8) {
        let layout = self.shadow.remove(ptr);
        // SAFETY: live until here.
        let touched = unsafe { self.talc.deallocate(ptr, layout) };
        self.check_touched(ptr, touched);
    }

    fn grow(&mut self, block: Pick, by: Size) {
        if let Some((ptr, layout)) = self.shadow.pick(block) {
            let new_size = layout.size().saturating_add(by.bytes());
            // SAFETY: live, and not smaller.
            if unsafe { self.talc.try_grow_in_place(ptr, layout, new_size) } {
                self.shadow.resize(ptr, new_size, &self.heaps());
            }
        }
    }

    fn grow_downwards(&mut self, block: Pick, by: Size) {
        let Some((ptr, layout)) = self.shadow.pick(block) else { return };
        let new_size = layout.size().saturating_add(by.bytes());
        // SAFETY: live, and not smaller.
        if let Some(moved) = unsafe { self.talc.try_grow_downwards(ptr, layout, new_size) } {
            assert!(moved.as_ptr() < ptr);
            let Ok(layout) = Layout::from_size_align(new_size, layout.align()) else { return };
            self.shadow.moved(ptr, moved.as_ptr(), layout, &self.heaps());
        }
    }

    fn shrink(&mut self, block: Pick, to: Size) {
        if let Some((ptr, layout)) = self.shadow.pick(block) {
            let new_size = to.small_bytes().min(layout.size());
            // SAFETY: live, and not larger.
            let touched = unsafe { self.talc.shrink(ptr, layout, new_size) };
            self.shadow.resize(ptr, new_size, &self.heaps());
            if let Some(end) = touched {
                // SAFETY: the end is current, or it is not that of a heap.
                let up_to = unsafe { self.talc.reserved(end) }.up_to.as_ptr() as usize;
                let block_end = ptr as usize + new_size;
                assert!((block_end..block_end + 2 * CHUNK_UNIT).contains(&up_to));
                self.watch(end);
            }
        }
    }

    fn reallocate(&mut self, block: Pick, to: Size) {
        let Some((ptr, layout)) = self.shadow.pick(block) else { return };
        let Ok(new_layout) = Layout::from_size_align(to.bytes(), layout.align()) else { return };
        // SAFETY: live.
        let in_place = unsafe { self.talc.try_realloc_in_place(ptr, layout, new_layout.size()) };
        if in_place.is_ok() {
            self.shadow.resize(ptr, new_layout.size(), &self.heaps());
        } else if let Some(moved) = self
            .talc
            .try_allocate_to_grow(layout.size(), new_layout)
            .or_else(|| self.talc.try_allocate(new_layout))
        {
            let kept = layout.size().min(new_layout.size());
            // SAFETY: both are live, and do not overlap.
            let touched = unsafe {
                moved.as_ptr().copy_from_nonoverlapping(ptr, kept);
                self.talc.deallocate(ptr, layout)
            };
            self.shadow.moved(ptr, moved.as_ptr(), new_layout, &self.heaps());
            self.watch_if_first(moved.as_ptr());
            self.check_touched(ptr, touched);
        }
    }

    /// Checks every invariant, and everything that the model knows.
    ///
    /// # Panics
    /// Panics if anything is not as it must be.
    pub fn check(&mut self) {
        #[cfg(feature = "audit")]
        if let Err(fault) = self.talc.audit() {
            panic!("{fault}");
        }
        self.check_gaps();
        #[cfg(feature = "counters")]
        self.check_counters();
        // Comparing all contents each time would take most of the time.
        self.steps += 1;
        if self.steps.is_multiple_of(8) {
            self.shadow.verify();
        }
    }

    #[cfg(feature = "counters")]
    fn check_counters(&self) {
        let counters = self.talc.counters();
        assert_eq!(counters.allocation_count, self.shadow.len());
        assert_eq!(counters.allocated_bytes, self.shadow.bytes());
        let reference = self.reference();
        assert_eq!(counters.fragment_count, reference.gaps());
        assert_eq!(counters.available_bytes, reference.bytes());
        let largest = self.talc.largest_gap().map_or(0, |size| size + SEAL + size_of::<usize>());
        let scattered = (reference.bytes() - largest) * 1000;
        let expected = scattered.checked_div(reference.bytes()).unwrap_or(0);
        assert_eq!(self.talc.fragmentation() as usize, expected);
        assert_eq!(
            counters.heap_count,
            self.regions.iter().filter(|region| region.heap.is_some()).count()
        );
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout; the allocator is not used any more.
        unsafe { alloc::alloc::dealloc(self.base, REGION_LAYOUT) };
    }
}
