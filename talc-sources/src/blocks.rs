//! Heaps in blocks of another allocator: what [`GlobalAllocSource`](crate::GlobalAllocSource) and
//! [`AllocatorSource`](crate::AllocatorSource) have in common.
//!
//! A block is one heap with a footer above it. The footers are linked, so that all blocks can be
//! given back when the source is dropped:
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

use crate::{Binning, OutOfMemory};

/// An allocator that blocks can come from.
pub(crate) trait Backing {
    /// Allocates memory for `layout`, whose size is not zero.
    fn allocate(&self, layout: Layout) -> Option<NonNull<u8>>;

    /// # Safety
    /// `block` must have been allocated here with `layout`.
    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout);
}

/// Above each heap.
struct Footer {
    next: *mut Footer,
    previous: *mut Footer,
    block: NonNull<u8>,
    size: usize,
}

/// Blocks and heaps, and so footers, are aligned to this.
const ALIGN: usize = 16;
const FOOTER: usize = 4 * size_of::<usize>();
const _: () = assert!(size_of::<Footer>() == FOOTER && FOOTER % ALIGN == 0);

/// Brings heaps in blocks from `backing`, and gives back those that fall empty.
#[derive(Debug)]
pub(crate) struct Blocks<K: Backing> {
    backing: K,
    /// Blocks have a multiple of this size.
    block_size: usize,
    /// The footer of the block that was allocated last.
    last: *mut Footer,
    /// The block of the smallest size that fell empty last. One of these is kept, so that a pair
    /// of an allocation and a deallocation at the edge does not fetch and return a block each
    /// time.
    spare: Option<NonNull<u8>>,
}

// SAFETY: the blocks belong to this value; whether it may be sent is up to the allocator that
// they are given back to.
unsafe impl<K: Backing + Send> Send for Blocks<K> {}

impl<K: Backing> Blocks<K> {
    pub(crate) const fn new(backing: K, block_size: usize) -> Self {
        assert!(block_size.is_power_of_two(), "talc: block_size must be a power of two");
        // Larger than the footer, so that blocks are a multiple of their alignment.
        let block_size = if block_size < FOOTER { FOOTER } else { block_size };
        Self { backing, block_size, last: null_mut(), spare: None }
    }

    pub(crate) fn acquire<B: Binning>(
        &mut self,
        talc: &mut RawTalc<B>,
        layout: Layout,
    ) -> Result<(), OutOfMemory> {
        let size = talc
            .claim_size(layout)
            .and_then(|size| size.checked_add(FOOTER))
            .and_then(|size| size.checked_add(self.block_size - 1))
            .ok_or(OutOfMemory)?
            & !(self.block_size - 1);
        let layout = Layout::from_size_align(size, ALIGN).map_err(|_| OutOfMemory)?;
        let block = self.backing.allocate(layout).ok_or(OutOfMemory)?;

        // SAFETY: the block is new and belongs to this source; its size is enough for a heap.
        let end = match unsafe { talc.claim(block.as_ptr(), size - FOOTER) } {
            Some(end) => end,
            None => {
                debug_assert!(false, "talc: claim_size answered too little");
                // SAFETY: allocated above.
                unsafe { self.backing.deallocate(block, layout) };
                return Err(OutOfMemory);
            }
        };
        // SAFETY: above the end, which is at most 15 bytes below where it was asked to be, and
        // aligned, there is room for a footer. The last footer stays in place as long as its
        // block.
        unsafe {
            let footer = end.as_ptr().cast::<Footer>();
            footer.write(Footer { next: null_mut(), previous: self.last, block, size });
            if !self.last.is_null() {
                (*self.last).next = footer;
            }
            self.last = footer;
        }
        Ok(())
    }

    /// # Safety
    /// `end` must be the end of one of this source's heaps in `talc`.
    pub(crate) unsafe fn release<B: Binning>(&mut self, talc: &mut RawTalc<B>, end: NonNull<u8>) {
        // The heap that holds the table is always reserved.
        // SAFETY: required of the caller.
        if unsafe { talc.reserved(end) }.any {
            return;
        }
        // SAFETY: above each heap of this source stands its footer.
        let size = unsafe { (*end.as_ptr().cast::<Footer>()).size };
        if size == self.block_size {
            // SAFETY: the spare is a block of this source, which only this function gives back;
            // it is spare no longer if something has been allocated in it.
            let has_spare = self
                .spare
                .map_or(false, |spare| spare != end && unsafe { !talc.reserved(spare).any });
            if !has_spare {
                self.spare = Some(end);
                return;
            }
        }
        // SAFETY: nothing is allocated in the heap; once it is gone, its block is this source's.
        unsafe {
            let is_kept = talc.truncate(end, null_mut()).is_some();
            debug_assert!(!is_kept);
            if !is_kept {
                self.give_back(end.as_ptr().cast());
            }
        }
    }

    /// Unlinks a block and gives it back.
    ///
    /// # Safety
    /// The footer must be that of one of this source's blocks, whose heap is gone.
    unsafe fn give_back(&mut self, footer: *mut Footer) {
        // SAFETY: required of the caller; the neighbours' blocks are still there.
        unsafe {
            let Footer { next, previous, block, size } = footer.read();
            if next.is_null() {
                self.last = previous;
            } else {
                (*next).previous = previous;
            }
            if !previous.is_null() {
                (*previous).next = next;
            }
            self.backing.deallocate(block, Layout::from_size_align_unchecked(size, ALIGN));
        }
    }
}

impl<K: Backing> Drop for Blocks<K> {
    fn drop(&mut self) {
        while !self.last.is_null() {
            // SAFETY: a linked footer is that of one of this source's blocks; with the source its
            // allocator is dropped, and with it the use of the heaps.
            unsafe { self.give_back(self.last) };
        }
    }
}

/// Defines a source over [`Blocks`]: `$source<$t>` takes them from a `$t: $bound`, by way of its
/// [`Backing`], the newtype `$backing<$t>`.
macro_rules! block_source {
    ($(#[$doc:meta])* $source:ident<$t:ident: $bound:ident>, $backing:ident) => {
        /// Brings memory in blocks from another allocator, and gives blocks back that have fallen
        /// empty: all but one of the usual size, and all of them when it is dropped.
        ///
        /// The block of the first heap, if it holds the table, is kept until then.
        ///
        /// Heaps must not be managed by hand: [`MANUAL_HEAPS`](crate::Source::MANUAL_HEAPS) is
        /// `false`.
        ///
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $source<$t: $bound>(crate::blocks::Blocks<$backing<$t>>);

        impl<$t: $bound> $source<$t> {
            /// Takes blocks of 1 MiB or, for larger allocations, of a multiple of it.
            pub const fn new(allocator: $t) -> Self {
                Self::with_block_size(allocator, 1 << 20)
            }

            /// Takes blocks of a multiple of `block_size` bytes.
            ///
            /// # Panics
            /// If `block_size` is not a power of two.
            pub const fn with_block_size(allocator: $t, block_size: usize) -> Self {
                Self(crate::blocks::Blocks::new($backing(allocator), block_size))
            }
        }

        // SAFETY: the blocks are new and belong to the source, which gives them back when they are
        // empty.
        unsafe impl<$t: $bound, B: crate::Binning> crate::Source<B> for $source<$t> {
            const MANUAL_HEAPS: bool = false;

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
