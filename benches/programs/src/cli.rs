//! The command line of the `with_*` binaries: run one program, report time and memory.

use crate::programs::ALL;
use anyhow::{Context, Result};
use std::time::Instant;

/// Runs the program named by the first argument in as many threads at a time as the second says, as many times
/// over as the third says, and prints nanoseconds, peak resident KiB and a checksum. Without arguments, lists the
/// programs with their usual scale.
pub fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let Some(name) = args.next() else {
        for program in ALL {
            println!("{} {}", program.name, program.end_to_end);
        }
        return Ok(());
    };
    let program = ALL.iter().find(|program| program.name == name).context("no such program")?;
    let threads: usize = args.next().map_or(Ok(1), |threads| threads.parse())?;
    let scale = args.next().map_or(Ok(program.end_to_end), |scale| scale.parse())?;
    let start = Instant::now();
    let sum = match threads {
        1 => (program.run)(scale),
        _ => in_threads(threads, || (program.run)(scale)),
    };
    let elapsed = start.elapsed().as_nanos();
    println!("{elapsed} {} {sum}", peak_kib().unwrap_or(0));
    Ok(())
}

/// Runs `work` in each of them. Returns the sum of what it returns.
fn in_threads(threads: usize, work: impl Fn() -> u64 + Sync) -> u64 {
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(&work)).collect();
        let sums = workers.into_iter().map(|worker| worker.join().expect("no program panics"));
        sums.fold(0, u64::wrapping_add)
    })
}

/// The most memory that was resident at once, where the system tells.
fn peak_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
