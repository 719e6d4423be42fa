//! Heaps in a compact form, to be looked at elsewhere.

use core::mem::size_of;

use super::visit::Part;

/// Turns the parts of heaps into bytes, without allocating: for sending what a heap looks like from a device to a
/// computer.
///
/// A part takes three to five bytes, mostly. The example `heap_picture` of the crate `talc` reads them, and draws
/// the heaps.
///
/// ```
/// use talc_core::{RawTalc, Snapshot};
///
/// # let mut memory = [0_u8; 4096];
/// let mut talc = <RawTalc>::new();
/// # unsafe { talc.claim(memory.as_mut_ptr(), 4096) }.unwrap();
/// let mut sent = Vec::new();
/// let mut snapshot = Snapshot::new(|bytes| sent.extend_from_slice(bytes));
/// talc.visit(|part| snapshot.add(part));
/// snapshot.finish();
/// assert!(sent.len() < 40);
/// ```
///
/// # The form
/// The bytes `TALC`, the version 1, and the size of a word in bytes. Then the parts in the order of
/// [`RawTalc::visit`](crate::RawTalc::visit), and the byte 0. Each part begins with a byte that says which it is, which
/// numbers follow:
///
/// | byte | part | numbers |
/// |------|------|---------|
/// | 1 | base | the address |
/// | 2 | table | where its payload begins, after the base or the payload before; its size |
/// | 3 | allocated chunk | the same |
/// | 4 | slab | the same; the size of a slot, the number of slots, and of free ones |
/// | 5 | gap | as of a chunk |
/// | 6 | end | where it is, after the payload before |
///
/// A number is in groups of seven bits, the lowest first; the eighth bit is set if there is another group.
pub struct Snapshot<F: FnMut(&[u8])> {
    out: F,
    /// The base or the payload before.
    last: usize,
}

/// The bytes that a number takes at most.
const MOST: usize = (usize::BITS as usize + 6) / 7;

impl<F: FnMut(&[u8])> Snapshot<F> {
    /// Begins a snapshot. `out` is called with a few bytes at a time.
    pub fn new(mut out: F) -> Self {
        out(&[b'T', b'A', b'L', b'C', 1, size_of::<usize>() as u8]);
        Self { out, last: 0 }
    }

    /// Adds a part. They must come in the order of [`RawTalc::visit`](crate::RawTalc::visit).
    pub fn add(&mut self, part: Part) {
        match part {
            Part::Base(base) => {
                self.last = 0;
                self.put(1, base.as_ptr() as usize, &[]);
            }
            Part::Table { payload, size } => self.put(2, payload.as_ptr() as usize, &[size]),
            Part::Allocated { payload, size } => self.put(3, payload.as_ptr() as usize, &[size]),
            Part::Slab { payload, size, slot_size, slots, free_slots } => {
                self.put(4, payload.as_ptr() as usize, &[size, slot_size, slots, free_slots]);
            }
            Part::Gap { payload, size } => self.put(5, payload.as_ptr() as usize, &[size]),
            Part::End(end) => self.put(6, end.as_ptr() as usize, &[]),
        }
    }

    /// Ends the snapshot.
    pub fn finish(mut self) {
        (self.out)(&[0]);
    }

    fn put(&mut self, which: u8, address: usize, numbers: &[usize]) {
        (self.out)(&[which]);
        self.number(address.wrapping_sub(self.last));
        self.last = address;
        for &number in numbers {
            self.number(number);
        }
    }

    fn number(&mut self, mut number: usize) {
        let mut groups = [0; MOST];
        let mut count = 0;
        loop {
            groups[count] = (number & 127) as u8;
            number >>= 7;
            count += 1;
            if number == 0 {
                break;
            }
            groups[count - 1] |= 128;
        }
        (self.out)(&groups[..count]);
    }
}
