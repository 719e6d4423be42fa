//! What a model needs of a wrapper: both allocation traits as one, and a look at the heaps.

use std::alloc::{GlobalAlloc, Layout};
use std::ops::Range;
use std::ptr::{slice_from_raw_parts_mut, NonNull};

use allocator_api2::alloc::{AllocError, Allocator};
use arbitrary::Arbitrary;
#[cfg(feature = "audit")]
use talc_core::Fault;
use talc_core::Part;
use talc_sources::{Binning, Source};
use talc_sync::lock_api::RawMutex;
use talc_sync::sharded::ShardHint;
use talc_sync::{OomHook, Regions, TalcCell, TalcLock, TalcSharded, TalcSyncCell, TinyTalc};

/// How a call is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Arbitrary)]
pub struct How {
    /// Through `GlobalAlloc`, not `Allocator`.
    pub by_global: bool,
    /// With memory that has to be zero.
    pub zeroed: bool,
}

/// The heaps of a wrapper.
pub trait Inspect {
    /// Panics if an invariant is broken.
    #[cfg(feature = "audit")]
    fn check(&self);

    /// Returns the number of live allocations.
    #[cfg(feature = "counters")]
    fn count(&self) -> usize;

    /// Calls `visitor` with each part of each heap.
    fn visit(&self, visitor: &mut dyn FnMut(Part));

    /// Gives back what is kept.
    fn trim(&self);

    /// Claims a region. Returns whether there is a heap in it now.
    ///
    /// # Safety
    /// As for [`Talc::claim`](talc_sources::Talc::claim).
    unsafe fn claim(&self, base: *mut u8, size: usize) -> bool;

    /// Returns where allocations may be that are in no memory of a source.
    fn own_memory(&self) -> Range<usize> {
        0..0
    }
}

/// An allocator with both allocation traits, as an object.
pub trait Tested: Inspect {
    /// Allocates.
    fn allocate(&self, layout: Layout, how: How) -> Option<NonNull<[u8]>>;

    /// Frees.
    ///
    /// # Safety
    /// As for both traits.
    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout, how: How);

    /// Grows or shrinks. Through `GlobalAlloc`, the alignments must be equal, and no size zero.
    ///
    /// # Safety
    /// As for both traits.
    unsafe fn resize(
        &self,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
        how: How,
    ) -> Option<NonNull<[u8]>>;
}

fn slice(block: *mut u8, size: usize) -> Option<NonNull<[u8]>> {
    NonNull::new(slice_from_raw_parts_mut(NonNull::new(block)?.as_ptr(), size))
}

impl<W: GlobalAlloc + Allocator + Inspect> Tested for W {
    fn allocate(&self, layout: Layout, how: How) -> Option<NonNull<[u8]>> {
        if how.by_global && layout.size() > 0 {
            // SAFETY: the layout has a size.
            let block = unsafe {
                if how.zeroed {
                    self.alloc_zeroed(layout)
                } else {
                    self.alloc(layout)
                }
            };
            slice(block, layout.size())
        } else if how.zeroed {
            self.allocate_zeroed(layout).ok()
        } else {
            Allocator::allocate(self, layout).ok()
        }
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout, how: How) {
        // SAFETY: required of the caller; without a size, the other trait is taken.
        unsafe {
            if how.by_global && layout.size() > 0 {
                self.dealloc(block.as_ptr(), layout);
            } else {
                Allocator::deallocate(self, block, layout);
            }
        }
    }

    unsafe fn resize(
        &self,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
        how: How,
    ) -> Option<NonNull<[u8]>> {
        // SAFETY: required of the caller.
        unsafe {
            if how.by_global {
                assert!(old.size() > 0 && new.size() > 0 && old.align() == new.align());
                slice(self.realloc(block.as_ptr(), old, new.size()), new.size())
            } else if new.size() < old.size() {
                self.shrink(block, old, new).ok()
            } else if how.zeroed {
                self.grow_zeroed(block, old, new).ok()
            } else {
                self.grow(block, old, new).ok()
            }
        }
    }
}

#[cfg(feature = "audit")]
fn expect_sound(audit: Result<(), Fault>) {
    if let Err(fault) = audit {
        panic!("{fault}");
    }
}

impl<S: Source<B>, B: Binning> Inspect for TalcCell<S, B> {
    #[cfg(feature = "audit")]
    fn check(&self) {
        expect_sound(self.audit());
    }
    #[cfg(feature = "counters")]
    fn count(&self) -> usize {
        self.counters().allocation_count
    }
    fn visit(&self, visitor: &mut dyn FnMut(Part)) {
        // SAFETY: the models' visitors do not allocate from this.
        unsafe { self.visit(visitor) }
    }
    fn trim(&self) {
        self.trim();
    }
    unsafe fn claim(&self, base: *mut u8, size: usize) -> bool {
        // SAFETY: required of the caller.
        unsafe { self.claim(base, size) }.is_some()
    }
}

impl<S: Source<B>, B: Binning> Inspect for TalcSyncCell<S, B> {
    #[cfg(feature = "audit")]
    fn check(&self) {
        Inspect::check(&**self);
    }
    #[cfg(feature = "counters")]
    fn count(&self) -> usize {
        Inspect::count(&**self)
    }
    fn visit(&self, visitor: &mut dyn FnMut(Part)) {
        Inspect::visit(&**self, visitor);
    }
    fn trim(&self) {
        Inspect::trim(&**self);
    }
    unsafe fn claim(&self, base: *mut u8, size: usize) -> bool {
        // SAFETY: required of the caller.
        unsafe { Inspect::claim(&**self, base, size) }
    }
}

impl<R: RawMutex, S: Source<B>, B: Binning> Inspect for TalcLock<R, S, B> {
    #[cfg(feature = "audit")]
    fn check(&self) {
        expect_sound(self.lock().audit());
    }
    #[cfg(feature = "counters")]
    fn count(&self) -> usize {
        self.lock().counters().allocation_count
    }
    fn visit(&self, visitor: &mut dyn FnMut(Part)) {
        self.lock().visit(visitor);
    }
    fn trim(&self) {
        self.lock().trim();
    }
    unsafe fn claim(&self, base: *mut u8, size: usize) -> bool {
        // SAFETY: required of the caller.
        unsafe { self.lock().claim(base, size) }.is_some()
    }
}

impl<R: RawMutex, S: Source<B>, H: ShardHint, const SHARDS: usize, B: Binning> Inspect
    for TalcSharded<R, S, H, SHARDS, B>
{
    #[cfg(feature = "audit")]
    fn check(&self) {
        expect_sound(self.audit());
    }
    #[cfg(feature = "counters")]
    fn count(&self) -> usize {
        self.counters().allocation_count
    }
    fn visit(&self, visitor: &mut dyn FnMut(Part)) {
        self.lock().visit(visitor);
    }
    fn trim(&self) {
        self.trim();
    }
    unsafe fn claim(&self, base: *mut u8, size: usize) -> bool {
        // SAFETY: required of the caller.
        unsafe { self.lock().claim(base, size) }.is_some()
    }
}

impl<W: Inspect> Inspect for OomHook<W>
where
    Self: Hooked<Inner = W>,
{
    #[cfg(feature = "audit")]
    fn check(&self) {
        self.wrapped().check();
    }
    #[cfg(feature = "counters")]
    fn count(&self) -> usize {
        self.wrapped().count()
    }
    fn visit(&self, visitor: &mut dyn FnMut(Part)) {
        self.wrapped().visit(visitor);
    }
    fn trim(&self) {
        self.wrapped().trim();
    }
    unsafe fn claim(&self, base: *mut u8, size: usize) -> bool {
        // SAFETY: required of the caller.
        unsafe { self.wrapped().claim(base, size) }
    }
}

/// What is under a hook. (`OomHook::inner` has a bound that nobody else can name.)
pub trait Hooked {
    /// The wrapper.
    type Inner;
    /// Returns it.
    fn wrapped(&self) -> &Self::Inner;
}

impl<R: RawMutex, S: Source<B>, B: Binning> Hooked for OomHook<TalcLock<R, S, B>> {
    type Inner = TalcLock<R, S, B>;
    fn wrapped(&self) -> &Self::Inner {
        self.inner()
    }
}

impl<R: RawMutex, S: Source<B>, H: ShardHint, const SHARDS: usize, B: Binning> Hooked
    for OomHook<TalcSharded<R, S, H, SHARDS, B>>
{
    type Inner = TalcSharded<R, S, H, SHARDS, B>;
    fn wrapped(&self) -> &Self::Inner {
        self.inner()
    }
}

impl<R: RawMutex, const N: usize, B: Binning> Inspect for Regions<R, N, B> {
    #[cfg(feature = "audit")]
    fn check(&self) {
        self.regions().iter().for_each(|region| region.talc().check());
    }
    #[cfg(feature = "counters")]
    fn count(&self) -> usize {
        self.regions().iter().map(|region| region.talc().count()).sum()
    }
    fn visit(&self, visitor: &mut dyn FnMut(Part)) {
        self.regions().iter().for_each(|region| Inspect::visit(region.talc(), visitor));
    }
    fn trim(&self) {
        self.regions().iter().for_each(|region| Inspect::trim(region.talc()));
    }
    /// Its regions are all that it has.
    unsafe fn claim(&self, _: *mut u8, _: usize) -> bool {
        false
    }
}

/// An allocator that is only a `GlobalAlloc`, as one that contains its heap, with `Allocator` in its terms.
pub(super) struct Global<W>(pub(super) W);

// SAFETY: it forwards.
unsafe impl<W: GlobalAlloc> GlobalAlloc for Global<W> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: required of the caller.
        unsafe { self.0.alloc(layout) }
    }
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: required of the caller.
        unsafe { self.0.dealloc(block, layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: required of the caller.
        unsafe { self.0.alloc_zeroed(layout) }
    }
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: required of the caller.
        unsafe { self.0.realloc(block, layout, new_size) }
    }
}

// SAFETY: as that of `GlobalAlloc`; nothing is allocated for no size. It is never moved.
unsafe impl<W: GlobalAlloc> Allocator for Global<W> {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        if layout.size() == 0 {
            return slice(layout.align() as *mut u8, 0).ok_or(AllocError);
        }
        // SAFETY: the layout has a size.
        slice(unsafe { self.alloc(layout) }, layout.size()).ok_or(AllocError)
    }
    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        if layout.size() > 0 {
            // SAFETY: required of the caller.
            unsafe { self.dealloc(block.as_ptr(), layout) };
        }
    }
}

impl<R: RawMutex, const SIZE: usize> Inspect for Global<TinyTalc<R, SIZE>> {
    #[cfg(feature = "audit")]
    fn check(&self) {
        expect_sound(self.0.lock().audit());
    }
    #[cfg(feature = "counters")]
    fn count(&self) -> usize {
        self.0.lock().counters().allocation_count
    }
    fn visit(&self, visitor: &mut dyn FnMut(Part)) {
        self.0.lock().visit(visitor);
    }
    fn trim(&self) {
        self.0.lock().trim();
    }
    unsafe fn claim(&self, base: *mut u8, size: usize) -> bool {
        // SAFETY: required of the caller.
        unsafe { self.0.lock().claim(base, size) }.is_some()
    }
    fn own_memory(&self) -> Range<usize> {
        let base = std::ptr::addr_of!(*self) as usize;
        base..base + std::mem::size_of::<Self>()
    }
}
