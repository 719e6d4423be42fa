//! The way of a call: to the caller's shard, to another one, past all of them.
//!
//! The short way is in `allocate`, `deallocate` and `give_back`; what is cold stays out of line.

use core::alloc::Layout;
use core::mem::forget;
use core::ptr::NonNull;

use lock_api::RawMutex;
use talc_sources::talc_core::{Misuse, CHECKS};
use talc_sources::{AbortOnDrop, Binning, Source, Talc};

use super::shard::{self, Shard};
use super::{Held, ShardHint, TalcSharded};
use crate::glue::{self, Wrapper};

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
        let abort = AbortOnDrop::while_resizing();
        // SAFETY: required of the caller.
        unsafe { self.give_back(ptr, layout) };
        forget(abort);
    }
}

impl<R: RawMutex, S: Source<B>, H: ShardHint, const SHARDS: usize, B: Binning>
    TalcSharded<R, S, H, SHARDS, B>
{
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

    /// Frees a block.
    ///
    /// # Safety
    /// As for [`Wrapper::deallocate`].
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
    /// As for [`Wrapper::deallocate`].
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
    /// As for [`Wrapper::deallocate`].
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
            let mut is_kept = || {
                stocks.any(|stock| stock.has(class, block))
                    || self.depot(talc).map_or(false, |depot| depot.has(class, block))
            };
            if is_sound && is_kept() {
                talc.report_misuse(Misuse::AlreadyFree, block.as_ptr() as usize);
            }
        });
    }
}
