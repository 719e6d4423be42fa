//! The command line: one sub-command per figure, and `all`.

use anyhow::Result;
use benches::figures::{self, Options};
use benches::report::Origin;
use clap::{Args, Parser, Subcommand};

/// Talc measured beside its peers, all in one interleaved run.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Task,
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
struct Common {
    /// Only contenders whose name contains this (may be repeated)
    #[arg(long, global = true)]
    only: Vec<String>,
    /// Only traces whose name contains this (may be repeated)
    #[arg(long, global = true)]
    trace: Vec<String>,
    /// Rounds per contest
    #[arg(long, global = true)]
    rounds: Option<usize>,
    /// Keep the figure in results/ and write RESULTS.md and the plots anew
    #[arg(long, global = true)]
    save: bool,
}

#[derive(Subcommand)]
enum Task {
    /// Random allocations, frees and reallocs
    Random,
    /// Recorded programs over a roomy arena
    Traces,
    /// Recorded programs, each call behind a lock
    Locked,
    /// The smallest heap in which each recorded program completes
    Smallest,
    /// How far a heap grows in steps of 64 KiB
    Growing,
    /// How full an arena is when it first fails
    Fill,
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    let options =
        Options { only: cli.common.only, traces: cli.common.trace, rounds: cli.common.rounds };
    let mut figure = match cli.command {
        Task::Random => figures::random::measure(&options),
        Task::Traces => figures::traces::measure(&options)?,
        Task::Locked => figures::traces::measure_locked(&options)?,
        Task::Smallest => figures::smallest::measure(&options)?,
        Task::Growing => figures::growing::measure(&options)?,
        Task::Fill => figures::fill::measure(&options),
    };
    figure.command = format!("cargo run --release -p benches -- {}", figure.id);
    figure.origin = Origin::here();
    figure.print();
    if cli.common.save {
        figure.save()?;
    }
    Ok(())
}
