//! The command line: one sub-command per figure, and `all`.

use anyhow::Result;
use benches::figures::{self, Options};
use benches::plot;
use benches::report::{self, Figure, Origin};
use clap::{Args, Parser, Subcommand};

/// The figures in the order of `RESULTS.md`.
const ORDER: [&str; 9] =
    ["traces", "random", "pair", "counts", "tail", "smallest", "growing", "fill", "locked"];

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
    /// Instructions and mispredicted branches, through valgrind
    Counts,
    /// The worst single call
    Tail,
    /// Pairs, stacks, queues and a growing vector
    Pair,
    /// What `counts` runs under valgrind
    #[command(hide = true)]
    ReplayPlan {
        /// workload:contender
        items: Vec<String>,
    },
    /// Write RESULTS.md and the plots from the figures kept in results/
    Report,
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    let options =
        Options { only: cli.common.only, traces: cli.common.trace, rounds: cli.common.rounds };
    let tasks = match cli.command {
        Task::Report => return write_report(),
        Task::ReplayPlan { items } => return figures::counts::replay_plan(&options, &items),
        task => vec![task],
    };
    for task in tasks {
        let mut figure = measure(&task, &options)?;
        figure.command = format!("cargo run --release -p benches -- {}", figure.id);
        figure.origin = Origin::here();
        figure.print();
        if cli.common.save {
            figure.save()?;
        }
    }
    if cli.common.save {
        write_report()?;
    }
    Ok(())
}

fn measure(task: &Task, options: &Options) -> Result<Figure> {
    Ok(match task {
        Task::Random => figures::random::measure(options),
        Task::Traces => figures::traces::measure(options)?,
        Task::Locked => figures::traces::measure_locked(options)?,
        Task::Smallest => figures::smallest::measure(options)?,
        Task::Growing => figures::growing::measure(options)?,
        Task::Fill => figures::fill::measure(options),
        Task::Counts => figures::counts::measure(options)?,
        Task::Tail => figures::tail::measure(options)?,
        Task::Pair => figures::pair::measure(options),
        Task::Report | Task::ReplayPlan { .. } => unreachable!("not a figure"),
    })
}

/// `RESULTS.md` and the plots from all kept figures, in the order of the document.
fn write_report() -> Result<()> {
    let mut kept = Vec::new();
    for id in ORDER {
        let path = report::home().join("results").join(format!("{id}.json"));
        if path.exists() {
            kept.push(Figure::load(&path)?);
        }
    }
    for chart in kept.iter().flat_map(|figure| &figure.charts) {
        plot::draw(chart)?;
    }
    std::fs::write(report::home().join("RESULTS.md"), report::document(&kept))?;
    Ok(())
}
