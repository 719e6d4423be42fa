//! Broken rules and overwritten words: how they are recognised, and when they are reported. In builds
//! without [checks](crate::tier::CHECKS), these are constants.

pub(crate) mod damage;
pub(crate) mod diagnosis;
pub(crate) mod misuse;
mod overlap;
mod quick;
