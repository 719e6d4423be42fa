//! A global allocator that writes down what it is asked for.

use super::Call;
use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::HashMap;
use std::sync::Mutex;

/// Calls that fit into one recording.
const CAPACITY: usize = 1 << 24;

/// What is kept of a call while the program runs: addresses, not yet block numbers.
#[derive(Clone, Copy)]
struct Event {
    /// Null for a new block.
    old: *mut u8,
    /// Null for the end of a block.
    new: *mut u8,
    size: u32,
    align_log2: u8,
}

struct Log {
    /// Memory for [`CAPACITY`] events while recording, else null.
    events: *mut Event,
    length: usize,
}

// SAFETY: the pointer is only used under the mutex around the log.
unsafe impl Send for Log {}

/// Make this the `#[global_allocator]`, call [`Recorder::start`], run the program, and
/// [`Recorder::stop`].
///
/// Calls of all threads are written into one list, in an order in which they could have happened
/// on one thread. The memory itself comes from the system.
pub struct Recorder {
    log: Mutex<Log>,
}

impl Recorder {
    /// A recorder that records nothing yet.
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Self {
        Self { log: Mutex::new(Log { events: std::ptr::null_mut(), length: 0 }) }
    }

    /// From here on calls are written down.
    pub fn start(&self) {
        let layout = Layout::array::<Event>(CAPACITY).expect("events fit into memory");
        // SAFETY: the layout's size is not zero. Pages that stay unused are never touched.
        let events = unsafe { System.alloc(layout) }.cast::<Event>();
        assert!(!events.is_null(), "no memory for the recording");
        *self.lock() = Log { events, length: 0 };
    }

    /// Ends the recording. Blocks that are older than it are left out.
    ///
    /// # Panics
    /// If there was no recording, or it became too long.
    pub fn stop(&self) -> Vec<Call> {
        let log =
            std::mem::replace(&mut *self.lock(), Log { events: std::ptr::null_mut(), length: 0 });
        assert!(!log.events.is_null(), "nothing was started");
        assert!(log.length < CAPACITY, "the recording is too long");
        // SAFETY: `length` events were written. Their memory is leaked: once per process.
        let events = unsafe { std::slice::from_raw_parts(log.events, log.length) };
        number(events)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Performs a call under the lock, so that the order of the log is that of the calls.
    /// `layout` is that of the block afterwards, empty when there is none.
    fn log(&self, layout: Layout, old: *mut u8, call: impl FnOnce() -> *mut u8) -> *mut u8 {
        let mut log = self.lock();
        let new = call();
        let failed = new.is_null() && layout.size() > 0;
        if !log.events.is_null() && log.length < CAPACITY && !failed {
            let event = Event {
                old,
                new,
                size: u32::try_from(layout.size()).unwrap_or(u32::MAX),
                align_log2: layout.align().trailing_zeros() as u8,
            };
            // SAFETY: there is room for CAPACITY events.
            unsafe { log.events.add(log.length).write(event) };
            log.length += 1;
        }
        new
    }
}

// SAFETY: all memory comes from `System`, whose rules are passed on.
unsafe impl GlobalAlloc for Recorder {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: passed on.
        self.log(layout, std::ptr::null_mut(), || unsafe { System.alloc(layout) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: passed on.
        self.log(layout, std::ptr::null_mut(), || unsafe { System.alloc_zeroed(layout) })
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        self.log(Layout::new::<()>(), ptr, || {
            // SAFETY: passed on.
            unsafe { System.dealloc(ptr, layout) };
            std::ptr::null_mut()
        });
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: a valid alignment, and sizes that the caller vouches for.
        let new_layout = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
        // SAFETY: passed on.
        self.log(new_layout, ptr, || unsafe { System.realloc(ptr, layout, new_size) })
    }
}

/// Turns addresses into block numbers.
fn number(events: &[Event]) -> Vec<Call> {
    let mut live = HashMap::new();
    let mut blocks = 0;
    let mut calls = Vec::new();
    for event in events {
        if event.old.is_null() {
            live.insert(event.new, blocks);
            blocks += 1;
            calls.push(Call::Alloc { size: event.size, align_log2: event.align_log2 });
            continue;
        }
        let Some(block) = live.remove(&event.old) else { continue };
        if event.new.is_null() {
            calls.push(Call::Free { block });
        } else {
            live.insert(event.new, block);
            calls.push(Call::Realloc { block, new_size: event.size });
        }
    }
    calls
}
