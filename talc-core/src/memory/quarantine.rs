//! The quarantine: a bounded list of freed blocks, of which the first one in is the first one out.
//!
//! What was freed is handed out again as late as possible. So a second free, or a write to freed memory, comes while
//! nobody else owns the memory, and is recognised. Blocks are linked by the words that they would have in a
//! [magazine](super::magazine), with the same marks. The ends of the list are not in the heap.
//!
//! It is there in builds with [`QUARANTINES`]. In others, it has no size and is always closed.

use core::ptr::NonNull;

use super::magazine::Magazine;
use crate::tier::QUARANTINES;

/// A bounded list of freed blocks: what was freed first is handed out first.
pub(crate) struct Quarantine([Queue; QUARANTINES as usize]);

/// Ends are addresses: the heaps' are exposed, and a value that has no pointer may be sent.
#[derive(Clone, Copy)]
struct Queue {
    oldest: usize,
    newest: usize,
    count: usize,
    room: usize,
}

impl Queue {
    const EMPTY: Self = Self { oldest: 0, newest: 0, count: 0, room: 0 };
}

/// The mark of a block was overwritten. It is at this address.
pub(crate) struct Overwritten(pub(crate) usize);

impl Quarantine {
    pub(crate) const CLOSED: Self = Self([Queue::EMPTY; QUARANTINES as usize]);

    /// Sets how many blocks there may be. What is there stays.
    pub(crate) fn set_room(&mut self, room: usize) {
        if let [queue] = &mut self.0[..] {
            queue.room = room;
        }
    }

    /// Returns whether there may be blocks.
    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        matches!(&self.0[..], [queue] if queue.room != 0)
    }

    /// Returns whether there are more blocks than there may be.
    pub(crate) fn is_over(&self) -> bool {
        matches!(&self.0[..], [queue] if queue.count > queue.room)
    }

    /// Returns the number of blocks.
    #[inline]
    pub(crate) fn count(&self) -> usize {
        match &self.0[..] {
            [queue] => queue.count,
            _ => 0,
        }
    }

    /// Puts a block at the end.
    ///
    /// # Errors
    /// The block in front of it was overwritten. It is linked nevertheless.
    ///
    /// # Safety
    /// `block` must be aligned to a word, have [`Magazine::MIN_BLOCK`] bytes, and belong to the quarantine until it is
    /// popped.
    pub(crate) unsafe fn push(&mut self, block: *mut u8) -> Result<(), Overwritten> {
        let queue = match self.0.first_mut() {
            Some(queue) => queue,
            None => return Ok(()),
        };
        let newest = queue.newest as *mut u8;
        queue.newest = block as usize;
        queue.count += 1;
        // SAFETY: required of the caller; the ends of the list are blocks in it.
        unsafe {
            // To itself, as a zero is what is most often written.
            Magazine::link(block, block);
            if queue.count == 1 {
                queue.oldest = block as usize;
                return Ok(());
            }
            let is_sound = Magazine::has_marked(newest);
            Magazine::link(newest, block);
            if is_sound {
                Ok(())
            } else {
                Err(Overwritten(newest as usize))
            }
        }
    }

    /// Takes the block that was pushed first, if there is one.
    ///
    /// # Errors
    /// It was overwritten. The list is empty then, and whatever was in it is never handed out again.
    ///
    /// # Safety
    /// The blocks must still be readable.
    pub(crate) unsafe fn pop(&mut self) -> Result<Option<NonNull<u8>>, Overwritten> {
        let queue = match self.0.first_mut() {
            Some(queue) if queue.count != 0 => queue,
            _ => return Ok(None),
        };
        let oldest = queue.oldest as *mut u8;
        // SAFETY: the block is in the list; what it leads to is not read here.
        unsafe {
            if !Magazine::has_marked(oldest) {
                *queue = Queue { room: queue.room, ..Queue::EMPTY };
                return Err(Overwritten(oldest as usize));
            }
            // Of the last one, it is of no use.
            queue.oldest = Magazine::next_of(oldest) as usize;
            Magazine::clear_mark(oldest);
        }
        queue.count -= 1;
        Ok(NonNull::new(oldest))
    }

    /// Returns whether `visitor` returns `true` for each block, from the oldest one on, and there are as many as were
    /// counted. Stops and returns `false` when it does not.
    pub(crate) fn all(&self, mut visitor: impl FnMut(*mut u8) -> bool) -> bool {
        let (mut block, mut left) = match self.0.first() {
            Some(queue) => (queue.oldest as *mut u8, queue.count),
            None => return true,
        };
        while left != 0 {
            // SAFETY: where a marked block leads, there is a block, unless the mark was forged.
            if !visitor(block) || !unsafe { Magazine::has_marked(block) } {
                return false;
            }
            left -= 1;
            // SAFETY: as above.
            block = unsafe { Magazine::next_of(block) };
        }
        true
    }
}
