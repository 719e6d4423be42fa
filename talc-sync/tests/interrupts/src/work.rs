//! What is interrupted, and what the interrupt does: both allocate, resize and free with the same allocator.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::addr_of;
use core::sync::atomic::{AtomicBool, Ordering};

use talc_sync::talc_sources::talc_core::Counters;

use crate::machine::Handler;
use crate::own::Own;
use crate::subject::Subject;

/// Memory that knows what must be in it.
struct Block {
    start: *mut u32,
    layout: Layout,
    pattern: u32,
}

impl Block {
    fn new<A: GlobalAlloc>(talc: &A, size: usize, align: usize, pattern: u32) -> Self {
        let layout = Layout::from_size_align(size, align).expect("it is one");
        // SAFETY: the size is not zero.
        let start = unsafe { talc.alloc(layout) }.cast::<u32>();
        assert!(!start.is_null(), "{size} bytes were refused");
        assert!(start as usize % align == 0);
        let block = Self { start, layout, pattern };
        block.fill();
        block
    }

    fn words(&self) -> usize {
        self.layout.size() / 4
    }

    fn fill(&self) {
        // SAFETY: the block has as many words.
        (0..self.words()).for_each(|n| unsafe { self.start.add(n).write(self.pattern ^ n as u32) });
    }

    /// Checks the first `words` words.
    fn check(&self, words: usize) {
        // SAFETY: the block has as many words.
        let is_right = |n| unsafe { self.start.add(n).read() == self.pattern ^ n as u32 };
        assert!((0..words).all(is_right), "a block of {} bytes has changed", self.layout.size());
    }

    fn resize<A: GlobalAlloc>(&mut self, talc: &A, size: usize) {
        let words = self.words().min(size / 4);
        let old = self.layout;
        // SAFETY: it is live, and has this layout.
        self.start = unsafe { talc.realloc(self.start.cast(), old, size) }.cast();
        assert!(!self.start.is_null(), "growing to {size} bytes was refused");
        self.layout = Layout::from_size_align(size, old.align()).expect("it is one");
        self.check(words);
        self.fill();
    }

    fn free<A: GlobalAlloc>(self, talc: &A) {
        self.check(self.words());
        // SAFETY: it is live, and has this layout.
        unsafe { talc.dealloc(self.start.cast(), self.layout) };
    }
}

/// A block that the program leaves to the interrupt, if it is there.
static LEFT: Own<Option<Block>> = Own::new(None);
/// Whether the interrupt may use it.
static IS_LEFT: AtomicBool = AtomicBool::new(false);
/// A block that the interrupt leaves to the program.
static KEPT: Own<Option<Block>> = Own::new(None);

/// What is interrupted, at each of its instructions. Returns what it has not freed.
fn program<A: GlobalAlloc>(talc: &A) -> [Block; 3] {
    let mut first = Block::new(talc, 24, 8, 1 << 8);
    let second = Block::new(talc, 120, 8, 2 << 8);
    let mut third = Block::new(talc, 48, 8, 3 << 8);
    let mut fourth = Block::new(talc, 200, 8, 4 << 8);
    // SAFETY: the interrupt does not use it yet.
    unsafe { LEFT.set(Some(Block::new(talc, 60, 8, 5 << 8))) };
    IS_LEFT.store(true, Ordering::Release);

    second.free(talc);
    // Down, into the gap, where there is one.
    third.resize(talc, 140);
    // In place, up and down.
    fourth.resize(talc, 400);
    fourth.resize(talc, 200);
    // To another place, with the lock held while it is copied.
    first.resize(talc, 100);
    let above = Block::new(talc, 40, 8, 6 << 8);
    // The same, with the lock free.
    fourth.resize(talc, 600);
    let aligned = Block::new(talc, 64, 64, 7 << 8);
    let too_much = Layout::from_size_align(1 << 20, 8).expect("it is one");
    // SAFETY: the size is not zero.
    assert!(unsafe { talc.alloc(too_much) }.is_null());
    third.free(talc);
    first.free(talc);
    [above, fourth, aligned]
}

/// What the interrupt does.
///
/// # Safety
/// It must be given an `A`.
unsafe fn handler<A: GlobalAlloc>(talc: *const ()) {
    // SAFETY: required of the caller.
    let talc = unsafe { &*talc.cast::<A>() };
    if IS_LEFT.load(Ordering::Acquire) {
        IS_LEFT.store(false, Ordering::Relaxed);
        // SAFETY: it was left.
        if let Some(block) = unsafe { LEFT.replace(None) } {
            block.free(talc);
        }
    }
    let mut block = Block::new(talc, 36, 8, 8 << 8);
    let kept = Block::new(talc, 24, 8, 9 << 8);
    block.resize(talc, 130);
    block.free(talc);
    // SAFETY: nothing uses it before this has returned.
    unsafe { KEPT.set(Some(kept)) };
}

/// Runs the program on a new allocator, between `begin` and `end`. The handler that `begin` is given must have been
/// called when `end` returns. Returns the counters when everything is freed, or what is wrong.
#[inline(always)]
pub(crate) fn run<A: Subject, T>(
    begin: impl FnOnce(Handler) -> T,
    end: impl FnOnce(T),
) -> Result<Counters, &'static str> {
    let talc = A::new();
    let begun = begin((handler::<A>, addr_of!(talc).cast()));
    let blocks = program(&talc);
    end(begun);
    IS_LEFT.store(false, Ordering::Relaxed);
    // SAFETY: the handler has returned.
    let others = unsafe { [LEFT.replace(None), KEPT.replace(None)] };
    for block in blocks.into_iter().chain(others.into_iter().flatten()) {
        block.free(&talc);
    }
    talc.checked()
}
