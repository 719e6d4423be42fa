//! The program's books of what is in use: what an allocator hands out must not overlap it, and must keep its
//! contents.

use crate::scene::TRIES;
use crate::steps::{self, say};
use std::alloc::Layout;

/// More than a case has at a time: the books must not be reallocated, as the allocator may be the program's.
const CAPACITY: usize = 2 * TRIES;

struct Live {
    ptr: *mut u8,
    layout: Layout,
    fill: u8,
}

impl Live {
    fn overlaps(&self, ptr: *mut u8, size: usize) -> bool {
        let (own, other) = (self.ptr as usize, ptr as usize);
        own < other.saturating_add(size) && other < own + self.layout.size()
    }

    fn write(&self) {
        // SAFETY: the program's own memory, unless the allocator is wrong.
        unsafe { self.ptr.write_bytes(self.fill, self.layout.size()) };
    }

    fn is_whole(&self) -> bool {
        // SAFETY: as above.
        let bytes = unsafe { std::slice::from_raw_parts(self.ptr, self.layout.size()) };
        bytes.iter().all(|&byte| byte == self.fill)
    }
}

/// The memory in use.
pub struct Ledger {
    live: Vec<Live>,
    entries: usize,
    is_sound: bool,
}

impl Ledger {
    pub fn new() -> Self {
        Self { live: Vec::with_capacity(CAPACITY), entries: 0, is_sound: true }
    }

    /// Says once that something is wrong.
    fn note(&mut self) {
        if self.is_sound {
            say(steps::TWICE);
        }
        self.is_sound = false;
    }

    /// Enters memory that is in use from now on, and fills it.
    pub fn enter(&mut self, ptr: *mut u8, layout: Layout) {
        let is_aligned = (ptr as usize).is_multiple_of(layout.align());
        if !is_aligned || self.live.iter().any(|live| live.overlaps(ptr, layout.size())) {
            self.note();
        }
        // Neighbours differ. No word of it is a size or an address.
        let fill = 0x80 + (self.entries % 0x40) as u8;
        self.entries += 1;
        let live = Live { ptr, layout, fill };
        live.write();
        assert!(self.live.len() < CAPACITY);
        self.live.push(live);
    }

    /// Strikes out memory that its owner gives up. Returns its layout.
    pub fn strike(&mut self, ptr: *mut u8) -> Option<Layout> {
        let index = self.live.iter().rposition(|live| live.ptr == ptr)?;
        if !self.live[index].is_whole() {
            self.note();
        }
        Some(self.live.swap_remove(index).layout)
    }

    /// Looks at the contents of everything that is in use.
    pub fn check(&mut self) {
        if !self.live.iter().all(Live::is_whole) {
            self.note();
        }
    }

    /// Has each owner write its contents once more: what a stray write has damaged is of no interest, but what the
    /// allocator makes of it.
    pub fn write_again(&self) {
        self.live.iter().for_each(Live::write);
    }
}
