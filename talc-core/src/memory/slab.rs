//! Slabs: chunks cut into equal slots, so that small objects need no headers.
//!
//! ```text
//!   k * SLAB                                                        (k + 1) * SLAB
//!   │                                                                        │
//!   ▼                                                                        ▼
//!   ┌────────────────────────────┬────────┬────────┬────────┬─ ─ ─ ─┬────────┐
//!   │ Slab: free list, links,    │ slot   │ slot   │ slot   │ never │ header │
//!   │ count, class, state, tag   │ in use │ free   │ in use │ used  │ above  │
//!   └────────────────────────────┴────────┴────────┴────────┴─ ─ ─ ─┴────────┘
//!                                ▲ slots are at 8 mod 16
//! ```
//!
//! A slab is the payload of a chunk of exactly `SLAB` bytes, and begins at a multiple of `SLAB`:
//! neighbouring slabs leave no hole, and a slot's address leads to its slab. Slots are at 8 mod 16
//! and payloads of chunks at 0 mod 16, so a pointer tells what it points to.
//!
//! A slab is in one of four states. It counts in such a way that the count falls to zero when
//! something is to be done:
//!
//! | state     | what it means | `count` |
//! |-----------|---------------|---------|
//! | `CURRENT` | its class allocates from it | the slots in use; and [`QUIET`], if nothing is to be done when there are none |
//! | `FULL`    | no slot is free | 1: the next deallocation makes it partial |
//! | `PARTIAL` | some slots are free; it is in its class's list | the slots in use |
//! | `SPARE`   | all slots are free; it is in the list of spares, for any class | 0 |
//!
//! So deallocating counts down and tests for zero in every state.

use core::mem::size_of;
use core::ptr::{addr_of, addr_of_mut, null_mut};

use super::chunk::{Chunk, GRAIN, WORD};
use super::fill::{fill_block, FILL};
use super::magazine::Magazine;
use crate::tier::FILLS;

/// What stands at the start of a slab.
#[repr(C)]
pub(crate) struct Slab {
    /// The neighbours in the class's circular list of partial slabs. They come first so that the
    /// fields that each call uses are not where pages begin; ARCHITECTURE.md says why.
    pub(crate) next: *mut Slab,
    pub(crate) back: *mut Slab,
    /// The free slots that have been used before.
    pub(crate) free: Magazine,
    pub(crate) count: u16,
    /// The room above each of its free slots, once they are ready.
    pub(crate) room: u8,
    /// Whether an allocation has been shrunk here, in a build with checks. Then a slot may have a layout that is
    /// smaller than those of its class.
    pub(crate) has_shrunk: bool,
    /// The offset of the first slot that was never used, if there is one left.
    pub(crate) fresh: u16,
    pub(crate) class: u8,
    pub(crate) state: State,
    /// The slab's own address, combined with a number that says that it is a slab, or was one.
    tag: usize,
}

/// See the [module](self). Not an enumeration, as a stray write can leave any number here.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct State(u8);

impl State {
    pub(crate) const CURRENT: Self = Self(0);
    pub(crate) const FULL: Self = Self(1);
    pub(crate) const PARTIAL: Self = Self(2);
    pub(crate) const SPARE: Self = Self(3);
}

/// What a current slab counts in addition to its slots in use, if nothing is to be done when it
/// falls empty. More than there are slots (see `Bins::CHECKED`), and small, as small numbers take
/// fewer bytes in WebAssembly.
pub(crate) const QUIET: u16 = 1 << 12;

/// What is at an address where a slab may be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tag {
    Slab,
    /// What was a slab until it was closed. Nothing has overwritten the tag since.
    Closed,
    Other,
}

/// The numbers in the tags of a slab, and of what was one.
const LIVE: usize = 0x5AB5_1AB5;
const CLOSED: usize = 0xC105_ED5B;

/// The offset of the first slot: the first one at 8 mod 16 after the [`Slab`].
pub(crate) const FIRST_SLOT: usize = {
    let end = size_of::<Slab>();
    (end - GRAIN / 2 + (GRAIN - 1)) / GRAIN * GRAIN + GRAIN / 2
};

const _: () = assert!(FIRST_SLOT >= size_of::<Slab>() && FIRST_SLOT - size_of::<Slab>() < GRAIN);

/// The most classes that there can be.
pub(crate) const MAX_CLASSES: usize = 256;

/// 2^32 divided by the number of grains in a slot of each class, rounded up.
static INVERSES: [u32; MAX_CLASSES] = {
    let mut inverses = [0; MAX_CLASSES];
    let mut class = 0;
    while class < MAX_CLASSES {
        inverses[class] = (u32::MAX / (class as u32 + 1)).wrapping_add(1);
        class += 1;
    }
    inverses
};

/// Returns whether `ptr` is a slot: slots are at 8 mod 16, payloads of chunks at 0 mod 16.
#[inline]
pub(crate) fn is_slot(ptr: *mut u8) -> bool {
    ptr as usize & (GRAIN / 2) != 0
}

impl Slab {
    /// Returns a current slab of `class`, of which no slot has been used, and whose count starts at `count`. Its
    /// slots leave no room above them yet when they are ready.
    pub(crate) fn new(class: usize, count: u16) -> Self {
        Self {
            next: null_mut(),
            back: null_mut(),
            free: Magazine::with_room(0),
            count,
            room: 0,
            has_shrunk: false,
            // Classes are few enough, and slabs small enough (see `Bins::CHECKED`).
            fresh: FIRST_SLOT as u16,
            class: class as u8,
            state: State::CURRENT,
            tag: 0,
        }
    }

    /// Writes the tag of a slab.
    ///
    /// # Safety
    /// `this` must be a slab.
    #[inline]
    pub(crate) unsafe fn tag(this: *mut Self) {
        // SAFETY: a slab's own words are the allocator's (I12).
        unsafe { (*this).tag = this as usize ^ LIVE };
    }

    /// Writes the tag of what was a slab until now.
    ///
    /// # Safety
    /// `this` must have been a slab, and must still be the allocator's.
    #[inline]
    pub(crate) unsafe fn untag(this: *mut Self) {
        // SAFETY: required of the caller.
        unsafe { (*this).tag = this as usize ^ CLOSED };
    }

    /// Returns what the tag says. Nothing else is read. The tag is between the start of a slab and
    /// its first slot: if a slot is mapped, so is the tag.
    ///
    /// # Safety
    /// The tag must be readable.
    pub(crate) unsafe fn tagged(this: *const Self) -> Tag {
        // SAFETY: required of the caller.
        match unsafe { addr_of!((*this).tag).read() } ^ this as usize {
            LIVE => Tag::Slab,
            CLOSED => Tag::Closed,
            // What was a slab is free memory.
            other if FILLS && other ^ this as usize == FILL => Tag::Closed,
            _ => Tag::Other,
        }
    }

    /// Returns whether no slot of a current slab is in use.
    ///
    /// # Safety
    /// `this` must be a slab in that state.
    #[inline]
    pub(crate) unsafe fn is_empty(this: *const Self) -> bool {
        // SAFETY: required of the caller.
        unsafe { (*this).count & !QUIET == 0 }
    }

    /// Returns how many slots of a slab of `slab` bytes are in use, or in a magazine.
    ///
    /// # Safety
    /// `this` must be a slab of that size.
    pub(crate) unsafe fn in_use(this: *const Self, slab: usize) -> usize {
        // SAFETY: required of the caller.
        unsafe {
            if (*this).state == State::FULL {
                Self::slots(slab, (*this).class.into())
            } else {
                ((*this).count & !QUIET).into()
            }
        }
    }

    /// Returns the size of the slots of a class.
    #[inline]
    pub(crate) const fn slot_size(class: usize) -> usize {
        (class + 1) * GRAIN
    }

    /// Returns how many slots of a class a slab of `slab` bytes has.
    pub(crate) const fn slots(slab: usize, class: usize) -> usize {
        // The last word of its block is the header of the chunk above.
        (slab - WORD - FIRST_SLOT) / Self::slot_size(class)
    }

    /// Returns whether a slot of `class` begins this many bytes above the first one.
    ///
    /// Instead of a division: Lemire, Kaser and Kurz, "Faster remainder by direct computation" (2019).
    #[inline]
    pub(crate) fn is_multiple(bytes: usize, class: u8) -> bool {
        let inverse = INVERSES[usize::from(class)];
        bytes % GRAIN == 0
            && ((bytes / GRAIN) as u32).wrapping_mul(inverse) <= inverse.wrapping_sub(1)
    }

    /// Returns the slab of `slab` bytes in which there is a slot at `ptr`.
    #[inline]
    pub(crate) fn of_slot(ptr: *mut u8, slab: usize) -> *mut Self {
        // The round trip through an address takes up the provenance that `claim` exposed.
        (ptr as usize & !(slab - 1)) as *mut Self
    }

    /// Returns the size of the slot at `ptr`, in a slab of `slab` bytes.
    ///
    /// # Safety
    /// `ptr` must be a slot.
    pub(crate) unsafe fn size_of_slot(ptr: *mut u8, slab: usize) -> usize {
        // SAFETY: a slot belongs to the slab at the multiple of `slab` below it (I12).
        unsafe { Self::slot_size((*Self::of_slot(ptr, slab)).class.into()) }
    }

    /// Returns the chunk whose payload a slab is.
    ///
    /// # Safety
    /// `this` must be a slab.
    #[inline]
    pub(crate) unsafe fn chunk(this: *mut Self) -> Chunk {
        // SAFETY: a slab lies in a heap (I12).
        unsafe { Chunk::of_payload(this.cast()) }
    }

    /// Returns whether there are slots that were never used.
    ///
    /// # Safety
    /// `this` must be a slab of `slab` bytes.
    #[inline]
    pub(crate) unsafe fn can_freshen(this: *const Self, slab: usize) -> bool {
        // SAFETY: required of the caller.
        unsafe {
            // The last word of its block is the header of the chunk above.
            usize::from((*this).fresh) + Self::slot_size((*this).class.into()) <= slab - WORD
        }
    }

    /// Puts some slots that were never used, `most` at most, in front of those of a list or a magazine. Returns how many: one
    /// at least, if there are any.
    ///
    /// # Safety
    /// `this` must be a slab of `slab` bytes, and `list` its free list or a magazine.
    pub(crate) unsafe fn freshen(
        this: *mut Self,
        slab: usize,
        list: *mut Magazine,
        most: usize,
    ) -> usize {
        // SAFETY: a slab is the allocator's, and so are slots that were never used (I12).
        unsafe {
            let size = Self::slot_size((*this).class.into());
            let first = usize::from((*this).fresh);
            // The last word of its block is the header of the chunk above. Seldom is there a division.
            let rest = slab - WORD - first;
            let count = if rest >= most * size { most } else { rest / size };
            // Slabs are small enough (see `Bins::CHECKED`).
            (*this).fresh = (first + count * size) as u16;
            let lowest = this.cast::<u8>().wrapping_add(first);
            let end = lowest.wrapping_add(count * size);
            Magazine::put_row(list, lowest, end, size, (*this).room.into());
            count
        }
    }

    /// Returns whether a slot can be where the first one is that was never used, or all were used.
    ///
    /// # Safety
    /// `this` must be a slab.
    pub(crate) unsafe fn is_fresh_sound(this: *const Self, slab: usize) -> bool {
        // SAFETY: required of the caller.
        let (fresh, class) = unsafe { (usize::from((*this).fresh), (*this).class) };
        (FIRST_SLOT..=slab - WORD).contains(&fresh) && Self::is_multiple(fresh - FIRST_SLOT, class)
    }

    /// Puts a slot into the free list.
    ///
    /// # Safety
    /// `slot` must be a slot of this slab, and the allocator's.
    #[inline]
    pub(crate) unsafe fn put(this: *mut Self, slot: *mut u8) {
        // SAFETY: required of the caller.
        unsafe {
            fill_block(slot, Self::slot_size((*this).class.into()));
            Magazine::put(addr_of_mut!((*this).free), slot, (*this).room.into());
        }
    }

    /// Returns how many slots are in the free list. Counts nothing, so the slab must be sound.
    ///
    /// # Safety
    /// `this` must be a slab that counts its slots in use.
    pub(crate) unsafe fn listed(this: *const Self) -> usize {
        // SAFETY: required of the caller.
        unsafe {
            let used =
                (usize::from((*this).fresh) - FIRST_SLOT) / Self::slot_size((*this).class.into());
            used - usize::from((*this).count & !QUIET)
        }
    }

    /// Returns whether `slot` is a slot that has been used before, and so one that the free list
    /// may lead to, if the slab's own words are sound.
    ///
    /// # Safety
    /// `this` must be a slab of `slab` bytes.
    pub(crate) unsafe fn has_slot(this: *const Self, slab: usize, slot: *const u8) -> bool {
        // SAFETY: required of the caller.
        unsafe {
            let size = Self::slot_size((*this).class.into());
            let fresh = usize::from((*this).fresh);
            let offset = (slot as usize).wrapping_sub(this as usize);
            fresh <= slab
                && offset >= FIRST_SLOT
                && offset < fresh
                && (offset - FIRST_SLOT) % size == 0
        }
    }

    /// Calls `visitor` with each slot of the free list. Stops and returns `false` if the list leads
    /// out of the slab or does not end.
    ///
    /// # Safety
    /// `this` must be a slab of `slab` bytes.
    pub(crate) unsafe fn for_each_free(
        this: *const Self,
        slab: usize,
        mut visitor: impl FnMut(*const u8),
    ) -> bool {
        let mut left = slab / GRAIN;
        // SAFETY: required of the caller; slots are only read once they are known to be slots.
        unsafe {
            (*this).free.all(|slot| {
                if left == 0 || !Self::has_slot(this, slab, slot) {
                    return false;
                }
                left -= 1;
                visitor(slot);
                true
            })
        }
    }

    /// Returns how many slots of a slab of `slab` bytes are free: in its free list or never used;
    /// `None` if the slab is damaged.
    ///
    /// # Safety
    /// `this` must be a slab of that size.
    pub(crate) unsafe fn free_slots(this: *const Self, slab: usize) -> Option<usize> {
        // SAFETY: required of the caller.
        unsafe {
            let size = Self::slot_size((*this).class.into());
            let mut free = (slab - WORD).checked_sub((*this).fresh.into())? / size;
            Self::for_each_free(this, slab, |_| free += 1).then_some(free)
        }
    }

    /// Returns whether a slot is free, in the free list or never used; `None` if the slab is
    /// damaged.
    ///
    /// # Safety
    /// `this` must be a slab of `slab` bytes, and `slot` one of its slots.
    pub(crate) unsafe fn is_free(this: *const Self, slab: usize, slot: *const u8) -> Option<bool> {
        // SAFETY: required of the caller.
        unsafe {
            let mut is_free = slot as usize - this as usize >= usize::from((*this).fresh);
            let is_sound = Self::for_each_free(this, slab, |free| {
                is_free |= core::ptr::eq(free, slot);
            });
            is_sound.then_some(is_free)
        }
    }

    /// Puts a slab at the end of the circular list whose first one is `*first`.
    ///
    /// At the end, so that it gathers free slots before its turn comes. Otherwise, a class in which
    /// objects are allocated and freed at random would take a slab for every single slot.
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

#[cfg(test)]
mod tests {
    extern crate std;

    use std::alloc::{alloc, dealloc, Layout};

    use super::*;
    use crate::tuning::FRESH_AT_ONCE;

    /// For every size of slabs, every class and every address: it is a slot's if and only if a whole
    /// number of slots is below it, and one has room there in front of the header above.
    #[test]
    fn every_address_of_every_slab() {
        for slab_log2 in 8..=15 {
            let size = 1_usize << slab_log2;
            let layout = Layout::from_size_align(size, size).unwrap();
            // SAFETY: the layout has a size; the slab is this test's, and so are its slots.
            unsafe {
                let slab = alloc(layout).cast::<Slab>();
                // As many as `Bins::CHECKED` allows, and not all of them where there are hundreds.
                let classes = (0..256).take_while(|&class| Slab::slots(size, class) >= 2);
                for class in classes.filter(|class| class % 7 == 0 || slab_log2 < 14) {
                    slab.write(Slab::new(class, 0));
                    let mut calls = 0;
                    while Slab::can_freshen(slab, size) {
                        assert!(
                            Slab::freshen(slab, size, addr_of_mut!((*slab).free), FRESH_AT_ONCE)
                                > 0
                        );
                        calls += 1;
                    }
                    assert_eq!(
                        Slab::freshen(slab, size, addr_of_mut!((*slab).free), FRESH_AT_ONCE),
                        0
                    );
                    let (slot_size, slots) = (Slab::slot_size(class), Slab::slots(size, class));
                    assert_eq!(calls, (slots + FRESH_AT_ONCE - 1) / FRESH_AT_ONCE);
                    assert_eq!(Slab::free_slots(slab, size), Some(slots));
                    assert_eq!(Slab::listed(slab), slots);
                    let mut found = 0;
                    for offset in 0..size {
                        let address = slab.cast::<u8>().wrapping_add(offset);
                        assert_eq!(Slab::of_slot(address, size), slab);
                        let is_slot_here = offset >= FIRST_SLOT
                            && (offset - FIRST_SLOT) % slot_size == 0
                            && offset + slot_size <= size - WORD;
                        assert_eq!(Slab::has_slot(slab, size, address), is_slot_here, "{offset}");
                        found += usize::from(is_slot_here);
                        assert!(!is_slot_here || is_slot(address));
                    }
                    assert_eq!(found, slots, "class {class} of {size} bytes");
                    // Another one has no room.
                    let end = FIRST_SLOT + slots * slot_size;
                    assert!(end <= size - WORD && end + slot_size > size - WORD);
                }
                dealloc(slab.cast(), layout);
            }
        }
    }

    /// A slab's tag is its own: no other slab's, none when it is closed, and not what zeroed or copied
    /// memory has.
    #[test]
    fn tags_belong_to_a_place() {
        let mut slabs = [Slab::new(0, 0), Slab::new(0, 0)];
        // SAFETY: they are this test's.
        unsafe {
            let first = addr_of_mut!(slabs[0]);
            assert!(Slab::tagged(first) == Tag::Other);
            Slab::tag(first);
            assert!(Slab::tagged(first) == Tag::Slab);
            let second = addr_of_mut!(slabs[1]);
            (*second).tag = (*first).tag;
            assert!(Slab::tagged(second) == Tag::Other);
            Slab::untag(first);
            assert!(Slab::tagged(first) == Tag::Closed);
        }
    }

    /// All that there can be: slabs have at most 32 KiB.
    #[test]
    fn slots_begin_where_their_size_says() {
        for class in 0..MAX_CLASSES {
            for grains in 0..(32 << 10) / GRAIN {
                let is_start = Slab::is_multiple(grains * GRAIN, class as u8);
                assert_eq!(is_start, grains % (class + 1) == 0);
            }
        }
    }
}
