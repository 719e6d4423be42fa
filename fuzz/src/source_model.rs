//! The driver over a source that takes blocks from another allocator and gives them back.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::alloc::Layout;
use core::ops::Range;

use talc_core::DefaultBinning;
use talc_sources::{AllocatorSource, Binning, GlobalAllocSource, Source, Talc};

use crate::action::{layout, Action, Pick, Size};
use crate::{watches, Backing, Shadow};

/// A source over a [`Backing`].
pub trait BlockSource<B>: Source<B> {
    /// Makes the source.
    fn over(backing: &'static Backing, block_size: usize) -> Self;
}

impl<B: Binning> BlockSource<B> for GlobalAllocSource<&'static Backing> {
    fn over(backing: &'static Backing, block_size: usize) -> Self {
        // SAFETY: a reference may be moved.
        unsafe { Self::with_block_size_unchecked(backing, block_size) }
    }
}

impl<B: Binning> BlockSource<B> for AllocatorSource<&'static Backing> {
    fn over(backing: &'static Backing, block_size: usize) -> Self {
        Self::with_block_size(backing, block_size)
    }
}

const BLOCK_SIZE: usize = 8 << 10;

/// A [`Talc`] over a source of blocks, checked at each step.
pub struct SourceModel<S: BlockSource<B>, B: Binning = DefaultBinning> {
    /// Taken in `finish`.
    talc: Option<Talc<S, B>>,
    /// From a box, which `drop` takes back.
    backing: *mut Backing,
    shadow: Shadow,
}

impl<S: BlockSource<B>, B: Binning> Default for SourceModel<S, B> {
    fn default() -> Self {
        Self::new(Backing::default())
    }
}

impl<S: BlockSource<B>, B: Binning> SourceModel<S, B> {
    /// Creates an allocator that has no block yet.
    pub fn new(backing: Backing) -> Self {
        let backing = Box::into_raw(Box::new(backing));
        // SAFETY: lives as long as the source, for which it is `'static`.
        let talc = Some(Talc::new(S::over(unsafe { &*backing }, BLOCK_SIZE)));
        Self { talc, backing, shadow: Shadow::default() }
    }

    /// Does one action and checks everything.
    ///
    /// # Panics
    /// Panics if the allocator or the source does anything that it must not do.
    pub fn step(&mut self, action: &Action) {
        match *action {
            Action::Allocate { size, align }
            | Action::ClaimFor { size, align, .. }
            | Action::ExtendFor { size, align, .. }
            | Action::ClaimOrExtendFor { size, align, .. } => {
                if let Some(layout) = layout(size, align) {
                    self.allocate(layout);
                }
            }
            Action::Deallocate { block } => self.deallocate(block),
            Action::Grow { block, by } => {
                self.resize(block, |size| size.saturating_add(by.small_bytes()));
            }
            Action::GrowDownwards { block, by } => self.grow_downwards(block, by),
            Action::Shrink { block, to } => self.resize(block, |size| to.small_bytes().min(size)),
            Action::Reallocate { block, to } => self.reallocate(block, to),
            Action::Trim => self.talc().trim(),
            Action::FailAfter { calls } => self.backing().fail_after(calls.map(usize::from)),
            Action::Claim { .. }
            | Action::Extend { .. }
            | Action::Truncate { .. }
            | Action::Resize { .. } => {}
        }
        self.check();
    }

    /// Frees everything, drops the allocator, and checks that no block is left.
    ///
    /// Takes a reference, as the backing is dropped with the model, and must outlive a call that
    /// has the allocator as an argument.
    pub fn finish(&mut self) {
        for (ptr, layout) in self.shadow.drain() {
            // SAFETY: live until here.
            unsafe { self.talc().deallocate(ptr, layout) };
        }
        self.check();
        // Only the block with the table is left, or one that is kept if none has the table.
        let blocks = self.backing().blocks();
        assert!(blocks.len() <= 1 || !watches::<B>(), "free blocks must go back: {blocks:?}");
        self.talc = None;
        assert_eq!(self.backing().blocks(), [], "blocks are leaked");
    }

    fn talc(&mut self) -> &mut Talc<S, B> {
        self.talc.as_mut().expect("not finished")
    }

    fn backing(&self) -> &Backing {
        // SAFETY: lives as long as `self`.
        unsafe { &*self.backing }
    }

    fn heaps(&self) -> Vec<Range<usize>> {
        self.backing().blocks()
    }

    fn allocate(&mut self, layout: Layout) {
        if let Some(block) = self.talc().allocate(layout) {
            let heaps = self.heaps();
            self.shadow.add(block.as_ptr(), layout, &heaps);
        }
    }

    fn deallocate(&mut self, block: Pick) {
        if let Some((ptr, layout)) = self.shadow.pick(block) {
            self.shadow.remove(ptr);
            // SAFETY: live until here.
            unsafe { self.talc().deallocate(ptr, layout) };
        }
    }

    fn resize(&mut self, block: Pick, new_size: impl FnOnce(usize) -> usize) {
        if let Some((ptr, layout)) = self.shadow.pick(block) {
            let new_size = new_size(layout.size());
            // SAFETY: live.
            if unsafe { self.talc().try_realloc_in_place(ptr, layout, new_size) } {
                let heaps = self.heaps();
                self.shadow.resize(ptr, new_size, &heaps);
            }
        }
    }

    fn grow_downwards(&mut self, block: Pick, by: Size) {
        let Some((ptr, layout)) = self.shadow.pick(block) else { return };
        let new_size = layout.size().saturating_add(by.small_bytes());
        let Ok(new) = Layout::from_size_align(new_size, layout.align()) else { return };
        // SAFETY: live, and not smaller.
        if let Some(moved) = unsafe { self.talc().try_grow_downwards(ptr, layout, new_size) } {
            let heaps = self.heaps();
            self.shadow.moved(ptr, moved.as_ptr(), new, &heaps);
        }
    }

    fn reallocate(&mut self, block: Pick, to: Size) {
        let Some((ptr, layout)) = self.shadow.pick(block) else { return };
        let Ok(new) = Layout::from_size_align(to.bytes(), layout.align()) else { return };
        // SAFETY: live; the copy is between live blocks.
        unsafe {
            let Some(moved) = self.talc().allocate_to_grow(layout.size(), new) else { return };
            moved.as_ptr().copy_from_nonoverlapping(ptr, layout.size().min(new.size()));
            let heaps = self.heaps();
            self.shadow.moved(ptr, moved.as_ptr(), new, &heaps);
            self.talc().deallocate(ptr, layout);
        }
    }

    fn check(&mut self) {
        #[cfg(feature = "audit")]
        if let Err(fault) = self.talc().audit() {
            panic!("{fault}");
        }
        #[cfg(feature = "counters")]
        {
            let counters = *self.talc().counters();
            assert_eq!(counters.allocation_count, self.shadow.len());
            assert_eq!(counters.allocated_bytes, self.shadow.bytes());
            let blocks = self.backing().blocks();
            assert_eq!(counters.heap_count, blocks.len(), "each block is a heap");
        }
        self.shadow.verify();
    }
}

impl<S: BlockSource<B>, B: Binning> Drop for SourceModel<S, B> {
    fn drop(&mut self) {
        self.talc = None;
        // SAFETY: from a box, and the allocator that used it is dropped.
        drop(unsafe { Box::from_raw(self.backing) });
    }
}
