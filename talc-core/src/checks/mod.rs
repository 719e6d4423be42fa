//! Rules that are broken and words that were overwritten: how they are recognised, and when that is
//! reported. The rest of the crate asks; in release builds the answers are constants.

pub(crate) mod damage;
pub(crate) mod diagnosis;
pub(crate) mod misuse;

/// Whether words are checked before they are used.
pub(crate) const CHECKS: bool = cfg!(debug_assertions);
