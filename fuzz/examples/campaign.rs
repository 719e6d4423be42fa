//! Runs the models for as many operations as wanted, from numbered seeds, and says how it went. See
//! `fuzz/CAMPAIGN.md`.

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, Subcommand};
use fuzz::campaign::{last_operation, run_core, run_wrapper, Length};
use fuzz::Config;

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    model: Model,
    /// The number of operations in all; for wrappers, for each wrapper and source.
    #[arg(long, global = true, default_value_t = 1_000_000)]
    operations: u64,
    /// The number of operations from each seed.
    #[arg(long, global = true, default_value_t = 10_000)]
    length: u64,
    /// Check everything after so many operations.
    #[arg(long, global = true, default_value_t = 100)]
    check_every: u64,
    /// The first seed: to go on where a campaign ended.
    #[arg(long, global = true, default_value_t = 0)]
    first_seed: u64,
    /// Say how far it is after so many seconds.
    #[arg(long, global = true, default_value_t = 60)]
    report_every: u64,
}

#[derive(Subcommand)]
enum Model {
    /// The core over heaps that are managed by hand.
    Core,
    /// Each wrapper over each source. The binnings take turns.
    Wrappers {
        /// Only those whose name, as `Lock/Claim/Default`, contains this.
        #[arg(long, default_value = "")]
        only: String,
    },
}

/// One model, and how far it is.
struct Run<'a> {
    name: String,
    body: Box<dyn Fn(u64) + 'a>,
}

impl Arguments {
    fn seeds(&self) -> std::ops::Range<u64> {
        let count = self.operations.div_ceil(self.length);
        self.first_seed..self.first_seed + count
    }

    /// Runs each seed. Returns whether nothing was found.
    fn run(&self, Run { name, body }: Run<'_>) -> bool {
        let start = Instant::now();
        let (mut reported, mut failed) = (0, 0);
        let seeds = self.seeds();
        for seed in seeds.clone() {
            if catch_unwind(AssertUnwindSafe(|| body(seed))).is_err() {
                println!("{name}: seed {seed} FAILED at operation {}", last_operation());
                failed += 1;
            }
            let seconds = start.elapsed().as_secs();
            if seconds >= reported + self.report_every {
                reported = seconds;
                let done = (seed + 1 - seeds.start) * self.length;
                println!("{name}: {done} operations, up to seed {seed}, {failed} failed");
            }
        }
        let operations = (seeds.end - seeds.start) * self.length;
        let each = start.elapsed().as_nanos() / u128::from(operations);
        println!(
            "{name}: seeds {} to {}, {operations} operations ({each} ns each), {failed} failed",
            seeds.start,
            seeds.end - 1
        );
        failed == 0
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let length = Length { operations: arguments.length, check_every: arguments.check_every };
    println!(
        "{} operations from each seed, all checked after {}, debug assertions: {}",
        length.operations,
        length.check_every,
        cfg!(debug_assertions)
    );
    let mut is_sound = true;
    match &arguments.model {
        Model::Core => {
            let body = Box::new(|seed| run_core(seed, length));
            is_sound &= arguments.run(Run { name: "core".into(), body });
        }
        Model::Wrappers { only } => {
            let mut all = Config::all();
            all.retain(|config| config.to_string().contains(only.as_str()));
            // Each wrapper and source is a run; its binnings take turns.
            for same in all.chunk_by(|a, b| (a.wrapper, a.source) == (b.wrapper, b.source)) {
                let body = Box::new(|seed| {
                    run_wrapper(same[seed as usize % same.len()], seed, length);
                });
                let name = format!("{:?}/{:?}", same[0].wrapper, same[0].source);
                is_sound &= arguments.run(Run { name, body });
            }
        }
    }
    println!("{}", if is_sound { "sound" } else { "NOT SOUND" });
    if is_sound {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
