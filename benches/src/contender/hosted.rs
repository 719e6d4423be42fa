//! Allocators that need an operating system and threads. They bring their own memory, so they
//! have a row in the speed figures only.

use super::system::hosted;
use super::{Contender, Kind};
use crate::arena::Region;
use std::alloc::{GlobalAlloc, Layout};

hosted! {
    /// Microsoft's mimalloc.
    Mimalloc, "mimalloc", mimalloc::MiMalloc
}

hosted! {
    /// jemalloc as maintained for TiKV.
    Jemalloc, "jemalloc", tikv_jemallocator::Jemalloc
}

hosted! {
    /// Microsoft's snmalloc.
    Snmalloc, "snmalloc", snmalloc_rs::SnMalloc
}
