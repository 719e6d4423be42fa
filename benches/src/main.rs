//! The command line: one sub-command per figure, and `all`.

use anyhow::Result;
use benches::figures::{self, Options};
use benches::report::{self, Figure, Origin};
use benches::{overview, plot};
use clap::{Args, Parser, Subcommand};
use std::time::Instant;

/// All figures, in the order of `RESULTS.md`.
const ALL: [Task; 20] = [
    Task::Traces,
    Task::Churn,
    Task::Random,
    Task::Pair,
    Task::Counts,
    Task::Tail,
    Task::Masked,
    Task::Smallest,
    Task::Growing,
    Task::Spread,
    Task::Fill,
    Task::Held,
    Task::Flash,
    Task::Usable,
    Task::Zkvm,
    Task::Programs,
    Task::Locked,
    Task::Threads,
    Task::Score,
    Task::Hardening,
];

/// The figures of `RESULTS_WASM.md`.
const WASM: [Task; 5] =
    [Task::WasmBytes, Task::WasmLoops, Task::WasmTraces, Task::WasmProgram, Task::WasmThreads];

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
    /// Only contenders whose name contains one of these
    #[arg(long, global = true, value_delimiter = ',')]
    only: Vec<String>,
    /// Only traces whose name contains one of these
    #[arg(long, global = true, value_delimiter = ',')]
    trace: Vec<String>,
    /// Rounds per contest
    #[arg(long, global = true)]
    rounds: Option<usize>,
    /// In `counts`, arenas of this many times what a workload uses at most, instead of roomy ones
    #[arg(long, global = true, conflicts_with = "save")]
    room: Option<f64>,
    /// What `replay-plan` replays, as workload:contender
    #[arg(long, global = true, hide = true)]
    replay: Vec<String>,
    /// Keep the figures in results/ and write the documents and the plots anew
    #[arg(long, global = true)]
    save: bool,
}

#[derive(Clone, Copy, Subcommand)]
enum Task {
    /// Random allocations, frees and reallocs
    Random,
    /// Recorded programs over a roomy arena
    Traces,
    /// Objects replaced at random in a working set of a constant size
    Churn,
    /// Recorded programs, each call behind a lock
    Locked,
    /// The smallest heap in which each recorded program completes
    Smallest,
    /// How far a heap grows in steps of 64 KiB
    Growing,
    /// How far large blocks spread that are replaced at random
    Spread,
    /// How full an arena is when it first fails
    Fill,
    /// Bytes held over blocks of another allocator, and once everything is freed
    Held,
    /// Instructions and mispredicted branches, through valgrind
    Counts,
    /// The worst single call
    Tail,
    /// For how many instructions a lock that masks interrupts is held
    Masked,
    /// Pairs, stacks, queues, a growing vector, what is built up and taken down, and what C allocates
    Pair,
    /// Whole programs with each allocator as their global one
    Programs,
    /// Every figure but those of `wasm`, kept in results/ (as with --save)
    All,
    /// WebAssembly: bytes, speed and pages in node and wasmtime
    Wasm,
    /// WebAssembly: bytes of modules
    WasmBytes,
    /// WebAssembly: pairs, churn, random actions and a doubling buffer
    WasmLoops,
    /// WebAssembly: recorded programs
    WasmTraces,
    /// WebAssembly: a whole program
    WasmProgram,
    /// WebAssembly: modules with threads
    WasmThreads,
    /// Firmware: flash and RAM
    Flash,
    /// How much of a small heap can be used, on RISC-V in QEMU
    Usable,
    /// Retired instructions on RISC-V, in QEMU
    Zkvm,
    /// Many threads on one heap: churn, pairs, hand-off, larson
    Threads,
    /// Which misuse is noticed, and when
    Score,
    /// What the tiers of hardening cost, on whole programs
    Hardening,
    /// What `counts` runs under valgrind
    #[command(hide = true)]
    ReplayPlan,
    /// Write the documents and the plots from the figures kept in results/
    Report,
}

impl Task {
    /// Its name on the command line and in `results/`.
    fn id(self) -> &'static str {
        match self {
            Task::Random => "random",
            Task::Traces => "traces",
            Task::Churn => "churn",
            Task::Locked => "locked",
            Task::Smallest => "smallest",
            Task::Growing => "growing",
            Task::Spread => "spread",
            Task::Fill => "fill",
            Task::Held => "held",
            Task::Counts => "counts",
            Task::Tail => "tail",
            Task::Masked => "masked",
            Task::Pair => "pair",
            Task::Programs => "programs",
            Task::Flash => "flash",
            Task::Usable => "usable",
            Task::Zkvm => "zkvm",
            Task::Threads => "threads",
            Task::Score => "score",
            Task::Hardening => "hardening",
            Task::All => "all",
            Task::Wasm => "wasm",
            Task::WasmBytes => "wasm-bytes",
            Task::WasmLoops => "wasm-loops",
            Task::WasmTraces => "wasm-traces",
            Task::WasmProgram => "wasm-program",
            Task::WasmThreads => "wasm-threads",
            Task::ReplayPlan => "replay-plan",
            Task::Report => "report",
        }
    }
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    let options = Options {
        only: cli.common.only,
        traces: cli.common.trace,
        rounds: cli.common.rounds,
        room: cli.common.room,
    };
    let tasks = match cli.command {
        Task::Report => return write_report(),
        Task::ReplayPlan => {
            return figures::counts::replay_plan(&options, &cli.common.replay);
        }
        Task::All => ALL.to_vec(),
        Task::Wasm => WASM.to_vec(),
        task => vec![task],
    };
    let save = cli.common.save || matches!(cli.command, Task::All);
    let start = Instant::now();
    for (index, &task) in tasks.iter().enumerate() {
        let minutes = start.elapsed().as_secs_f64() / 60.0;
        eprintln!("figure {} of {}, {minutes:.1} minutes so far", index + 1, tasks.len());
        let mut figure = measure(task, &options)?.rounded();
        figure.command = command(task);
        figure.origin = Origin::here();
        figure.print();
        if save {
            figure.save()?;
        }
    }
    if save {
        write_report()?;
    }
    Ok(())
}

/// How to measure a figure again: with the same options, but alone.
fn command(task: Task) -> String {
    let mut words = vec![String::from("cargo run --release -p benches --"), task.id().to_owned()];
    let given = std::env::args().skip(1);
    let tasks = [&ALL[..], &WASM, &[Task::All, Task::Wasm]].concat();
    words.extend(given.filter(|word| tasks.iter().all(|task| task.id() != word.as_str())));
    words.join(" ")
}

/// Measures on one core, the last one: a thread that is moved to another one finds its caches
/// empty.
fn settled<T: Send>(measure: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let cores = core_affinity::get_core_ids().unwrap_or_default();
            if let Some(&last) = cores.last() {
                core_affinity::set_for_current(last);
            }
            measure()
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn measure(task: Task, options: &Options) -> Result<Figure> {
    Ok(match task {
        Task::Random => settled(|| figures::random::measure(options)),
        Task::Traces => settled(|| figures::traces::measure(options))?,
        Task::Churn => settled(|| figures::churn::measure(options)),
        Task::Locked => settled(|| figures::traces::measure_locked(options))?,
        Task::Smallest => figures::smallest::measure(options)?,
        Task::Growing => figures::growing::measure(options)?,
        Task::Spread => figures::spread::measure(options),
        Task::Fill => figures::fill::measure(options),
        Task::Held => figures::held::measure(options)?,
        Task::Counts => figures::counts::measure(options)?,
        Task::Tail => figures::tail::measure(options)?,
        Task::Masked => figures::masked::measure(options)?,
        Task::Pair => settled(|| figures::pair::measure(options)),
        Task::Programs => figures::programs::measure(options)?,
        Task::Flash => figures::flash::measure(options)?,
        Task::Usable => figures::usable::measure(options)?,
        Task::Zkvm => figures::zkvm::measure(options)?,
        Task::Threads => figures::threads::measure(options),
        Task::Score => figures::score::measure(options)?,
        Task::Hardening => figures::hardening::measure(options)?,
        Task::WasmBytes => figures::wasm_bytes::measure(options)?,
        Task::WasmLoops => figures::wasm_speed::measure_loops(options)?,
        Task::WasmTraces => figures::wasm_speed::measure_traces(options)?,
        Task::WasmProgram => figures::wasm_speed::measure_program(options)?,
        Task::WasmThreads => figures::wasm_threads::measure(options)?,
        Task::All | Task::Wasm | Task::Report | Task::ReplayPlan => unreachable!("not a figure"),
    })
}

/// The documents and the plots from all kept figures, without measuring anything.
fn write_report() -> Result<()> {
    let mut kept = write_document("RESULTS.md", "Results", "notes.md", &ALL)?;
    kept.extend(write_document(
        "RESULTS_WASM.md",
        "Results in WebAssembly",
        "notes_wasm.md",
        &WASM,
    )?);
    plot::draw(&overview::write(&kept)?)
}

/// Writes a document of the figures that are kept, in this order, and of notes written by hand. Returns
/// the figures.
fn write_document(file: &str, title: &str, notes: &str, tasks: &[Task]) -> Result<Vec<Figure>> {
    let mut kept = Vec::new();
    for task in tasks {
        let path = report::home().join("results").join(format!("{}.json", task.id()));
        if path.exists() {
            let figure = Figure::load(&path)?.rounded();
            // In the form of today, should it be kept in another one.
            figure.save()?;
            kept.push(figure);
        }
    }
    if kept.is_empty() {
        return Ok(kept);
    }
    for chart in kept.iter().flat_map(|figure| &figure.charts) {
        plot::draw(chart)?;
    }
    for course in kept.iter().flat_map(|figure| &figure.courses) {
        plot::draw_course(course)?;
    }
    let notes = std::fs::read_to_string(report::home().join("results").join(notes))?;
    std::fs::write(report::home().join(file), report::document(title, &notes, &kept))?;
    Ok(kept)
}
