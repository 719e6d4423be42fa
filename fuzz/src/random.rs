//! Actions and calls from random numbers, in the proportions in which proptest makes them.

use crate::{Action, Align, Pick, Size};
#[cfg(feature = "wrappers")]
use crate::{Call, How};

/// A generator of random numbers, the same ones each time (xorshift).
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Starts at a seed. Any will do.
    pub fn new(seed: u64) -> Self {
        // Seeds are often small, and 0 would stay 0.
        Self(seed.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// Returns 44 random bits.
    fn bits(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 20
    }

    fn pick(&mut self) -> Pick {
        Pick(self.bits() as u16)
    }

    fn size(&mut self) -> Size {
        Size(self.bits() as u32)
    }

    fn align(&mut self) -> Align {
        Align(self.bits() as u8)
    }

    /// Returns an action.
    pub fn action(&mut self) -> Action {
        match self.bits() % 29 {
            0..=7 => Action::Allocate { size: self.size(), align: self.align() },
            8..=13 => Action::Deallocate { block: self.pick() },
            14 | 15 => Action::Grow { block: self.pick(), by: self.size() },
            16 | 17 => Action::GrowDownwards { block: self.pick(), by: self.size() },
            18 | 19 => Action::Shrink { block: self.pick(), to: self.size() },
            20 | 21 => Action::Reallocate { block: self.pick(), to: self.size() },
            22 => Action::Claim { region: self.pick(), offset: self.pick(), size: self.size() },
            23 => Action::Extend { heap: self.pick(), by: self.size() },
            24 => Action::Truncate { heap: self.pick(), by: self.size() },
            25 => Action::Resize { heap: self.pick(), to: self.size() },
            26 => Action::ClaimFor {
                region: self.pick(),
                offset: self.pick(),
                size: self.size(),
                align: self.align(),
            },
            27 => match self.bits() % 4 {
                0 | 1 => {
                    Action::ExtendFor { heap: self.pick(), size: self.size(), align: self.align() }
                }
                _ => Action::ClaimOrExtendFor {
                    region: self.pick(),
                    offset: self.pick(),
                    size: self.size(),
                    align: self.align(),
                },
            },
            _ => Action::Trim,
        }
    }
}

#[cfg(feature = "wrappers")]
impl Random {
    fn how(&mut self) -> How {
        let bits = self.bits();
        How { by_global: bits & 1 != 0, zeroed: bits & 2 != 0 }
    }

    /// Returns a call.
    pub fn call(&mut self) -> Call {
        match self.bits() % 23 {
            0..=7 => Call::Allocate { size: self.size(), align: self.align(), how: self.how() },
            8..=13 => Call::Deallocate { block: self.pick(), how: self.how() },
            14..=19 => Call::Resize {
                block: self.pick(),
                to: self.size(),
                align: self.align(),
                how: self.how(),
            },
            20 => Call::Trim,
            21 => Call::Claim { region: self.pick(), size: self.size() },
            _ => {
                let calls = self.bits();
                Call::FailAfter { calls: (calls & 3 == 0).then_some((calls >> 2) as u8) }
            }
        }
    }
}
