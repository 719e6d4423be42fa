//! Slabs: chunks cut into equal slots for small objects, which so need no header each.
//!
//! ```text
//!   k * SLAB                                                        (k + 1) * SLAB
//!   │                                                                        │
//!   ▼                                                                        ▼
//!   ┌────────────────────────────┬────────┬────────┬────────┬─ ─ ─ ─┬────────┐
//!   │ Slab: free list, links,    │ slot   │ slot   │ slot   │ never │ header │
//!   │ countdown, class, state    │ in use │ free   │ in use │ used  │ above  │
//!   └────────────────────────────┴────────┴────────┴────────┴─ ─ ─ ─┴────────┘
//!                                ▲ slots are at 8 mod 16
//! ```
//!
//! A slab is the payload of a chunk of exactly `SLAB` bytes, and begins at a multiple of `SLAB`:
//! slabs that are neighbours leave no hole, and a slot's address leads to its slab. Slots are at
//! 8 mod 16 and payloads of chunks at 0 mod 16, so that a pointer says what it points to.
//!
//! A slab is in one of four states:
//!
//! | state     | what it means | `countdown` |
//! |-----------|---------------|-------------|
//! | `CURRENT` | its class allocates from it | starts anew when it has run out, and says nothing |
//! | `FULL`    | no slot is free | 1: the next deallocation makes it partial |
//! | `PARTIAL` | some slots are free; it is in its class's list | the slots in use |
//! | `SPARE`   | all slots are free; it is in the list of spares, for any class | says nothing |
//!
//! So allocating counts nothing, and deallocating counts down and tests for zero.

use core::mem::size_of;
use core::ptr::null_mut;

use crate::chunk::{Chunk, GRAIN, WORD};

/// What stands at the start of a slab.
#[repr(C)]
pub struct Slab {
    /// The neighbours in the class's circular list of partial slabs. In front of what each call uses,
    /// which so is not where pages begin; ARCHITECTURE.md says why.
    pub(crate) next: *mut Slab,
    pub(crate) back: *mut Slab,
    /// The free list, threaded through the slots.
    pub(crate) free: *mut Slot,
    pub(crate) countdown: u32,
    /// The offset of the first slot that was never used; there may be none left.
    pub(crate) fresh: u16,
    pub(crate) class: u8,
    pub(crate) state: State,
}

/// A free slot.
#[repr(C)]
pub(crate) struct Slot {
    pub(crate) next: *mut Slot,
}

/// See the [module](self).
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum State {
    Current,
    Full,
    Partial,
    Spare,
}

/// What a current slab counts down from: enough frees for it to say nothing most of the time. Few
/// in debug builds, so that running out is tested.
pub(crate) const COUNTDOWN: u32 = if cfg!(debug_assertions) { 5 } else { u32::MAX };

/// The offset of the first slot: the first one at 8 mod 16 after the [`Slab`].
pub(crate) const FIRST_SLOT: usize = {
    let end = size_of::<Slab>();
    (end - GRAIN / 2 + (GRAIN - 1)) / GRAIN * GRAIN + GRAIN / 2
};

/// How many slots that were never used are put into the free list at a time: few, as memory that is
/// not used need not be touched; enough to be worth the call.
const FRESH_AT_ONCE: usize = 8;

impl Slab {
    /// All zero.
    pub(crate) const ZERO: Self = Self {
        free: null_mut(),
        next: null_mut(),
        back: null_mut(),
        countdown: 0,
        fresh: 0,
        class: 0,
        state: State::Current,
    };

    /// What a class may have for a current slab before it has one: nothing is ever free in it.
    pub(crate) const NONE: Self = Self { fresh: u16::MAX, ..Self::ZERO };

    /// A current slab of `class` none of whose slots has been used.
    pub(crate) const fn new(class: usize) -> Self {
        // Classes and slabs are few and small enough for this (see `Bins::CHECKED`).
        Self { class: class as u8, fresh: FIRST_SLOT as u16, countdown: COUNTDOWN, ..Self::ZERO }
    }

    /// The size of the slots of a class.
    #[inline]
    pub(crate) const fn slot_size(class: usize) -> usize {
        (class + 1) * GRAIN
    }

    /// How many slots of a class a slab of `slab` bytes has.
    pub(crate) const fn slots(slab: usize, class: usize) -> usize {
        // The last word of its block is the header of the chunk above.
        (slab - WORD - FIRST_SLOT) / Self::slot_size(class)
    }

    /// The slab of `slab` bytes that has a slot at `ptr`.
    #[inline]
    pub(crate) fn of_slot(ptr: *mut u8, slab: usize) -> *mut Self {
        // The round trip through an address takes up the provenance that `claim` exposed.
        (ptr as usize & !(slab - 1)) as *mut Self
    }

    /// The chunk that a slab is the payload of.
    #[inline]
    pub(crate) fn chunk(this: *mut Self) -> Chunk {
        Chunk::of_payload(this.cast())
    }

    /// Puts some slots that were never used into the empty free list. Answers whether there are
    /// any.
    ///
    /// # Safety
    /// `this` must be a slab of `slab` bytes whose free list is empty, or [`NONE`](Self::NONE).
    pub(crate) unsafe fn freshen(this: *mut Self, slab: usize) -> bool {
        // SAFETY: a slab is nobody's but the allocator's, and so are slots never used (I12).
        unsafe {
            let size = Self::slot_size((*this).class.into());
            let mut fresh = usize::from((*this).fresh);
            let mut left = FRESH_AT_ONCE;
            // The last word of its block is the header of the chunk above.
            while left != 0 && fresh + size <= slab - WORD {
                let slot = this.cast::<u8>().wrapping_add(fresh).cast::<Slot>();
                (*slot).next = (*this).free;
                (*this).free = slot;
                fresh += size;
                left -= 1;
            }
            // Slabs are small enough for this (see `Bins::CHECKED`).
            (*this).fresh = fresh as u16;
            left != FRESH_AT_ONCE
        }
    }

    /// How many slots of a slab of `slab` bytes are free: in its free list or never used.
    ///
    /// # Safety
    /// `this` must be a slab of that size.
    pub(crate) unsafe fn free_slots(this: *const Self, slab: usize) -> usize {
        // SAFETY: the free list of a slab leads from slot to slot (I12).
        unsafe {
            let size = Self::slot_size((*this).class.into());
            let mut free = (slab - WORD - usize::from((*this).fresh)) / size;
            let mut slot = (*this).free;
            while !slot.is_null() {
                free += 1;
                slot = (*slot).next;
            }
            free
        }
    }

    /// Whether a slot is free: in the free list, or never used.
    ///
    /// # Safety
    /// `this` must be a slab, and `slot` one of its slots.
    pub(crate) unsafe fn is_free(this: *const Self, slot: *const u8) -> bool {
        // SAFETY: the free list of a slab leads from slot to slot (I12).
        unsafe {
            let mut free = (*this).free;
            while !free.is_null() {
                if core::ptr::eq(free.cast(), slot) {
                    return true;
                }
                free = (*free).next;
            }
            slot as usize - this as usize >= usize::from((*this).fresh)
        }
    }

    /// Puts a slab at the end of the circular list whose first one is `*first`.
    ///
    /// At the end, so that it gathers free slots before its turn comes: else a class in which
    /// objects are allocated and freed at random takes a slab for each single slot.
    ///
    /// # Safety
    /// `first` must be the root of a list of slabs, and `this` a slab in no list.
    pub(crate) unsafe fn link(this: *mut Self, first: *mut *mut Self) {
        // SAFETY: the root and the slabs in a list are valid for writes (I13).
        unsafe {
            let next = first.read();
            if next.is_null() {
                (*this).next = this;
                (*this).back = this;
                first.write(this);
            } else {
                let back = (*next).back;
                (*this).next = next;
                (*this).back = back;
                (*back).next = this;
                (*next).back = this;
            }
        }
    }

    /// Takes a slab out of its list, whose first one is `*first`.
    ///
    /// # Safety
    /// `this` must be in that list.
    pub(crate) unsafe fn unlink(this: *mut Self, first: *mut *mut Self) {
        // SAFETY: the root and the slabs in a list are valid for writes (I13).
        unsafe {
            let (next, back) = ((*this).next, (*this).back);
            (*next).back = back;
            (*back).next = next;
            if first.read() == this {
                first.write(if next == this { null_mut() } else { next });
            }
        }
    }
}
