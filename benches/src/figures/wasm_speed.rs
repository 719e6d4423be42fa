//! Speed and memory of allocators in WebAssembly.

use super::speed::{better, Contests};
use super::{progress, Options};
use crate::contender::{baseline, ours, Kind};
use crate::report::{Bar, Chart, Figure, Table};
use crate::wasm::{
    allocators, program, recorded, rows, steady, Builder, Contender, Contents, Host, Level,
    Measured, Plan, Task, Toolchain, FAST, FAST_PEER, HOSTS, LEVELS, SMALL,
};
use anyhow::Result;

/// The host and the level of the goals: what most people run, built as most people build it.
const GOAL: (&str, &str) = (HOSTS[0].name, LEVELS[0].name);

/// Pairs, churn, a random mix, a doubling buffer.
pub fn measure_loops(options: &Options) -> Result<Figure> {
    let toolchain = Toolchain::find()?;
    let tasks = steady(&toolchain.target, options)?;
    let tournament =
        Tournament::run(&toolchain, &tasks, Contents::Workloads, options, 15, "wasm-loops")?;
    let mut figure = tournament.figure("wasm-loops", "loops");
    figure.title = String::from("Loops in WebAssembly");
    figure.text = format!(
        "pair: 32 bytes are allocated and freed. churn: one of 10,000 live objects is freed and \
         another allocated, of 8 to 258 bytes. random mix: about 600 live blocks of up to 10,000 \
         bytes are allocated, freed and resized, measured the second time. doubling: a buffer is \
         resized from 16 bytes to 1 MiB, each time to twice its size, and freed; the time is that \
         of the whole chain. {}",
        tournament.how(&toolchain)
    );
    figure.bars = tournament.bars();
    Ok(figure)
}

/// The recorded programs.
pub fn measure_traces(options: &Options) -> Result<Figure> {
    let toolchain = Toolchain::find()?;
    let tasks = recorded(&toolchain.target, options)?;
    let tournament =
        Tournament::run(&toolchain, &tasks, Contents::Workloads, options, 7, "wasm-traces")?;
    let mut figure = tournament.figure("wasm-traces", "traces");
    figure.title = String::from("Recorded programs in WebAssembly");
    figure.text = format!(
        "What the programs of `programs/` ask of an allocator, replayed twice, of which the \
         second time is measured: the memory is there then. They were recorded on a 64-bit \
         machine, so sizes that depend on pointers are larger than in a module. {}",
        tournament.how(&toolchain)
    );
    Ok(figure)
}

/// A whole program.
pub fn measure_program(options: &Options) -> Result<Figure> {
    let toolchain = Toolchain::find()?;
    let tasks = program(options);
    let tournament =
        Tournament::run(&toolchain, &tasks, Contents::Program, options, 5, "wasm-program")?;
    let mut figure = tournament.figure("wasm-program", "program");
    figure.title = String::from("A whole program in WebAssembly");
    figure.text = format!(
        "The wiki of `talc-wasm/examples/web`, with each allocator as `#[global_allocator]`: \
         documents are written, changed, rendered to HTML (pulldown-cmark), stored as JSON \
         (serde_json) and removed. An operation is such a step; most of its time is not spent in \
         the allocator. {}",
        tournament.how(&toolchain)
    );
    Ok(figure)
}

/// One contest in one host at one level.
pub(super) struct Part {
    host: Host,
    pub(super) level: Level,
    pub(super) contests: Contests,
    /// For each workload, what was measured of each contender.
    measured: Vec<Vec<Measured>>,
}

/// All hosts and levels.
pub(super) struct Tournament {
    contenders: Vec<Contender>,
    workloads: Vec<String>,
    pub(super) parts: Vec<Part>,
    rounds: usize,
}

impl Tournament {
    fn run(
        toolchain: &Toolchain,
        tasks: &[Task],
        contents: Contents,
        options: &Options,
        rounds: usize,
        what: &str,
    ) -> Result<Self> {
        let mut contenders = allocators(options);
        // Programs take longest to build.
        contenders.retain(|each| !(each.variant && contents == Contents::Program));
        let rounds = options.rounds.unwrap_or(rounds).max(1);
        Self::of(toolchain, contenders, &HOSTS, tasks, contents, rounds, what)
    }

    /// These contenders in these hosts.
    pub(super) fn of(
        toolchain: &Toolchain,
        mut contenders: Vec<Contender>,
        hosts: &[Host],
        tasks: &[Task],
        contents: Contents,
        rounds: usize,
        what: &str,
    ) -> Result<Self> {
        // Without tasks, no module takes part.
        contenders.retain(|_| !tasks.is_empty());
        let builder = Builder::new(toolchain);
        let builds = LEVELS.len() * contenders.len();
        let progress = progress(what, builds + hosts.len() * tasks.len());
        let mut modules = Vec::new();
        for level in LEVELS {
            for &contender in &contenders {
                progress.step(&format!("building {}, {}", contender.name, level.name));
                modules.push(builder.build(contender, level, contents)?);
            }
        }
        let plan = Plan { modules, workloads: tasks, rounds };
        let names: Vec<_> = contenders.iter().map(|each| (each.name, each.kind)).collect();
        let workloads: Vec<String> = tasks.iter().map(|task| task.name.clone()).collect();
        let mut parts = Vec::new();
        for &host in hosts {
            let all = host.run(toolchain, &plan, |name| progress.step(name))?;
            for (index, level) in LEVELS.into_iter().enumerate() {
                let here = index * names.len()..(index + 1) * names.len();
                let measured: Vec<_> = all.iter().map(|task| task[here.clone()].to_vec()).collect();
                let contests = Contests {
                    workloads: workloads.clone(),
                    rows: measured.iter().map(|measured| rows(&names, measured)).collect(),
                };
                parts.push(Part { host, level, contests, measured });
            }
        }
        Ok(Self { contenders, workloads, parts, rounds })
    }

    /// What all of these figures have in common.
    fn how(&self, toolchain: &Toolchain) -> String {
        format!(
            "{} rounds, in which the modules of all allocators at both levels take turns in one \
             process, each with a fresh instance; node compiles with its optimising compiler \
             only. talc arena has a fixed region of 64 MiB. Modules are as the compiler leaves \
             them, without wasm-opt. {}",
            self.rounds,
            toolchain.versions()
        )
    }

    /// The part in which goals are set, if it was measured.
    pub(super) fn goal(&self) -> Option<&Part> {
        self.parts.iter().find(|part| (part.host.name, part.level.name) == GOAL)
    }

    /// Tables, charts and losses.
    fn figure(&self, id: &str, what: &str) -> Figure {
        let mut figure = Figure { id: id.to_owned(), ..Figure::default() };
        for part in &self.parts {
            let place = format!("{}, {}", part.host.name, part.level.name);
            for mut table in [part.contests.ratio_table(), part.contests.time_table()] {
                table.title = format!("{place}: {}", table.title);
                figure.tables.push(table);
            }
            figure.losses.extend(part.contests.losses(&format!("{place}, {what}")));
            if part.level == LEVELS[0] {
                let file = format!("{id}-{}", part.host.name);
                let title = format!("Speed in {place}: {what}");
                figure.charts.push(self.without_variants(part.contests.chart(&file, &title)));
            }
        }
        if let Some(goal) = self.goal() {
            figure.tables.push(self.page_table(goal));
            let fewer: Vec<_> = self
                .contenders
                .iter()
                .enumerate()
                .filter(|(_, each)| each.kind != Kind::Ours || each.name == ours())
                .map(|(index, each)| (each.name, self.pages(goal, index, |pages| 1.0 / pages)))
                .collect();
            let what = format!("pages, {what}");
            figure.losses.extend(better(&what, "needs fewer for", &self.workloads, &fewer));
        }
        figure
    }

    /// Leaves out the configurations for which there is no room.
    fn without_variants(&self, mut chart: Chart) -> Chart {
        let is_variant = |name: &str| {
            self.contenders.iter().any(|contender| contender.name == name && contender.variant)
        };
        chart.series.retain(|(name, _)| !is_variant(name));
        chart
    }

    /// Returns a number made of a contender's pages for each workload; none if the memory did not
    /// grow.
    fn pages(&self, part: &Part, contender: usize, of: fn(f64) -> f64) -> Vec<Option<f64>> {
        let pages = part.measured.iter().map(|measured| measured[contender].pages());
        pages.map(|pages| pages.filter(|&pages| pages > 0).map(|pages| of(pages as f64))).collect()
    }

    pub(super) fn page_table(&self, part: &Part) -> Table {
        let title = "Pages of 64 KiB that the memory grew by";
        let columns = [String::from("pages")].into_iter().chain(self.workloads.clone());
        let mut table = Table::new(title, columns);
        for (index, contender) in self.contenders.iter().enumerate() {
            let pages = self.pages(part, index, |pages| pages);
            let cells = pages.iter().map(|pages| pages.map_or(String::new(), |p| p.to_string()));
            table.row([contender.name.to_owned()].into_iter().chain(cells));
        }
        table
    }

    /// Returns the goals, as ratios to the allocator that each is about.
    fn bars(&self) -> Vec<Bar> {
        let Some(part) = self.goal() else { return Vec::new() };
        let place = format!("{}, {}", GOAL.0, GOAL.1);
        let goals = [
            ("pair", ours(), FAST_PEER, 1.2),
            ("pair", FAST, FAST_PEER, 1.2),
            ("churn", ours(), baseline(), 0.5),
            ("churn", FAST, baseline(), 0.5),
            ("random mix", ours(), baseline(), 0.8),
            ("random mix", FAST, baseline(), 0.8),
            ("doubling", ours(), baseline(), 1.0),
            ("doubling", FAST, baseline(), 1.0),
        ];
        let mut bars = Vec::new();
        for (workload, name, other, goal) in goals {
            let at = self.workloads.iter().position(|known| known == workload);
            let speed = |name| at.and_then(|at| part.contests.speedups(name)[at]);
            if let (Some(mine), Some(theirs)) = (speed(name), speed(other)) {
                let what = format!("{place}, {workload}: time of {name} over {other}'s");
                bars.push(Bar { what, goal, at_least: false, value: theirs / mine });
            }
        }
        let small = part.contests.speedups(SMALL);
        let small = small.into_iter().flatten().map(|speed| 1.0 / speed);
        let value = small.fold(f64::NAN, f64::max);
        let what = format!("{place}, worst loop: time of {SMALL} over {}'s", baseline());
        bars.extend((!value.is_nan()).then_some(Bar { what, goal: 1.0, at_least: false, value }));
        for workload in ["churn", "random mix", "doubling"] {
            bars.extend(
                [ours(), FAST].iter().filter_map(|name| self.page_bar(part, name, workload)),
            );
        }
        bars
    }

    /// Pages over the baseline's.
    fn page_bar(&self, part: &Part, name: &str, workload: &str) -> Option<Bar> {
        let at = self.workloads.iter().position(|known| known == workload)?;
        let pages = |name| {
            let index = self.contenders.iter().position(|contender| contender.name == name)?;
            self.pages(part, index, |pages| pages)[at]
        };
        let what = format!("{workload}: pages of {name} over {}'s", baseline());
        let value = pages(name)? / pages(baseline())?;
        Some(Bar { what, goal: 1.0, at_least: false, value })
    }
}
