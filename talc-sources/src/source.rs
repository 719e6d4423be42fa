//! What a source is, and the source that has nothing.

use core::alloc::Layout;
use core::fmt;
use core::ptr::NonNull;

use talc_core::{DefaultBinning, RawTalc};

/// Brings memory to an allocator that has run out, and may take back what is no longer used.
///
/// [`Talc`](crate::Talc) owns a source and calls it. A source acts on the [`RawTalc`] that it is
/// given: it [claims](RawTalc::claim) or [extends](RawTalc::extend) heaps, and
/// [truncates](RawTalc::truncate) them in [`release`](Self::release). It need not compute how many
/// bytes are enough: [`claim_size`](RawTalc::claim_size) and [`extend_size`](RawTalc::extend_size)
/// return that.
///
/// `B` is the binning of the allocator. A source for the default one can leave it out; to be
/// generic, implement `Source<B>` for all `B: `[`Binning`](crate::Binning).
///
/// # Safety
/// - Implementations must fulfil what the methods of [`RawTalc`] that they call require, and must
///   leave the allocator in place: not swap it for another one, nor move it out of its reference.
/// - They, and their `Clone` and `Drop`, must not use the allocator that they serve in any other
///   way than through the `talc` parameter, unless they set [`MAY_REENTER`](Self::MAY_REENTER). If
///   it is the global allocator, this includes everything that allocates: `println!`, a growing
///   `Vec`, and on most targets the message of a panic.
///
/// # Re-entry
/// If a source that [may](Self::MAY_REENTER) do so calls its own allocator:
///
/// - A [`TalcLock`] is locked. With a lock that waits, the thread waits for itself, for ever;
///   `try_lock` returns `None`.
/// - A [`TalcCell`] or `TalcSyncCell` refuses: allocating and reallocating fail, as if there were
///   no memory, and all other methods panic. In a global allocator, the panic aborts the program.
///
/// So a source can be given the allocator that it serves, but gets no memory from it.
///
/// [`TalcLock`]: https://docs.rs/talc/latest/talc/sync/struct.TalcLock.html
/// [`TalcCell`]: https://docs.rs/talc/latest/talc/cell/struct.TalcCell.html
///
/// # Panics
/// A source may panic. The allocator has finished its bookkeeping whenever it calls a source, so it
/// can be used afterwards. In a global allocator, the panic aborts the program; so it does while an
/// allocation is resized or moved, as its owner would not learn its new size or address.
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
    /// allocator. If not, doing so panics in debug builds.
    const MANUAL_HEAPS: bool = true;

    /// Whether the source is asked for memory instead of first freeing empty slabs that are kept.
    /// This is less code, for a source that nearly always has more memory. Then an allocation that
    /// fails may succeed after [`trim`](crate::Talc::trim).
    const GROWS_FIRST: bool = false;

    /// Whether [`release`](Self::release) does anything. If not, it is never called, which is less
    /// code, and the allocator does not begin with a [complete
    /// table](RawTalc::with_complete_table).
    const RELEASES: bool = true;

    /// Whether the source calls code that may call the allocator that it serves, such as an
    /// allocator that somebody else has written. If so, a [`TalcCell`] keeps track of being in use,
    /// in release builds, too, and refuses such calls. Leave it `false` if you know that there are
    /// none.
    ///
    /// [`TalcCell`]: https://docs.rs/talc/latest/talc/cell/struct.TalcCell.html
    const MAY_REENTER: bool = false;

    /// Brings memory, or recovers some by freeing into `talc`, as `layout` does not fit.
    ///
    /// After `Ok`, the allocation is tried again, and if it still does not fit, `acquire` is called
    /// again. So return `Ok` only if something has changed.
    ///
    /// # Errors
    /// [`OutOfMemory`] if there is no more memory. It makes the allocation fail.
    ///
    /// # Safety
    /// Only for the driver. `talc` must be the allocator that this source serves, the same one each
    /// time, and must not be used after the source is dropped.
    unsafe fn acquire(&mut self, talc: &mut RawTalc<B>, layout: Layout) -> Result<(), OutOfMemory>;

    /// Takes memory back, as the top of the heap that ends at `end` has fallen free.
    /// [`reserved`](RawTalc::reserved) returns how much of the heap is in use.
    ///
    /// This is called often, so check that before doing anything expensive. It is certain to be
    /// called when the last allocation in a heap is freed; for a heap that was free and was kept,
    /// it is so again only if something other than slots was allocated there, or if
    /// [`watch`](RawTalc::watch) was called.
    ///
    /// # Safety
    /// As for [`acquire`](Self::acquire); and `end` must be the current end of a heap of `talc`.
    #[inline]
    unsafe fn release(&mut self, talc: &mut RawTalc<B>, end: NonNull<u8>) {
        let _ = (talc, end);
    }
}

/// A source that may be replaced by another one of its type while its heaps are in use. Once it has
/// brought memory, nothing depends on it, and it does not depend on its allocator.
///
/// # Safety
/// Dropping the source, replacing it with any other that safe code can make, and then using it for
/// another allocator, must be sound and leave all memory that it has brought valid.
pub unsafe trait Replaceable {}

/// There is no more memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct OutOfMemory;

impl fmt::Display for OutOfMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("out of memory")
    }
}

/// The source that brings nothing. Heaps are claimed, extended and truncated by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Manual;

// SAFETY: it does nothing.
unsafe impl<B> Source<B> for Manual {
    const RELEASES: bool = false;

    #[inline]
    unsafe fn acquire(&mut self, _: &mut RawTalc<B>, _: Layout) -> Result<(), OutOfMemory> {
        Err(OutOfMemory)
    }
}

// SAFETY: it brings no memory.
unsafe impl Replaceable for Manual {}
