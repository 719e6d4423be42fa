//! Being generic over the binning: one name for what [`RawTalc`] can do with each of them.

use core::alloc::Layout;
use core::fmt;
use core::ptr::NonNull;

use talc_core::{Bins, Misuse, Part, RawTalc, Reserved};

mod sealed {
    pub trait Sealed {}
}

/// Declares the trait and forwards each of its functions to the method of the same name.
macro_rules! binning {
    ($(
        $(#[$attribute:meta])*
        [$($unsafe:ident)?] $name:ident($raw:ty $(, $argument:ident: $type:ty)*) $(-> $result:ty)?;
    )*) => {
        /// The binnings: [`DefaultBinning`](talc_core::DefaultBinning) and every other [`Bins`].
        ///
        /// Its functions are the methods of [`RawTalc`], to be called where the binning is a type
        /// parameter: `B::claim(talc, base, size)` for `talc.claim(base, size)`.
        pub trait Binning: Sized + sealed::Sealed {
            /// [`RawTalc::new`].
            const NEW: RawTalc<Self>;

            /// What shows the heaps.
            fn as_debug(talc: &RawTalc<Self>) -> &dyn fmt::Debug;

            $(
                $(#[$attribute])*
                #[doc = concat!("[`RawTalc::", stringify!($name), "`].")]
                #[doc = "# Safety"]
                #[doc = "That of the method; none, if it is safe."]
                $($unsafe)? fn $name(talc: $raw $(, $argument: $type)*) $(-> $result)?;
            )*
        }

        impl<const L: usize, const P: usize, const W: usize, const SLAB: usize, const CLASSES: usize> Binning
            for Bins<L, P, W, SLAB, CLASSES>
        {
            const NEW: RawTalc<Self> = RawTalc::<Self>::new();

            fn as_debug(talc: &RawTalc<Self>) -> &dyn fmt::Debug {
                talc
            }

            $(
                $(#[$attribute])*
                #[inline]
                #[allow(unused_unsafe)] // Some of the methods are safe.
                $($unsafe)? fn $name(talc: $raw $(, $argument: $type)*) $(-> $result)? {
                    // SAFETY: required of the caller.
                    unsafe { talc.$name($($argument),*) }
                }
            )*
        }
    };
}

impl<const L: usize, const P: usize, const W: usize, const SLAB: usize, const CLASSES: usize>
    sealed::Sealed for Bins<L, P, W, SLAB, CLASSES>
{
}

binning! {
    [] try_allocate(&mut RawTalc<Self>, layout: Layout) -> Option<NonNull<u8>>;
    [unsafe] deallocate(&mut RawTalc<Self>, ptr: *mut u8, layout: Layout) -> Option<NonNull<u8>>;
    [unsafe] try_grow_in_place(
        &mut RawTalc<Self>, ptr: *mut u8, layout: Layout, new_size: usize
    ) -> bool;
    [unsafe] try_grow_downwards(
        &mut RawTalc<Self>, ptr: *mut u8, layout: Layout, new_size: usize
    ) -> Option<NonNull<u8>>;
    [unsafe] shrink(
        &mut RawTalc<Self>, ptr: *mut u8, layout: Layout, new_size: usize
    ) -> Option<NonNull<u8>>;
    [unsafe] try_realloc_in_place(
        &mut RawTalc<Self>, ptr: *mut u8, layout: Layout, new_size: usize
    ) -> Option<Option<NonNull<u8>>>;
    [] trim(&mut RawTalc<Self>) -> Option<NonNull<u8>>;
    [unsafe] misuse(&RawTalc<Self>, ptr: *mut u8, layout: Layout) -> Option<Misuse>;
    [unsafe] claim(&mut RawTalc<Self>, base: *mut u8, size: usize) -> Option<NonNull<u8>>;
    [unsafe] extend(&mut RawTalc<Self>, end: NonNull<u8>, new_end: *mut u8) -> NonNull<u8>;
    [unsafe] truncate(
        &mut RawTalc<Self>, end: NonNull<u8>, new_end: *mut u8
    ) -> Option<NonNull<u8>>;
    [unsafe] resize(
        &mut RawTalc<Self>, end: NonNull<u8>, new_end: *mut u8
    ) -> Option<NonNull<u8>>;
    [unsafe] reserved(&RawTalc<Self>, end: NonNull<u8>) -> Reserved;
    [] claim_size(&RawTalc<Self>, layout: Layout) -> Option<usize>;
    [unsafe] extend_size(&RawTalc<Self>, end: NonNull<u8>, layout: Layout) -> Option<usize>;
    [] largest_gap(&RawTalc<Self>) -> Option<usize>;
    [] visit(&RawTalc<Self>, visitor: impl FnMut(Part));
    #[cfg(feature = "audit")]
    #[cfg_attr(docsrs, doc(cfg(feature = "audit")))]
    [] audit(&RawTalc<Self>) -> Result<(), talc_core::Fault>;
}
