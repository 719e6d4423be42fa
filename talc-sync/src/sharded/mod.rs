//! Allocating from many cores at a time: [`TalcSharded`].
//!
//! - This file: the type, and what users call to manage it.
//! - `calls`: the way of an allocation or deallocation, to a shard or past them.
//! - `exchange`: what goes between shards, the depot and the shared heap.
//! - `depot`: full magazines on their way from one shard to another.
//! - `shard`: one shard, and when shards are to be emptied.
//! - `hint`: which shard a caller tries first.

mod calls;
mod depot;
mod exchange;
mod hint;
mod shard;

use core::fmt;
use core::marker::PhantomData;
#[cfg(feature = "audit")]
use core::ptr::NonNull;

use lock_api::{Mutex, MutexGuard, RawMutex};
use talc_sources::talc_core::DefaultBinning;
#[cfg(feature = "audit")]
use talc_sources::talc_core::Magazine;
use talc_sources::{Binning, ReportHook, Source, Talc};

use crate::glue;
use crate::lock::{CopyLimit, TalcGuard};
use depot::Depot;
use shard::{Shard, Stock, Tide};

#[cfg(feature = "std")]
#[cfg_attr(docsrs, doc(cfg(feature = "std")))]
pub use hint::ByThread;
pub use hint::ShardHint;

/// An allocator for many cores: in front of one heap under a lock, each core or thread has magazines of its
/// own under a lock of its own.
///
/// A small block comes from a shard and goes back to one, whichever the caller's is; any thread may free
/// anything. Only when a magazine is empty or full is the shared heap locked: full magazines go from one shard to
/// another by way of a depot, and if that has none or no room, up to 32 blocks at once come from the shared heap or go
/// there. The idea is that of Bonwick and Adams, "Magazines and Vmem" (2001).
///
/// It implements `GlobalAlloc` and `Allocator`, and works like [`TalcLock`](crate::TalcLock) otherwise; what
/// is said there about locks applies to `R`. `H` tells which shard a caller tries first: a CPU number, or
/// `ByThread` with the feature `std`. A number of shards of about that of cores is enough.
///
/// - No thread ever waits for a shard: one that is taken is passed over for the next one, and if all of them
///   are, the call goes to the shared heap. So a thread that is preempted in a shard stops nobody. One that
///   is preempted with the shared heap locked does, as with `TalcLock`.
/// - Each shard, and so the depot, holds at most 64 blocks for each of 128 sizes, from one word to 128 words, and of each size at most
///   a thousandth of all heaps, or 8 KiB where [`heap_bytes`](Talc::heap_bytes) is not known. They are emptied
///   before the source is asked for memory and before anything is refused.
/// - Blocks that are larger, or aligned to more than 8, come from the shared heap.
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
    /// Only ever locked by the holder of the shared heap, so that it is never taken.
    depot: Mutex<R, Depot>,
    tide: Tide,
    copy_limit: CopyLimit,
    hint: PhantomData<fn() -> H>,
}

/// A shard that its holder has locked, and which one it is.
struct Held<'a, R: RawMutex> {
    shard: &'a Shard<R>,
    stock: MutexGuard<'a, R, Stock>,
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
            depot: Mutex::const_new(R::INIT, Depot::EMPTY),
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
    /// What is in a shard or in the depot is available, not allocated. Allocations of up to 128 words are counted by their
    /// size rounded up to words. `peak_allocated_bytes` includes what was in shards then, and the low-water mark of
    /// what is available does not. A shard that is locked at that moment is not counted.
    #[cfg(feature = "counters")]
    #[cfg_attr(docsrs, doc(cfg(feature = "counters")))]
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn counters(&self) -> talc_sources::talc_core::Counters {
        glue::with(self, |talc| {
            let mut counters = *talc.counters();
            let stocks = self.shards.iter().filter_map(|shard| shard.stock.try_lock());
            let in_depot = self.depot(talc).map(|depot| depot.tally);
            for tally in stocks.map(|stock| stock.tally).chain(in_depot) {
                counters.allocation_count -= tally.held;
                counters.allocated_bytes -= tally.held_bytes;
                counters.available_bytes += tally.held_bytes;
                let total = &mut counters.total_allocation_count;
                *total = total.wrapping_add(tally.more);
                let total = &mut counters.total_allocated_bytes;
                *total = total.wrapping_add(tally.more_bytes);
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
            let depot = self.depot(talc);
            // SAFETY: blocks in a shard are allocations of the shared heap. Where they have marks, these say that they
            // are in a shard, and that what leads to them is sound.
            let mut is_sound = |block: NonNull<u8>, layout| unsafe {
                Magazine::has_marked(block.as_ptr()) || talc.is_sound(block.as_ptr(), layout)
            };
            let mut stocks = self.shards.iter().filter_map(|shard| shard.stock.try_lock());
            let are_sound = stocks.all(|stock| stock.all(&mut is_sound))
                && depot.map_or(true, |depot| depot.all(&mut is_sound));
            (talc.audit(), are_sound)
        });
        assert!(are_sound, "talc: something wrote to memory that was freed");
        result
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
