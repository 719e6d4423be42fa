//! Talc and talc 5.1.1 over blocks of another allocator, which counts what they hold.

use super::talc::{calls, talc5_allocate};
use super::{layout_of, relocate, relocate_to, Contender, Kind};
use crate::arena::Region;
use crate::held::Counted;
use std::alloc::Layout;
use std::ptr::NonNull;

/// Instead of a block size: what the source takes if it is not told.
pub const USUAL: usize = 0;

macro_rules! block_contender {
    (
        $(#[$doc:meta])*
        $type:ident, $krate:ident, $source:ident, $name:literal, $grow_downwards:expr, $allocate_to_grow:expr
    ) => {
        $(#[$doc])*
        pub struct $type<const BLOCK: usize> {
            talc: $krate::base::Talc<$krate::source::$source<Counted>, $krate::DefaultBinning>,
        }

        impl<const BLOCK: usize> Contender for $type<BLOCK> {
            const NAME: &'static str = $name;
            const KIND: Kind = Kind::Hosted;

            unsafe fn over(_: Region) -> Option<Self> {
                let source = match BLOCK {
                    USUAL => $krate::source::$source::new(Counted),
                    size => $krate::source::$source::with_block_size(Counted, size),
                };
                Some(Self { talc: $krate::base::Talc::new(source) })
            }

            calls! { $krate, $grow_downwards, $allocate_to_grow }
        }
    };
}

block_contender! {
    /// Talc over blocks of a `GlobalAlloc`.
    TalcGlobal, talc, GlobalAllocSource, "talc", talc::base::Talc::try_grow_downwards,
    talc::base::Talc::allocate_to_grow
}

block_contender! {
    /// Talc over blocks of an `Allocator`.
    TalcApi, talc, AllocatorSource, "talc", talc::base::Talc::try_grow_downwards,
    talc::base::Talc::allocate_to_grow
}

block_contender! {
    /// talc 5.1.1 over blocks of a `GlobalAlloc`.
    Talc5Global, talc5, GlobalAllocSource, "talc 5.1.1", |_, _, _, _| None,
    talc5_allocate
}

block_contender! {
    /// talc 5.1.1 over blocks of an `Allocator`.
    Talc5Api, talc5, AllocatorSource, "talc 5.1.1", |_, _, _, _| None,
    talc5_allocate
}
