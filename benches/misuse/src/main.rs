//! Breaks one rule of one allocator, and says how far it gets: `misuse ALLOCATOR CASE SIZE`. Without arguments,
//! lists the cases.
//!
//! Everything is said on stderr, where the allocators say what they have found: so it is in order. Whoever starts
//! this learns from the order, and from how it ends, what was noticed and when.

mod cases;
mod ledger;
mod memory;
mod scene;
mod steps;
mod subject;

use self::scene::{Own, Scene};
use std::alloc::Layout;
use std::process::ExitCode;

/// After so many seconds of work, a program that goes round in circles is ended by a signal.
const PATIENCE: libc::rlim_t = 2;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [allocator, name, size] = &arguments[..] else {
        for case in cases::all() {
            println!("{}\t{}", case.group, case.name);
        }
        return ExitCode::SUCCESS;
    };
    let case = cases::all().find(|case| case.name == name);
    let layout = size.parse().ok().and_then(|size| Layout::from_size_align(size, 8).ok());
    let (Some(case), Some(layout), Some(subject)) = (case, layout, subject::named(allocator, 0))
    else {
        eprintln!("usage: misuse ALLOCATOR CASE SIZE");
        return ExitCode::from(2);
    };
    let limit = libc::rlimit { rlim_cur: PATIENCE, rlim_max: PATIENCE + 1 };
    // SAFETY: only reads the limit.
    unsafe { libc::setrlimit(libc::RLIMIT_CPU, &limit) };
    let mut stack = Own::ZERO;
    let mut scene = Scene::new(allocator, subject, layout, &raw mut stack);
    match (case.run)(&mut scene) {
        Some(()) => scene.go_on(),
        None => steps::say(steps::SKIPPED),
    }
    steps::say(steps::END);
    ExitCode::SUCCESS
}
