//! Talc, the crate of this repository, and its predecessor 5.1.1 from the registry.
//!
//! Both have the same driver, so one macro writes both adapters: a difference between their rows
//! can only come from the crates. What only one of them has is used as its own wrappers use it.

use super::{layout_of, relocate, relocate_to, Contender, Kind};
use crate::arena::Region;
use std::alloc::Layout;
use std::ptr::NonNull;

/// The three calls, the same whatever the source.
macro_rules! calls {
    ($krate:ident, $grow_downwards:expr, $allocate_to_grow:expr) => {
        #[inline]
        #[allow(unused_unsafe)] // That of talc 5 is.
        unsafe fn alloc(&mut self, layout: Layout) -> *mut u8 {
            // SAFETY: the size is not zero.
            let ptr = unsafe { self.talc.allocate(layout) };
            ptr.map_or(std::ptr::null_mut(), NonNull::as_ptr)
        }

        #[inline]
        unsafe fn dealloc(&mut self, ptr: *mut u8, layout: Layout) {
            // SAFETY: `ptr` is live and has this layout.
            unsafe { self.talc.deallocate(ptr, layout) };
        }

        #[inline]
        unsafe fn realloc(&mut self, ptr: *mut u8, layout: Layout, size: usize) -> *mut u8 {
            // SAFETY: `ptr` is live and has this layout; `size` is not zero.
            unsafe {
                if self.talc.try_realloc_in_place(ptr, layout, size) {
                    return ptr;
                }
                if size > layout.size() {
                    let grow: unsafe fn(&mut _, _, _, _) -> _ = $grow_downwards;
                    if let Some(moved) = grow(&mut self.talc, ptr, layout, size) {
                        return NonNull::as_ptr(moved);
                    }
                    let allocate: unsafe fn(&mut _, _, _) -> _ = $allocate_to_grow;
                    let new = allocate(&mut self.talc, layout.size(), layout_of(size, layout));
                    let new = new.map_or(std::ptr::null_mut(), NonNull::as_ptr);
                    return relocate_to(self, new, ptr, layout, size);
                }
                relocate(self, ptr, layout, size)
            }
        }
    };
}
pub(super) use calls;

/// Talc 5 has one way to allocate.
pub(super) unsafe fn talc5_allocate<S: talc5::source::Source, B: talc5::base::binning::Binning>(
    talc: &mut talc5::base::Talc<S, B>,
    _: usize,
    layout: Layout,
) -> Option<NonNull<u8>> {
    // SAFETY: required of the caller.
    unsafe { talc.allocate(layout) }
}

macro_rules! talc_contender {
    ($(#[$doc:meta])* $type:ident, $krate:ident, $name:literal, $kind:expr, $grow_downwards:expr, $allocate_to_grow:expr) => {
        $(#[$doc])*
        pub struct $type {
            talc: $krate::base::Talc<$krate::source::Manual, $krate::DefaultBinning>,
            end: NonNull<u8>,
        }

        impl Contender for $type {
            const NAME: &'static str = $name;
            const KIND: Kind = $kind;
            const GROWS: bool = true;

            unsafe fn over(arena: Region) -> Option<Self> {
                let mut talc = $krate::base::Talc::new($krate::source::Manual);
                // SAFETY: the arena is ours alone.
                let end = unsafe { talc.claim(arena.base, arena.size) }?;
                Some(Self { talc, end })
            }

            calls! { $krate, $grow_downwards, $allocate_to_grow }

            unsafe fn extend(&mut self, new_end: *mut u8) -> bool {
                // SAFETY: the bytes up to `new_end` are ours, and follow the heap.
                self.end = unsafe { self.talc.extend(self.end, new_end) };
                true
            }
        }
    };
}

talc_contender! {
    /// The crate of this repository.
    Talc, talc, "talc", Kind::Ours, talc::base::Talc::try_grow_downwards,
    talc::base::Talc::allocate_to_grow
}

talc_contender! {
    /// talc 5.1.1, the yardstick of every ratio.
    Talc5, talc5, "talc 5.1.1", Kind::Peer, |_, _, _, _| None,
    talc5_allocate
}
