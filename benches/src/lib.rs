//! Talc measured beside its peers: workloads, contenders, replays and figures.
//!
//! `cargo run --release -p benches -- --help` lists the figures; `README.md` explains them.

pub mod arena;
pub mod compact;
pub mod contender;
pub mod emulator;
pub mod figures;
pub mod held;
pub mod misuse;
pub mod overview;
pub mod plot;
pub mod replay;
pub mod report;
pub mod rounds;
pub mod stats;
pub mod steps;
pub mod subproject;
pub mod trace;
pub mod wasm;
pub mod workload;
