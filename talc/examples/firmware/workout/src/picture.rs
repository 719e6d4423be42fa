//! A heap in one line of text.

use core::fmt::{self, Write};

use talc::base::Part;

/// The number of characters.
const CELLS: usize = 64;

/// How much of each of many equal slices of the first heap is allocated.
///
/// It is an array, because it is filled while the allocator is locked and nothing can be allocated. The parts are
/// visited from the base upwards, before the end is known: the slices are made twice as large whenever they do
/// not suffice.
pub(crate) struct Picture {
    base: usize,
    end: usize,
    /// The size of a slice.
    size: usize,
    used: [usize; CELLS],
}

impl Picture {
    pub(crate) fn new() -> Self {
        Self { base: 0, end: 0, size: 16, used: [0; CELLS] }
    }

    /// Adds a part of a heap.
    pub(crate) fn add(&mut self, part: Part) {
        const HEADER: usize = size_of::<usize>();
        match part {
            Part::Base(base) => *self = Self { base: base.as_ptr() as usize, ..Self::new() },
            Part::Table { payload, size } | Part::Allocated { payload, size } => {
                self.mark(payload.as_ptr() as usize - HEADER, HEADER + size);
            }
            Part::Slab { payload, size, slot_size, free_slots, .. } => {
                let used = HEADER + size - free_slots * slot_size;
                self.mark(payload.as_ptr() as usize - HEADER, used);
            }
            Part::End(end) => {
                self.end = end.as_ptr() as usize;
                self.reach(self.end);
            }
            // What is not marked is free.
            _ => {}
        }
    }

    fn mark(&mut self, address: usize, size: usize) {
        self.reach(address + size);
        let (mut start, end) = (address - self.base, address - self.base + size);
        while start < end {
            let cell = start / self.size;
            let up_to = end.min((cell + 1) * self.size);
            self.used[cell] += up_to - start;
            start = up_to;
        }
    }

    /// Makes slices larger until they reach up to an address.
    fn reach(&mut self, address: usize) {
        while self.base + CELLS * self.size < address {
            for cell in 0..CELLS / 2 {
                self.used[cell] = self.used[2 * cell] + self.used[2 * cell + 1];
            }
            self.used[CELLS / 2..].fill(0);
            self.size *= 2;
        }
    }
}

impl fmt::Display for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cells = (self.end - self.base + self.size - 1) / self.size;
        f.write_char('[')?;
        for used in &self.used[..cells] {
            f.write_char(match used * 4 / self.size {
                _ if *used == 0 => ' ',
                0 => '.',
                1 => '-',
                2..=3 => '+',
                _ => '#',
            })?;
        }
        f.write_char(']')
    }
}
