//! Reading what `talc::base::Snapshot` has written.

use std::fmt;
use std::ops::Range;

/// A heap, from its base to its end.
#[derive(Debug, PartialEq)]
pub(crate) struct Heap {
    pub(crate) base: u64,
    pub(crate) end: u64,
    /// In the order of their addresses.
    pub(crate) parts: Vec<Piece>,
}

/// A part of a heap other than its ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Piece {
    pub(crate) kind: Kind,
    /// Where its payload begins.
    pub(crate) payload: u64,
    /// The size of its payload.
    pub(crate) size: u64,
}

impl Piece {
    /// Whether it can be a part of a heap there.
    fn is_in(&self, heap: Range<u64>) -> bool {
        let fits = match self.kind {
            Kind::Slab { slot_size, slots, free_slots } => {
                free_slots <= slots
                    && slot_size.checked_mul(slots).is_some_and(|bytes| bytes <= self.size)
            }
            _ => true,
        };
        let end = self.payload.checked_add(self.size);
        fits && self.payload >= heap.start && end.is_some_and(|end| end <= heap.end)
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    Table,
    Allocated,
    Slab { slot_size: u64, slots: u64, free_slots: u64 },
    Gap,
}

/// Why something is no snapshot.
#[derive(Debug, PartialEq)]
pub(crate) enum Error {
    /// It does not begin like one.
    OtherForm,
    /// It ends in the middle.
    TooShort,
    /// It has a byte or a number that cannot be there.
    Damaged { at: usize },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherForm => f.write_str("this is no snapshot of version 1"),
            Self::TooShort => f.write_str("the snapshot ends in the middle"),
            Self::Damaged { at } => write!(f, "the snapshot is damaged at byte {at}"),
        }
    }
}

impl std::error::Error for Error {}

/// All heaps, and the size of a word.
#[derive(Debug, PartialEq)]
pub(crate) struct Heaps {
    pub(crate) word: u64,
    pub(crate) heaps: Vec<Heap>,
}

/// Reads a snapshot.
pub(crate) fn read(bytes: &[u8]) -> Result<Heaps, Error> {
    let word = match bytes {
        [b'T', b'A', b'L', b'C', 1, word @ (4 | 8), ..] => u64::from(*word),
        _ => return Err(Error::OtherForm),
    };
    let mut reader = Reader { bytes, at: 6 };
    let mut heaps = Vec::new();
    let mut open: Option<Heap> = None;
    let mut last = 0_u64;
    loop {
        let at = reader.at;
        let damaged = Error::Damaged { at };
        let which = reader.byte()?;
        if which == 0 {
            return if open.is_none() { Ok(Heaps { word, heaps }) } else { Err(damaged) };
        }
        if which == 1 {
            if open.is_some() {
                return Err(damaged);
            }
            let base = reader.number()?;
            last = base;
            open = Some(Heap { base, end: base, parts: Vec::new() });
            continue;
        }
        let Some(heap) = &mut open else { return Err(damaged) };
        last = last.checked_add(reader.number()?).ok_or(Error::Damaged { at })?;
        if which == 6 {
            heap.end = last;
            if !heap.parts.iter().all(|part| part.is_in(heap.base..last)) {
                return Err(damaged);
            }
            heaps.extend(open.take());
            continue;
        }
        let size = reader.number()?;
        let kind = match which {
            2 => Kind::Table,
            3 => Kind::Allocated,
            4 => Kind::Slab {
                slot_size: reader.number()?,
                slots: reader.number()?,
                free_slots: reader.number()?,
            },
            5 => Kind::Gap,
            _ => return Err(damaged),
        };
        heap.parts.push(Piece { kind, payload: last, size });
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn byte(&mut self) -> Result<u8, Error> {
        let byte = *self.bytes.get(self.at).ok_or(Error::TooShort)?;
        self.at += 1;
        Ok(byte)
    }

    fn number(&mut self) -> Result<u64, Error> {
        let at = self.at;
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let group = u64::from(byte & 127);
            if group << shift >> shift != group {
                return Err(Error::Damaged { at });
            }
            number |= group << shift;
            if byte & 128 == 0 {
                return Ok(number);
            }
        }
        Err(Error::Damaged { at })
    }
}
