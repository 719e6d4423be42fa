//! The depot: full magazines between one shard that had too many blocks and another one that has too few.
//!
//! Without it, each block would go back to the shared heap and be allocated there again. A magazine is handed on by
//! exchanging two pointers. That is what the shared heap is locked for, as long as there is room in the depot.

use core::alloc::Layout;
use core::mem::swap;
use core::ptr::NonNull;

use talc_sources::talc_core::Magazine;

use super::shard::{self, layout_of, Stock, Tally, CLASSES};

/// How many magazines there are for each class: as many as in a shard. With one, blocks that go from thread to thread take
/// up to a sixth more time. In a module, each takes 512 bytes.
const DEPTH: usize = if cfg!(target_family = "wasm") { 1 } else { 2 };

/// Magazines that belong to no shard. Those that are not empty are full, or were when they came.
pub(super) struct Depot {
    magazines: [[Magazine; DEPTH]; CLASSES],
    pub(super) tally: Tally,
}

impl Depot {
    #[allow(clippy::declare_interior_mutable_const)] // To be repeated in an array.
    const NONE: [Magazine; DEPTH] = {
        const NONE: Magazine = Magazine::CLOSED;
        [NONE; DEPTH]
    };

    pub(super) const EMPTY: Self = Self { magazines: [Self::NONE; CLASSES], tally: Tally::ZERO };

    /// Exchanges the loaded magazine of a class in a shard for one that is empty, if there is one.
    pub(super) fn put(&mut self, class: usize, stock: &mut Stock) {
        if let Some(place) = self.magazines[class].iter_mut().find(|one| one.is_empty()) {
            swap(place, stock.loaded(class));
            stock.tally.passed_on(&mut self.tally, place, layout_of(class).size());
        }
    }

    /// Exchanges the loaded magazine of a class in a shard, which is empty, for one that is not, if there is one.
    pub(super) fn take(&mut self, class: usize, stock: &mut Stock) {
        if let Some(place) = self.magazines[class].iter_mut().find(|one| !one.is_empty()) {
            self.tally.passed_on(&mut stock.tally, place, layout_of(class).size());
            swap(place, stock.loaded(class));
        }
    }

    /// Takes each block, and calls `free` with it.
    pub(super) fn empty(&mut self, mut free: impl FnMut(NonNull<u8>, Layout)) {
        for (class, magazines) in self.magazines.iter_mut().enumerate() {
            for magazine in magazines {
                // SAFETY: it is a magazine.
                while let Some(block) = unsafe { Magazine::pop(magazine) } {
                    self.tally.dropped(layout_of(class).size());
                    free(block, layout_of(class));
                }
            }
        }
    }

    /// Returns whether a block is in a magazine of a class.
    pub(super) fn has(&self, class: usize, block: NonNull<u8>) -> bool {
        self.magazines[class].iter().any(|magazine| shard::has(magazine, block))
    }

    /// Returns whether `visitor` returns `true` for each block, before anything is read from it.
    #[cfg(feature = "audit")]
    pub(super) fn all(&self, mut visitor: impl FnMut(NonNull<u8>, Layout) -> bool) -> bool {
        let mut racks = self.magazines.iter().enumerate();
        racks.all(|(class, magazines)| {
            magazines.iter().all(|magazine| shard::all(magazine, class, &mut visitor))
        })
    }
}
