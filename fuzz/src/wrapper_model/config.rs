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

/// Makes the wrapper of a configuration with its source, by a method that is told the source.
macro_rules! over_source {
    ($config:expr, $ground:expr, $block_size:expr, $binning:ty, $make:ident) => {{
        let (config, ground) = ($config, $ground);
        let region = || {
            let (base, size) = ground.region(0);
            // SAFETY: it is the ground's, for this one.
            unsafe { Claim::new(base, size) }
        };
        let by_global = || {
            <GlobalAllocSource<&'static Backing> as BlockSource<$binning>>::over(
                &ground.backing,
                $block_size,
            )
        };
        if config.wrapper == Wrapper::Regions {
            return Box::new(regions::<$binning>(ground));
        }
        match config.source {
            From::Manual => config.$make::<_, $binning>(Manual),
            From::Claim => config.$make::<_, $binning>(region()),
            From::GlobalAlloc => config.$make::<_, $binning>(by_global()),
            From::Allocator => {
                config.$make::<_, $binning>(<AllocatorSource<&'static Backing> as BlockSource<
                    $binning,
                >>::over(&ground.backing, $block_size))
            }
            From::Chain => config.$make::<_, $binning>(Chain::new(region(), by_global())),
        }
    }};
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
    /// Returns each combination once; of those with other binnings than the default, those whose wrappers differ most.
    /// Each of them is the whole allocator, and compiling all of them takes half as long again.
    pub fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for &wrapper in Wrapper::ALL {
            for &source in From::ALL {
                for &shape in Shape::ALL {
                    let first_source = source == From::Claim || wrapper_has_sources(wrapper);
                    let has_shape = match wrapper {
                        Wrapper::Tiny => shape == Shape::Small,
                        _ => shape == Shape::Default || wrapper_has_shapes(wrapper),
                    };
                    if first_source && has_shape {
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
            Shape::Default => self.with_default_binning(ground, block_size),
            Shape::Small => self.with_binning::<SmallBinning>(ground, block_size),
            Shape::Slabs => self.with_binning::<SlabBinning>(ground, block_size),
        }
    }

    fn with_default_binning(self, ground: &'static Ground, block_size: usize) -> Box<dyn Tested> {
        over_source!(self, ground, block_size, DefaultBinning, any_wrapper)
    }

    fn with_binning<B: Binning + 'static>(
        self,
        ground: &'static Ground,
        block_size: usize,
    ) -> Box<dyn Tested> {
        over_source!(self, ground, block_size, B, wrapper)
    }

    /// Any wrapper around a source.
    fn any_wrapper<S: Source<B> + 'static, B: Binning + 'static>(
        self,
        source: S,
    ) -> Box<dyn Tested> {
        match self.wrapper {
            // SAFETY: models have one thread each.
            Wrapper::SyncCell => Box::new(unsafe { TalcSyncCell::new(TalcCell::new(source)) }),
            Wrapper::Sharded1 => Box::new(Sharded::<S, B, 1>::new(source)),
            Wrapper::Sharded5 => Box::new(Sharded::<S, B, 5>::new(source)),
            Wrapper::HookedLock => {
                Box::new(OomHook::new(TalcLock::<RawSpinlock, S, B>::new(source), hook))
            }
            _ => self.wrapper(source),
        }
    }

    /// One of those wrappers that [have shapes](wrapper_has_shapes), around a source.
    fn wrapper<S: Source<B> + 'static, B: Binning + 'static>(self, source: S) -> Box<dyn Tested> {
        match self.wrapper {
            Wrapper::Cell => Box::new(TalcCell::new(source)),
            Wrapper::Lock => Box::new(TalcLock::<RawSpinlock, S, B>::new(source)),
            Wrapper::Sharded2 => Box::new(Sharded::<S, B, 2>::new(source)),
            Wrapper::HookedSharded2 => {
                Box::new(OomHook::new(Sharded::<S, B, 2>::new(source), hook))
            }
            // SAFETY: it stays in the box.
            Wrapper::Tiny => Box::new(unsafe { Global(TinyTalc::<RawSpinlock, REGION>::new()) }),
            Wrapper::Regions => unreachable!("it has no source"),
            other => unreachable!("{other:?} has one shape"),
        }
    }
}

type Sharded<S, B, const SHARDS: usize> = TalcSharded<RawSpinlock, S, WrongHint, SHARDS, B>;

/// Whether a wrapper is made with each binning.
fn wrapper_has_shapes(wrapper: Wrapper) -> bool {
    use Wrapper::{Cell, HookedSharded2, Lock, Regions, Sharded2};
    matches!(wrapper, Cell | Lock | Sharded2 | HookedSharded2 | Regions)
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
