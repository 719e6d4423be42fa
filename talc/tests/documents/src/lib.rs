//! The documents of the repository that are not the documentation of a crate. Their examples are compiled
//! and run with the documentation tests.
//!
//! `tests/complete.rs` finds documents with examples that are missing here. This is a crate of its own,
//! because a published crate can include only files of its own folder.
#![cfg(doctest)]

#[doc = include_str!("../../../../README.md")]
struct Readme;

#[doc = include_str!("../../../../MIGRATION.md")]
struct Migration;

/// The documents for WebAssembly, which `.ci/wasm` compiles. The READMEs of the crates are also tested with
/// the crates, but on other targets.
#[cfg(target_family = "wasm")]
mod wasm {
    #[doc = include_str!("../../../../README_WASM.md")]
    struct Guide;

    #[doc = include_str!("../../../../talc-wasm/README.md")]
    struct TalcWasm;

    #[doc = include_str!("../../../../talc/README.md")]
    struct Talc;
}
