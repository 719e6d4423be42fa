//! The bytes of an input, as actions.

use crate::action::{Action, Align, Pick, Size};

/// Bytes that are read from the first one on; zeroes follow the last one.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn bytes<const LEN: usize>(&mut self) -> [u8; LEN] {
        let (read, rest) = self.0.split_at(self.0.len().min(LEN));
        self.0 = rest;
        let mut bytes = [0; LEN];
        bytes[..read.len()].copy_from_slice(read);
        bytes
    }

    fn size(&mut self) -> Size {
        Size(u32::from_le_bytes(self.bytes()))
    }

    fn align(&mut self) -> Align {
        Align(u8::from_le_bytes(self.bytes()))
    }

    fn pick(&mut self) -> Pick {
        Pick(u16::from_le_bytes(self.bytes()))
    }

    fn calls(&mut self) -> Option<u8> {
        let [is_some] = self.bytes();
        (is_some % 2 == 1).then(|| u8::from_le_bytes(self.bytes()))
    }

    /// Reads an action: its number, scaled to 32 bits, and its fields in order.
    ///
    /// What bytes mean must stay the same: those in `regressions` stand for what they once broke.
    fn action(&mut self) -> Action {
        match (u64::from(u32::from_le_bytes(self.bytes())) * 15) >> 32 {
            0 => Action::Allocate { size: self.size(), align: self.align() },
            1 => Action::Deallocate { block: self.pick() },
            2 => Action::Grow { block: self.pick(), by: self.size() },
            3 => Action::Shrink { block: self.pick(), to: self.size() },
            4 => Action::GrowDownwards { block: self.pick(), by: self.size() },
            5 => Action::Reallocate { block: self.pick(), to: self.size() },
            6 => Action::Claim { region: self.pick(), offset: self.pick(), size: self.size() },
            7 => Action::Extend { heap: self.pick(), by: self.size() },
            8 => Action::Truncate { heap: self.pick(), by: self.size() },
            9 => Action::Resize { heap: self.pick(), to: self.size() },
            10 => Action::ClaimFor {
                region: self.pick(),
                offset: self.pick(),
                size: self.size(),
                align: self.align(),
            },
            11 => Action::ExtendFor { heap: self.pick(), size: self.size(), align: self.align() },
            12 => Action::ClaimOrExtendFor {
                region: self.pick(),
                offset: self.pick(),
                size: self.size(),
                align: self.align(),
            },
            13 => Action::Trim,
            _ => Action::FailAfter { calls: self.calls() },
        }
    }
}

/// Calls `step` with each action that the bytes describe.
pub(crate) fn for_each_action(bytes: &[u8], mut step: impl FnMut(&Action)) {
    let mut input = Input(bytes);
    while !input.0.is_empty() {
        step(&input.action());
    }
}
