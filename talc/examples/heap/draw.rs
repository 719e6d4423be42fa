//! Heaps as a picture and as a summary.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use super::read::{Heap, Heaps, Kind};

const WIDTH: f64 = 1000.0;
const ROWS: u64 = 32;
const ROW: f64 = 14.0;

/// Returns an SVG picture: each heap is a block of lines, of which each part has as much as it has of the memory.
pub(crate) fn svg(heaps: &Heaps) -> String {
    let mut drawn = String::new();
    let mut top = 24.0;
    for heap in &heaps.heaps {
        let title = format!("{:#x} to {:#x}: {} bytes", heap.base, heap.end, heap.end - heap.base);
        let _ = writeln!(drawn, "<text x=\"0\" y=\"{}\">{title}</text>", top - 6.0);
        top += draw(&mut drawn, heap, heaps.word, top) + 34.0;
    }
    let mut legend = String::new();
    for (index, (name, colour)) in COLOURS.iter().enumerate() {
        let x = index as f64 * 190.0;
        let _ = writeln!(
            legend,
            "<rect x=\"{x}\" y=\"{top}\" width=\"12\" height=\"12\" fill=\"{colour}\" stroke=\"#888\"/>\
             <text x=\"{}\" y=\"{}\">{name}</text>",
            x + 18.0,
            top + 11.0
        );
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n{drawn}{legend}</svg>\n",
        top + 24.0
    )
}

const COLOURS: [(&str, &str); 5] = [
    ("allocated chunks", "#4477aa"),
    ("slots in use", "#228833"),
    ("free slots", "#cceecc"),
    ("gaps", "#ffffff"),
    ("the table", "#bbbbbb"),
];

/// Draws a heap, and returns how high it is.
fn draw(out: &mut String, heap: &Heap, word: u64, top: f64) -> f64 {
    let bytes = heap.end - heap.base;
    let per_row = bytes.div_ceil(ROWS).max(64);
    let mut rect = |start: u64, end: u64, colour: &str| {
        let mut start = start.max(heap.base);
        while start < end {
            let row = (start - heap.base) / per_row;
            let stop = end.min(heap.base + (row + 1) * per_row);
            let x = |address: u64| {
                (address - heap.base - row * per_row) as f64 * WIDTH / per_row as f64
            };
            let _ = writeln!(
                out,
                "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{}\" fill=\"{colour}\" stroke=\"#888\" \
                 stroke-width=\"0.3\"/>",
                x(start),
                top + row as f64 * ROW,
                x(stop) - x(start),
                ROW - 2.0
            );
            start = stop;
        }
    };
    for part in &heap.parts {
        // With the header, the word in front of the payload.
        let (start, end) = (part.payload.saturating_sub(word), part.payload + part.size);
        match part.kind {
            Kind::Allocated => rect(start, end, COLOURS[0].1),
            Kind::Slab { slot_size, free_slots, .. } => {
                let free = end - (free_slots * slot_size).min(part.size);
                rect(start, free, COLOURS[1].1);
                rect(free, end, COLOURS[2].1);
            }
            Kind::Gap => rect(start, end, COLOURS[3].1),
            Kind::Table => rect(start, end, COLOURS[4].1),
        }
    }
    bytes.div_ceil(per_row) as f64 * ROW
}

/// What the heaps consist of, in text.
pub(crate) struct Summary<'a>(pub(crate) &'a Heaps);

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let heaps = &self.0.heaps;
        let claimed: u64 = heaps.iter().map(|heap| heap.end - heap.base).sum();
        writeln!(f, "{claimed} bytes in {} heaps", heaps.len())?;
        let parts = || heaps.iter().flat_map(|heap| &heap.parts);
        let (mut chunks, mut chunk_bytes) = (0_u64, 0);
        let mut slabs: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
        let mut gaps: BTreeMap<u32, (u64, u64)> = BTreeMap::new();
        let (mut free, mut largest) = (0, 0);
        for part in parts() {
            match part.kind {
                Kind::Allocated => {
                    chunks += 1;
                    chunk_bytes += part.size;
                }
                Kind::Slab { slot_size, slots, free_slots } => {
                    let class = slabs.entry(slot_size).or_default();
                    class.0 += slots - free_slots.min(slots);
                    class.1 += free_slots;
                }
                Kind::Gap => {
                    let bin = gaps.entry(part.size.max(1).ilog2()).or_default();
                    bin.0 += 1;
                    bin.1 += part.size;
                    free += part.size;
                    largest = largest.max(part.size);
                }
                Kind::Table => writeln!(f, "the table: {} bytes", part.size)?,
            }
        }
        writeln!(f, "allocated chunks: {chunks}, of {chunk_bytes} bytes")?;
        for (size, (used, free)) in slabs {
            writeln!(f, "slots of {size} bytes: {used} in use, {free} free")?;
        }
        let scattered = if free == 0 { 0.0 } else { 100.0 * (free - largest) as f64 / free as f64 };
        writeln!(
            f,
            "gaps: {free} bytes, the largest {largest}; {scattered:.0}% of it is elsewhere"
        )?;
        for (log2, (count, bytes)) in gaps {
            writeln!(f, "  from {} bytes: {count}, of {bytes} bytes", 1_u64 << log2)?;
        }
        Ok(())
    }
}
