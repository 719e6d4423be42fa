//! How far the program has got: lines on stderr, which `score.rs` of the benchmarks reads.

/// The rule is broken from here on.
pub const MISUSE: &str = "[misuse]";
/// The rule has been broken. What follows keeps the rules.
pub const AFTER: &str = "[after]";
/// Memory was handed out that is in use, or memory in use was written to.
pub const TWICE: &str = "[twice]";
/// The case does not apply to this allocator, or to blocks of this size.
pub const SKIPPED: &str = "[skipped]";
/// The program has come to its end.
pub const END: &str = "[end]";

/// Says it at once. Allocates nothing, as the allocator may be the program's.
pub fn say(step: &str) {
    eprintln!("{step}");
}
