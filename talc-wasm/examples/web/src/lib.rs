//! A small wiki, compiled to a WebAssembly module: what a page calls.
//!
//! The page runs it twice, once with Talc and once with the allocator that Rust has by default.
//! With Talc, it can also show what is where in the heap.

#[cfg(feature = "talc")]
mod map;
mod text;
mod wiki;

use std::cell::RefCell;

pub use wiki::Wiki;

thread_local! {
    static WIKI: RefCell<Wiki> = const { RefCell::new(Wiki::new()) };
}

/// Does this many steps of work. Returns a checksum of everything done so far, which does not
/// depend on the allocator.
#[no_mangle]
pub extern "C" fn work(steps: u32) -> u32 {
    WIKI.with(|wiki| {
        let mut wiki = wiki.borrow_mut();
        (0..steps).for_each(|_| wiki.step());
        wiki.checksum()
    })
}

/// Returns the number of documents.
#[no_mangle]
pub extern "C" fn documents() -> usize {
    WIKI.with(|wiki| wiki.borrow().documents())
}
