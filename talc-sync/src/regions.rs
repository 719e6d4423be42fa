//! Several memories behind one allocator: [`Regions`].

use core::alloc::Layout;
use core::fmt;
use core::ptr::NonNull;

use lock_api::RawMutex;
use talc_sources::talc_core::{DefaultBinning, Misuse, CHECKS};
use talc_sources::{Binning, Claim};

use crate::glue::Allocates;
use crate::lock::{CopyLimit, TalcLock};

/// Several memories that differ, such as internal and external RAM, behind one allocator. Each is a heap of its own,
/// with a lock of its own.
///
/// As a global allocator, it allocates from the first region that has room, in their order. For some allocations
/// only, [`having`](Self::having) returns an allocator that takes the first region with certain attributes, such as
/// that DMA reaches it; what the attributes mean is up to the program. A single region is a [`TalcLock`], and as
/// such an allocator, too: [`Region::talc`].
///
/// An [`OomHook`](crate::OomHook) around all of them is called when none has room. One around what
/// [`having`](Self::having) returns is called when none of these has.
///
/// What was allocated in any of these ways may be freed and resized in any other: the address says where it
/// belongs. What is resized stays in its region if there is room, and else moves to the first one that has room.
///
/// # Example
///
/// ```
/// use talc_sync::{Region, Regions, RawSpinlock};
///
/// const FAST: u32 = 1;
/// const DMA: u32 = 2;
///
/// static mut INTERNAL: [u8; 16 << 10] = [0; 16 << 10];
/// static mut EXTERNAL: [u8; 256 << 10] = [0; 256 << 10];
///
/// #[global_allocator]
/// static REGIONS: Regions<RawSpinlock, 2> =
///     // SAFETY: nothing else uses these arrays.
///     Regions::new(unsafe {
///         [
///             Region::array(&raw mut INTERNAL, FAST | DMA),
///             Region::array(&raw mut EXTERNAL, DMA),
///         ]
///     });
///
/// # #[cfg(feature = "allocator-api2")] {
/// let mut samples = allocator_api2::vec::Vec::new_in(REGIONS.having(FAST));
/// samples.extend([1_u16, 2, 3]);
/// assert!(REGIONS.regions()[0].contains(samples.as_ptr().cast()));
/// # }
/// let large = vec![0_u8; 100_000];
/// assert!(REGIONS.regions()[1].contains(large.as_ptr()));
/// ```
pub struct Regions<R, const N: usize, B = DefaultBinning> {
    regions: [Region<R, B>; N],
}

/// One of several [`Regions`].
pub struct Region<R, B = DefaultBinning> {
    base: *mut u8,
    size: usize,
    attributes: u32,
    talc: TalcLock<R, Claim, B>,
}

// SAFETY: whoever made the region handed its memory over to it.
unsafe impl<R: Send, B: Binning> Send for Region<R, B> {}
// SAFETY: as above; the heap is used under its lock.
unsafe impl<R: RawMutex + Sync, B: Binning> Sync for Region<R, B> {}

impl<R: RawMutex, B: Binning> Region<R, B> {
    /// Creates a region of the `size` bytes at `base`, which becomes a heap when something is allocated there.
    ///
    /// # Safety
    /// As for [`Claim::new`].
    #[inline]
    pub const unsafe fn new(base: *mut u8, size: usize, attributes: u32) -> Self {
        // SAFETY: required of the caller.
        let talc = TalcLock::new(unsafe { Claim::new(base, size) });
        Self { base, size, attributes, talc }
    }

    /// Creates a region of the memory of an array.
    ///
    /// # Safety
    /// As for [`Claim::new`].
    #[inline]
    pub const unsafe fn array<T, const N: usize>(array: *mut [T; N], attributes: u32) -> Self {
        // SAFETY: required of the caller.
        unsafe { Self::new(array.cast(), core::mem::size_of::<T>() * N, attributes) }
    }

    /// Sets how many bytes a reallocation may copy while the region is locked. See
    /// [`TalcLock::with_copy_limit`].
    #[inline]
    #[must_use]
    pub const fn with_copy_limit(mut self, bytes: usize) -> Self {
        self.talc.copy_limit = CopyLimit::new(bytes);
        self
    }

    /// Returns the attributes.
    #[inline]
    pub const fn attributes(&self) -> u32 {
        self.attributes
    }

    /// Returns the allocator of this region alone. Its heap must stay in the region: do not extend it, nor claim
    /// other memory for it.
    #[inline]
    pub const fn talc(&self) -> &TalcLock<R, Claim, B> {
        &self.talc
    }

    /// Returns whether an address is in the region.
    #[inline]
    pub fn contains(&self, ptr: *const u8) -> bool {
        (ptr as usize).wrapping_sub(self.base as usize) < self.size
    }

    fn overlaps(&self, other: &Self) -> bool {
        self.contains(other.base) || other.contains(self.base)
    }
}

impl<R: RawMutex, const N: usize, B: Binning> Regions<R, N, B> {
    const HAS_REGIONS: () = assert!(N > 0, "talc: there must be a region");

    /// Creates an allocator of regions, of which earlier ones are preferred. They must not overlap, which follows
    /// from what they require; debug builds check it.
    ///
    /// It does not compile without a region.
    #[inline]
    pub const fn new(regions: [Region<R, B>; N]) -> Self {
        let () = Self::HAS_REGIONS;
        Self { regions }
    }

    /// Returns the regions, in their order.
    #[inline]
    pub const fn regions(&self) -> &[Region<R, B>; N] {
        &self.regions
    }

    /// Returns an allocator that allocates from the first region with room among those that have all of these
    /// attributes.
    #[inline]
    pub const fn having(&self, attributes: u32) -> Having<'_, R, N, B> {
        Having { all: self, attributes }
    }

    /// Returns the region that an allocation comes from.
    ///
    /// # Panics
    /// If it comes from none.
    #[cfg_attr(debug_assertions, track_caller)]
    fn owner(&self, ptr: NonNull<u8>) -> &Region<R, B> {
        match self.regions.iter().find(|region| region.contains(ptr.as_ptr())) {
            Some(region) => region,
            None => comes_from_none(),
        }
    }
}

#[cold]
#[inline(never)]
#[cfg_attr(debug_assertions, track_caller)]
fn comes_from_none() -> ! {
    panic!("talc: what is freed or resized is in none of the regions")
}

/// Any region will do.
impl<R: RawMutex, const N: usize, B: Binning> Allocates for Regions<R, N, B> {
    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    fn try_obtain(&self, layout: Layout) -> Option<NonNull<u8>> {
        self.having(0).try_obtain(layout)
    }

    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    unsafe fn give_back(&self, ptr: NonNull<u8>, layout: Layout) {
        // SAFETY: required of the caller.
        unsafe { self.having(0).give_back(ptr, layout) };
    }

    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    unsafe fn try_resize_allocation(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Option<NonNull<u8>> {
        // SAFETY: required of the caller.
        unsafe { self.having(0).try_resize_allocation(ptr, old, new) }
    }

    /// The lock of the first region is for what concerns all of them.
    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    fn alone<T>(&self, f: impl FnOnce() -> T) -> Option<T> {
        self.regions[0].talc.alone(f)
    }

    #[cold]
    #[cfg_attr(debug_assertions, track_caller)]
    fn report_misuse(&self, misuse: Misuse, address: usize) {
        self.regions[0].talc.report_misuse(misuse, address);
    }
}

impl<R: RawMutex, const N: usize, B: Binning> fmt::Debug for Regions<R, N, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.regions).finish()
    }
}

impl<R: RawMutex, B: Binning> fmt::Debug for Region<R, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Region")
            .field("base", &self.base)
            .field("size", &self.size)
            .field("attributes", &self.attributes)
            .finish_non_exhaustive()
    }
}

/// An allocator that allocates in those [`Regions`] that have certain attributes. What it frees may come from any of
/// them.
pub struct Having<'a, R, const N: usize, B = DefaultBinning> {
    all: &'a Regions<R, N, B>,
    attributes: u32,
}

impl<R, const N: usize, B> Clone for Having<'_, R, N, B> {
    #[inline]
    fn clone(&self) -> Self {
        *self
    }
}

impl<R, const N: usize, B> Copy for Having<'_, R, N, B> {}

impl<R: RawMutex, const N: usize, B: Binning> Allocates for Having<'_, R, N, B> {
    #[cfg_attr(debug_assertions, track_caller)]
    fn try_obtain(&self, layout: Layout) -> Option<NonNull<u8>> {
        let regions = &self.all.regions;
        if CHECKS {
            for (index, region) in regions.iter().enumerate() {
                let is_apart = regions[..index].iter().all(|other| !region.overlaps(other));
                assert!(is_apart, "talc: region {index} overlaps another one");
            }
        }
        let suits = |region: &&Region<R, B>| region.attributes & self.attributes == self.attributes;
        regions.iter().filter(suits).find_map(|region| region.talc.try_obtain(layout))
    }

    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    unsafe fn give_back(&self, ptr: NonNull<u8>, layout: Layout) {
        // SAFETY: required of the caller.
        unsafe { self.all.owner(ptr).talc.give_back(ptr, layout) };
    }

    /// Resizes where it is if possible, and else moves.
    #[cfg_attr(debug_assertions, track_caller)]
    unsafe fn try_resize_allocation(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Option<NonNull<u8>> {
        let owner = &self.all.owner(ptr).talc;
        // SAFETY: required of the caller; the new memory is apart from the old.
        unsafe {
            if let Some(resized) = owner.try_resize_allocation(ptr, old, new) {
                return Some(resized);
            }
            let moved = self.try_obtain(new)?;
            let kept = old.size().min(new.size());
            moved.as_ptr().copy_from_nonoverlapping(ptr.as_ptr(), kept);
            owner.give_back(ptr, old);
            Some(moved)
        }
    }

    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    fn alone<T>(&self, f: impl FnOnce() -> T) -> Option<T> {
        self.all.alone(f)
    }

    #[cold]
    #[cfg_attr(debug_assertions, track_caller)]
    fn report_misuse(&self, misuse: Misuse, address: usize) {
        self.all.report_misuse(misuse, address);
    }
}

impl<R: RawMutex, const N: usize, B: Binning> fmt::Debug for Having<'_, R, N, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Having").field("attributes", &self.attributes).finish_non_exhaustive()
    }
}
