//! Threads that share an allocator, and pass blocks to each other.

use std::alloc::{GlobalAlloc, Layout};
use std::sync::Mutex;

use talc_sync::talc_sources::{Claim, Talc};

use super::{arena, fill, layout, rounds, verify, Random, Shared};

/// A block that some thread allocated. Whoever takes it from the shelf owns it.
struct Block {
    address: usize,
    layout: Layout,
    seed: usize,
}

impl Block {
    fn ptr(&self) -> *mut u8 {
        self.address as *mut u8
    }
}

/// Allocates, resizes and frees from several threads, verifies all contents, and audits the heap.
pub fn stress<W: Shared>(threads: usize, usual_steps: usize) {
    let (_memory, claim) = arena(4 << 20);
    let talc = W::new(claim);
    let shelf = Mutex::new(Vec::<Block>::new());
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (talc, shelf) = (&talc, &shelf);
            scope.spawn(move || one_thread(thread, rounds(usual_steps), talc, shelf));
        }
    });
    talc.check();
    for block in shelf.into_inner().unwrap() {
        unsafe {
            verify(block.ptr(), block.layout.size(), block.seed);
            talc.dealloc(block.ptr(), block.layout);
        }
    }
    let talc = talc.into_talc();
    assert_eq!(talc.audit(), Ok(()));
    assert_eq!(allocations(&talc), 0);
}

fn one_thread(thread: usize, steps: usize, talc: &impl Shared, shelf: &Mutex<Vec<Block>>) {
    let mut random = Random(0xFEED + thread as u64);
    for step in 0..steps {
        let taken = {
            let mut shelf = shelf.lock().unwrap();
            let is_full = shelf.len() > 200;
            let wants = is_full || random.below(3) != 0;
            if wants && !shelf.is_empty() {
                let n = random.below(shelf.len());
                Some(shelf.swap_remove(n))
            } else {
                None
            }
        };
        let block = match taken {
            None => {
                // Some are so large that they are copied without the lock.
                let doublings = if random.below(20) == 0 { 16 } else { 8 };
                let layout = layout(random.size(doublings), 1 << random.below(7));
                let address = unsafe { talc.alloc(layout) } as usize;
                let seed = step * 8 + thread;
                Block { address, layout, seed }
            }
            Some(block) => {
                unsafe { verify(block.ptr(), block.layout.size(), block.seed) };
                if random.below(2) == 0 {
                    unsafe { talc.dealloc(block.ptr(), block.layout) };
                    continue;
                }
                let doublings = if block.layout.size() > 1 << 14 { 16 } else { 9 };
                let new = layout(random.size(doublings), block.layout.align());
                let moved = unsafe { talc.realloc(block.ptr(), block.layout, new.size()) };
                if moved.is_null() {
                    block // As it was.
                } else {
                    let kept = block.layout.size().min(new.size());
                    unsafe { verify(moved, kept, block.seed) };
                    Block { address: moved as usize, layout: new, seed: block.seed }
                }
            }
        };
        if block.address != 0 {
            assert_eq!(block.address % block.layout.align(), 0);
            unsafe { fill(block.ptr(), block.layout.size(), block.seed) };
            shelf.lock().unwrap().push(block);
        }
        if step % 64 == 0 {
            talc.try_check();
        }
    }
}

/// How many blocks of allocated memory a picture of the heaps shows.
pub fn allocations(talc: &Talc<Claim>) -> usize {
    use talc_sync::talc_sources::talc_core::Part;
    let mut allocations = 0;
    talc.visit(|part| allocations += usize::from(matches!(part, Part::Allocated { .. })));
    allocations
}
