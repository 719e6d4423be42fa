//! `TalcSharded`, used by one thread.

use super::{Contender, Kind};
use crate::arena::Region;
use std::alloc::{GlobalAlloc, Layout};
use talc::source::Manual;
use talc::sync::ByThread;
use talc::{RawSpinlock, TalcSharded};

/// Its locks are like those of [`Locked`](super::Locked).
pub struct Sharded(TalcSharded<RawSpinlock, Manual, ByThread>);

impl Contender for Sharded {
    const NAME: &'static str = "talc sharded";
    const KIND: Kind = Kind::Ours;

    unsafe fn over(arena: Region) -> Option<Self> {
        let talc = TalcSharded::new(Manual);
        // SAFETY: the arena is ours alone.
        unsafe { talc.lock().claim(arena.base, arena.size) }?;
        Some(Self(talc))
    }

    #[inline]
    unsafe fn alloc(&mut self, layout: Layout) -> *mut u8 {
        // SAFETY: the size is not zero.
        unsafe { self.0.alloc(layout) }
    }

    #[inline]
    unsafe fn dealloc(&mut self, ptr: *mut u8, layout: Layout) {
        // SAFETY: passed on.
        unsafe { self.0.dealloc(ptr, layout) };
    }

    #[inline]
    unsafe fn realloc(&mut self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: passed on.
        unsafe { self.0.realloc(ptr, layout, new_size) }
    }
}
