//! Recorded programs: what real programs have allocated and freed, from the traces of `benches`.

use std::alloc::Layout;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::ptr::NonNull;

use crate::{How, Tested};

/// A call of a recorded program. Blocks are numbered in the order in which they are allocated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Step {
    /// A new block.
    Allocate { layout: Layout },
    /// The end of a block.
    Free { block: usize },
    /// Another size for a block.
    Resize { block: usize, new_size: usize },
}

/// Reads a trace of `benches`, whose module `trace` has the format.
///
/// # Panics
/// Panics if there is no such trace.
pub fn recorded(name: &str) -> Vec<Step> {
    let traces = Path::new(env!("CARGO_MANIFEST_DIR")).join("../benches/traces");
    let file = File::open(traces.join(name).with_extension("trace")).expect("a trace");
    let mut decoder = ruzstd::decoding::StreamingDecoder::new(file).expect("a zstd frame");
    let mut bytes = Vec::new();
    decoder.read_to_end(&mut bytes).expect("a sound frame");
    let mut columns = bytes.splitn(3, |&byte| byte == b'\n');
    assert_eq!(columns.next(), Some(&b"talc-trace 1"[..]));
    let mut input = columns.nth(1).expect("there are columns");
    let count = number(&mut input);
    let kinds = column(&mut input);
    assert_eq!(kinds.len(), count);
    let (mut ages, mut sizes) = (column(&mut input), column(&mut input));
    let mut blocks = 0;
    let step = |&kind: &u8| match kind & 3 {
        0 => {
            blocks += 1;
            let layout = Layout::from_size_align(number(&mut sizes), 1 << (kind >> 2));
            Step::Allocate { layout: layout.expect("a layout") }
        }
        1 => Step::Free { block: blocks - number(&mut ages) },
        _ => Step::Resize { block: blocks - number(&mut ages), new_size: number(&mut sizes) },
    };
    kinds.iter().map(step).collect()
}

/// Takes a number, in groups of seven bits.
fn number(input: &mut &[u8]) -> usize {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let (&byte, rest) = input.split_first().expect("a number");
        *input = rest;
        value |= usize::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    value
}

fn column<'a>(input: &mut &'a [u8]) -> &'a [u8] {
    let length = number(input);
    let (column, rest) = input.split_at(length);
    *input = rest;
    column
}

/// A recorded program that runs on an allocator, and goes on without what it does not get.
#[derive(Debug, Default)]
pub struct Player {
    /// By their numbers. What was refused, or is freed, is not there.
    blocks: Vec<Option<(NonNull<u8>, Layout)>>,
}

/// How many bytes at each end of a block are filled and verified.
const CHECKED: usize = 32;

impl Player {
    /// Does one step. Returns whether it got what it needs.
    ///
    /// # Panics
    /// Panics if the contents of a block have changed.
    pub fn step(&mut self, talc: &dyn Tested, step: Step) -> bool {
        let how = |number: usize| How { by_global: !number.is_multiple_of(3), zeroed: false };
        match step {
            Step::Allocate { layout } => {
                let number = self.blocks.len();
                let block = talc.allocate(layout, how(number)).map(NonNull::cast::<u8>);
                self.blocks.push(block.map(|block| (block, layout)));
                self.fill(number);
                block.is_some()
            }
            Step::Free { block: number } => {
                self.verify(number);
                if let Some((block, layout)) = self.blocks[number].take() {
                    // SAFETY: live until here.
                    unsafe { talc.deallocate(block, layout, how(number)) };
                }
                true
            }
            Step::Resize { block: number, new_size } => {
                self.verify(number);
                let Some((block, old)) = self.blocks[number] else { return true };
                let new = Layout::from_size_align(new_size, old.align()).expect("a layout");
                // SAFETY: live, and with a size: programs allocate nothing else.
                let resized = unsafe { talc.resize(block, old, new, how(number)) };
                if let Some(resized) = resized {
                    self.blocks[number] = Some((resized.cast(), new));
                    // What was kept of it is where it was.
                    self.check_start(number, old.size().min(new_size));
                    self.fill(number);
                }
                resized.is_some()
            }
        }
    }

    /// Frees everything.
    pub fn free_all(&mut self, talc: &dyn Tested) {
        for block in 0..self.blocks.len() {
            self.step(talc, Step::Free { block });
        }
    }

    /// Verifies the contents of all blocks.
    pub fn verify_all(&self) {
        (0..self.blocks.len()).for_each(|number| self.verify(number));
    }

    fn ends(size: usize) -> impl Iterator<Item = usize> {
        (0..size.min(CHECKED)).chain(size.saturating_sub(CHECKED).max(CHECKED)..size)
    }

    fn pattern(number: usize, at: usize) -> u8 {
        (number.wrapping_mul(37) ^ at.wrapping_mul(11)) as u8
    }

    fn fill(&self, number: usize) {
        if let Some((block, layout)) = self.blocks[number] {
            for at in Self::ends(layout.size()) {
                // SAFETY: inside of a live block.
                unsafe { block.as_ptr().add(at).write(Self::pattern(number, at)) };
            }
        }
    }

    fn check_start(&self, number: usize, size: usize) {
        if let Some((block, _)) = self.blocks[number] {
            for at in 0..size.min(CHECKED) {
                // SAFETY: inside of a live block.
                let found = unsafe { block.as_ptr().add(at).read() };
                assert_eq!(found, Self::pattern(number, at), "byte {at} of block {number}");
            }
        }
    }

    fn verify(&self, number: usize) {
        if let Some((block, layout)) = self.blocks[number] {
            for at in Self::ends(layout.size()) {
                // SAFETY: inside of a live block.
                let found = unsafe { block.as_ptr().add(at).read() };
                assert_eq!(found, Self::pattern(number, at), "byte {at} of block {number}");
            }
        }
    }
}
