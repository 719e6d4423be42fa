//! The documents of the repository that are not a crate's own documentation. Their examples are
//! compiled and run with the documentation tests.
//!
//! `tests/complete.rs` finds documents with examples that are missing here. A crate of its own,
//! as a published one can include only files of its own folder.
#![cfg(doctest)]

#[doc = include_str!("../../../../README.md")]
struct Readme;

#[doc = include_str!("../../../../MIGRATION.md")]
struct Migration;

/// What is for WebAssembly: `.ci/wasm` compiles it. The READMEs of the crates are tested with the
/// crates, but on other targets.
#[cfg(target_family = "wasm")]
mod wasm {
    #[doc = include_str!("../../../../README_WASM.md")]
    struct Guide;

    #[doc = include_str!("../../../../talc-wasm/README.md")]
    struct TalcWasm;

    #[doc = include_str!("../../../../talc/README.md")]
    struct Talc;
}
