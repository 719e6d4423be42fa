//! The core with heaps that are managed by hand.

use std::alloc::Layout;
use std::ops::Range;
use std::ptr::NonNull;

use talc_core::{Part, RawTalc, CHUNK_UNIT, SEARCH_LIMIT};
use talc_sources::{min_first_heap_size, Binning, RawTalcExt};

use crate::action::{layout, Action, Pick, Size};
use crate::Shadow;

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

/// No table of the binnings that are tested is larger.
const LARGEST_TABLE: usize = 2600;

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

    /// Whether the table is in the allocator's own value, and so there before any heap.
    fn is_compact() -> bool {
        RawTalc::<B>::new().is_metadata_established()
    }

    fn over(talc: RawTalc<B>) -> Self {
        let region = || {
            // SAFETY: the layout has a size.
            let base = unsafe { std::alloc::alloc(REGION_LAYOUT) };
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
        self.check();
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
                    self.talc.truncate(heap.end, std::ptr::null_mut()).is_none()
                };
                assert_eq!(gone, !first, "a heap is gone unless it holds the table");
            }
        }
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
        let block = self.talc.try_allocate(layout);
        match block {
            Some(block) => {
                self.shadow.add(block.as_ptr(), layout, &self.heaps());
                self.watch_if_first(block.as_ptr());
            }
            None => self.check_that_nothing_fits(layout),
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

    /// Checks a refusal: if there are few gaps, the search must have inspected all that may fit;
    /// and all gaps in the bin of one that is twice as large as needed fit.
    fn check_that_nothing_fits(&self, layout: Layout) {
        let mut gaps = 0;
        let mut fitting = 0;
        let mut surely_fitting = 0;
        // What is left beside the allocation must be a gap or nothing.
        let least = layout.size().max(CHUNK_UNIT - std::mem::size_of::<usize>());
        self.talc.visit(|part| {
            if let Part::Gap { payload, size } = part {
                gaps += 1;
                let addr = payload.as_ptr() as usize;
                let mut front = addr.wrapping_neg() % layout.align();
                if front > 0 && front < CHUNK_UNIT {
                    front = front.saturating_add(layout.align());
                }
                fitting += usize::from(front.saturating_add(least) <= size);
                let most = least.saturating_add(layout.align()).saturating_add(CHUNK_UNIT);
                surely_fitting += usize::from(most.saturating_mul(2) <= size);
            }
        });
        let limit = if Self::is_compact() { 1 } else { SEARCH_LIMIT };
        assert!(gaps > limit || fitting == 0, "{layout:?} fits, but was not allocated");
        assert!(surely_fitting == 0, "{layout:?} surely fits, but was not allocated");
    }

    /// Checks what freeing the block at `ptr` returned, and does what the driver does with it.
    fn check_touched(&mut self, ptr: *mut u8, touched: Option<NonNull<u8>>) {
        let heap = self.heap_of(ptr);
        // SAFETY: the end is current.
        let reserved = unsafe { self.talc.reserved(heap.end) };
        let is_top_free = reserved.up_to.as_ptr() <= ptr;
        if let Some(end) = touched {
            assert!(is_top_free && end == heap.end);
            self.watch(end);
        } else {
            // Slabs that are kept may lie above it, if it was not the last allocation.
            assert!(
                self.live_in(heap) > 0 || self.holds_table(heap),
                "{ptr:p} was the last one in its heap"
            );
            let is_slot = !(ptr as usize).is_multiple_of(16);
            // So may the table, which can be moved down.
            let is_below = self.has_slabs(heap) || self.holds_table(heap);
            assert!(!is_top_free || is_slot || is_below);
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
        } else if let Some(moved) = self.talc.try_allocate(new_layout) {
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

    /// Claims part of a region, if it has no heap yet. Returns whether there is one now.
    fn claim(&mut self, region: Pick, offset: usize, size: usize) -> bool {
        let index = usize::from(region.0) % REGIONS;
        let Region { base, heap } = self.regions[index];
        if heap.is_some() {
            return false;
        }
        let size = size.min(REGION - offset);
        let start = base.wrapping_add(offset);
        // SAFETY: inside of the region, which has no heap.
        let end = unsafe { self.talc.claim(start, size) };
        match end {
            Some(end) => {
                assert!(end.as_ptr() <= start.wrapping_add(size));
                assert!(end.as_ptr() as usize + 16 > start as usize + size);
                self.regions[index].heap = Some(Heap { start, end });
            }
            None => {
                // SAFETY: inside of the region.
                let bytes = unsafe { std::slice::from_raw_parts(base, REGION) };
                assert!(bytes.iter().all(|&byte| byte == UNCLAIMED), "a failed claim writes");
                let least = self.talc.claim_size(Layout::new::<u8>()).expect("a byte fits");
                assert!(size < least, "{size} bytes are enough for a heap");
            }
        }
        end.is_some()
    }

    fn pick_heap(&self, pick: Pick) -> Option<(usize, Heap)> {
        let index = usize::from(pick.0) % REGIONS;
        self.regions[index].heap.map(|heap| (index, heap))
    }

    fn extend(&mut self, heap: Pick, by: usize) {
        let Some((index, heap)) = self.pick_heap(heap) else { return };
        let region_end = self.regions[index].base.wrapping_add(REGION);
        let target = heap.end.as_ptr().wrapping_add(by).min(region_end);
        // SAFETY: the end is current, and the target in the region.
        let end = unsafe { self.talc.extend(heap.end, target) };
        self.moved_up(index, heap, target, end);
    }

    fn moved_up(&mut self, index: usize, heap: Heap, target: *mut u8, end: NonNull<u8>) {
        assert!(end.as_ptr() <= target.max(heap.end.as_ptr()));
        if end == heap.end {
            // There may have been no room for a larger table.
            let least = if Self::is_compact() { CHUNK_UNIT } else { LARGEST_TABLE };
            assert!((target as usize) < heap.end.as_ptr() as usize + least + 16);
        } else {
            assert!(end.as_ptr() as usize + 16 > target as usize);
            assert!(end.as_ptr() as usize - heap.end.as_ptr() as usize >= CHUNK_UNIT);
        }
        self.regions[index].heap = Some(Heap { end, ..heap });
    }

    fn truncate(&mut self, heap: Pick, by: usize) {
        let Some((index, heap)) = self.pick_heap(heap) else { return };
        let target = (heap.end.as_ptr() as usize).saturating_sub(by) as *mut u8;
        // SAFETY: the end is current.
        unsafe {
            let reserved = self.talc.reserved(heap.end);
            let end = self.talc.truncate(heap.end, target);
            self.moved_down(index, heap, target, reserved, end);
        }
    }

    fn moved_down(
        &mut self,
        index: usize,
        heap: Heap,
        target: *mut u8,
        reserved: talc_core::Reserved,
        end: Option<NonNull<u8>>,
    ) {
        let old_end = heap.end.as_ptr() as usize;
        let (target, lowest) = (target as usize, reserved.up_to.as_ptr() as usize);
        let new_end = match end {
            Some(end) => {
                let end_addr = end.as_ptr() as usize;
                assert!(end_addr >= lowest && end_addr <= old_end);
                assert!(end_addr <= target.max(lowest), "less was truncated than possible");
                assert!(end_addr + CHUNK_UNIT + 16 > target.min(old_end), "too much was truncated");
                assert!(end_addr == old_end || old_end - end_addr >= CHUNK_UNIT);
                end_addr
            }
            None => {
                assert!(!reserved.any, "a heap in use is gone");
                assert!(target < lowest + CHUNK_UNIT + 16, "a heap is gone that had room");
                self.regions[index].base as usize
            }
        };
        // What was given back is ours again, so it is overwritten.
        let start =
            self.regions[index].base.wrapping_add(new_end - self.regions[index].base as usize);
        // SAFETY: inside of the region, above the heap.
        unsafe { start.write_bytes(UNCLAIMED, old_end - new_end) };
        self.regions[index].heap = end.map(|end| Heap { end, ..heap });
    }

    fn resize(&mut self, heap: Pick, to: usize) {
        let Some((index, heap)) = self.pick_heap(heap) else { return };
        let target = self.regions[index].base.wrapping_add(to.min(REGION));
        // SAFETY: the end is current, and the target in the region.
        unsafe {
            let reserved = self.talc.reserved(heap.end);
            let end = self.talc.resize(heap.end, target);
            if target < heap.end.as_ptr() {
                self.moved_down(index, heap, target, reserved, end);
            } else {
                self.moved_up(index, heap, target, end.expect("extending keeps a heap"));
            }
        }
    }

    /// The sizing law: claiming as many bytes as the allocator says makes the layout fit.
    fn claim_for(&mut self, region: Pick, offset: usize, layout: Layout) {
        let Some(size) = self.talc.claim_size(layout) else {
            assert!(
                layout.size() > isize::MAX as usize / 2 || layout.align() > isize::MAX as usize / 2
            );
            return;
        };
        if size <= REGION - offset && self.regions[usize::from(region.0) % REGIONS].heap.is_none() {
            assert!(self.claim(region, offset, size), "{size} bytes are too few for a heap");
            let allocated = self.allocate(layout);
            assert!(allocated.is_some(), "{size} bytes are too few for {layout:?}");
        }
    }

    /// The sizing law for extending.
    fn extend_for(&mut self, heap: Pick, layout: Layout) {
        let Some((index, heap)) = self.pick_heap(heap) else { return };
        // SAFETY: the end is current.
        let Some(more) = (unsafe { self.talc.extend_size(heap.end, layout) }) else { return };
        let region_end = self.regions[index].base as usize + REGION;
        if more <= region_end - heap.end.as_ptr() as usize {
            let target = heap.end.as_ptr().wrapping_add(more);
            // SAFETY: as in `extend`.
            let end = unsafe { self.talc.extend(heap.end, target) };
            assert_eq!(end.as_ptr(), target, "the size is one that an end can move by");
            self.regions[index].heap = Some(Heap { end, ..heap });
            let allocated = self.allocate(layout);
            assert!(allocated.is_some(), "{more} bytes more are too few for {layout:?}");
        }
    }

    /// The sizing law for regions that become part of the heap below them, if there is one.
    fn claim_or_extend_for(&mut self, region: Pick, offset: usize, layout: Layout) {
        let index = usize::from(region.0) % REGIONS;
        let Region { base, heap } = self.regions[index];
        let start = heap.map_or(base.wrapping_add(offset), |heap| heap.end.as_ptr());
        let end = heap.map(|heap| heap.end);
        // SAFETY: the end is current.
        let Some(asked) = (unsafe { self.talc.claim_or_extend_size(end, layout) }) else { return };
        let least = min_first_heap_size::<B>();
        assert!(end.is_some() || asked >= least, "what is asked for is no heap");
        let size = asked.max(least);
        // If the table had no room, the region would become a heap of its own.
        let extends = asked >= least || size >= LARGEST_TABLE || Self::is_compact();
        if size > base as usize + REGION - start as usize || (end.is_some() && !extends) {
            return;
        }
        // SAFETY: inside of the region, above its heap.
        let end = unsafe { self.talc.claim_or_extend(end, start, size) };
        let top = start as usize + size;
        assert!((top - 15..=top).contains(&(end.as_ptr() as usize)));
        self.regions[index].heap = Some(Heap { start: heap.map_or(start, |heap| heap.start), end });
        assert!(self.allocate(layout).is_some(), "{size} bytes are too few for {layout:?}");
    }

    /// Checks every invariant, and everything that the model knows.
    fn check(&mut self) {
        if let Err(fault) = self.talc.audit() {
            panic!("{fault}");
        }
        let counters = self.talc.counters();
        assert_eq!(counters.allocation_count, self.shadow.len());
        assert_eq!(counters.allocated_bytes, self.shadow.bytes());
        assert_eq!(
            counters.heap_count,
            self.regions.iter().filter(|region| region.heap.is_some()).count()
        );
        // Comparing all contents each time would take most of the time.
        self.steps += 1;
        if self.steps.is_multiple_of(8) {
            self.shadow.verify();
        }
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout; the allocator is not used any more.
        unsafe { std::alloc::dealloc(self.base, REGION_LAYOUT) };
    }
}
