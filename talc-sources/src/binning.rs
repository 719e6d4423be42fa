//! One name for all shapes of the core, for code that is generic over them.

use core::alloc::Layout;
use core::fmt;
use core::ptr::NonNull;

use talc_core::{Bins, Misuse, NoRoom, Part, RawTalc, Reserved};

/// The shape of an allocator's free lists. Every [`Bins`] is one, and so is every
/// [`CompactBins`](talc_core::CompactBins), and nothing else.
///
/// Code that is generic over it calls the methods of [`RawTalc`] through [`RawTalcExt`].
pub trait Binning: sealed::Core {}

impl<B: sealed::Core> Binning for B {}

/// Returns how many bytes suffice for a first heap, wherever its region begins.
///
/// The table may take all of such a heap, so that nothing can be allocated yet.
///
/// ```
/// use talc_sources::{min_first_heap_size, talc_core::DefaultBinning};
///
/// static mut HEAP: [u8; min_first_heap_size::<DefaultBinning>() + 10_000] =
///     [0; min_first_heap_size::<DefaultBinning>() + 10_000];
/// ```
pub const fn min_first_heap_size<B: Binning>() -> usize {
    B::MIN_FIRST_HEAP_SIZE
}

/// Returns a layout that suffices for a first heap.
///
/// Its size is smaller than [`min_first_heap_size`], which has to allow for any alignment.
pub const fn min_first_heap_layout<B: Binning>() -> Layout {
    // SAFETY: 16 is a power of two, and the size, a bit more than that of a type, is far from the
    // limit.
    unsafe { Layout::from_size_align_unchecked(min_first_heap_size::<B>() & !15, 16) }
}

/// Declares the methods of [`RawTalc`] for all shapes: as functions of `Core`, and as methods of
/// any `RawTalc<B>`.
macro_rules! forward {
    ($(
        $(#[$attribute:meta])*
        [$($unsafety:ident)?] fn $name:ident$(<$visitor:ident>)?(&$($mutability:ident)?
            $(, $argument:ident: $type:ty)*) $(-> $result:ty)?;
    )*) => {
        mod sealed {
            use super::*;

            /// What [`Binning`] is made of.
            pub trait Core: Sized + Send + Sync {
                const NEW: RawTalc<Self>;
                const NEW_COMPLETE: RawTalc<Self>;
                const MIN_FIRST_HEAP_SIZE: usize;
                /// Whether slabs or magazines may keep memory that [`RawTalc::trim`] frees.
                const KEEPS: bool;

                fn fmt(raw: &RawTalc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result;

                $(
                    $(#[$attribute])*
                    $($unsafety)? fn $name$(<$visitor: FnMut(Part)>)?(
                        raw: &$($mutability)? RawTalc<Self>
                        $(, $argument: $type)*
                    ) $(-> $result)?;
                )*
            }

            impl<
                    const LINEAR: usize,
                    const PER_DOUBLING: usize,
                    const WORDS: usize,
                    const SLAB: usize,
                    const CLASSES: usize,
                    const KEPT: usize,
                    const INSIDE: usize,
                > Core for Bins<LINEAR, PER_DOUBLING, WORDS, SLAB, CLASSES, KEPT, INSIDE>
            {
                const NEW: RawTalc<Self> = RawTalc::<Self>::new();
                const NEW_COMPLETE: RawTalc<Self> = RawTalc::<Self>::with_complete_table();
                const MIN_FIRST_HEAP_SIZE: usize = Self::MIN_FIRST_HEAP_SIZE;
                const KEEPS: bool = SLAB != 0 || KEPT != 0;

                fn fmt(raw: &RawTalc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    fmt::Debug::fmt(raw, f)
                }

                $(
                    $(#[$attribute])*
                    #[inline]
                    $($unsafety)? fn $name$(<$visitor: FnMut(Part)>)?(
                        raw: &$($mutability)? RawTalc<Self>
                        $(, $argument: $type)*
                    ) $(-> $result)? {
                        // SAFETY: required of the caller.
                        $($unsafety)? { raw.$name($($argument),*) }
                    }
                )*
            }
        }

        /// The methods of [`RawTalc`], for code that is generic over the [`Binning`]. If the
        /// binning is known, they need no trait.
        pub trait RawTalcExt: Sized {
            /// [`RawTalc::new`].
            fn new() -> Self;

            /// [`RawTalc::with_complete_table`].
            fn with_complete_table() -> Self;

            $(
                #[doc = concat!("[`RawTalc::", stringify!($name), "`].")]
                $(
                    ///
                    /// # Safety
                    #[doc = concat!("As for the method of [`RawTalc`], which is `", stringify!($unsafety), "`.")]
                )?
                $(#[$attribute])*
                $($unsafety)? fn $name$(<$visitor: FnMut(Part)>)?(
                    &$($mutability)? self
                    $(, $argument: $type)*
                ) $(-> $result)?;
            )*
        }

        impl<B: Binning> RawTalcExt for RawTalc<B> {
            #[inline]
            fn new() -> Self {
                B::NEW
            }

            #[inline]
            fn with_complete_table() -> Self {
                B::NEW_COMPLETE
            }

            $(
                $(#[$attribute])*
                #[inline]
                $($unsafety)? fn $name$(<$visitor: FnMut(Part)>)?(
                    &$($mutability)? self
                    $(, $argument: $type)*
                ) $(-> $result)? {
                    // SAFETY: required of the caller.
                    $($unsafety)? { B::$name(self $(, $argument)*) }
                }
            )*
        }
    };
}

forward! {
    [] fn try_allocate(&mut, layout: Layout) -> Option<NonNull<u8>>;
    [] fn try_allocate_ready(&mut, layout: Layout) -> Option<NonNull<u8>>;
    [] fn try_allocate_anew(&mut, layout: Layout) -> Option<NonNull<u8>>;
    [] fn try_allocate_to_grow(&mut, size: usize, layout: Layout) -> Option<NonNull<u8>>;
    [unsafe] fn deallocate(&mut, ptr: *mut u8, layout: Layout) -> Option<NonNull<u8>>;
    [unsafe] fn try_grow_in_place(&mut, ptr: *mut u8, layout: Layout, new_size: usize) -> bool;
    [unsafe] fn try_grow_downwards(&mut, ptr: *mut u8, layout: Layout, new_size: usize) -> Option<NonNull<u8>>;
    [unsafe] fn shrink(&mut, ptr: *mut u8, layout: Layout, new_size: usize) -> Option<NonNull<u8>>;
    [unsafe] fn try_realloc_in_place(&mut, ptr: *mut u8, layout: Layout, new_size: usize)
        -> Result<Option<NonNull<u8>>, NoRoom>;
    [] fn trim(&mut) -> Option<NonNull<u8>>;

    [unsafe] fn claim(&mut, base: *mut u8, size: usize) -> Option<NonNull<u8>>;
    [unsafe] fn extend(&mut, end: NonNull<u8>, new_end: *mut u8) -> NonNull<u8>;
    [unsafe] fn claim_or_extend(&mut, end: Option<NonNull<u8>>, base: *mut u8, size: usize) -> NonNull<u8>;
    [unsafe] fn truncate(&mut, end: NonNull<u8>, new_end: *mut u8) -> Option<NonNull<u8>>;
    [unsafe] fn resize(&mut, end: NonNull<u8>, new_end: *mut u8) -> Option<NonNull<u8>>;
    [unsafe] fn watch(&mut, end: NonNull<u8>) -> Reserved;
    [unsafe] fn remind(&mut, end: Option<NonNull<u8>>, room: usize);

    [unsafe] fn reserved(&, end: NonNull<u8>) -> Reserved;
    [] fn claim_size(&, layout: Layout) -> Option<usize>;
    [unsafe] fn extend_size(&, end: NonNull<u8>, layout: Layout) -> Option<usize>;
    [unsafe] fn claim_or_extend_size(&, end: Option<NonNull<u8>>, layout: Layout) -> Option<usize>;
    [] fn is_metadata_established(&) -> bool;
    [] fn has_magazines(&) -> bool;
    [] fn table_size(&) -> usize;
    [] fn has_gap_for(&mut, layout: Layout, beside: Option<(NonNull<u8>, NonNull<u8>)>) -> bool;
    [] fn has_heaps(&) -> bool;
    [] fn heap_bytes(&) -> usize;
    [] fn largest_gap(&) -> Option<usize>;
    #[cfg(feature = "counters")]
    [] fn fragmentation(&) -> u32;
    [] fn visit<V>(&, visitor: V);
    [unsafe] fn misuse(&, ptr: *mut u8, layout: Layout) -> Option<Misuse>;
    [unsafe] fn is_misused(&mut, ptr: *mut u8, layout: Layout) -> bool;
    [] fn note_misuse(&mut, misuse: Misuse, address: usize) -> ();
    #[cfg(feature = "audit")]
    [] fn audit(&) -> Result<(), talc_core::Fault>;
}
