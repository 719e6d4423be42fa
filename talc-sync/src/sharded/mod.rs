//! Allocating from many cores at a time: [`TalcSharded`].

mod hint;
mod shard;

use core::alloc::Layout;
use core::fmt;
use core::marker::PhantomData;
use core::mem::forget;
use core::ptr::NonNull;

use lock_api::{Mutex, MutexGuard, RawMutex};
use talc_sources::talc_core::{DefaultBinning, Magazine, Misuse, CHECKS};
use talc_sources::{AbortOnDrop, Binning, ReportHook, Source, Talc};

use crate::glue::{self, Wrapper};
use crate::lock::{CopyLimit, TalcGuard};
use shard::{Shard, Stock, Tide};

#[cfg(feature = "std")]
#[cfg_attr(docsrs, doc(cfg(feature = "std")))]
pub use hint::ByThread;
pub use hint::ShardHint;

/// The two magazines of a class may hold this part of all heaps.
const MAGAZINE_PART: usize = 1024;

/// An allocator for many cores: in front of one heap under a lock, each core or thread has magazines of its
/// own under a lock of its own.
///
/// A small block comes from a shard and goes back to one, whichever the caller's is; any thread may free
/// anything. Only when a magazine is empty or full is the shared heap locked, for up to 32 blocks at once. The
/// idea is that of Bonwick and Adams, "Magazines and Vmem" (2001).
///
/// It implements `GlobalAlloc` and `Allocator`, and works like [`TalcLock`](crate::TalcLock) otherwise; what
/// is said there about locks applies to `R`. `H` tells which shard a caller tries first: a CPU number, or
/// `ByThread` with the feature `std`. A number of shards of about that of cores is enough.
///
/// - No thread ever waits for a shard: one that is taken is passed over for the next one, and if all of them
///   are, the call goes to the shared heap. So a thread that is preempted in a shard stops nobody. One that
///   is preempted with the shared heap locked does, as with `TalcLock`.
/// - Shards hold at most 64 blocks for each of 128 sizes, from one word to 128 words, and of each size at most
///   a thousandth of all heaps. They are emptied before the source is asked for memory and before anything
///   is refused.
/// - Blocks that are larger, or aligned to more than a word, come from the shared heap.
/// - With a source that takes memory back ([`RELEASES`](Source::RELEASES)), shards are emptied as blocks fall
///   free, so that nothing is in a shard when nothing is in use, and shards have nothing unless several
///   dozens of blocks are in use. A shard that is locked at that moment is emptied at the next deallocation
///   there.
/// - A wrong [hint](ShardHint) makes calls slower, and nothing else.
/// - With the feature `cache-aligned-allocations`, everything comes from the shared heap.
///
/// # Example
///
/// ```
/// use talc_sources::Claim;
/// use talc_sync::sharded::ByThread;
/// use talc_sync::{RawYieldLock, TalcSharded};
///
/// static mut HEAP: [u8; 4_000_000] = [0; 4_000_000];
///
/// #[global_allocator]
/// static TALC: TalcSharded<RawYieldLock, Claim, ByThread> =
///     // SAFETY: nothing else uses `HEAP`.
///     TalcSharded::new(unsafe { Claim::array(&raw mut HEAP) });
///
/// let threads = [1, 2, 3].map(|n| std::thread::spawn(move || vec![n.to_string(); 1000].concat()));
/// assert_eq!(threads.map(|thread| thread.join().unwrap().len()), [1000; 3]);
/// ```
pub struct TalcSharded<R, S, H, const SHARDS: usize = 4, B = DefaultBinning> {
    shards: [Shard<R>; SHARDS],
    shared: Mutex<R, Talc<S, B>>,
    tide: Tide,
    copy_limit: CopyLimit,
    hint: PhantomData<fn() -> H>,
}

/// A shard that its holder has locked, and which one it is.
struct Held<'a, R: RawMutex> {
    shard: &'a Shard<R>,
    stock: MutexGuard<'a, R, Stock>,
}

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
    const HAS_SHARDS: () = assert!(SHARDS > 0, "talc: there must be a shard");

    /// Creates an allocator that gets its memory from `source`.
    ///
    /// It does not compile without a shard.
    #[inline]
    pub const fn new(source: S) -> Self {
        let () = Self::HAS_SHARDS;
        Self {
            shards: [Shard::<R>::NEW; SHARDS],
            shared: Mutex::const_new(R::INIT, Talc::new(source)),
            tide: Tide::new(),
            copy_limit: CopyLimit::USUAL,
            hint: PhantomData,
        }
    }

    /// Sets how many bytes a reallocation may copy while the shared heap is locked, as
    /// [`TalcLock::with_copy_limit`](crate::TalcLock::with_copy_limit).
    #[inline]
    #[must_use]
    pub const fn with_copy_limit(mut self, bytes: usize) -> Self {
        self.copy_limit = CopyLimit::new(bytes);
        self
    }

    /// Locks the shared heap, and returns a guard for managing heaps, and for several operations in a row.
    ///
    /// What the guard allocates must be freed through a guard, and what the allocator allocates must not, since
    /// sizes are rounded here and not there. What is in shards is
    /// allocated as far as the guard knows; [`trim`](Self::trim) empties them.
    ///
    /// While the guard lives, nothing on the same thread may allocate from this allocator, as for
    /// [`TalcLock::lock`](crate::TalcLock::lock).
    #[inline]
    pub fn lock(&self) -> TalcGuard<'_, R, S, B> {
        TalcGuard::new(self.shared.lock())
    }

    /// [Locks](Self::lock) the shared heap if it is not locked. Returns `None` if it is.
    #[inline]
    pub fn try_lock(&self) -> Option<TalcGuard<'_, R, S, B>> {
        self.shared.try_lock().map(TalcGuard::new)
    }

    /// Returns a mutable reference to the driver of the shared heap, without locking, after emptying all
    /// shards.
    pub fn get_mut(&mut self) -> &mut Talc<S, B> {
        self.trim_shards();
        self.shared.get_mut()
    }

    /// Unwraps the driver of the shared heap, after emptying all shards.
    pub fn into_inner(self) -> Talc<S, B> {
        self.trim_shards();
        self.shared.into_inner()
    }

    /// Empties the shards that nobody has locked, and [trims](Talc::trim) the shared heap.
    ///
    /// # Complexity
    /// O(shards · sizes), and O(1) for each block in a shard, all under the lock of the shared heap.
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn trim(&self) {
        glue::with(self, |talc| {
            self.empty_shards(talc, None, false);
            talc.trim();
        });
    }

    /// Returns statistics of all heaps and allocations.
    ///
    /// What is in a shard is available, not allocated. Allocations of up to 128 words are counted by their
    /// size rounded up to words. `peak_allocated_bytes` includes what was in shards then, and the low-water mark of
    /// what is available does not. A shard that is locked at that moment is not counted.
    #[cfg(feature = "counters")]
    #[cfg_attr(docsrs, doc(cfg(feature = "counters")))]
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn counters(&self) -> talc_sources::talc_core::Counters {
        glue::with(self, |talc| {
            let mut counters = *talc.counters();
            for shard in &self.shards {
                if let Some(stock) = shard.stock.try_lock() {
                    let tally = stock.tally;
                    counters.allocation_count -= tally.held;
                    counters.allocated_bytes -= tally.held_bytes;
                    counters.available_bytes += tally.held_bytes;
                    let total = &mut counters.total_allocation_count;
                    *total = total.wrapping_add(tally.more);
                    let total = &mut counters.total_allocated_bytes;
                    *total = total.wrapping_add(tally.more_bytes);
                }
            }
            counters
        })
    }

    /// Checks every invariant of the shared heap, and that what is in shards nobody has locked is
    /// allocated there.
    ///
    /// # Errors
    /// Returns the first fault that is found.
    ///
    /// # Panics
    /// If what is in a shard is not allocated, or is in two places.
    #[cfg(feature = "audit")]
    #[cfg_attr(docsrs, doc(cfg(feature = "audit")))]
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn audit(&self) -> Result<(), talc_sources::talc_core::Fault> {
        let (result, are_sound) = glue::with(self, |talc| {
            let are_sound = self.shards.iter().all(|shard| {
                shard.stock.try_lock().map_or(true, |stock| {
                    // SAFETY: blocks in a shard are allocations of the shared heap. Where they have marks, these say
                    // that they are in a shard, and that what leads to them is sound.
                    stock.all(|block, layout| unsafe {
                        let block = block.as_ptr();
                        Magazine::has_marked(block) || talc.is_sound(block, layout)
                    })
                })
            });
            (talc.audit(), are_sound)
        });
        assert!(are_sound, "talc: something wrote to memory that was freed");
        result
    }

    /// Returns the caller's shard.
    #[inline]
    fn nearest(&self) -> &Shard<R> {
        &self.shards[H::hint() % SHARDS]
    }

    /// Locks the caller's shard or, if it is taken, the next one that is not. Returns `None` if all are.
    fn shard(&self) -> Option<Held<'_, R>> {
        let (before, after) = self.shards.split_at(H::hint() % SHARDS);
        after.iter().chain(before).find_map(|shard| {
            let stock = shard.stock.try_lock()?;
            Some(Held { shard, stock })
        })
    }

    /// Returns for how many blocks of `size` bytes there is to be room in a magazine of a shard: none, or a
    /// power of two, which magazines have room for exactly.
    fn room(&self, talc: &Talc<S, B>, size: usize) -> usize {
        if S::RELEASES && Tide::is_low(self.tide.live(&self.shards), SHARDS, false) {
            return 0;
        }
        let room = (talc.heap_bytes() / (2 * MAGAZINE_PART) / size).min(Magazine::MAX_ROOM / 2);
        match room {
            0 => 0,
            _ => 1 << (usize::BITS - 1 - room.leading_zeros()),
        }
    }

    /// Allocates from the shared heap. Empties all shards before it asks the source, or refuses.
    #[cfg_attr(debug_assertions, track_caller)]
    fn allocate_shared(
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

    /// Allocates a block of a class of which a shard has none, and some more for the shard.
    #[cfg_attr(debug_assertions, track_caller)]
    fn refill(&self, held: &mut Held<'_, R>, class: usize, layout: Layout) -> Option<NonNull<u8>> {
        glue::try_with(self, |talc| {
            let block = self.allocate_shared(talc, layout, Some(&mut *held.stock))?;
            let room = self.room(talc, layout.size());
            held.stock.open(class, room);
            let mut more = room.saturating_sub(1);
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

    /// Frees a block of a class of which both magazines of a shard are full, or closed, and what is in the older
    /// one.
    ///
    /// # Safety
    /// As for [`Stock::push`].
    #[cfg_attr(debug_assertions, track_caller)]
    unsafe fn spill(
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
                // A source may panic when something is freed. Then there is room.
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
    fn settle(&self, held: &mut Held<'_, R>) {
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
        }
    }

    /// Notes that a block is no longer of a class, as it was resized. Empties all shards if few are left.
    #[cold]
    #[inline(never)]
    #[cfg_attr(debug_assertions, track_caller)]
    fn left(&self, talc: &mut Talc<S, B>) {
        self.tide.went_past(-1);
        let live = self.tide.live(&self.shards);
        if self.tide.has_halved(live) {
            self.tide.all_are_empty(live);
            let abort = AbortOnDrop::WhileResizing;
            self.empty_shards(talc, None, Tide::is_low(live, SHARDS, true));
            forget(abort);
        }
    }

    #[cfg_attr(debug_assertions, track_caller)]
    fn empty(talc: &mut Talc<S, B>, stock: &mut Stock, closes: bool) {
        // SAFETY: what is in a shard is allocated with this layout.
        stock.empty(closes, |block, layout| unsafe { talc.deallocate(block.as_ptr(), layout) });
    }

    /// Empties the one that is held, if one is, and all that nobody has locked.
    #[cold]
    #[inline(never)]
    #[cfg_attr(debug_assertions, track_caller)]
    fn empty_shards(&self, talc: &mut Talc<S, B>, held: Option<&mut Stock>, closes: bool) {
        if let Some(stock) = held {
            Self::empty(talc, stock, closes);
        }
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

    /// Sets a function that is called with each broken rule that is found, before the panic. See
    /// [`Talc::set_report_hook`].
    pub fn set_report_hook(&self, hook: Option<ReportHook>) {
        glue::with(self, |talc| talc.set_report_hook(hook));
    }

    /// Sets how many of the blocks that were freed last are kept back, with the feature `hardened-full`: of those that
    /// go back to the shared heap. What a shard keeps is handed out by it at any time. See [`Talc::set_quarantine`].
    pub fn set_quarantine(&self, blocks: usize) {
        glue::with(self, |talc| talc.set_quarantine(blocks));
    }

    fn trim_shards(&self) {
        glue::with(self, |talc| self.empty_shards(talc, None, false));
    }

    /// Frees a block.
    ///
    /// # Safety
    /// As for [`glue::deallocate`].
    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    unsafe fn give_back(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: required of the caller.
        unsafe {
            match shard::class_of(layout) {
                Some(class) => {
                    if CHECKS && (cfg!(debug_assertions) || shard::seems_free(block)) {
                        self.check(class, block, layout);
                    }
                    // With such a source, there is more to do.
                    if S::RELEASES || !self.nearest().try_push(class, block) {
                        self.give_back_slowly(class, block, layout);
                    }
                }
                None => self.give_back_shared(block, layout),
            }
        }
    }

    /// Frees a block that the caller's shard could not take at once.
    ///
    /// # Safety
    /// As for [`glue::deallocate`].
    #[cold]
    #[inline(never)]
    #[cfg_attr(debug_assertions, track_caller)]
    unsafe fn give_back_slowly(&self, class: usize, block: NonNull<u8>, layout: Layout) {
        // SAFETY: required of the caller, since the layout is rounded.
        unsafe {
            match self.shard() {
                Some(mut held) => {
                    let is_kept = held.stock.push(class, block)
                        || (held.stock.exchange_for_empty(class) && held.stock.push(class, block));
                    if !is_kept {
                        self.spill(&mut held, class, block, layout);
                    } else if S::RELEASES && held.shard.taken_back() {
                        self.settle(&mut held);
                    }
                }
                None => self.give_back_shared(block, layout),
            }
        }
    }

    /// Frees a block past the shards.
    ///
    /// # Safety
    /// As for [`glue::deallocate`].
    #[inline(never)] // So that the short way needs no stack.
    #[cfg_attr(debug_assertions, track_caller)]
    unsafe fn give_back_shared(&self, block: NonNull<u8>, layout: Layout) {
        glue::with(self, |talc| {
            if S::RELEASES && shard::class_of(layout).is_some() {
                self.tide.went_past(-1);
            }
            // SAFETY: required of the caller.
            unsafe { talc.deallocate(block.as_ptr(), layout) };
        });
    }

    /// Allocates a block that the caller's shard did not have at once.
    #[cold]
    #[inline(never)]
    #[cfg_attr(debug_assertions, track_caller)]
    fn take_slowly(&self, class: usize, layout: Layout) -> Option<NonNull<u8>> {
        match self.shard() {
            Some(mut held) => {
                let block = held.stock.pop(class).or_else(|| {
                    held.stock.exchange(class);
                    held.stock.pop(class)
                });
                match block {
                    Some(block) => {
                        if S::RELEASES {
                            held.shard.handed_out();
                        }
                        Some(block)
                    }
                    None => self.refill(&mut held, class, layout),
                }
            }
            None => self.take_shared(layout),
        }
    }

    /// Allocates a block past the shards.
    #[inline(never)] // So that the short way needs no stack.
    #[cfg_attr(debug_assertions, track_caller)]
    fn take_shared(&self, layout: Layout) -> Option<NonNull<u8>> {
        glue::try_with(self, |talc| {
            let block = self.allocate_shared(talc, layout, None)?;
            if S::RELEASES && shard::class_of(layout).is_some() {
                self.tide.went_past(1);
            }
            Some(block)
        })?
    }

    /// Looks for what is wrong with freeing a block. In release builds, this is done when the block is given back to the
    /// shared heap, whose lock it takes, and before only if it [seems](shard::seems_free) to be free.
    ///
    /// # Panics
    /// If it is not allocated, or in a shard.
    ///
    /// # Safety
    /// As for [`Talc::is_sound`].
    #[cold]
    #[inline(never)]
    #[cfg_attr(debug_assertions, track_caller)]
    unsafe fn check(&self, class: usize, block: NonNull<u8>, layout: Layout) {
        glue::with(self, |talc| {
            let mut stocks = self.shards.iter().filter_map(|shard| shard.stock.try_lock());
            // SAFETY: required of the caller.
            let is_sound = unsafe { talc.is_sound(block.as_ptr(), layout) };
            if is_sound && stocks.any(|stock| stock.has(class, block)) {
                talc.report_misuse(Misuse::AlreadyFree, block.as_ptr() as usize);
            }
        });
    }
}

impl<R: RawMutex, S: Source<B>, H: ShardHint, const SHARDS: usize, B: Binning> Wrapper
    for TalcSharded<R, S, H, SHARDS, B>
{
    type Source = S;
    type Binning = B;
    #[inline]
    fn copied_at_once(&self) -> usize {
        self.copy_limit.bytes()
    }

    #[inline]
    fn with<T>(&self, f: impl FnOnce(&mut Talc<S, B>) -> T) -> Option<T> {
        Some(f(&mut self.shared.lock()))
    }

    #[inline]
    fn rounded(layout: Layout) -> Layout {
        shard::rounded(layout)
    }

    #[inline]
    fn is_quick(layout: Layout) -> bool {
        shard::class_of(layout).is_some()
    }

    const COUNTS_RESIZED: bool = S::RELEASES;

    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    fn was_resized(&self, talc: &mut Talc<S, B>, old: Layout, new: Layout) {
        match (shard::class_of(old), shard::class_of(new)) {
            (None, Some(_)) => self.tide.went_past(1),
            (Some(_), None) => self.left(talc),
            _ => {}
        }
    }

    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    fn allocate(&self, layout: Layout) -> Option<NonNull<u8>> {
        match shard::class_of(layout) {
            Some(class) => match self.nearest().try_pop(class, S::RELEASES) {
                None => self.take_slowly(class, layout),
                block => block,
            },
            None => self.take_shared(layout),
        }
    }

    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: Layout) {
        // SAFETY: required of the caller.
        unsafe { self.give_back(ptr, layout) };
    }

    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    unsafe fn deallocate_moved(&self, ptr: NonNull<u8>, layout: Layout) {
        let abort = AbortOnDrop::WhileResizing;
        // SAFETY: required of the caller.
        unsafe { self.give_back(ptr, layout) };
        forget(abort);
    }
}

impl<R: RawMutex, S: Source<B>, H, const SHARDS: usize, B: Binning> fmt::Debug
    for TalcSharded<R, S, H, SHARDS, B>
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the heaps, because the formatter may allocate from this allocator.
        f.debug_struct("TalcSharded")
            .field("shards", &SHARDS)
            .field("is_locked", &self.shared.is_locked())
            .finish_non_exhaustive()
    }
}
