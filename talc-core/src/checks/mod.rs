//! Broken rules and overwritten words: how they are recognised, and when they are reported. In
//! release builds, the checks are constants.

pub(crate) mod damage;
pub(crate) mod diagnosis;
pub(crate) mod misuse;
mod overlap;

/// Whether words are checked before they are used.
pub(crate) const CHECKS: bool = cfg!(debug_assertions);
