//! A whole program, whose steps a host calls.

extern crate contender;

/// Does this many steps of the wiki's work.
#[no_mangle]
extern "C" fn program(steps: u32) {
    wiki::work(steps);
}
