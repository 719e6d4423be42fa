//! What users call: allocating, freeing and resizing, in whichever tier the allocation is.

mod allocate;
mod deallocate;
pub(crate) mod resize;
