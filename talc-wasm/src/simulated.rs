//! A simulated linear memory for tests on the host. Each thread has one of its own.

use core::cell::RefCell;
use core::mem::{align_of, size_of, MaybeUninit};
use core::ops::Range;
use std::thread_local;
use std::vec::Vec;

use crate::memory::PAGE;

/// The largest number of pages that a simulated memory can have.
pub(crate) const MAX_PAGES: usize = 512;

#[repr(align(65536))]
struct Page(#[allow(dead_code)] [MaybeUninit<u8>; PAGE]);

const _: () = assert!(size_of::<Page>() == PAGE && align_of::<Page>() == PAGE);

struct Memory {
    /// Room for all pages. It stays uninitialised, so that memcheck finds reads of memory that was not
    /// written to.
    room: Vec<Page>,
    /// The number of pages there are.
    size: usize,
    /// The number of pages there may be.
    limit: usize,
    /// The addresses of the pages that sources have grown; adjacent ones are one range.
    grown: Vec<Range<usize>>,
    /// How often sources have grown the memory.
    growths: usize,
}

thread_local! {
    static MEMORY: RefCell<Memory> = const { RefCell::new(Memory::new(0, 0)) };
}

fn with<T>(f: impl FnOnce(&mut Memory) -> T) -> T {
    MEMORY.with(|memory| f(&mut memory.borrow_mut()))
}

impl Memory {
    const fn new(size: usize, limit: usize) -> Self {
        Self { room: Vec::new(), size, limit, grown: Vec::new(), growths: 0 }
    }

    fn grow(&mut self, pages: usize) -> Option<usize> {
        let old = self.size;
        if pages > self.limit.saturating_sub(old) {
            return None;
        }
        self.size += pages;
        Some(old)
    }
}

/// Replaces the memory by a new one of `size` pages, which can grow to `limit` pages.
pub(crate) fn reset(size: usize, limit: usize) {
    with(|memory| {
        *memory = Memory::new(size, limit);
        memory.room.reserve_exact(MAX_PAGES);
    });
}

/// Sets the number of pages to which the memory can grow.
pub(crate) fn set_limit(limit: usize) {
    with(|memory| memory.limit = limit.min(MAX_PAGES));
}

/// Grows the memory as JavaScript or another allocator would, if it can.
pub(crate) fn grow_foreign(pages: usize) {
    with(|memory| memory.grow(pages));
}

/// Returns the addresses of all pages that sources have grown.
pub(crate) fn grown() -> Vec<Range<usize>> {
    with(|memory| memory.grown.clone())
}

/// Returns how often sources have grown the memory.
pub(crate) fn growths() -> usize {
    with(|memory| memory.growths)
}

pub(crate) fn memory_grow<const MEMORY: u32>(pages: usize) -> usize {
    let origin = origin();
    with(|memory| {
        let old = match memory.grow(pages) {
            Some(old) => old,
            None => return usize::MAX,
        };
        memory.growths += 1;
        let base = origin + old * PAGE;
        let end = base + pages * PAGE;
        match memory.grown.last_mut() {
            Some(last) if last.end == base => last.end = end,
            _ => memory.grown.push(base..end),
        }
        old
    })
}

/// Returns the size of the memory in pages.
pub(crate) fn memory_pages() -> usize {
    with(|memory| memory.size)
}

pub(crate) fn origin() -> usize {
    with(|memory| memory.room.as_ptr() as usize)
}
