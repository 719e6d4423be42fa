//! The allocators under test, behind one trait that is always monomorphised.
//!
//! A virtual call on each operation would hide the differences that are measured, so the trait is
//! not object safe; [`Entry`] turns each implementation into a few function pointers that are
//! called once per round.

mod blocks;
mod buddy;
mod dlmalloc;
mod good;
#[cfg(feature = "hosted")]
mod hosted;
mod linked_list;
mod locked;
mod masked;
mod null;
mod registry;
mod rlsf;
mod sharded;
mod system;
mod talc;
mod threaded;

use crate::arena::Region;
use std::alloc::Layout;

pub use self::blocks::{Talc5Api, Talc5Global, TalcApi, TalcGlobal, USUAL};
pub use self::buddy::Buddy;
pub use self::dlmalloc::Dl;
pub use self::good::Good;
#[cfg(feature = "hosted")]
pub use self::hosted::{Jemalloc, Mimalloc, Snmalloc};
pub use self::linked_list::LinkedList;
pub use self::locked::Locked;
pub use self::masked::{longest, Masked};
pub use self::null::Null;
pub use self::registry::{baseline, by_name, everyone, ours, with_shards, Entry};
pub use self::rlsf::Rlsf;
pub use self::sharded::Sharded;
pub use self::system::SystemAlloc;
pub use self::talc::{Talc, Talc5};
pub use self::threaded::{threaded, Threaded};

/// What sort of allocator a contender is, and hence which figures it can take part in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Does nothing: the cost of the measuring loop.
    Loop,
    /// The crate of this repository.
    Ours,
    /// Works without an operating system, over the arena it is given.
    Peer,
    /// Brings its own memory from the operating system: speed for reference, no arena figures.
    Hosted,
}

/// An allocator that can be replayed against.
///
/// A failing request returns null, as in `GlobalAlloc`. Once the first request has been made, the
/// allocator must stay where it is: dlmalloc's lists lead through its own fields.
pub trait Contender: Sized {
    /// The name in tables and on the command line.
    const NAME: &'static str;
    /// What sort of allocator it is.
    const KIND: Kind;
    /// Whether [`Contender::extend`] works.
    const GROWS: bool = false;

    /// A fresh allocator over `arena`, or `None` when the arena is too small even for that.
    ///
    /// # Safety
    /// - `arena` must be valid for reads and writes, and not be used by anything else, while the
    ///   allocator lives.
    unsafe fn over(arena: Region) -> Option<Self>;

    /// # Safety
    /// - `layout`'s size must not be zero.
    unsafe fn alloc(&mut self, layout: Layout) -> *mut u8;

    /// # Safety
    /// - `ptr` must be a live block of this allocator, allocated or reallocated to `layout`.
    unsafe fn dealloc(&mut self, ptr: *mut u8, layout: Layout);

    /// Resizes a block. Returns null, and leaves the old block as it was, if that fails.
    ///
    /// # Safety
    /// - As for [`Contender::dealloc`]; and `new_size` must not be zero.
    unsafe fn realloc(&mut self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: passed on.
        unsafe { relocate(self, ptr, layout, new_size) }
    }

    /// Moves the end of the arena up to `new_end`.
    ///
    /// # Safety
    /// - `new_end` must be above the current end, and the bytes between must be like those given to
    ///   `over`.
    unsafe fn extend(&mut self, new_end: *mut u8) -> bool {
        let _ = new_end;
        false
    }
}

/// Allocate, copy, free: what `GlobalAlloc::realloc` does when nothing better is known.
///
/// # Safety
/// - As for [`Contender::realloc`].
#[inline]
pub(crate) unsafe fn relocate<C: Contender>(
    contender: &mut C,
    ptr: *mut u8,
    layout: Layout,
    new_size: usize,
) -> *mut u8 {
    // SAFETY: `new_size` is not zero, by the caller's contract; so is the rest.
    unsafe {
        let new = contender.alloc(layout_of(new_size, layout));
        relocate_to(contender, new, ptr, layout, new_size)
    }
}

/// As [`relocate`], to a block that has been allocated, or not if it is null.
///
/// # Safety
/// As for [`relocate`]; `new` must have `new_size` bytes.
#[inline]
unsafe fn relocate_to<C: Contender>(
    contender: &mut C,
    new: *mut u8,
    ptr: *mut u8,
    layout: Layout,
    new_size: usize,
) -> *mut u8 {
    if !new.is_null() {
        // SAFETY: both blocks are live, distinct and at least this long; `ptr` fits `layout`.
        unsafe {
            new.copy_from_nonoverlapping(ptr, layout.size().min(new_size));
            contender.dealloc(ptr, layout);
        }
    }
    new
}

/// Returns the layout of a block that is resized.
#[inline]
fn layout_of(new_size: usize, old: Layout) -> Layout {
    // SAFETY: the alignment is valid; sizes in workloads stay far below `isize::MAX`.
    unsafe { Layout::from_size_align_unchecked(new_size, old.align()) }
}
