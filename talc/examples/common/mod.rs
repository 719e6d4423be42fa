//! A picture of a heap for the terminal, which the examples share.

use std::fmt;
use std::ops::Range;

use talc::base::{Counters, Part};

/// The number of cells in a row of the picture.
const COLUMNS: usize = 100;
/// The size of a chunk's header, the word in front of its payload. It counts as used.
const HEADER: usize = size_of::<usize>();

/// A picture of a region of memory, in `ROWS` rows of [`COLUMNS`] cells. Each cell says how much of a slice
/// of the region is allocated.
///
/// It is an array, because it is filled while the allocator is locked and nothing can be allocated.
pub(crate) struct Picture<const ROWS: usize> {
    region: Range<usize>,
    /// The base of the heap that is being visited.
    base: usize,
    cells: [[Cell; COLUMNS]; ROWS],
}

#[derive(Clone, Copy)]
struct Cell {
    /// Bytes of the slice that belong to a heap.
    claimed: usize,
    /// Bytes of the slice that are allocated.
    used: usize,
}

impl<const ROWS: usize> Picture<ROWS> {
    /// Creates an empty picture of a region of memory. To fill it, pass `|part| picture.add(part)` to
    /// `visit`.
    pub(crate) fn of(region: Range<*const u8>) -> Self {
        Self {
            region: region.start as usize..region.end as usize,
            base: 0,
            cells: [[Cell { claimed: 0, used: 0 }; COLUMNS]; ROWS],
        }
    }

    /// Adds a part of a heap.
    pub(crate) fn add(&mut self, part: Part) {
        match part {
            Part::Base(base) => self.base = base.as_ptr() as usize,
            Part::Table { payload, size } | Part::Allocated { payload, size } => {
                let payload = payload.as_ptr() as usize;
                self.spread(payload - HEADER..payload + size, |cell| &mut cell.used);
            }
            // Drawn as if all free slots were at the end, which is less than a cell away.
            Part::Slab { payload, size, slot_size, free_slots, .. } => {
                let payload = payload.as_ptr() as usize;
                let used = size - free_slots * slot_size;
                self.spread(payload - HEADER..payload + used, |cell| &mut cell.used);
            }
            Part::End(end) => {
                self.spread(self.base..end.as_ptr() as usize, |cell| &mut cell.claimed);
            }
            // What is claimed and not allocated is free.
            _ => {}
        }
    }

    /// Adds the bytes of a range to a field of each cell that they lie in.
    fn spread(&mut self, range: Range<usize>, number: impl Fn(&mut Cell) -> &mut usize) {
        let range = range.start.max(self.region.start)..range.end.min(self.region.end);
        let mut start = range.start;
        while start < range.end {
            let cell = (start - self.region.start) / self.cell_size();
            let end = range.end.min(self.region.start + (cell + 1) * self.cell_size());
            *number(&mut self.cells[cell / COLUMNS][cell % COLUMNS]) += end - start;
            start = end;
        }
    }

    /// Returns the number of bytes that a cell stands for. The last cells may stand for fewer, or none.
    fn cell_size(&self) -> usize {
        self.region.len() / (ROWS * COLUMNS) + 1
    }
}

impl Cell {
    fn shade(self) -> char {
        match (self.used * 4).checked_div(self.claimed) {
            None => '·',
            Some(_) if self.used == 0 => ' ',
            Some(0) => '░',
            Some(1) => '▒',
            Some(2..=3) if self.used < self.claimed => '▓',
            Some(_) => '█',
        }
    }
}

impl<const ROWS: usize> fmt::Display for Picture<ROWS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = "─".repeat(COLUMNS);
        writeln!(f, "           ┌{line}┐")?;
        for (row, cells) in self.cells.iter().enumerate() {
            let offset = Bytes(row * COLUMNS * self.cell_size());
            let shades: String = cells.iter().map(|cell| cell.shade()).collect();
            writeln!(f, "{offset:>10} │{shades}│")?;
        }
        writeln!(f, "           └{line}┘")?;
        write!(
            f,
            "            each cell {}, allocated: █ all  ▓ half or more  ▒ a quarter or more  ░ less  \
             (blank) none;  · no heap",
            Bytes(self.cell_size())
        )
    }
}

/// Prints a picture, and how much is allocated. The allocator must not be locked, because printing
/// allocates.
pub(crate) fn show<const ROWS: usize>(title: &str, picture: &Picture<ROWS>, counters: &Counters) {
    let bytes = Bytes(counters.allocated_bytes);
    let (live, gaps) = (grouped(counters.allocation_count), grouped(counters.fragment_count));
    println!("\n{title}: {bytes} in {live} allocations, {gaps} gaps\n{picture}");
}

/// A number of bytes, for a person to read.
pub(crate) struct Bytes(pub(crate) usize);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&match self.0 {
            bytes if bytes < 1 << 10 => format!("{bytes} B"),
            bytes if bytes < 1 << 20 => format!("{:.1} KiB", bytes as f64 / 1024.0),
            bytes => format!("{:.1} MiB", bytes as f64 / (1 << 20) as f64),
        })
    }
}

/// A number with its thousands apart.
pub(crate) fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut result = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            result.push(',');
        }
        result.push(digit);
    }
    result
}
