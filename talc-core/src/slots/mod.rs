//! The upper tier: slots of slabs, for small objects. Slabs are chunks of the lower tier.

mod slabs;
mod slot;
pub(crate) mod vacancy;
mod weigh;
