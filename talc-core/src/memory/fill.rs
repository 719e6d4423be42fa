//! What free memory is filled with, and the seal beyond the end of an allocation, in builds that
//! [fill](crate::tier::FILLS).
//!
//! A seal is one word, wherever the bytes of the layout end. Free memory is filled from behind its links on. Both are
//! bounded by [`LIMIT`], so that calls stay O(1).

use core::mem::size_of;

use super::magazine::Magazine;
use crate::tier::FILLS;

/// The bytes that each allocation takes beyond those of its layout, to notice what is written there: a word with the
/// feature `hardened-full`, and else none.
pub const SEAL: usize = if FILLS { size_of::<usize>() } else { 0 };

/// The most bytes that are filled, or looked at, at once.
pub(crate) const LIMIT: usize = 8 << 10;

/// A word of free memory. Taken for a header, it is that of a gap, so that a second free is recognised.
pub(crate) const FILL: usize = usize::MAX / 0xFF * 0xF3;

/// Returns what is beyond the end of an allocation. No byte of it is 0, which is what is most often written there.
fn seal_of(block: *mut u8) -> usize {
    const BYTES: usize = usize::MAX / 0xFF;
    !(block as usize).wrapping_mul(BYTES) | BYTES
}

/// Seals an allocation of `size` bytes.
///
/// # Safety
/// There must be [`SEAL`] more bytes.
#[inline]
pub(crate) unsafe fn seal(block: *mut u8, size: usize) {
    if FILLS {
        // The round trip through an address takes up the provenance that `claim` exposed.
        let end = (block as usize + size) as *mut usize;
        // SAFETY: required of the caller.
        unsafe { end.write_unaligned(seal_of(block)) };
    }
}

/// Returns whether the seal is as it was, or there are none.
///
/// # Safety
/// `block` must be an allocation of about `size` bytes: the seal must be readable.
#[inline]
pub(crate) unsafe fn is_sealed(block: *mut u8, size: usize) -> bool {
    let end = (block as usize + size) as *const usize;
    // SAFETY: required of the caller.
    !FILLS || unsafe { end.read_unaligned() } == seal_of(block)
}

/// Fills the words from `start` up to `end`, if they are not too many. Returns whether they are filled.
///
/// # Safety
/// They must be the allocator's.
#[inline]
pub(crate) unsafe fn fill(start: usize, end: usize) -> bool {
    if !FILLS || end.wrapping_sub(start) > LIMIT {
        return false;
    }
    // SAFETY: required of the caller.
    unsafe { (start as *mut u8).write_bytes(FILL as u8, end - start) };
    true
}

/// Fills a block of `size` bytes in a magazine behind its words.
///
/// # Safety
/// The block must be the allocator's.
#[inline]
pub(crate) unsafe fn fill_block(block: *mut u8, size: usize) {
    if FILLS && size > Magazine::MIN_BLOCK {
        let start = block as usize + Magazine::MIN_BLOCK;
        // SAFETY: required of the caller.
        unsafe { (start as *mut u8).write_bytes(FILL as u8, size - Magazine::MIN_BLOCK) };
    }
}

/// Returns the first word of a block of `size` bytes in a magazine that is not as it was [filled](fill_block).
///
/// # Safety
/// As there.
#[inline]
pub(crate) unsafe fn find_written_in(block: *mut u8, size: usize) -> Option<usize> {
    if !FILLS {
        return None;
    }
    // SAFETY: required of the caller.
    unsafe { find_other(block as usize + Magazine::MIN_BLOCK, block as usize + size) }
}

/// Returns the first word from `start` up to `end` that is not as it was filled, among as many as are filled at once.
///
/// # Safety
/// They must be the allocator's, and filled.
#[inline]
pub(crate) unsafe fn find_written(start: usize, end: usize) -> Option<usize> {
    if !FILLS {
        return None;
    }
    // SAFETY: required of the caller.
    unsafe { find_other(start, looked_at(start, end)) }
}

/// Returns up to where memory from `start` up to `end` is looked at. There may be no address [`LIMIT`] bytes higher.
#[inline]
fn looked_at(start: usize, end: usize) -> usize {
    end.min(start.saturating_add(LIMIT))
}

/// Returns the first word from `start` up to `end` that is not [`FILL`].
///
/// # Safety
/// They must be readable.
#[inline]
unsafe fn find_other(start: usize, end: usize) -> Option<usize> {
    const WORD: usize = size_of::<usize>();
    /// So many words are compared at once, which processors can do.
    const AT_ONCE: usize = 8;
    let mut word = start;
    // SAFETY: required of the caller.
    let differs = |word: usize| unsafe { (word as *const usize).read() } ^ FILL;
    while end.saturating_sub(word) >= AT_ONCE * WORD
        && (0..AT_ONCE).fold(0, |all, index| all | differs(word + index * WORD)) == 0
    {
        word += AT_ONCE * WORD;
    }
    while word < end {
        if differs(word) != 0 {
            return Some(word);
        }
        word += WORD;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_addresses_are_looked_at() {
        const TOP: usize = usize::MAX & !(size_of::<usize>() - 1);
        assert_eq!(looked_at(TOP - 64, TOP), TOP);
        assert_eq!(looked_at(TOP - LIMIT - 64, TOP), TOP - 64);
        assert_eq!(looked_at(4096, 4096 + LIMIT + 64), 4096 + LIMIT);
        assert_eq!(looked_at(64, 32), 32, "too small for more than its words");
    }
}
