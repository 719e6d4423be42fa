//! A magazine: a bounded list of free blocks of one size, of which the last one in is the first one out.
//!
//! ```text
//!   first ──► block ──next──► block ──next──► bottom ──next──► null
//!             room: 1         room: 2         room: 3
//! ```
//!
//! Each block has two words: the next block, and the room that is left above it. At the end is a constant,
//! the bottom, whose room is that of the empty magazine. So pushing needs no counter and no test for an
//! empty list, and popping ends where there is no next block.
//!
//! In builds with [marks](crate::tier::MARKS), the word with the room also has a mark that is made of the
//! addresses of the block and of the next one, until the block is popped. So a second free is recognised at
//! once, and so is whatever was written there, or led to by a link that was overwritten.
//!
//! The idea is that of Bonwick and Adams, "Magazines and Vmem" (2001).

use core::mem::MaybeUninit;
use core::ptr::{addr_of, null_mut, NonNull};

use super::fill::fill_block;
use super::key::{choose_key, key};
use crate::tier::MARKS;

/// A bounded list of free blocks of one size: what was freed last is handed out first.
///
/// It knows nothing of an allocator: `RawTalc` keeps slots and chunks in magazines, and what shares an
/// allocator between cores may keep its allocations in them.
#[repr(transparent)]
pub struct Magazine {
    first: *mut Block,
}

/// A block in a magazine, or the bottom of one.
#[repr(C)]
struct Block {
    /// Null in the bottom.
    next: *mut Block,
    /// How many more blocks there may be above this one; and the [mark](Block::mark).
    room: usize,
}

impl Block {
    /// The bits of the room.
    const ROOM: usize = 2 * Magazine::MAX_ROOM - 1;

    /// Returns how many more blocks there may be above this one, or above the bottom that this is.
    #[inline]
    fn room(&self) -> usize {
        if MARKS {
            self.room & Self::ROOM
        } else {
            self.room
        }
    }

    /// Returns what stands beside the room in a block at this address. It is unlikely to be a number or a pointer of
    /// anybody else's: it depends on a [key](super::key). A sum, which is cheap, and never 0, as both addresses are even
    /// and the key is odd: so neither a bottom nor memory that is all zero has a mark.
    #[inline]
    fn mark(block: *const Self, next: *const Self) -> usize {
        if MARKS {
            (block as usize).wrapping_add(next as usize).wrapping_add(key()) << (MAX_ROOM_LOG2 + 1)
        } else {
            0
        }
    }
}

/// The base-2 logarithm of [`Magazine::MAX_ROOM`].
const MAX_ROOM_LOG2: usize = 6;

/// Never written to, so that sharing it is sound.
struct Bottoms([Block; MAX_ROOM_LOG2 + 2]);

// SAFETY: nothing writes to it.
unsafe impl Sync for Bottoms {}

const fn bottom(room: usize) -> Block {
    Block { next: null_mut(), room }
}

/// The bottoms of magazines with room for 0, 1, 2, 4, and so on.
static BOTTOMS: Bottoms = Bottoms([
    bottom(0),
    bottom(1),
    bottom(2),
    bottom(4),
    bottom(8),
    bottom(16),
    bottom(32),
    bottom(Magazine::MAX_ROOM),
]);

// SAFETY: the blocks in it belong to its owner.
unsafe impl Send for Magazine {}

impl Magazine {
    /// The number of blocks that a magazine can have at most.
    pub const MAX_ROOM: usize = 1 << MAX_ROOM_LOG2;

    /// The size of a block in bytes that suffices for a magazine, and its alignment.
    pub const MIN_BLOCK: usize = core::mem::size_of::<Block>();

    /// An empty magazine with room for no block.
    pub const CLOSED: Self = {
        const BOTTOM: &Block = &bottom(0);
        Self { first: BOTTOM as *const Block as *mut Block }
    };

    /// Returns an empty magazine with room for at least half as many blocks as `room`, and at most as many,
    /// and at most [`MAX_ROOM`](Self::MAX_ROOM).
    pub fn with_room(room: usize) -> Self {
        choose_key();
        let room = if room > Self::MAX_ROOM { Self::MAX_ROOM } else { room };
        // 0 is at 0, 1 at 1, 2 and 3 at 2, and so on.
        let index = (usize::BITS - room.leading_zeros()) as usize;
        debug_assert!(index < BOTTOMS.0.len());
        // SAFETY: the index is at most that of the last one. With a bounds check, a module has the text of
        // its panic.
        let bottom: *const Block = unsafe { BOTTOMS.0.as_ptr().add(index) };
        Self { first: bottom as *mut Block }
    }

    /// Returns the block that was pushed last, or the bottom.
    pub(crate) fn first(&self) -> *const u8 {
        self.first.cast()
    }

    /// Returns whether there is no block.
    #[inline]
    pub fn is_empty(&self) -> bool {
        // SAFETY: a magazine begins with a block or with a bottom.
        unsafe { (*self.first).next.is_null() }
    }

    /// Puts a block into a magazine, if there is room. Returns whether there was. Else nothing is written,
    /// so that the magazine may be a constant without room.
    ///
    /// # Safety
    /// `this` must be a magazine. `block` must be aligned to a word, have [`MIN_BLOCK`](Self::MIN_BLOCK)
    /// bytes, and belong to the magazine until it is popped.
    #[inline]
    pub unsafe fn push(this: *mut Self, block: *mut u8) -> bool {
        // SAFETY: a magazine begins with a block or with a bottom; the rest is required of the caller.
        unsafe {
            let first = (*this).first;
            let room = (*first).room();
            if room == 0 {
                return false;
            }
            let block = block.cast::<Block>();
            block.write(Block { next: first, room: (room - 1) | Block::mark(block, first) });
            (*this).first = block;
            true
        }
    }

    /// Puts a block into a magazine, whether there is room or not, and leaves `room` above it.
    ///
    /// # Safety
    /// As for [`push`](Self::push).
    #[inline]
    pub(crate) unsafe fn put(this: *mut Self, block: *mut u8, room: usize) {
        let block = block.cast::<Block>();
        // SAFETY: required of the caller.
        unsafe {
            let next = (*this).first;
            block.write(Block { next, room: room | Block::mark(block, next) });
            (*this).first = block;
        }
    }

    /// Puts blocks of `size` bytes each into a magazine, as [`put`](Self::put) does: those from `lowest` up to `end`,
    /// of which the lowest will be the first one out. In builds that [fill](super::fill), they are filled.
    ///
    /// # Safety
    /// As for [`push`](Self::push), for each block.
    #[inline]
    pub(crate) unsafe fn put_row(
        this: *mut Self,
        lowest: *mut u8,
        end: *mut u8,
        size: usize,
        room: usize,
    ) {
        let mut above = end;
        // SAFETY: required of the caller.
        unsafe {
            let mut next = (*this).first;
            while above != lowest {
                above = above.wrapping_sub(size);
                fill_block(above, size);
                let block = above.cast::<Block>();
                block.write(Block { next, room: room | Block::mark(block, next) });
                next = block;
            }
            (*this).first = next;
        }
    }

    /// Takes the block that was pushed last. If there is none, nothing is written.
    ///
    /// # Safety
    /// `this` must be a magazine.
    #[inline]
    pub unsafe fn pop(this: *mut Self) -> Option<NonNull<u8>> {
        // SAFETY: as in `push`; what has a next one is a block.
        unsafe {
            let first = (*this).first;
            let next = (*first).next;
            if next.is_null() {
                return None;
            }
            (*this).first = next;
            Self::clear_mark(first.cast());
            Some(NonNull::new_unchecked(first.cast()))
        }
    }

    /// As [`pop`](Self::pop), in builds with [marks](crate::tier::MARKS): takes nothing that is not marked as a block.
    ///
    /// # Safety
    /// As there; what was written to the block does not matter.
    #[inline]
    pub(crate) unsafe fn pop_marked(this: *mut Self) -> Option<NonNull<u8>> {
        // SAFETY: required of the caller. A bottom has no mark.
        unsafe {
            let first = (*this).first;
            if !Self::has_room(first) {
                return None;
            }
            (*this).first = (*first).next;
            Self::clear_mark(first.cast());
            Some(NonNull::new_unchecked(first.cast()))
        }
    }

    /// Marks a block that is in no magazine, and links it to another one or to itself.
    ///
    /// # Safety
    /// `block` must be aligned to a word, and [`MIN_BLOCK`](Self::MIN_BLOCK) bytes of whoever calls.
    pub(super) unsafe fn link(block: *mut u8, next: *mut u8) {
        let (block, next) = (block.cast::<Block>(), next.cast());
        // SAFETY: required of the caller.
        unsafe { block.write(Block { next, room: Block::mark(block, next) }) };
    }

    /// Returns what a block is [linked](Self::link) to.
    ///
    /// # Safety
    /// It must be a block that was linked.
    pub(super) unsafe fn next_of(block: *mut u8) -> *mut u8 {
        // SAFETY: required of the caller.
        unsafe { (*block.cast::<Block>()).next.cast() }
    }

    /// Returns whether this is a magazine: not all zero, as memory is that was not initialised.
    #[inline]
    pub(crate) fn is_made(&self) -> bool {
        !self.first.is_null()
    }

    /// A magazine in memory that is all zero. It must be [made](Self::is_made) before it is used.
    pub(crate) const ZERO: Self = Self { first: null_mut() };

    /// Returns whether there is a block in a magazine at this address: never `true` of memory in use, and always
    /// of a block. Only builds with the feature `hardened` can tell.
    ///
    /// # Safety
    /// `block` must be aligned to a word, and [`MIN_BLOCK`](Self::MIN_BLOCK) bytes there must be readable.
    #[inline]
    pub unsafe fn has_marked(block: *const u8) -> bool {
        let block = block.cast::<Block>();
        // SAFETY: required of the caller. Its owner may never have written here; a volatile read gives what
        // there is, and whatever that is, nothing but the result depends on it.
        MARKS
            && unsafe {
                let next =
                    addr_of!((*block).next).cast::<MaybeUninit<*mut Block>>().read_volatile();
                let room = addr_of!((*block).room).cast::<MaybeUninit<usize>>().read_volatile();
                (room.assume_init() ^ Block::mark(block, next.assume_init())) <= Block::ROOM
            }
    }

    /// Makes sure that there is no mark in a block that is handed out.
    ///
    /// # Safety
    /// `block` must be [`MIN_BLOCK`](Self::MIN_BLOCK) bytes of whoever calls.
    #[inline]
    pub(crate) unsafe fn clear_mark(block: *mut u8) {
        if MARKS {
            // SAFETY: required of the caller.
            unsafe { (*block.cast::<Block>()).room = 0 };
        }
    }

    /// Returns whether `visitor` returns `true` for each block, from the first one on. Stops and returns
    /// `false` when it does not, or if something else than a block is there.
    ///
    /// `visitor` is called before anything is read from the block, so that it may find out whether it can
    /// be one. A magazine that is damaged may have any address in it. The one of a [`CLOSED`](Self::CLOSED)
    /// magazine is no block.
    pub fn all(&self, mut visitor: impl FnMut(*mut u8) -> bool) -> bool {
        let mut block = self.first;
        while !Self::is_bottom(block) {
            // SAFETY: a block is only read after the visitor has accepted it.
            if !visitor(block.cast()) || unsafe { !Self::has_room(block) } {
                return false;
            }
            // SAFETY: as above.
            block = unsafe { (*block).next };
        }
        true
    }

    /// Returns whether there is a block first, and `can_be` accepts it and the one that it leads to; or none.
    pub(crate) fn is_sound(&self, can_be: impl Fn(*mut u8) -> bool) -> bool {
        Self::is_bottom(self.first)
            || (can_be(self.first.cast()) && self.has_block() && {
                // SAFETY: there is a block.
                let next = unsafe { (*self.first).next };
                Self::is_bottom(next) || can_be(next.cast())
            })
    }

    /// Returns whether what is first is a block, as far as its words say so, where there is something to read.
    #[inline]
    pub(crate) fn has_block(&self) -> bool {
        // SAFETY: a magazine begins with a block or with a bottom.
        unsafe { Self::has_room(self.first) }
    }

    /// Returns whether this block's room is one, and marked.
    ///
    /// # Safety
    /// `block` must be readable.
    #[inline]
    unsafe fn has_room(block: *const Block) -> bool {
        // SAFETY: required of the caller.
        unsafe { ((*block).room ^ Block::mark(block, (*block).next)) <= Self::MAX_ROOM }
    }

    /// Returns whether there is no block at this address, but one of the bottoms.
    fn is_bottom(block: *mut Block) -> bool {
        let bottoms: *const Bottoms = &BOTTOMS;
        let offset = (block as usize).wrapping_sub(bottoms as usize);
        offset < core::mem::size_of::<Bottoms>()
    }
}
