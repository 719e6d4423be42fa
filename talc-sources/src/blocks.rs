//! Heaps in blocks of another allocator: what [`GlobalAllocSource`](crate::GlobalAllocSource) and
//! `AllocatorSource` have in common.
//!
//! A block is a heap with a footer above it. The footers are linked, so that all blocks can be
//! returned when the source is dropped:
//!
//! ```text
//!   block                            heap end
//!   │                                │
//!   ▼                                ▼
//!   ┌────────────────────────────────┬────────────────────────┐
//!   │ heap                           │ next, previous, layout │
//!   └────────────────────────────────┴────────────────────────┘
//! ```

use core::alloc::Layout;
use core::mem::size_of;
use core::ptr::{null_mut, NonNull};

use talc_core::RawTalc;

use crate::{Binning, OutOfMemory, RawTalcExt};

/// An allocator that blocks can come from.
///
/// # Safety
/// Blocks must be as large and aligned as asked for, must not be used by anything else, and must be
/// valid until they are returned or the value is dropped, even if it is moved meanwhile.
pub(crate) unsafe trait Backing {
    /// Allocates a block of `layout`, whose size is not zero.
    fn allocate(&self, layout: Layout) -> Option<NonNull<u8>>;

    /// Frees a block.
    ///
    /// # Safety
    /// `block` must have been allocated here with `layout`.
    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout);
}

/// The footer of a block, above its heap.
struct Footer {
    next: *mut Footer,
    previous: *mut Footer,
    block: NonNull<u8>,
    size: usize,
}

/// The alignment of blocks, and of heap ends and so footers.
const ALIGN: usize = 16;
const FOOTER: usize = 4 * size_of::<usize>();
const _: () = assert!(size_of::<Footer>() == FOOTER && FOOTER % ALIGN == 0);

/// A free block is kept beside this many others, since it is little then.
const LITTLE_BESIDE: usize = 6;

/// A block that is fetched within fewer calls than this after one was returned should have been
/// kept.
const SOON: u8 = 8;

/// Brings heaps in blocks of `backing`, and returns those that fall free.
#[derive(Debug)]
pub(crate) struct Blocks<K: Backing> {
    backing: K,
    /// The sizes of blocks are multiples of this.
    block_size: usize,
    /// Of the blocks that are left, the footers of those that were fetched first and last.
    first: *mut Footer,
    last: *mut Footer,
    /// The number of blocks.
    count: usize,
    /// The end of the heap in the block that was free and was kept, if there is one. It may be in
    /// use again.
    spare: Option<NonNull<u8>>,
    /// The number of calls since a block of the usual size was returned, at most [`SOON`].
    calls: u8,
    /// Whether the block that was fetched last had been returned just before.
    is_thrashing: bool,
    /// How many bytes that block was fetched for.
    fetched_for: usize,
}

// SAFETY: the blocks belong to this value; whether it may be sent is up to the allocator that they
// are returned to.
unsafe impl<K: Backing + Send> Send for Blocks<K> {}

impl<K: Backing> Blocks<K> {
    pub(crate) const fn new(backing: K, block_size: usize) -> Self {
        assert!(block_size.is_power_of_two(), "talc: block_size must be a power of two");
        // Not smaller than a footer, so that the sizes of blocks are multiples of their alignment.
        let block_size = if block_size < FOOTER { FOOTER } else { block_size };
        Self {
            backing,
            block_size,
            first: null_mut(),
            last: null_mut(),
            count: 0,
            spare: None,
            calls: SOON,
            is_thrashing: false,
            fetched_for: 0,
        }
    }

    pub(crate) fn acquire<B: Binning>(
        &mut self,
        talc: &mut RawTalc<B>,
        layout: Layout,
    ) -> Result<(), OutOfMemory> {
        let fetched_for = layout.size().saturating_add(layout.align());
        let size = talc
            .claim_size(layout)
            .and_then(|size| size.checked_add(FOOTER))
            .and_then(|size| size.checked_add(self.block_size - 1))
            .ok_or(OutOfMemory)?
            & !(self.block_size - 1);
        let layout = Layout::from_size_align(size, ALIGN).map_err(|_| OutOfMemory)?;
        let block = self.backing.allocate(layout).ok_or(OutOfMemory)?;

        // SAFETY: the block is new and belongs to this source; its size suffices for a heap.
        let end = match unsafe { talc.claim(block.as_ptr(), size - FOOTER) } {
            Some(end) => end,
            None => {
                // This does not happen if `claim_size` keeps its promise, unless the backing has brought
                // memory that is in use, which debug builds report. SAFETY: allocated above.
                unsafe { self.backing.deallocate(block, layout) };
                return Err(OutOfMemory);
            }
        };
        // SAFETY: the end is aligned, and at most 15 bytes below what was asked for, so there is
        // room for a footer above it.
        unsafe { self.link(end, block, size) };
        if size == self.block_size {
            self.is_thrashing = self.calls < SOON;
            self.calls = SOON;
            self.fetched_for = fetched_for;
        }
        Ok(())
    }

    /// Links a block.
    ///
    /// # Safety
    /// The heap of the block must end at `end`, and there must be room for a footer above it.
    unsafe fn link(&mut self, end: NonNull<u8>, block: NonNull<u8>, size: usize) {
        let footer = end.as_ptr().cast::<Footer>();
        // SAFETY: required of the caller; the last footer stays in place as long as its block.
        unsafe {
            footer.write(Footer { next: null_mut(), previous: self.last, block, size });
            if self.last.is_null() {
                self.first = footer;
            } else {
                (*self.last).next = footer;
            }
        }
        self.last = footer;
        self.count += 1;
    }

    /// Unlinks a block. Returns its address and its size.
    ///
    /// # Safety
    /// `footer` must be that of one of this source's blocks.
    unsafe fn unlink(&mut self, footer: *mut Footer) -> (NonNull<u8>, usize) {
        self.count -= 1;
        // SAFETY: required of the caller; the neighbours' blocks still exist.
        unsafe {
            let Footer { next, previous, block, size } = footer.read();
            if next.is_null() {
                self.last = previous;
            } else {
                (*next).previous = previous;
            }
            if previous.is_null() {
                self.first = next;
            } else {
                (*previous).next = next;
            }
            (block, size)
        }
    }

    /// Returns a block that has fallen free, or keeps it: if it is little beside the others; or if
    /// one was fetched just after one had been returned, and there is still no room elsewhere.
    ///
    /// So nothing is kept in the end, and alternating allocations and deallocations at the edge of
    /// a block fetch and return one at most twice.
    ///
    /// # Safety
    /// `end` must be the end of one of this source's heaps in `talc`.
    pub(crate) unsafe fn release<B: Binning>(&mut self, talc: &mut RawTalc<B>, end: NonNull<u8>) {
        self.calls = (self.calls + 1).min(SOON);
        // SAFETY: required of the caller. The heap that holds the table is always reserved. Above
        // each heap of this source is its footer.
        unsafe {
            if self.spare.map_or(false, |spare| talc.watch(spare).any) {
                self.forget_spare(talc);
            }
            if self.spare == Some(end) || talc.reserved(end).any {
                if self.spare.is_some() && !self.wants_spare(talc, 1) {
                    self.return_spare(talc);
                }
                return;
            }
            // It is still there if something is damaged.
            if talc.truncate(end, null_mut()).is_some() {
                return;
            }
            let (block, size) = self.unlink(end.as_ptr().cast());
            let wants_spare = self.wants_spare(talc, usize::from(self.spare.is_some()));
            if wants_spare && self.spare.is_none() && size == self.block_size {
                self.spare = talc.claim(block.as_ptr(), size - FOOTER);
                talc.remind(self.spare, self.enough());
                self.link(end, block, size);
                // The first heap may have been free, and slots may be in use there again that would
                // not be noticed.
                if let Some(first) = NonNull::new(self.first) {
                    talc.watch(first.cast());
                }
                return;
            }
            // The backing may panic. Then what is not returned yet is still linked.
            self.give_back(block, size);
            if !wants_spare {
                self.return_spare(talc);
            }
        }
    }

    /// Returns whether a free block is to be kept: if it is little beside the others, which are all
    /// but `free` ones; or if one was fetched just after one had been returned, and there is no
    /// room elsewhere.
    fn wants_spare<B: Binning>(&self, talc: &mut RawTalc<B>, free: usize) -> bool {
        self.count >= LITTLE_BESIDE + free || (self.is_thrashing && !self.has_room(talc))
    }

    /// Returns how many free bytes in one gap make a free block superfluous: half of a block, or
    /// what the last one was fetched for.
    fn enough(&self) -> usize {
        self.fetched_for.max(self.block_size / 2)
    }

    /// Returns whether there is a gap of that size outside of the spare block; or whether the first
    /// block is free, so that nothing is kept beside it in the end.
    fn has_room<B: Binning>(&self, talc: &mut RawTalc<B>) -> bool {
        let room = Layout::from_size_align(self.enough(), 1);
        // SAFETY: above each heap of this source is its footer.
        let beside = self.spare.map(|end| (unsafe { (*end.as_ptr().cast::<Footer>()).block }, end));
        room.map_or(false, |room| talc.has_gap_for(room, beside)) || self.is_first_free(talc)
    }

    /// Returns whether the oldest block is not the spare one, and is free but for the table and up
    /// to a quarter of the rest.
    fn is_first_free<B: Binning>(&self, talc: &RawTalc<B>) -> bool {
        let end = match NonNull::new(self.first) {
            Some(footer) if self.spare != Some(footer.cast()) => footer.cast::<u8>(),
            _ => return false,
        };
        // SAFETY: a linked footer is that of a block of this source, and is at its heap's end.
        let (size, reserved) = unsafe { ((*self.first).size, talc.reserved(end)) };
        let free = end.as_ptr() as usize - reserved.up_to.as_ptr() as usize;
        let most = size.saturating_sub(FOOTER + talc.table_size());
        free >= most - most / 4
    }

    /// Returns the spare block, if there is one.
    ///
    /// # Safety
    /// `talc` must be the allocator that this source serves, and the spare block must be free.
    unsafe fn return_spare<B: Binning>(&mut self, talc: &mut RawTalc<B>) {
        if let Some(spare) = self.spare {
            // SAFETY: the spare is the end of one of this source's heaps; once the heap is gone,
            // its block is this source's.
            unsafe {
                self.forget_spare(talc);
                if talc.truncate(spare, null_mut()).is_none() {
                    let (block, size) = self.unlink(spare.as_ptr().cast());
                    self.give_back(block, size);
                }
            }
        }
    }

    /// Forgets the spare block, which is in use again or will be returned.
    ///
    /// # Safety
    /// `talc` must be the allocator that this source serves, and have a heap.
    unsafe fn forget_spare<B: Binning>(&mut self, talc: &mut RawTalc<B>) {
        self.spare = None;
        // SAFETY: required of the caller.
        unsafe { talc.remind(None, 0) };
    }

    /// Returns a block to the backing.
    ///
    /// # Safety
    /// It must have been one of this source's blocks, and its heap must be gone.
    unsafe fn give_back(&mut self, block: NonNull<u8>, size: usize) {
        if size == self.block_size {
            self.calls = 0;
        }
        // SAFETY: this is the layout that it was allocated with.
        unsafe { self.backing.deallocate(block, Layout::from_size_align_unchecked(size, ALIGN)) };
    }
}

impl<K: Backing> Drop for Blocks<K> {
    fn drop(&mut self) {
        while !self.last.is_null() {
            // SAFETY: a linked footer is that of one of this source's blocks; the allocator is
            // dropped together with its source, so its heaps are no longer used.
            unsafe {
                let (block, size) = self.unlink(self.last);
                self.give_back(block, size);
            }
        }
    }
}

/// Defines a source over [`Blocks`]: `$source<$t>` takes blocks from a `$t: $bound`, through its
/// [`Backing`], the newtype `$backing<$t>`.
macro_rules! block_source {
    ($(#[$doc:meta])* $source:ident<$t:ident: $bound:ident>, $backing:ident) => {
        /// Brings memory in blocks of another allocator. Returns blocks that have fallen free, and
        /// all of them when it is dropped.
        ///
        /// The block that holds the table, if one does, is kept until then. One free block of the
        /// usual size is kept beside six others or more. If blocks are fetched and returned in
        /// turns, one is kept until there is room elsewhere.
        ///
        /// Heaps must not be managed by hand: [`MANUAL_HEAPS`](crate::Source::MANUAL_HEAPS) is
        /// `false`.
        ///
        /// The other allocator may be or use the one that this source serves, but gets no memory
        /// from it: see [`Source`](crate::Source#re-entry).
        ///
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $source<$t: $bound>(crate::blocks::Blocks<$backing<$t>>);

        // SAFETY: the blocks are new and belong to the source, which returns them when they are
        // free.
        unsafe impl<$t: $bound, B: crate::Binning> crate::Source<B> for $source<$t> {
            const MANUAL_HEAPS: bool = false;
            const MAY_REENTER: bool = true;

            unsafe fn acquire(
                &mut self,
                talc: &mut talc_core::RawTalc<B>,
                layout: Layout,
            ) -> Result<(), crate::OutOfMemory> {
                self.0.acquire(talc, layout)
            }

            #[inline]
            unsafe fn release(&mut self, talc: &mut talc_core::RawTalc<B>, end: NonNull<u8>) {
                // SAFETY: all heaps are this source's, as they must not be managed by hand.
                unsafe { self.0.release(talc, end) }
            }
        }
    };
}

pub(crate) use block_source;

/// The size of blocks, unless a source is given another.
pub(crate) const USUAL_BLOCK: usize = 1 << 20;
