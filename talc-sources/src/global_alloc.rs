//! Memory from a `GlobalAlloc`.

use core::alloc::{GlobalAlloc, Layout};
use core::mem::size_of;
use core::ptr::NonNull;

use crate::blocks::{block_source, Backing, Blocks, USUAL_BLOCK};

block_source! {
    /// # Example
    ///
    /// ```
    /// use std::alloc::{Layout, System};
    /// use talc_sources::{GlobalAllocSource, Talc};
    ///
    /// let mut talc = Talc::<_>::new(GlobalAllocSource::new(System));
    /// assert!(talc.allocate(Layout::new::<[usize; 500]>()).is_some());
    /// ```
    ///
    /// An allocator that has a size may have its memory inside of itself, and a move would take it
    /// away. Such an allocator needs an unsafe constructor.
    ///
    /// ```compile_fail
    /// use std::alloc::{GlobalAlloc, Layout, System};
    ///
    /// struct Counted(std::cell::Cell<usize>);
    /// unsafe impl GlobalAlloc for Counted {
    ///     unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
    ///         self.0.set(self.0.get() + 1);
    ///         System.alloc(layout)
    ///     }
    ///     unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
    ///         System.dealloc(ptr, layout)
    ///     }
    /// }
    ///
    /// let source = talc_sources::GlobalAllocSource::new(Counted(Default::default()));
    /// # let mut talc = talc_sources::Talc::<_>::new(source);
    /// # talc.allocate(Layout::new::<u8>());
    /// ```
    GlobalAllocSource<G: GlobalAlloc>, Global
}

impl<G: GlobalAlloc> GlobalAllocSource<G> {
    /// Creates a source that takes blocks of 1 MiB or, for larger allocations, of a multiple of it.
    ///
    /// `G` must have size zero, like `System` and others that keep their state in statics: a
    /// `GlobalAlloc` promises nothing about memory inside of itself when it is moved. For any other
    /// `G`, this does not compile; see [`new_unchecked`](Self::new_unchecked).
    pub const fn new(allocator: G) -> Self {
        Self::with_block_size(allocator, USUAL_BLOCK)
    }

    /// Creates a source that takes blocks of a multiple of `block_size` bytes. `G` must have size
    /// zero, as for [`new`](Self::new).
    ///
    /// # Panics
    /// Panics if `block_size` is not a power of two.
    pub const fn with_block_size(allocator: G, block_size: usize) -> Self {
        let () = Self::HAS_NO_SIZE;
        // SAFETY: a value of size zero holds no memory, and no state that a move could change.
        unsafe { Self::with_block_size_unchecked(allocator, block_size) }
    }

    const HAS_NO_SIZE: () = assert!(
        size_of::<G>() == 0,
        "GlobalAllocSource: an allocator with a size needs `new_unchecked`, as its memory may lie \
         inside of its value, which is moved"
    );

    /// As [`new`](Self::new), for any allocator.
    ///
    /// # Safety
    /// Blocks of `allocator` must stay valid, and it must still be able to free them, after its
    /// value is moved.
    pub const unsafe fn new_unchecked(allocator: G) -> Self {
        // SAFETY: required of the caller.
        unsafe { Self::with_block_size_unchecked(allocator, USUAL_BLOCK) }
    }

    /// As [`with_block_size`](Self::with_block_size), for any allocator.
    ///
    /// # Panics
    /// Panics if `block_size` is not a power of two.
    ///
    /// # Safety
    /// As for [`new_unchecked`](Self::new_unchecked).
    pub const unsafe fn with_block_size_unchecked(allocator: G, block_size: usize) -> Self {
        Self(Blocks::new(Global(allocator), block_size))
    }
}

#[derive(Debug)]
struct Global<G>(G);

// SAFETY: this is what `GlobalAlloc` promises; the constructors of the source make sure that moves
// change nothing.
unsafe impl<G: GlobalAlloc> Backing for Global<G> {
    fn allocate(&self, layout: Layout) -> Option<NonNull<u8>> {
        // SAFETY: the size of a block is not zero.
        NonNull::new(unsafe { self.0.alloc(layout) })
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: required of the caller.
        unsafe { self.0.dealloc(block.as_ptr(), layout) }
    }
}
