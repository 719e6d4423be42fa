//! Which wrapper a model drives, over which source, with which binning.

use std::alloc::Layout;
use std::cell::Cell;
use std::fmt;
use std::ptr::NonNull;

use talc_core::{Bins, DefaultBinning, SmallBinning};
use talc_sources::{AllocatorSource, Binning, Chain, Claim, GlobalAllocSource, Manual, Source};
use talc_sync::sharded::ShardHint;
use talc_sync::{
    OomHook, RawSpinlock, Region, Regions, TalcCell, TalcLock, TalcSharded, TalcSyncCell, TinyTalc,
};

use super::ground::{Ground, REGION};
use super::tested::{Global, How, Tested};
use crate::{Backing, BlockSource};

/// A list of names for the values of a field of [`Config`].
macro_rules! named {
    ($(#[$doc:meta])* $name:ident: $($value:ident),* $(,)?) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[allow(missing_docs)]
        pub enum $name {
            $($value,)*
        }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$value),*];
        }
    };
}

named! {
    /// The wrapper. The number is that of the shards, whose hints are another one at each call.
    Wrapper: Cell, SyncCell, Lock, Sharded1, Sharded2, Sharded5, HookedLock, HookedSharded2, Regions, Tiny
}

named! {
    /// The source. `Regions` and `Tiny` have their own.
    From: Manual, Claim, GlobalAlloc, Allocator, Chain
}

named! {
    /// The binning. `Tiny` has its own.
    Shape: Default, Small, Slabs
}

/// Slabs of 256 bytes, so that all of their states occur often, and magazines of a few blocks.
type SlabBinning = Bins<32, 8, 2, 256, 3, 8>;

/// A wrapper, its source and its binning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// The wrapper.
    pub wrapper: Wrapper,
    /// The source.
    pub source: From,
    /// The binning.
    pub shape: Shape,
}

impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { wrapper, source, shape } = self;
        write!(f, "{wrapper:?}/{source:?}/{shape:?}")
    }
}

impl Config {
    /// Returns each combination once.
    pub fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for &wrapper in Wrapper::ALL {
            for &source in From::ALL {
                for &shape in Shape::ALL {
                    let first_source = source == From::Claim || wrapper_has_sources(wrapper);
                    let first_shape = shape == Shape::Small || wrapper != Wrapper::Tiny;
                    if first_source && first_shape {
                        all.push(Self { wrapper, source, shape });
                    }
                }
            }
        }
        all
    }

    /// Whether there are no heaps but one, in the first region.
    pub fn has_one_heap(self) -> bool {
        self.source == From::Claim && self.wrapper != Wrapper::Regions
    }

    /// Whether memory comes from the backing.
    pub fn uses_backing(self) -> bool {
        matches!(self.source, From::GlobalAlloc | From::Allocator | From::Chain)
            && wrapper_has_sources(self.wrapper)
    }

    /// Whether heaps may be claimed by hand.
    pub fn takes_claims(self) -> bool {
        self.source == From::Manual
    }

    /// Whether there is a hook.
    pub fn is_hooked(self) -> bool {
        matches!(self.wrapper, Wrapper::HookedLock | Wrapper::HookedSharded2)
    }

    /// Makes the wrapper. Its heaps are in `ground`.
    pub fn make(self, ground: &'static Ground, block_size: usize) -> Box<dyn Tested> {
        match self.shape {
            Shape::Default => self.with_binning::<DefaultBinning>(ground, block_size),
            Shape::Small => self.with_binning::<SmallBinning>(ground, block_size),
            Shape::Slabs => self.with_binning::<SlabBinning>(ground, block_size),
        }
    }

    fn with_binning<B: Binning + 'static>(
        self,
        ground: &'static Ground,
        block_size: usize,
    ) -> Box<dyn Tested> {
        let region = || {
            let (base, size) = ground.region(0);
            // SAFETY: it is the ground's, for this one.
            unsafe { Claim::new(base, size) }
        };
        let by_global = || {
            <GlobalAllocSource<&'static Backing> as BlockSource<B>>::over(
                &ground.backing,
                block_size,
            )
        };
        if self.wrapper == Wrapper::Regions {
            return Box::new(regions::<B>(ground));
        }
        match self.source {
            From::Manual => self.with_source::<_, B>(Manual),
            From::Claim => self.with_source::<_, B>(region()),
            From::GlobalAlloc => self.with_source::<_, B>(by_global()),
            From::Allocator => self.with_source::<_, B>(
                <AllocatorSource<&'static Backing> as BlockSource<B>>::over(
                    &ground.backing,
                    block_size,
                ),
            ),
            From::Chain => self.with_source::<_, B>(Chain::new(region(), by_global())),
        }
    }

    fn with_source<S: Source<B> + 'static, B: Binning + 'static>(
        self,
        source: S,
    ) -> Box<dyn Tested> {
        type Sharded<S, B, const SHARDS: usize> = TalcSharded<RawSpinlock, S, WrongHint, SHARDS, B>;
        match self.wrapper {
            Wrapper::Cell => Box::new(TalcCell::new(source)),
            // SAFETY: models have one thread each.
            Wrapper::SyncCell => Box::new(unsafe { TalcSyncCell::new(TalcCell::new(source)) }),
            Wrapper::Lock => Box::new(TalcLock::<RawSpinlock, S, B>::new(source)),
            Wrapper::Sharded1 => Box::new(Sharded::<S, B, 1>::new(source)),
            Wrapper::Sharded2 => Box::new(Sharded::<S, B, 2>::new(source)),
            Wrapper::Sharded5 => Box::new(Sharded::<S, B, 5>::new(source)),
            Wrapper::HookedLock => {
                Box::new(OomHook::new(TalcLock::<RawSpinlock, S, B>::new(source), hook))
            }
            Wrapper::HookedSharded2 => {
                Box::new(OomHook::new(Sharded::<S, B, 2>::new(source), hook))
            }
            // SAFETY: it stays in the box.
            Wrapper::Tiny => Box::new(unsafe { Global(TinyTalc::<RawSpinlock, REGION>::new()) }),
            Wrapper::Regions => unreachable!("it has no source"),
        }
    }
}

fn wrapper_has_sources(wrapper: Wrapper) -> bool {
    !matches!(wrapper, Wrapper::Regions | Wrapper::Tiny)
}

fn regions<B: Binning>(ground: &Ground) -> Regions<RawSpinlock, 3, B> {
    Regions::new([2, 0, 1].map(|index| {
        let (base, size) = ground.region(index);
        // SAFETY: it is the ground's, for this one. They differ in size.
        unsafe { Region::new(base, size >> index, index as u32) }
    }))
}

/// A hint that is another one at each call.
struct WrongHint;

thread_local! {
    static NEXT_HINT: Cell<usize> = const { Cell::new(0) };
    static RESERVE: Cell<Option<Reserve>> = const { Cell::new(None) };
}

impl ShardHint for WrongHint {
    fn hint() -> usize {
        NEXT_HINT.set(NEXT_HINT.get().wrapping_add(0x9E37));
        NEXT_HINT.get()
    }
}

/// Makes the hints the same ones as at the start of the program.
pub(super) fn reset_hints() {
    NEXT_HINT.set(0);
}

/// A block that the hook frees.
#[derive(Clone, Copy)]
pub(super) struct Reserve {
    pub(super) talc: *const dyn Tested,
    pub(super) block: NonNull<u8>,
    pub(super) layout: Layout,
}

/// Frees the reserve, if there is one.
fn hook(_: Layout, _: usize) -> bool {
    let reserve = take_reserve();
    if let Some(Reserve { talc, block, layout }) = reserve {
        // SAFETY: the model that made the reserve has not been dropped, and forgets it.
        unsafe { (*talc).deallocate(block, layout, How { by_global: true, zeroed: false }) };
    }
    reserve.is_some()
}

pub(super) fn has_reserve() -> bool {
    let reserve = RESERVE.take();
    RESERVE.set(reserve);
    reserve.is_some()
}

pub(super) fn take_reserve() -> Option<Reserve> {
    RESERVE.take()
}

pub(super) fn set_reserve(reserve: Reserve) {
    RESERVE.set(Some(reserve));
}
