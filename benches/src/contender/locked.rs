//! Any contender behind a spin lock, as a program with threads would hold it.

use super::{Contender, Kind};
use crate::arena::Region;
use spinning_top::Spinlock;
use std::alloc::Layout;

/// The same lock for everyone; it is never contended here.
pub struct Locked<C>(Spinlock<C>);

impl<C: Contender> Contender for Locked<C> {
    const NAME: &'static str = C::NAME;
    const KIND: Kind = C::KIND;

    unsafe fn over(arena: Region) -> Option<Self> {
        // SAFETY: passed on.
        unsafe { C::over(arena) }.map(|inner| Self(Spinlock::new(inner)))
    }

    #[inline]
    unsafe fn alloc(&mut self, layout: Layout) -> *mut u8 {
        // SAFETY: passed on.
        unsafe { self.0.lock().alloc(layout) }
    }

    #[inline]
    unsafe fn dealloc(&mut self, ptr: *mut u8, layout: Layout) {
        // SAFETY: passed on.
        unsafe { self.0.lock().dealloc(ptr, layout) };
    }

    #[inline]
    unsafe fn realloc(&mut self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: passed on.
        unsafe { self.0.lock().realloc(ptr, layout, new_size) }
    }
}
