//! The fuzz targets by name, and inputs for them that are the same each time.

use alloc::vec::Vec;

use crate::{fuzz_allocator_source, fuzz_core, fuzz_global_alloc_source};

/// A fuzz target.
pub struct Target {
    /// The name of its file in `fuzz_targets`, and of its folder in `regressions`.
    pub name: &'static str,
    /// What it does with an input.
    pub body: fn(&[u8]),
    /// The least number of inputs in its folder. Without one, there is no folder.
    pub found: usize,
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "core", body: fuzz_core, found: 0 },
    Target { name: "global_alloc_source", body: fuzz_global_alloc_source, found: 1 },
    Target { name: "allocator_source", body: fuzz_allocator_source, found: 1 },
    #[cfg(feature = "wrappers")]
    Target { name: "wrapper", body: crate::fuzz_wrapper, found: 0 },
];

/// Returns 288 inputs for each target: the empty one, each byte 600 times, and bytes that differ.
pub fn fixed_inputs() -> impl Iterator<Item = Vec<u8>> {
    let same = (0..=255).map(|byte| [byte; 600].to_vec());
    // Each pair of neighbouring actions, with numbers that differ.
    let differing = (1..32_usize)
        .map(|step| (0..4096).map(|at| ((at * step * step) >> 3) as u8).collect::<Vec<_>>());
    core::iter::once(Vec::new()).chain(same).chain(differing)
}
