//! What goes between a shard and the depot or the shared heap, under the lock of the latter.
//!
//! A shard that has nothing of a class is refilled, and one that has too much spills: a full magazine comes from the
//! depot or goes there. If the depot has none, or no room, blocks are allocated and freed in the shared heap.
//! Shards are emptied before memory runs out and, with a source that takes memory back, as [`Tide`] says.

use core::alloc::Layout;
use core::mem::forget;
use core::ptr::NonNull;

use lock_api::{MutexGuard, RawMutex};
use talc_sources::talc_core::Magazine;
use talc_sources::{AbortOnDrop, Binning, Source, Talc};

use super::depot::Depot;
use super::shard::{Stock, Tide};
use super::{Held, ShardHint, TalcSharded};
use crate::glue;

/// The two magazines of a class may hold this part of all heaps.
const MAGAZINE_PART: usize = 1024;

/// As many bytes may one of them hold where the size of all heaps is not known: with a compact binning in a
/// WebAssembly module.
const UNKNOWN_PART: usize = 4096;

/// Puts a block into its loaded magazine when unwinding drops this. It must be as [`Stock::push`] requires.
struct PushOnDrop<'a> {
    stock: &'a mut Stock,
    class: usize,
    block: NonNull<u8>,
}

impl Drop for PushOnDrop<'_> {
    fn drop(&mut self) {
        // SAFETY: as said. Without room, the block is lost.
        unsafe { self.stock.push(self.class, self.block) };
    }
}

impl<R: RawMutex, S: Source<B>, H: ShardHint, const SHARDS: usize, B: Binning>
    TalcSharded<R, S, H, SHARDS, B>
{
    /// Returns for how many blocks of `size` bytes there is to be room in a magazine of a shard: none, or a
    /// power of two, which magazines have room for exactly.
    fn room(&self, talc: &Talc<S, B>, size: usize) -> usize {
        if S::RELEASES && Tide::is_low(self.tide.live(&self.shards), SHARDS, false) {
            return 0;
        }
        let bytes = match talc.heap_bytes() {
            0 => UNKNOWN_PART,
            bytes => bytes / (2 * MAGAZINE_PART),
        };
        let room = (bytes / size).min(Magazine::MAX_ROOM / 2);
        match room {
            0 => 0,
            _ => 1 << (usize::BITS - 1 - room.leading_zeros()),
        }
    }

    /// Allocates from the shared heap. Empties all shards before it asks the source, or refuses.
    #[cfg_attr(debug_assertions, track_caller)]
    pub(super) fn allocate_shared(
        &self,
        talc: &mut Talc<S, B>,
        layout: Layout,
        held: Option<&mut Stock>,
    ) -> Option<NonNull<u8>> {
        if let Some(block) = talc.try_allocate(layout) {
            return Some(block);
        }
        if S::GROWS_FIRST {
            if let Some(block) = talc.allocate(layout) {
                return Some(block);
            }
        }
        self.empty_shards(talc, held, false);
        talc.allocate(layout)
    }

    /// Returns the depot, to the holder of the shared heap. Without one, blocks only take longer.
    pub(super) fn depot(&self, _: &mut Talc<S, B>) -> Option<MutexGuard<'_, R, Depot>> {
        self.depot.try_lock()
    }

    /// Loads a full magazine, if the depot has one, in a shard that has no block of a class, and takes a block from it.
    fn pop_from_depot(
        &self,
        talc: &mut Talc<S, B>,
        stock: &mut Stock,
        class: usize,
    ) -> Option<NonNull<u8>> {
        self.depot(talc)?.take(class, stock);
        stock.pop(class)
    }

    /// Allocates a block of a class of which a shard has none, and some more for the shard: a magazine of the depot, or
    /// what comes from the shared heap.
    #[cfg_attr(debug_assertions, track_caller)]
    pub(super) fn refill(
        &self,
        held: &mut Held<'_, R>,
        class: usize,
        layout: Layout,
    ) -> Option<NonNull<u8>> {
        glue::try_with(self, |talc| {
            let (block, mut more) = match self.pop_from_depot(talc, &mut held.stock, class) {
                Some(block) => (block, 0),
                None => {
                    let block = self.allocate_shared(talc, layout, Some(&mut *held.stock))?;
                    let room = self.room(talc, layout.size());
                    held.stock.open(class, room);
                    (block, room.saturating_sub(1))
                }
            };
            if S::RELEASES {
                held.shard.handed_out();
                let live = self.tide.live(&self.shards);
                more = more.min(live as usize / 8);
                self.tide.has_halved(live);
                held.shard.empty_after_at_most(Tide::patience(live, SHARDS));
            }
            for _ in 0..more {
                match talc.try_allocate(layout) {
                    // SAFETY: it has just been allocated for this class. There is room for it.
                    Some(block) => unsafe {
                        let is_kept = held.stock.push(class, block);
                        debug_assert!(is_kept);
                        held.stock.tally.fetched(layout.size());
                    },
                    None => break,
                }
            }
            Some(block)
        })?
    }

    /// Frees a block of a class of which both magazines of a shard are full, or closed. The older one goes to the depot, or
    /// what is in it is freed, too.
    ///
    /// # Safety
    /// As for [`Stock::push`].
    #[cfg_attr(debug_assertions, track_caller)]
    pub(super) unsafe fn spill(
        &self,
        held: &mut Held<'_, R>,
        class: usize,
        block: NonNull<u8>,
        layout: Layout,
    ) {
        glue::with(self, |talc| {
            let ebbs = S::RELEASES && held.shard.taken_back();
            let room = self.room(talc, layout.size());
            // SAFETY: what is in a shard is allocated; the rest is required of the caller.
            unsafe {
                held.stock.exchange(class);
                if let Some(mut depot) = self.depot(talc) {
                    depot.put(class, &mut held.stock);
                }
                // What the depot has no room for. A source may panic when something is freed. Then there is room.
                let unwinds = PushOnDrop { stock: &mut held.stock, class, block };
                unwinds.stock.unload(class, |block| talc.deallocate(block.as_ptr(), layout));
                forget(unwinds);
                held.stock.open(class, room);
                if !held.stock.push(class, block) {
                    talc.deallocate(block.as_ptr(), layout);
                }
            }
            if ebbs {
                self.ebb(talc, held);
            }
        });
    }

    /// Empties a shard in which many blocks were given back, or all of them if few are in use.
    #[cold]
    #[inline(never)]
    #[cfg_attr(debug_assertions, track_caller)]
    pub(super) fn settle(&self, held: &mut Held<'_, R>) {
        glue::with(self, |talc| self.ebb(talc, held));
    }

    #[cfg_attr(debug_assertions, track_caller)]
    fn ebb(&self, talc: &mut Talc<S, B>, held: &mut Held<'_, R>) {
        let live = self.tide.live(&self.shards);
        let closes = Tide::is_low(live, SHARDS, true);
        held.shard.empty_after(Tide::patience(live, SHARDS));
        if self.tide.has_halved(live) {
            self.tide.all_are_empty(live);
            self.empty_shards(talc, Some(&mut *held.stock), closes);
        } else {
            Self::empty(talc, &mut held.stock, closes);
            self.empty_depot(talc);
        }
    }

    /// Notes that a block is no longer of a class, as it was resized. Empties all shards if few are left.
    #[cold]
    #[inline(never)]
    #[cfg_attr(debug_assertions, track_caller)]
    pub(super) fn left(&self, talc: &mut Talc<S, B>) {
        self.tide.went_past(-1);
        let live = self.tide.live(&self.shards);
        if self.tide.has_halved(live) {
            self.tide.all_are_empty(live);
            let abort = AbortOnDrop::while_resizing();
            self.empty_shards(talc, None, Tide::is_low(live, SHARDS, true));
            forget(abort);
        }
    }

    #[cfg_attr(debug_assertions, track_caller)]
    fn empty(talc: &mut Talc<S, B>, stock: &mut Stock, closes: bool) {
        // SAFETY: what is in a shard is allocated with this layout.
        stock.empty(closes, |block, layout| unsafe { talc.deallocate(block.as_ptr(), layout) });
    }

    #[cfg_attr(debug_assertions, track_caller)]
    fn empty_depot(&self, talc: &mut Talc<S, B>) {
        if let Some(mut depot) = self.depot(talc) {
            // SAFETY: what is in the depot is allocated with this layout.
            depot.empty(|block, layout| unsafe { talc.deallocate(block.as_ptr(), layout) });
        }
    }

    /// Empties the one that is held, if one is, and all that nobody has locked.
    #[cold]
    #[inline(never)]
    #[cfg_attr(debug_assertions, track_caller)]
    pub(super) fn empty_shards(
        &self,
        talc: &mut Talc<S, B>,
        held: Option<&mut Stock>,
        closes: bool,
    ) {
        if let Some(stock) = held {
            Self::empty(talc, stock, closes);
        }
        self.empty_depot(talc);
        let live = self.tide.live(&self.shards);
        for shard in &self.shards {
            // The one that is held is locked.
            match shard.stock.try_lock() {
                Some(mut stock) => {
                    Self::empty(talc, &mut stock, closes);
                    if S::RELEASES {
                        shard.empty_after(Tide::patience(live, SHARDS));
                    }
                }
                None if closes => shard.empty_soon(),
                None => {}
            }
        }
    }

    pub(super) fn trim_shards(&self) {
        glue::with(self, |talc| self.empty_shards(talc, None, false));
    }
}
