//! `GlobalAlloc` and the `Allocator` traits, for every wrapper.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::{null_mut, NonNull};

use talc_sources::talc_core::{Misuse, CHECKS};
use talc_sources::{Binning, Source};

use crate::glue::{self, Allocates};

/// Returns a pointer that `GlobalAlloc` was given for an allocator. Builds with checks report it if it is null.
///
/// # Safety
/// `ptr` must not be null.
#[inline]
#[cfg_attr(debug_assertions, track_caller)]
unsafe fn passed(allocator: &impl Allocates, ptr: *mut u8) -> NonNull<u8> {
    if CHECKS && ptr.is_null() {
        allocator.report_misuse(Misuse::NotAnAllocation, 0);
    }
    // SAFETY: required of the caller.
    unsafe { NonNull::new_unchecked(ptr) }
}

/// Implements `GlobalAlloc` for a wrapper.
macro_rules! global_alloc {
    ($wrapper:ty, $($generics:tt)*) => {
        // SAFETY: allocations come from the core, which hands out memory that is large enough, aligned,
        // and used by nothing else until it is freed. Nothing unwinds.
        unsafe impl<$($generics)*> GlobalAlloc for $wrapper {
            #[inline]
            #[cfg_attr(debug_assertions, track_caller)]
            unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
                glue::no_unwind(|| self.obtain(layout))
                    .map_or(null_mut(), NonNull::as_ptr)
            }

            #[inline]
            #[cfg_attr(debug_assertions, track_caller)]
            unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
                // SAFETY: required of the caller.
                glue::no_unwind(|| unsafe {
                    self.give_back(passed(self, ptr), layout)
                });
            }

            #[inline]
            #[cfg_attr(debug_assertions, track_caller)]
            unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
                // SAFETY: required of the caller, also for the new layout.
                glue::no_unwind(|| unsafe {
                    let new = Layout::from_size_align_unchecked(new_size, layout.align());
                    self.resize_allocation(passed(self, ptr), layout, new)
                })
                .map_or(null_mut(), NonNull::as_ptr)
            }
        }
    };
}

/// Implements an `Allocator` trait for a wrapper: `$trait`, whose error is `$error`.
#[cfg(any(feature = "allocator-api2", feature = "allocator-api2-02", feature = "nightly"))]
macro_rules! allocator {
    ($trait:path, $error:path, $wrapper:ty, $($generics:tt)*) => {
        // SAFETY: as for `GlobalAlloc`. Moving a wrapper leaves its heaps where they are, and what is
        // allocated from it is no longer used once it is dropped.
        unsafe impl<$($generics)*> $trait for $wrapper {
            #[inline]
            #[cfg_attr(debug_assertions, track_caller)]
            fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, $error> {
                api::allocate(self, layout).ok_or($error)
            }

            #[inline]
            #[cfg_attr(debug_assertions, track_caller)]
            unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: Layout) {
                // SAFETY: required of the caller.
                unsafe { api::deallocate(self, ptr, layout) };
            }

            #[inline]
            #[cfg_attr(debug_assertions, track_caller)]
            unsafe fn grow(
                &self,
                ptr: NonNull<u8>,
                old: Layout,
                new: Layout,
            ) -> Result<NonNull<[u8]>, $error> {
                debug_assert!(new.size() >= old.size(), "talc: grow must be given a larger layout");
                // SAFETY: required of the caller.
                unsafe { api::resize(self, ptr, old, new) }.ok_or($error)
            }

            #[inline]
            #[cfg_attr(debug_assertions, track_caller)]
            unsafe fn grow_zeroed(
                &self,
                ptr: NonNull<u8>,
                old: Layout,
                new: Layout,
            ) -> Result<NonNull<[u8]>, $error> {
                // SAFETY: required of the caller; the new memory reaches beyond the old size.
                unsafe {
                    let grown = <Self as $trait>::grow(self, ptr, old, new)?;
                    let added = grown.cast::<u8>().as_ptr().add(old.size());
                    added.write_bytes(0, new.size() - old.size());
                    Ok(grown)
                }
            }

            #[inline]
            #[cfg_attr(debug_assertions, track_caller)]
            unsafe fn shrink(
                &self,
                ptr: NonNull<u8>,
                old: Layout,
                new: Layout,
            ) -> Result<NonNull<[u8]>, $error> {
                debug_assert!(
                    new.size() <= old.size(),
                    "talc: shrink must be given a smaller layout"
                );
                // SAFETY: required of the caller.
                unsafe { api::resize(self, ptr, old, new) }.ok_or($error)
            }
        }
    };
}

/// What `Allocator` adds: layouts of size zero get an aligned address, and no memory.
#[cfg(any(feature = "allocator-api2", feature = "allocator-api2-02", feature = "nightly"))]
mod api {
    use core::ptr::slice_from_raw_parts_mut;

    use super::*;

    /// Returns an address for a layout of size zero.
    #[inline]
    fn dangling(layout: Layout) -> NonNull<u8> {
        // SAFETY: an alignment is not zero.
        unsafe { NonNull::new_unchecked(layout.align() as *mut u8) }
    }

    #[inline]
    fn slice(ptr: NonNull<u8>, layout: Layout) -> NonNull<[u8]> {
        // SAFETY: the pointer is not null.
        unsafe { NonNull::new_unchecked(slice_from_raw_parts_mut(ptr.as_ptr(), layout.size())) }
    }

    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    pub(super) fn allocate<A: Allocates>(allocator: &A, layout: Layout) -> Option<NonNull<[u8]>> {
        let block = if layout.size() == 0 { dangling(layout) } else { allocator.obtain(layout)? };
        Some(slice(block, layout))
    }

    /// # Safety
    /// As for the `Allocator` method.
    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    pub(super) unsafe fn deallocate<A: Allocates>(allocator: &A, ptr: NonNull<u8>, layout: Layout) {
        if layout.size() != 0 {
            // SAFETY: required of the caller.
            unsafe { allocator.give_back(ptr, layout) };
        }
    }

    /// # Safety
    /// As for the `Allocator` methods `grow` and `shrink`.
    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    pub(super) unsafe fn resize<A: Allocates>(
        allocator: &A,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Option<NonNull<[u8]>> {
        if old.size() == 0 {
            return allocate(allocator, new);
        }
        // SAFETY: required of the caller.
        unsafe {
            if new.size() == 0 {
                allocator.give_back_moved(ptr, old);
                return Some(slice(dangling(new), new));
            }
            Some(slice(allocator.resize_allocation(ptr, old, new)?, new))
        }
    }
}

macro_rules! all_traits {
    ($wrapper:ty, $($generics:tt)*) => {
        global_alloc!($wrapper, $($generics)*);
        #[cfg(feature = "allocator-api2")]
        allocator!(
            allocator_api2::alloc::Allocator,
            allocator_api2::alloc::AllocError,
            $wrapper,
            $($generics)*
        );
        // With `nightly`, the trait of allocator-api2 0.2 is that of `core`.
        #[cfg(all(feature = "allocator-api2-02", not(feature = "nightly")))]
        allocator!(
            allocator_api2_02::alloc::Allocator,
            allocator_api2_02::alloc::AllocError,
            $wrapper,
            $($generics)*
        );
        #[cfg(feature = "nightly")]
        allocator!(core::alloc::Allocator, core::alloc::AllocError, $wrapper, $($generics)*);
    };
}

all_traits!(crate::TalcCell<S, B>, S: Source<B>, B: Binning);
all_traits!(crate::TalcSyncCell<S, B>, S: Source<B>, B: Binning);
all_traits!(crate::OomHook<A>, A: Allocates);
#[cfg(feature = "lock_api")]
global_alloc!(crate::TinyTalc<R, SIZE>, R: lock_api::RawMutex, const SIZE: usize);
#[cfg(feature = "lock_api")]
all_traits!(crate::TalcLock<R, S, B>, R: lock_api::RawMutex, S: Source<B>, B: Binning);
#[cfg(feature = "lock_api")]
all_traits!(
    crate::TalcSharded<R, S, H, SHARDS, B>,
    R: lock_api::RawMutex, S: Source<B>, H: crate::sharded::ShardHint, const SHARDS: usize, B: Binning
);
#[cfg(feature = "lock_api")]
all_traits!(crate::Regions<R, N, B>, R: lock_api::RawMutex, const N: usize, B: Binning);
#[cfg(feature = "lock_api")]
all_traits!(
    crate::regions::Having<'a, R, N, B>,
    'a, R: lock_api::RawMutex, const N: usize, B: Binning
);
