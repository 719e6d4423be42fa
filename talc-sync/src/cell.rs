//! Allocating through a shared reference on one thread, without a lock.

use core::cell::UnsafeCell;
use core::fmt;
use core::ptr::NonNull;

use talc_sources::talc_core::{DefaultBinning, Part, Reserved};
use talc_sources::{Binning, Replaceable, ReportHook, Source, Talc};

use crate::forward::{forward, heap_methods};
use crate::glue::{self, Wrapper};

/// An allocator for one thread, without a lock.
///
/// It implements `GlobalAlloc` and `Allocator`; pass `&talc` to collections. Like a
/// [`Cell`](core::cell::Cell), it is not `Sync` and lends no reference to its contents.
///
/// It costs nothing at run time, unless its source may call it back
/// ([`MAY_REENTER`](Source::MAY_REENTER)). In that case the cell keeps note of being in use, and
/// refuses such calls: allocating fails, everything else panics. In debug builds, calls from all other
/// sources are noticed as well; they panic with the location of the first call.
///
/// # Example
///
/// ```
/// use allocator_api2::vec::Vec;
/// use talc_sources::Claim;
/// use talc_sync::TalcCell;
///
/// let mut heap = [0_u8; 10_000];
/// // SAFETY: nothing else uses `heap` while `talc` does, which is only lent out, so that nothing
/// // allocated from it outlives it.
/// let talc = <TalcCell<_>>::new(unsafe { Claim::array(&raw mut heap) });
///
/// let mut numbers = Vec::new_in(&talc);
/// numbers.extend(0..100);
/// assert_eq!(numbers.iter().sum::<i32>(), 4950);
/// ```
pub struct TalcCell<S, B = DefaultBinning> {
    cell: UnsafeCell<Talc<S, B>>,
    borrow: borrow::Mark,
}

impl<S: Source<B>, B: Binning> TalcCell<S, B> {
    /// Creates an allocator that gets its memory from `source`.
    #[inline]
    pub const fn new(source: S) -> Self {
        Self { cell: UnsafeCell::new(Talc::new(source)), borrow: borrow::Mark::new() }
    }

    /// Returns a mutable reference to the driver.
    #[inline]
    pub fn get_mut(&mut self) -> &mut Talc<S, B> {
        self.cell.get_mut()
    }

    /// Unwraps the driver.
    #[inline]
    pub fn into_inner(self) -> Talc<S, B> {
        self.cell.into_inner()
    }

    /// Replaces the source, and returns the old one.
    ///
    /// The source must be [`Replaceable`]: nothing depends on such a source once it has brought
    /// memory.
    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn replace_source(&self, source: S) -> S
    where
        S: Replaceable,
    {
        self.with_driver(|talc| core::mem::replace(talc.source_mut(), source))
    }

    /// Returns a clone of the source.
    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn clone_source(&self) -> S
    where
        S: Clone,
    {
        self.with_driver(|talc| talc.source().clone())
    }

    /// Returns statistics of all heaps and allocations.
    #[cfg(feature = "counters")]
    #[cfg_attr(docsrs, doc(cfg(feature = "counters")))]
    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn counters(&self) -> talc_sources::talc_core::Counters {
        self.with_driver(|talc| *talc.counters())
    }

    /// Calls `visitor` with each part of each heap. See
    /// [`RawTalc::visit`](talc_sources::talc_core::RawTalc::visit).
    ///
    /// # Safety
    /// `visitor` must not use this allocator, neither to allocate or free nor in any other way.
    #[cfg_attr(debug_assertions, track_caller)]
    pub unsafe fn visit(&self, visitor: impl FnMut(Part)) {
        self.with_driver(|talc| talc.visit(visitor));
    }

    heap_methods!(&Self);

    forward! {
        &Self;
        safe {
            /// Returns the size of the largest layout that fits without calling the source.
            fn largest_gap() -> Option<usize>;
            /// Returns how scattered the available memory is, in thousandths.
            #[cfg(feature = "counters")]
            #[cfg_attr(docsrs, doc(cfg(feature = "counters")))]
            fn fragmentation() -> u32;
            /// Checks every invariant, and returns the first fault that is found.
            #[cfg(feature = "audit")]
            #[cfg_attr(docsrs, doc(cfg(feature = "audit")))]
            fn audit() -> Result<(), talc_sources::talc_core::Fault>;
        }
        unsafe {
            /// Returns how much of a heap is in use.
            fn reserved(heap_end: NonNull<u8>) -> Reserved;
        }
    }

    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    fn with_driver<T>(&self, f: impl FnOnce(&mut Talc<S, B>) -> T) -> T {
        glue::with(self, f)
    }
}

impl<S: Source<B>, B: Binning> Wrapper for TalcCell<S, B> {
    type Source = S;
    type Binning = B;

    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    fn with<T>(&self, f: impl FnOnce(&mut Talc<S, B>) -> T) -> Option<T> {
        let _borrowed = self.borrow.mark(S::MAY_REENTER)?;
        // SAFETY: the cell is not `Sync`, and this is the only place that makes a reference to its
        // contents from a shared one. `f` is code of this crate. The only foreign code that it calls
        // is that of sources, with their `Clone` and `Drop`, and that of visitors. By the contract of
        // `Source`, sources do not call back, or declare that they may and are refused here. For
        // visitors, the callers vouch.
        Some(f(unsafe { &mut *self.cell.get() }))
    }
}

/// Does not show the heaps, because the formatter may allocate from this allocator. To show them, format
/// what [`TalcCell::get_mut`] returns.
impl<S: Source<B>, B: Binning> fmt::Debug for TalcCell<S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TalcCell").finish_non_exhaustive()
    }
}

/// Detects a second borrow.
mod borrow {
    use core::cell::Cell;
    #[cfg(debug_assertions)]
    use core::panic::Location;

    /// Whether the cell is borrowed. Not every borrow is noted: see [`mark`](Mark::mark).
    pub(super) struct Mark {
        is_borrowed: Cell<bool>,
        /// Where it was borrowed.
        #[cfg(debug_assertions)]
        at: Cell<Option<&'static Location<'static>>>,
    }

    /// Clears the mark, if there is one, when it is dropped.
    pub(super) struct Marked<'a>(Option<&'a Mark>);

    impl Mark {
        pub(super) const fn new() -> Self {
            Self {
                is_borrowed: Cell::new(false),
                #[cfg(debug_assertions)]
                at: Cell::new(None),
            }
        }

        /// Marks the cell as borrowed. Returns `None` if it is borrowed already and the source
        /// `may_reenter`. For other sources this does nothing in release builds.
        ///
        /// # Panics
        /// In debug builds, if the cell is borrowed already and the source may not re-enter.
        #[inline]
        #[cfg_attr(debug_assertions, track_caller)]
        pub(super) fn mark(&self, may_reenter: bool) -> Option<Marked<'_>> {
            if !may_reenter && !cfg!(debug_assertions) {
                return Some(Marked(None));
            }
            if self.is_borrowed.replace(true) {
                #[cfg(debug_assertions)]
                if let (false, Some(at)) = (may_reenter, self.at.take()) {
                    // So that the panic message itself can be allocated here: the driver's state is
                    // consistent whenever foreign code runs.
                    self.is_borrowed.set(false);
                    panic!(
                        "talc: this TalcCell is in use already, since {at}. \
                         Does its source use the allocator that it serves?"
                    );
                }
                return None;
            }
            #[cfg(debug_assertions)]
            self.at.set(Some(Location::caller()));
            Some(Marked(Some(self)))
        }
    }

    impl Drop for Marked<'_> {
        #[inline]
        fn drop(&mut self) {
            if let Some(mark) = self.0 {
                mark.is_borrowed.set(false);
            }
        }
    }
}

/// A [`TalcCell`] that is `Sync` if its source is `Send`: a global allocator without a lock, for
/// programs with one thread and without interrupts.
///
/// It dereferences to the [`TalcCell`].
pub struct TalcSyncCell<S, B = DefaultBinning>(TalcCell<S, B>);

// SAFETY: `TalcSyncCell::new` requires that only one thread at a time uses it. A source that is `Send`
// may be used by one thread after another.
unsafe impl<S: Source<B> + Send, B: Binning> Sync for TalcSyncCell<S, B> {}

impl<S: Source<B>, B: Binning> TalcSyncCell<S, B> {
    /// Makes a cell `Sync`.
    ///
    /// Prefer `TalcLock` unless you are sure: a lock without contention costs little.
    ///
    /// # Safety
    /// The value must never be used from two threads at a time, nor from an interrupt or signal
    /// handler that interrupts a use of it, nor from its own source, unless the source declares
    /// [`MAY_REENTER`](Source::MAY_REENTER).
    ///
    /// # Example
    ///
    /// ```no_run
    /// use talc_sources::Claim;
    /// use talc_sync::{TalcCell, TalcSyncCell};
    ///
    /// static mut HEAP: [u8; 100_000] = [0; 100_000];
    ///
    /// #[global_allocator]
    /// static TALC: TalcSyncCell<Claim> =
    ///     // SAFETY: nothing else uses `HEAP`, and this target has one thread.
    ///     unsafe { TalcSyncCell::new(TalcCell::new(Claim::array(&raw mut HEAP))) };
    /// ```
    #[inline]
    pub const unsafe fn new(talc: TalcCell<S, B>) -> Self {
        Self(talc)
    }

    /// Creates an allocator for WebAssembly without threads, where this is safe.
    ///
    /// A program that calls this does not compile with the target feature `atomics`, with which
    /// modules with threads are built.
    ///
    /// # Panics
    /// On targets other than WebAssembly. For a constant or a static, that is an error at compile
    /// time.
    #[inline]
    pub const fn new_wasm(source: S) -> Self {
        // An associated constant is evaluated wherever this is called, in a constant or not.
        let () = Self::NO_THREADS;
        if cfg!(target_family = "wasm") {
            Self(TalcCell::new(source))
        } else {
            panic!("talc: new_wasm is for WebAssembly without threads; use a TalcLock here")
        }
    }

    const NO_THREADS: () = assert!(
        !cfg!(all(target_family = "wasm", target_feature = "atomics")),
        "talc: this allocator is for one thread, and the target feature `atomics` means threads; \
         use `new_wasm_threaded_allocator` of talc-wasm, or a TalcLock"
    );
}

impl<S, B> core::ops::Deref for TalcSyncCell<S, B> {
    type Target = TalcCell<S, B>;

    #[inline]
    fn deref(&self) -> &TalcCell<S, B> {
        &self.0
    }
}

impl<S: Source<B>, B: Binning> Wrapper for TalcSyncCell<S, B> {
    type Source = S;
    type Binning = B;

    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    fn with<T>(&self, f: impl FnOnce(&mut Talc<S, B>) -> T) -> Option<T> {
        self.0.with(f)
    }
}

impl<S: Source<B>, B: Binning> fmt::Debug for TalcSyncCell<S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TalcSyncCell").finish_non_exhaustive()
    }
}
