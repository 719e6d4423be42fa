//! How much of what callers and stray writes can break is looked for: the tiers of hardening.

/// Whether callers are checked, and the allocator's own words before they are used: in debug builds, and with
/// the feature `hardened`.
pub const CHECKS: bool = cfg!(any(debug_assertions, feature = "hardened"));

/// Whether free blocks have marks by which they are recognised, instead of by walks over lists. Interpreters do not
/// let an allocator look at what its users have not written.
pub(crate) const MARKS: bool = cfg!(all(feature = "hardened", not(miri)));

/// Whether free memory is filled and looked at again, and what is beyond the end of allocations, too: with the
/// feature `hardened-full`.
pub(crate) const FILLS: bool = cfg!(feature = "hardened-full");

/// Whether there is a [quarantine](crate::memory::quarantine): with the feature `hardened-full`, where there are marks.
pub(crate) const QUARANTINES: bool = FILLS && MARKS;

/// Whether the header of an allocated chunk has a byte about the size of its layout. On 32-bit processors, there is
/// no room for it.
pub(crate) const NOTES: bool = CHECKS && usize::BITS == 64;
