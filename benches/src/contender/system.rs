//! The platform's own allocator.

use super::{Contender, Kind};
use crate::arena::Region;
use std::alloc::{GlobalAlloc, Layout, System};

macro_rules! hosted {
    ($(#[$doc:meta])* $type:ident, $name:literal, $alloc:expr) => {
        $(#[$doc])*
        pub struct $type;

        impl Contender for $type {
            const NAME: &'static str = $name;
            const KIND: Kind = Kind::Hosted;

            unsafe fn over(_: Region) -> Option<Self> {
                Some(Self)
            }

            #[inline]
            unsafe fn alloc(&mut self, layout: Layout) -> *mut u8 {
                // SAFETY: the size is not zero.
                unsafe { $alloc.alloc(layout) }
            }

            #[inline]
            unsafe fn dealloc(&mut self, ptr: *mut u8, layout: Layout) {
                // SAFETY: `ptr` is live and has this layout.
                unsafe { $alloc.dealloc(ptr, layout) };
            }

            #[inline]
            unsafe fn realloc(&mut self, ptr: *mut u8, layout: Layout, size: usize) -> *mut u8 {
                // SAFETY: `ptr` is live and has this layout; `size` is not zero.
                unsafe { $alloc.realloc(ptr, layout, size) }
            }
        }
    };
}
#[cfg(feature = "hosted")]
pub(super) use hosted;

hosted! {
    /// What a program gets that chooses nothing.
    SystemAlloc, "system", System
}
