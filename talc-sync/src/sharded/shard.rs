//! One core's or thread's magazines, behind a lock of their own.

use core::alloc::Layout;
use core::mem::{align_of, size_of, swap};
use core::ptr::NonNull;
use core::sync::atomic::{AtomicIsize, Ordering};

use lock_api::{Mutex, RawMutex};
use talc_sources::talc_core::{Magazine, SEAL};

/// Classes are this far apart: memory that was allocated for the smallest size of a class then suffices for
/// all of them, whether it is a slot or a chunk.
pub(super) const STEP: usize = size_of::<usize>();

/// Blocks of all classes are aligned to this. It costs nothing, as every allocation is, on 32 bits, too.
pub(super) const ALIGN: usize = 8;

/// The number of classes, and so of pairs of magazines in each shard.
pub(super) const CLASSES: usize = 128;

/// Returns the layout that is allocated for `layout`: the largest of its class, or the same if it has none.
#[inline]
pub(super) const fn rounded(layout: Layout) -> Layout {
    if layout.size() > CLASSES * STEP || layout.align() > ALIGN {
        has_no_class();
        return layout;
    }
    // What is beyond the end must be beyond the words of a magazine, too.
    let least = if SEAL == 0 { 1 } else { Magazine::MIN_BLOCK };
    let size = if layout.size() < least { least } else { layout.size() };
    // SAFETY: the size is at most `CLASSES * STEP`, and the alignment a power of two.
    unsafe { Layout::from_size_align_unchecked((size + STEP - 1) & !(STEP - 1), ALIGN) }
}

/// Tells the compiler that layouts without a class are rare, so that it tests for them with branches instead of
/// computing what they lead to: a pair of calls takes eight instructions less.
#[cold]
const fn has_no_class() {}

/// Returns the class of a [`rounded`] layout, less than [`CLASSES`], if it has one.
#[inline]
pub(super) const fn class_of(layout: Layout) -> Option<usize> {
    if layout.size() > CLASSES * STEP || layout.align() > ALIGN {
        has_no_class();
        return None;
    }
    Some(layout.size() / STEP - 1)
}

/// Returns the layout of the blocks of a class.
pub(super) const fn layout_of(class: usize) -> Layout {
    // SAFETY: as in `rounded`.
    unsafe { Layout::from_size_align_unchecked((class + 1) * STEP, ALIGN) }
}

/// A shard. On cache lines of its own.
#[repr(align(128))]
pub(super) struct Shard<R> {
    /// Only ever locked if that succeeds at once, so that no holder stops anybody.
    pub(super) stock: Mutex<R, Stock>,
    /// The number of blocks that callers got here, less those that they gave back here. Only written by the
    /// holder of the lock.
    net: AtomicIsize,
    /// The shard is emptied when `net` falls to this: see [`Tide`].
    low: AtomicIsize,
}

/// What is in a shard.
pub(super) struct Stock {
    pairs: [Pair; CLASSES],
    pub(super) tally: Tally,
}

/// The magazines of a class. Blocks come from one and go into one; when it is empty or full, the other one is
/// loaded if that helps. So between two visits to the shared heap, there is a magazine of blocks at least, and
/// those that go back there are the ones that were freed first.
struct Pair {
    loaded: Magazine,
    other: Magazine,
}

impl<R: RawMutex> Shard<R> {
    #[allow(clippy::declare_interior_mutable_const)] // To be repeated in an array.
    pub(super) const NEW: Self = Self {
        stock: Mutex::const_new(
            R::INIT,
            Stock { pairs: [Pair::CLOSED; CLASSES], tally: Tally::ZERO },
        ),
        net: AtomicIsize::new(0),
        low: AtomicIsize::new(isize::MIN),
    };

    /// Takes a block of a class, if nobody has the shard locked and there is one.
    #[inline]
    pub(super) fn try_pop(&self, class: usize, counts: bool) -> Option<NonNull<u8>> {
        let mut stock = self.stock.try_lock()?;
        let block = stock.pop(class);
        if counts && block.is_some() {
            self.handed_out();
        }
        block
    }

    /// Puts a block into the magazine of its class, if nobody has the shard locked and there is room. Returns
    /// whether it did.
    ///
    /// # Safety
    /// As for [`Stock::push`].
    #[inline]
    pub(super) unsafe fn try_push(&self, class: usize, block: NonNull<u8>) -> bool {
        match self.stock.try_lock() {
            // SAFETY: required of the caller.
            Some(mut stock) => unsafe { stock.push(class, block) },
            None => false,
        }
    }

    /// Notes that a caller got a block. Only for the holder of the lock.
    #[inline]
    pub(super) fn handed_out(&self) {
        self.net.store(self.net.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    /// Notes that a caller gave a block back. Returns whether the shard is to be emptied. Only for the holder
    /// of the lock.
    #[inline]
    pub(super) fn taken_back(&self) -> bool {
        let net = self.net.load(Ordering::Relaxed) - 1;
        self.net.store(net, Ordering::Relaxed);
        net <= self.low.load(Ordering::Relaxed)
    }

    /// Has the shard emptied once this many blocks more are given back here than handed out.
    pub(super) fn empty_after(&self, blocks: isize) {
        self.low.store(self.net.load(Ordering::Relaxed) - blocks, Ordering::Relaxed);
    }

    /// Has the shard emptied at the latest once this many blocks more are given back here than handed out.
    pub(super) fn empty_after_at_most(&self, blocks: isize) {
        let low = self.low.load(Ordering::Relaxed);
        self.low.store(low.max(self.net.load(Ordering::Relaxed) - blocks), Ordering::Relaxed);
    }

    /// Has the shard emptied when the next block is given back here.
    pub(super) fn empty_soon(&self) {
        self.low.store(isize::MAX, Ordering::Relaxed);
    }
}

impl Pair {
    #[allow(clippy::declare_interior_mutable_const)] // To be repeated in an array.
    const CLOSED: Self = Self { loaded: Magazine::CLOSED, other: Magazine::CLOSED };
}

impl Stock {
    #[inline]
    fn pair(&mut self, class: usize) -> &mut Pair {
        debug_assert!(class < CLASSES);
        // SAFETY: classes come from `class_of` or from a loop over all of them.
        unsafe { self.pairs.get_unchecked_mut(class) }
    }

    /// Takes a block of a class out of the loaded magazine.
    #[inline]
    pub(super) fn pop(&mut self, class: usize) -> Option<NonNull<u8>> {
        // SAFETY: it is a magazine.
        let block = unsafe { Magazine::pop(&mut self.pair(class).loaded)? };
        self.tally.served(layout_of(class).size());
        Some(block)
    }

    /// Puts a block into the loaded magazine of its class. Returns whether there was room.
    ///
    /// # Safety
    /// It must be an allocation of at least the size of the class, that its owner gives up.
    #[inline]
    pub(super) unsafe fn push(&mut self, class: usize, block: NonNull<u8>) -> bool {
        // SAFETY: required of the caller. It is aligned, and large enough, since `STEP` is a word and no
        // allocation has less than two.
        let is_kept = unsafe { Magazine::push(&mut self.pair(class).loaded, block.as_ptr()) };
        if is_kept {
            self.tally.kept(layout_of(class).size());
        }
        is_kept
    }

    /// Loads the other magazine of a class.
    pub(super) fn exchange(&mut self, class: usize) {
        let pair = self.pair(class);
        swap(&mut pair.loaded, &mut pair.other);
    }

    /// Loads the other magazine of a class, unless there is something in it. Returns whether it did.
    pub(super) fn exchange_for_empty(&mut self, class: usize) -> bool {
        let is_empty = self.pair(class).other.is_empty();
        if is_empty {
            self.exchange(class);
        }
        is_empty
    }

    /// Gives the loaded magazine of a class, which is empty, room for about `room` blocks.
    pub(super) fn open(&mut self, class: usize, room: usize) {
        let loaded = &mut self.pair(class).loaded;
        debug_assert!(loaded.is_empty());
        *loaded = Magazine::with_room(room);
    }

    /// Returns the loaded magazine of a class. Whoever exchanges it keeps the tally.
    pub(super) fn loaded(&mut self, class: usize) -> &mut Magazine {
        &mut self.pair(class).loaded
    }

    /// Takes each block of a class out of the loaded magazine, and calls `free` with it.
    pub(super) fn unload(&mut self, class: usize, mut free: impl FnMut(NonNull<u8>)) {
        // SAFETY: it is a magazine.
        while let Some(block) = unsafe { Magazine::pop(&mut self.pair(class).loaded) } {
            self.tally.dropped(layout_of(class).size());
            free(block);
        }
    }

    /// Takes each block, and calls `free` with it. If `closes`, no block can be put in afterwards.
    pub(super) fn empty(&mut self, closes: bool, mut free: impl FnMut(NonNull<u8>, Layout)) {
        for class in 0..CLASSES {
            for _ in 0..2 {
                self.unload(class, |block| free(block, layout_of(class)));
                if closes {
                    self.open(class, 0);
                }
                self.exchange(class);
            }
        }
    }

    /// Returns whether a block is in a magazine of a class.
    pub(super) fn has(&self, class: usize, block: NonNull<u8>) -> bool {
        let Pair { loaded, other } = &self.pairs[class];
        has(loaded, block) || has(other, block)
    }

    /// Returns whether `visitor` returns `true` for each block, before anything is read from it.
    #[cfg(feature = "audit")]
    pub(super) fn all(&self, mut visitor: impl FnMut(NonNull<u8>, Layout) -> bool) -> bool {
        let mut pairs = self.pairs.iter().enumerate();
        pairs.all(|(class, pair)| {
            all(&pair.loaded, class, &mut visitor) && all(&pair.other, class, &mut visitor)
        })
    }
}

/// Returns whether a block is in a magazine.
pub(super) fn has(magazine: &Magazine, block: NonNull<u8>) -> bool {
    !magazine.is_empty() && !magazine.all(|other| other != block.as_ptr())
}

/// Returns whether `visitor` returns `true` for each block in a magazine of a class, before anything is read from it.
#[cfg(feature = "audit")]
pub(super) fn all(
    magazine: &Magazine,
    class: usize,
    visitor: &mut impl FnMut(NonNull<u8>, Layout) -> bool,
) -> bool {
    magazine.is_empty()
        || magazine.all(|block| {
            NonNull::new(block).map_or(false, |block| visitor(block, layout_of(class)))
        })
}

/// Returns whether a block that is given back cannot be one, or is in a magazine already.
#[inline]
pub(super) fn seems_free(block: NonNull<u8>) -> bool {
    let block = block.as_ptr();
    // SAFETY: aligned, and at least as large as allocations are.
    block as usize % align_of::<usize>() != 0 || unsafe { Magazine::has_marked(block) }
}

/// What the counters of the allocator do not know: which of its allocations are in a shard, and what was
/// allocated and freed without it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tally {
    #[cfg(feature = "counters")]
    pub(super) held: usize,
    #[cfg(feature = "counters")]
    pub(super) held_bytes: usize,
    /// More were handed out than were allocated for the shard.
    #[cfg(feature = "counters")]
    pub(super) more: u64,
    #[cfg(feature = "counters")]
    pub(super) more_bytes: u64,
}

#[cfg(feature = "counters")]
impl Tally {
    pub(super) const ZERO: Self = Self { held: 0, held_bytes: 0, more: 0, more_bytes: 0 };

    fn kept(&mut self, size: usize) {
        self.held += 1;
        self.held_bytes += size;
    }

    pub(super) fn dropped(&mut self, size: usize) {
        self.held -= 1;
        self.held_bytes -= size;
    }

    /// Notes that all blocks of a magazine go from here to `other`.
    pub(super) fn passed_on(&mut self, other: &mut Self, magazine: &Magazine, size: usize) {
        let _ = magazine.is_empty()
            || magazine.all(|_| {
                self.dropped(size);
                other.kept(size);
                true
            });
    }

    fn served(&mut self, size: usize) {
        self.dropped(size);
        self.more = self.more.wrapping_add(1);
        self.more_bytes = self.more_bytes.wrapping_add(size as u64);
    }

    /// Notes that a block that is kept was allocated for that.
    pub(super) fn fetched(&mut self, size: usize) {
        self.more = self.more.wrapping_sub(1);
        self.more_bytes = self.more_bytes.wrapping_sub(size as u64);
    }
}

#[cfg(not(feature = "counters"))]
#[allow(clippy::unused_self)] // The other one has something to count.
impl Tally {
    pub(super) const ZERO: Self = Self {};

    fn kept(&mut self, _: usize) {}

    pub(super) fn dropped(&mut self, _: usize) {}

    pub(super) fn passed_on(&mut self, _: &mut Self, _: &Magazine, _: usize) {}

    fn served(&mut self, _: usize) {}

    pub(super) fn fetched(&mut self, _: usize) {}
}

/// The number of blocks that are in use, and what follows from it for sources that take memory back.
///
/// A block in a shard keeps the memory around it from going back. So shards are emptied as blocks fall free:
/// each one when the number of blocks in use has fallen there by a small part of all; and all of them
/// whenever that number has halved. When few are left, shards stay empty until there are more again. Whenever one is
/// emptied, so is the depot.
///
/// Let `n` be the number in use when all were emptied last. As long as no shard gives back more than
/// `n / (4 * shards)` without being emptied, all together give back at most a quarter. So the number cannot
/// halve unnoticed, and nothing is in a shard when nothing is in use: but for a shard that was locked at that
/// moment, which is emptied when a block is given back there next. What is resized enters and leaves the
/// classes past the shards; each time one leaves, it is looked at whether the number has halved.
///
/// All of it is read and written by the holder of the shared lock only.
pub(super) struct Tide {
    /// The number of blocks in use that went past the shards, less those that went back past them.
    past: AtomicIsize,
    /// How many were in use when all shards were emptied last, or more if there were more since.
    high: AtomicIsize,
}

impl Tide {
    pub(super) const fn new() -> Self {
        Self { past: AtomicIsize::new(0), high: AtomicIsize::new(0) }
    }

    /// Notes that a block went past the shards, to a caller or back.
    pub(super) fn went_past(&self, blocks: isize) {
        self.past.store(self.past.load(Ordering::Relaxed) + blocks, Ordering::Relaxed);
    }

    /// Returns the number of blocks in use.
    pub(super) fn live<R>(&self, shards: &[Shard<R>]) -> isize {
        let past = self.past.load(Ordering::Relaxed);
        shards.iter().fold(past, |sum, shard| sum + shard.net.load(Ordering::Relaxed))
    }

    /// Notes that there are this many. Returns whether all shards are to be emptied.
    pub(super) fn has_halved(&self, live: isize) -> bool {
        let high = self.high.load(Ordering::Relaxed);
        if live > high {
            self.high.store(live, Ordering::Relaxed);
        }
        live < high / 2
    }

    /// Notes that all shards are empty.
    pub(super) fn all_are_empty(&self, live: isize) {
        self.high.store(live, Ordering::Relaxed);
    }

    /// Returns how many blocks a shard may give back before it is emptied.
    pub(super) const fn patience(live: isize, shards: usize) -> isize {
        let part = live / (4 * shards as isize);
        if part < 2 {
            2
        } else {
            part
        }
    }

    /// Returns whether so few blocks are in use that shards are not worth it; fewer if they are `open`.
    pub(super) const fn is_low(live: isize, shards: usize, open: bool) -> bool {
        live < (if open { 8 } else { 16 }) * shards as isize
    }
}
