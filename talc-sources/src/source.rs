//! What a source is, and the one that has nothing.

use core::alloc::Layout;
use core::fmt;
use core::ptr::NonNull;

use talc_core::{DefaultBinning, RawTalc};

/// Brings memory to an allocator that has run out, and may take back what is no longer used.
///
/// [`Talc`](crate::Talc) owns a source and calls it. A source acts on the [`RawTalc`] that it is
/// given: it [claims](RawTalc::claim) or [extends](RawTalc::extend) heaps, and in
/// [`release`](Self::release) [truncates](RawTalc::truncate) them. How many bytes are enough is
/// never for the source to compute: [`claim_size`](RawTalc::claim_size) and
/// [`extend_size`](RawTalc::extend_size) say it.
///
/// `B` is the binning of the allocator. A source for the default one can leave it out; to be
/// generic, implement `Source<B>` for all `B: `[`Binning`](crate::Binning).
///
/// # Safety
/// - Implementations must keep what the methods of [`RawTalc`] that they call require, and leave
///   the allocator in place: not swap it for another, nor move it out of its reference.
/// - They, and their `Clone` and `Drop`, must not touch the allocator that they serve in any other
///   way than through the `talc` parameter, unless they say that they
///   [may](Self::MAY_REENTER). This includes what allocates behind the scenes where that is the
///   global allocator: `println!`, a growing `Vec`, and for most targets the message of a panic.
///
/// # Re-entry
/// What happens where a source that [says so](Self::MAY_REENTER) comes back to its own allocator:
///
/// - A [`TalcLock`] is locked: with a lock that waits, the thread waits for itself, for ever;
///   `try_lock` answers `None`.
/// - A [`TalcCell`] or `TalcSyncCell` refuses: allocating and reallocating fail, as if there were no
///   memory, and whatever else is called panics, which out of a global allocator aborts.
///
/// So a source can be given the allocator that it serves, but gets no memory from it.
///
/// [`TalcLock`]: https://docs.rs/talc/latest/talc/sync/struct.TalcLock.html
/// [`TalcCell`]: https://docs.rs/talc/latest/talc/cell/struct.TalcCell.html
///
/// # Panics
/// A source may panic if the allocator is used through its methods or as an `Allocator`: the
/// allocator is in a whole state whenever it calls a source. Out of a global allocator nothing may
/// unwind, nor between the change of an allocation and the answer to its owner, when one is resized
/// or moved: there a panic becomes an abort.
///
/// # Example
///
/// ```
/// use core::alloc::Layout;
/// use talc_sources::{talc_core::RawTalc, OutOfMemory, Source, Talc};
///
/// /// Brings static memory, in as many pieces as it takes.
/// struct Pieces(std::vec::IntoIter<&'static mut [u8]>);
///
/// // SAFETY: each piece is claimed once and used by nothing else.
/// unsafe impl Source for Pieces {
///     unsafe fn acquire(&mut self, talc: &mut RawTalc, _: Layout) -> Result<(), OutOfMemory> {
///         let piece = self.0.next().ok_or(OutOfMemory)?;
///         // A piece that is too small is left unused: the next one will be asked for.
///         let _end = talc.claim(piece.as_mut_ptr(), piece.len());
///         Ok(())
///     }
/// }
///
/// let pieces = (0..3).map(|_| &mut *vec![0; 10_000].leak()).collect::<Vec<_>>();
/// let mut talc = Talc::<_>::new(Pieces(pieces.into_iter()));
/// for _ in 0..3 {
///     assert!(unsafe { talc.allocate(Layout::new::<[u8; 7000]>()) }.is_some());
/// }
/// assert!(unsafe { talc.allocate(Layout::new::<[u8; 7000]>()) }.is_none());
/// ```
pub unsafe trait Source<B = DefaultBinning>: Sized {
    /// Whether users may also manage heaps by hand: claim, extend and truncate them through the
    /// allocator. If not, doing so is a debug assertion.
    const MANUAL_HEAPS: bool = true;

    /// Whether it is asked for memory before empty slabs that are kept are given back, not after:
    /// less code, for a source that nearly always has more. Then an allocation may be refused that
    /// succeeds after [`trim`](crate::Talc::trim).
    const GROWS_FIRST: bool = false;

    /// Whether [`release`](Self::release) does anything. If not, it need not be called: less code.
    const RELEASES: bool = true;

    /// Whether it calls code that could call the allocator that it serves, as an allocator that
    /// somebody else has written. Then a [`TalcCell`] keeps note of being in use, in release builds
    /// as well, and refuses calls from in there. A source whose author knows that nothing comes back
    /// says `false`.
    ///
    /// [`TalcCell`]: https://docs.rs/talc/latest/talc/cell/struct.TalcCell.html
    const MAY_REENTER: bool = false;

    /// `layout` does not fit: bring memory, or recover some by freeing into `talc`.
    ///
    /// After `Ok` the allocation is tried again, and if it still does not fit, `acquire` is called
    /// again: so `Ok` may only be said if something has changed.
    ///
    /// # Errors
    /// [`OutOfMemory`] makes the allocation fail.
    ///
    /// # Safety
    /// Only for the driver: `talc` must be the allocator that this source serves, the same one
    /// each time, and must not be used once the source is dropped.
    unsafe fn acquire(&mut self, talc: &mut RawTalc<B>, layout: Layout) -> Result<(), OutOfMemory>;

    /// Memory was freed, and the heap that ends at `end` is now free from somewhere up to its end:
    /// an occasion to truncate it. [`reserved`](RawTalc::reserved) says from where.
    ///
    /// This is called often. Look before doing anything expensive. It is surely called when the last
    /// thing in use in a heap is freed; and again, for a heap that was free and was kept, only if
    /// more than slots was allocated there, or [`watch`](RawTalc::watch) was called.
    ///
    /// # Safety
    /// That of [`acquire`](Self::acquire); and `end` must be the current end of a heap of `talc`.
    #[inline]
    unsafe fn release(&mut self, talc: &mut RawTalc<B>, end: NonNull<u8>) {
        let _ = (talc, end);
    }
}

/// A source that may be exchanged for another of its type while its heaps are in use: nothing
/// depends on it any more once it has brought memory, nor does it depend on its allocator.
///
/// # Safety
/// Dropping the source, replacing it with any other that safe code can make, and then using it for
/// another allocator, must be sound and leave all memory that it has brought valid.
pub unsafe trait Replaceable {}

/// There is no memory to be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct OutOfMemory;

impl fmt::Display for OutOfMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("out of memory")
    }
}

/// The source that brings nothing: heaps are claimed, extended and truncated by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Manual;

// SAFETY: does nothing.
unsafe impl<B> Source<B> for Manual {
    const RELEASES: bool = false;

    #[inline]
    unsafe fn acquire(&mut self, _: &mut RawTalc<B>, _: Layout) -> Result<(), OutOfMemory> {
        Err(OutOfMemory)
    }
}

// SAFETY: brings no memory.
unsafe impl Replaceable for Manual {}
