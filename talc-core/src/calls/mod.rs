//! What users call: allocating, freeing and resizing, in either tier.

mod allocate;
mod deallocate;
pub(crate) mod resize;
