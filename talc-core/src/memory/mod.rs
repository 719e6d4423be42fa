//! The pieces of a heap: headers, chunks, slabs, the two ends. Nothing here knows an allocator:
//! these are addresses and the words at them.

pub(crate) mod chunk;
pub(crate) mod fill;
pub(crate) mod header;
pub(crate) mod heap;
pub(crate) mod key;
pub(crate) mod magazine;
pub(crate) mod quarantine;
pub(crate) mod slab;
