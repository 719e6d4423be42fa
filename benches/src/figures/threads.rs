//! Many threads on one heap.

use super::speed::{least_of, mean_of};
use super::Options;
use crate::contender::{threaded, Kind, Threaded};
use crate::report::{Bar, Chart, Figure, Table};
use crate::stats::median;
use crate::workload::threads::{Pattern, PATTERNS};

/// The numbers of threads.
const THREADS: [usize; 3] = [1, 2, 4];

/// Rounds, unless told otherwise.
const ROUNDS: usize = 11;

/// Measures the figure.
pub fn measure(options: &Options) -> Figure {
    let contenders = threaded(|name| options.wants(name));
    let subjects: Vec<(Pattern, usize)> = PATTERNS
        .iter()
        .flat_map(|&pattern| THREADS.map(|threads| (pattern, threads)))
        .filter(|(pattern, threads)| pattern.works_with(*threads))
        .filter(|(pattern, _)| options.wants_trace(pattern.name()))
        .collect();
    let times = run(&contenders, &subjects, options.rounds.unwrap_or(ROUNDS).max(1));
    let results = Results { contenders, subjects, times };
    Figure {
        id: String::from("threads"),
        title: String::from("Threads"),
        text: String::from(
            "One, two and four threads that run at a time on this machine's cores, each through \
             `GlobalAlloc`, of which no call is inlined. Churn: each thread has 1,000 live blocks of 8 to 512 \
             bytes, of which one, chosen at random, is freed and another one allocated. Pair: a block of 64 \
             bytes is allocated and freed at once. Hand-off: a thread allocates blocks of 8 to 512 bytes, and \
             another one frees them. Larson: as churn, with blocks of 8 to 1,000 bytes; twenty times, threads \
             end and pass their blocks to a new thread. Times are those of each thread, for each block that is \
             allocated and freed; where there are more threads than cores, they wait in part. The heaps \
             of Talc have the same lock, `RawYieldLock`, and an arena; \"no lock\" is a `TalcSyncCell`; frusa takes its memory from the \
             system's allocator; buddy-slab-allocator has an arena.",
        ),
        tables: vec![results.time_table()],
        charts: vec![results.chart()],
        bars: results.bars(),
        losses: results.losses(),
        ..Figure::default()
    }
}

/// Nanoseconds per block, for each subject, contender and round. Contenders take turns.
fn run(
    contenders: &[Threaded],
    subjects: &[(Pattern, usize)],
    rounds: usize,
) -> Vec<Vec<Vec<f64>>> {
    let progress = super::progress("threads", subjects.len());
    subjects
        .iter()
        .map(|&(pattern, threads)| {
            progress.step(&name_of(pattern, threads));
            let mut times = vec![Vec::new(); contenders.len()];
            for round in 0..rounds {
                for turn in 0..contenders.len() {
                    let index = (turn + round) % contenders.len();
                    if threads > contenders[index].threads {
                        continue;
                    }
                    times[index].push(pattern.time(contenders[index].allocator, threads));
                }
            }
            times
        })
        .collect()
}

fn name_of(pattern: Pattern, threads: usize) -> String {
    format!("{}, {threads}", pattern.name())
}

struct Results {
    contenders: Vec<Threaded>,
    subjects: Vec<(Pattern, usize)>,
    times: Vec<Vec<Vec<f64>>>,
}

impl Results {
    fn ours(&self) -> &'static str {
        "talc sharded"
    }

    fn time(&self, subject: usize, name: &str) -> Option<f64> {
        let index = self.contenders.iter().position(|contender| contender.name == name)?;
        Some(median(&self.times[subject][index])).filter(|time| time.is_finite())
    }

    /// Our speed over another's, for each subject: medians of the ratios within a round.
    fn ours_over(&self, name: &str) -> Vec<Option<f64>> {
        let index = |name| self.contenders.iter().position(|contender| contender.name == name);
        let ratios = |times: &Vec<Vec<f64>>| {
            let (ours, theirs) = (&times[index(self.ours())?], &times[index(name)?]);
            let ratios: Vec<f64> =
                theirs.iter().zip(ours).map(|(their, our)| their / our).collect();
            Some(median(&ratios)).filter(|ratio| ratio.is_finite())
        };
        self.times.iter().map(ratios).collect()
    }

    /// As [`ours_over`](Self::ours_over), of one pattern.
    fn ours_over_in(&self, name: &str, pattern: Pattern) -> Vec<Option<f64>> {
        let all = self.ours_over(name).into_iter().zip(&self.subjects);
        all.filter(|(_, subject)| subject.0 == pattern).map(|(ratio, _)| ratio).collect()
    }

    fn names(&self) -> Vec<String> {
        self.subjects.iter().map(|&(pattern, threads)| name_of(pattern, threads)).collect()
    }

    fn time_table(&self) -> Table {
        let columns = [String::from("ns per block")].into_iter().chain(self.names());
        let mut table = Table::new(
            "Nanoseconds per block allocated and freed, of each thread: median; pattern and threads",
            columns,
        );
        for contender in &self.contenders {
            let times = (0..self.subjects.len()).map(|subject| self.time(subject, contender.name));
            let cells = times.map(|time| time.map_or(String::new(), |time| format!("{time:.1}")));
            table.row([contender.name.to_owned()].into_iter().chain(cells));
        }
        table
    }

    /// Millions of blocks in each second, of all threads together.
    fn chart(&self) -> Chart {
        let throughput = |subject: usize, name: &str| {
            let (_, threads) = self.subjects[subject];
            Some(1e3 * threads as f64 / self.time(subject, name)?)
        };
        let series = self.contenders.iter().map(|contender| {
            let values = (0..self.subjects.len()).map(|s| throughput(s, contender.name)).collect();
            (contender.name.to_owned(), values)
        });
        Chart {
            file: String::from("threads"),
            title: String::from("Throughput of 1, 2 and 4 threads"),
            axis: String::from("million blocks per second"),
            groups: self.names(),
            series: series.collect(),
            cut: None,
            floor: 0.0,
        }
    }

    /// How much more two threads do than one.
    fn scaling(&self, name: &str) -> Option<f64> {
        let of = |threads| {
            let wanted = (Pattern::Churn, threads);
            self.time(self.subjects.iter().position(|subject| *subject == wanted)?, name)
        };
        Some(2.0 * of(1)? / of(2)?)
    }

    fn bars(&self) -> Vec<Bar> {
        let bar = |what: &str, goal, value| Bar {
            what: format!("threads, {what}"),
            goal,
            at_least: true,
            value,
        };
        let churn = self.ours_over_in("mimalloc", Pattern::Churn);
        let first = |ratios: Vec<Option<f64>>| {
            ratios.first().copied().flatten().map_or(f64::NAN, |ratio| 1.0 / ratio)
        };
        let scaling = self
            .scaling(self.ours())
            .zip(self.scaling("mimalloc"))
            .map_or(f64::NAN, |(ours, theirs)| ours / theirs);
        vec![
            bar("churn: scaling to two threads over mimalloc's", 0.95, scaling),
            bar("churn: speed over mimalloc, least of 1, 2 and 4 threads", 0.9, least_of(&churn)),
            Bar {
                what: String::from("threads, pair on one thread: time over that without a lock"),
                goal: 2.5,
                at_least: false,
                value: first(self.ours_over_in("talc, no lock", Pattern::Pair)),
            },
            bar(
                "hand-off: speed over the system's, geometric mean",
                1.0,
                mean_of(&self.ours_over_in("system", Pattern::HandOff)),
            ),
            bar(
                "larson: speed over the system's, geometric mean",
                1.0,
                mean_of(&self.ours_over_in("system", Pattern::Larson)),
            ),
        ]
    }

    fn losses(&self) -> Vec<String> {
        let peers = self.contenders.iter().filter(|contender| contender.kind != Kind::Hosted);
        let mut lines = Vec::new();
        for peer in peers.filter(|peer| peer.name != self.ours()) {
            let ratios = self.ours_over(peer.name).into_iter().zip(self.names());
            let places: Vec<String> = ratios
                .filter_map(|(ratio, name)| Some((ratio?, name)))
                .filter(|(ratio, _)| *ratio < 0.99)
                .map(|(ratio, name)| format!("{name} ({:.2})", 1.0 / ratio))
                .collect();
            if !places.is_empty() {
                lines.push(format!("threads: {} is faster on {}", peer.name, places.join("; ")));
            }
        }
        lines
    }
}
