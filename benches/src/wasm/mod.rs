//! Allocators in WebAssembly: modules are built with each of them, and measured in two hosts.

mod build;
mod hosts;
mod toolchain;
mod workloads;

pub use self::build::{Builder, Contents, Level, LEVELS};
pub use self::hosts::{rows, Host, Measured, Plan, HOSTS, WORKERS};
pub use self::toolchain::Toolchain;
pub use self::workloads::{program, recorded, steady, threaded, Task};

use crate::contender::Kind;
use crate::figures::Options;

/// An allocator, as a module's global one.
#[derive(Clone, Copy, Debug)]
pub struct Contender {
    /// As on the command line and in tables.
    pub name: &'static str,
    /// Features of the crate `contender` in `wasm/`.
    features: &'static [&'static str],
    /// Its sort.
    pub kind: Kind,
    /// Whether it is another one with a feature that leaves something out. Charts have no room.
    pub variant: bool,
    /// Whether its modules have threads.
    threads: bool,
}

const fn contender(name: &'static str, kind: Kind, features: &'static [&'static str]) -> Contender {
    Contender { name, features, kind, variant: features.len() > 1, threads: false }
}

/// The configuration that values speed.
pub const FAST: &str = "talc fast";
/// The configuration that values bytes.
pub const SMALL: &str = "talc small";
/// The same with the feature `disable-realloc-in-place`.
pub const SMALLEST: &str = "talc small, no realloc in place";
/// The peer that values speed.
pub const FAST_PEER: &str = "wasmalloc";

const ALL: [Contender; 15] = [
    contender("(none)", Kind::Loop, &[]),
    contender("talc", Kind::Ours, &["talc"]),
    contender("talc, no grow in place", Kind::Ours, &["talc", "disable-grow-in-place"]),
    contender("talc, no realloc in place", Kind::Ours, &["talc", "disable-realloc-in-place"]),
    contender(FAST, Kind::Ours, &["talc-fast"]),
    contender(SMALL, Kind::Ours, &["talc-small"]),
    contender("talc small, no grow in place", Kind::Ours, &["talc-small", "disable-grow-in-place"]),
    contender(SMALLEST, Kind::Ours, &["talc-small", "disable-realloc-in-place"]),
    contender("talc arena", Kind::Ours, &["talc-arena"]),
    contender("talc 5.1.1", Kind::Peer, &["talc5"]),
    contender("rlsf", Kind::Peer, &["rlsf"]),
    contender("rlsf small", Kind::Peer, &["rlsf-small"]),
    contender("dlmalloc", Kind::Peer, &["dlmalloc"]),
    contender("lol_alloc", Kind::Peer, &["lol_alloc"]),
    contender(FAST_PEER, Kind::Peer, &["wasmalloc"]),
];

/// The allocator for threads that allocate at the same time.
pub const SHARDED: &str = "talc sharded";

/// Those for threads.
const THREADED: [Contender; 3] = [
    contender("talc threaded", Kind::Ours, &["talc-threaded"]),
    contender(SHARDED, Kind::Ours, &["talc-sharded"]),
    contender("dlmalloc of std", Kind::Peer, &["system"]),
];

/// Those for threads that take part.
pub fn with_threads(options: &Options) -> Vec<Contender> {
    let wanted = THREADED.into_iter().filter(|contender| options.wants(contender.name));
    wanted.map(|contender| Contender { threads: true, ..contender }).collect()
}

/// Those that take part; the module without an allocator first.
pub fn everyone(options: &Options) -> Vec<Contender> {
    ALL.into_iter().filter(|contender| options.wants(contender.name)).collect()
}

/// Those that take part and allocate.
pub fn allocators(options: &Options) -> Vec<Contender> {
    everyone(options).into_iter().filter(|contender| contender.kind != Kind::Loop).collect()
}
