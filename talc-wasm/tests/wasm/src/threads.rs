//! An allocator for threads, and what the threads of a test do with it.

use core::alloc::{GlobalAlloc, Layout};
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

#[cfg(not(feature = "sharded"))]
static TALC: talc_wasm::WasmThreadedTalc = talc_wasm::new_wasm_threaded_allocator();
#[cfg(feature = "sharded")]
static TALC: talc_wasm::WasmShardedTalc = talc_wasm::new_wasm_sharded_allocator();

/// What knows the counters, and what audits. A guard would take blocks in shards for allocations.
#[cfg(not(feature = "sharded"))]
macro_rules! whole {
    () => {
        TALC.lock()
    };
}
#[cfg(feature = "sharded")]
macro_rules! whole {
    () => {
        TALC
    };
}

/// Where threads leave blocks for each other.
static EXCHANGE: [AtomicPtr<Block>; 64] = [const { AtomicPtr::new(core::ptr::null_mut()) }; 64];

/// How often a block was not as its owner left it.
static DAMAGED: AtomicUsize = AtomicUsize::new(0);

/// How many blocks were freed by another thread than the one that allocated them.
static ABROAD: AtomicUsize = AtomicUsize::new(0);

/// The start of each block of the test; the rest of it is filled with `fill`.
/// Aligned to more than a word, as whatever has an `f64` in it.
#[repr(C, align(8))]
struct Block {
    size: usize,
    owner: u32,
    fill: u8,
}

const HEADER: usize = core::mem::size_of::<Block>();

impl Block {
    fn layout(size: usize) -> Layout {
        Layout::from_size_align(size, core::mem::align_of::<Self>()).unwrap()
    }

    fn new(size: usize, owner: u32, fill: u8) -> *mut Self {
        // SAFETY: the size is not 0, and what is written is this thread's.
        unsafe {
            let block = TALC.alloc(Self::layout(size)).cast::<Self>();
            DAMAGED.fetch_add(usize::from(!block.is_aligned()), Ordering::Relaxed);
            if !block.is_null() {
                block.write(Self { size, owner, fill });
                Self::fill(block, HEADER);
            }
            block
        }
    }

    /// # Safety
    /// `block` must be live and this thread's, and so in the functions below.
    unsafe fn fill(block: *mut Self, from: usize) {
        // SAFETY: required of the caller.
        unsafe {
            let Self { size, fill, .. } = *block;
            // Byte by byte: V8 checks `memory.fill` against the size of the memory that this thread
            // has last heard of, and traps if another one has just grown it.
            for at in from..size {
                block.cast::<u8>().add(at).write_volatile(fill);
            }
        }
    }

    unsafe fn verify(block: *mut Self, size: usize) {
        // SAFETY: required of the caller.
        unsafe {
            let fill = (*block).fill;
            let payload = block.cast::<u8>();
            if (HEADER..size).any(|at| payload.add(at).read() != fill) {
                DAMAGED.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    unsafe fn resize(block: *mut Self, new_size: usize) -> *mut Self {
        // SAFETY: required of the caller.
        unsafe {
            let size = (*block).size;
            let moved = TALC.realloc(block.cast(), Self::layout(size), new_size).cast::<Self>();
            if moved.is_null() {
                return block;
            }
            Self::verify(moved, size.min(new_size));
            (*moved).size = new_size;
            Self::fill(moved, size);
            moved
        }
    }

    unsafe fn free(block: *mut Self, thread: u32) {
        // SAFETY: required of the caller.
        unsafe {
            let Self { size, owner, .. } = *block;
            Self::verify(block, size);
            ABROAD.fetch_add(usize::from(owner != thread), Ordering::Relaxed);
            TALC.dealloc(block.cast(), Self::layout(size));
        }
    }
}

/// What one thread does: allocates, resizes, and swaps blocks with the other threads, so that each
/// frees what others have allocated. Some sizes are large enough to be copied without the lock held.
#[no_mangle]
extern "C" fn work(thread: u32, rounds: u32) {
    let mut random = fastrand::Rng::with_seed(thread.into());
    for _ in 0..rounds {
        let largest = [64, 512, 4096, 65536][random.usize(..4)];
        let size = random.usize(HEADER..largest);
        let mut block = Block::new(size, thread, random.u8(..));
        // SAFETY: a block is whose who took it out of the exchange.
        unsafe {
            if !block.is_null() && random.bool() {
                block = Block::resize(block, random.usize(HEADER..2 * largest));
            }
            let place = &EXCHANGE[random.usize(..EXCHANGE.len())];
            let other = place.swap(block, Ordering::AcqRel);
            if !other.is_null() {
                Block::free(other, thread);
            }
        }
    }
}

/// Frees what is left in the exchange. For when the other threads are done.
#[no_mangle]
extern "C" fn finish(thread: u32) {
    for place in &EXCHANGE {
        let block = place.swap(core::ptr::null_mut(), Ordering::AcqRel);
        if !block.is_null() {
            // SAFETY: taken out of the exchange.
            unsafe { Block::free(block, thread) };
        }
    }
}

/// Memory for the stack of a thread; it stays allocated.
#[no_mangle]
extern "C" fn new_stack(size: usize) -> *mut u8 {
    // SAFETY: the size that tests pass is not 0.
    unsafe { TALC.alloc(Layout::from_size_align(size, 16).unwrap()) }
}

#[no_mangle]
extern "C" fn damaged() -> usize {
    DAMAGED.load(Ordering::Relaxed)
}

#[no_mangle]
extern "C" fn freed_abroad() -> usize {
    ABROAD.load(Ordering::Relaxed)
}

/// How many allocations are live.
#[no_mangle]
extern "C" fn live() -> usize {
    whole!().counters().allocation_count
}

/// How many allocations were made in all.
#[no_mangle]
extern "C" fn total() -> u64 {
    whole!().counters().total_allocation_count
}

/// Whether every invariant holds.
#[no_mangle]
extern "C" fn is_sound() -> bool {
    whole!().audit().is_ok()
}
