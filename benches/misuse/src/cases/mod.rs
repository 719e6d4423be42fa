//! The cases: what is done wrong, and what comes before it.

mod beyond;
mod double;
mod foreign;
mod freed;
mod heaps;
mod layouts;
mod words;

use crate::scene::Scene;

/// One rule that is broken in one way.
pub struct Case {
    pub group: &'static str,
    pub name: &'static str,
    /// Breaks the rule; `None` if that is not possible here, and nothing was done.
    pub run: fn(&mut Scene) -> Option<()>,
}

/// Makes cases of functions.
macro_rules! cases {
    ($group:literal: $($name:literal => $run:expr,)*) => {
        pub(super) const CASES: &[$crate::cases::Case] = &[
            $($crate::cases::Case { group: $group, name: $name, run: $run },)*
        ];
    };
}
use cases;

/// All of them, in the order of the table.
pub fn all() -> impl Iterator<Item = &'static Case> {
    let groups = [
        double::CASES,
        foreign::CASES,
        layouts::CASES,
        beyond::CASES,
        freed::CASES,
        heaps::CASES,
        words::CASES,
    ];
    groups.into_iter().flatten()
}
