//! What the model does to heaps, and how many bytes are enough.

use core::alloc::Layout;
use core::ptr::NonNull;

use talc_core::CHUNK_UNIT;
use talc_sources::{min_first_heap_size, Binning, RawTalcExt};

use super::{CoreModel, Heap, Region, REGION, REGIONS, UNCLAIMED};
use crate::action::Pick;
use crate::is_compact;

/// No table of the binnings that are tested is larger.
const LARGEST_TABLE: usize = 2600;

impl<B: Binning> CoreModel<B> {
    /// Claims part of a region, if it has no heap yet. Returns whether there is one now.
    pub(super) fn claim(&mut self, region: Pick, offset: usize, size: usize) -> bool {
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
                let bytes = unsafe { core::slice::from_raw_parts(base, REGION) };
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

    pub(super) fn extend(&mut self, heap: Pick, by: usize) {
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
            let least = if is_compact::<B>() { CHUNK_UNIT } else { LARGEST_TABLE };
            assert!((target as usize) < heap.end.as_ptr() as usize + least + 16);
        } else {
            assert!(end.as_ptr() as usize + 16 > target as usize);
            assert!(end.as_ptr() as usize - heap.end.as_ptr() as usize >= CHUNK_UNIT);
        }
        self.regions[index].heap = Some(Heap { end, ..heap });
    }

    pub(super) fn truncate(&mut self, heap: Pick, by: usize) {
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

    pub(super) fn resize(&mut self, heap: Pick, to: usize) {
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
    pub(super) fn claim_for(&mut self, region: Pick, offset: usize, layout: Layout) {
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
    pub(super) fn extend_for(&mut self, heap: Pick, layout: Layout) {
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
    pub(super) fn claim_or_extend_for(&mut self, region: Pick, offset: usize, layout: Layout) {
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
        let extends = asked >= least || size >= LARGEST_TABLE || is_compact::<B>();
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
}
