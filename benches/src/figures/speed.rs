//! What the speed figures share: contests over a list of workloads, as tables and a chart.

use crate::contender::{baseline, ours, Contender, Entry, Kind, Null};
use crate::replay::Slots;
use crate::report::{mean_cell, number, Chart, Table};
use crate::rounds::{arena_for, contest, Outcome, Row, Setup, Subject};
use crate::stats::geometric_mean;

/// Contests over several workloads.
pub struct Contests {
    /// Names of the workloads.
    pub workloads: Vec<String>,
    /// For each workload, a row per contender.
    pub rows: Vec<Vec<Row>>,
}

impl Contests {
    /// Runs them all.
    pub fn run(entries: &[Entry], subjects: &[Subject], setup: Setup, what: &str) -> Self {
        let mut slots = Slots::default();
        let mut arena = arena_for(subjects);
        let progress = super::progress(what, subjects.len());
        let rows = subjects
            .iter()
            .map(|subject| {
                progress.step(&subject.name);
                contest(entries, subject, arena.region(), setup, &mut slots)
            })
            .collect();
        Self { workloads: subjects.iter().map(|subject| subject.name.clone()).collect(), rows }
    }

    /// The names of the contenders.
    fn names(&self) -> Vec<&'static str> {
        self.rows.first().into_iter().flatten().map(|row| row.name).collect()
    }

    /// The names of all but the loop.
    fn contenders(&self) -> impl Iterator<Item = &'static str> {
        self.names().into_iter().filter(|name| *name != Null::NAME)
    }

    fn row(&self, workload: usize, name: &str) -> Option<&Row> {
        self.rows[workload].iter().find(|row| row.name == name)
    }

    /// Speed over the baseline, per workload.
    pub fn speedups(&self, name: &str) -> Vec<Option<f64>> {
        (0..self.rows.len()).map(|index| self.row(index, name)?.speedup()).collect()
    }

    /// Our speed over another's, per workload, through the baseline of the same rounds.
    pub fn ours_over(&self, name: &str) -> Vec<Option<f64>> {
        let (ours, theirs) = (self.speedups(ours()), self.speedups(name));
        ours.into_iter().zip(theirs).map(|(ours, theirs)| Some(ours? / theirs?)).collect()
    }

    /// Our speed over the fastest peer's (other than ourselves), per workload.
    pub fn ours_over_best_peer(&self) -> Vec<Option<f64>> {
        (0..self.rows.len())
            .map(|index| {
                let peers = self.rows[index].iter().filter(|row| row.kind == Kind::Peer);
                let best = peers.filter_map(Row::speedup).fold(0.0, f64::max);
                Some(self.row(index, ours())?.speedup()? / best)
            })
            .collect()
    }

    /// Nanoseconds per call, with the quartiles of the rounds.
    pub fn time_table(&self) -> Table {
        let columns = [String::from("ns per operation")].into_iter().chain(self.workloads.clone());
        let mut table = Table::new("Nanoseconds per operation: median (quartiles)", columns);
        for name in self.names() {
            let cells = (0..self.rows.len()).map(|index| match self.row(index, name) {
                Some(row) => match &row.outcome {
                    Outcome::Timed(t) => format!("{:.1} ({:.1}–{:.1})", t.median, t.low, t.high),
                    Outcome::SlowerThan(ns) => format!("> {}", number(*ns)),
                    Outcome::Failed(why) => why.clone(),
                },
                None => String::new(),
            });
            table.row([String::from(name)].into_iter().chain(cells));
        }
        table
    }

    /// Speed over the baseline, with the geometric mean.
    pub fn ratio_table(&self) -> Table {
        let title = format!("Speed over {} (above 1 is faster), round by round", baseline());
        self.ratios(&title, Row::speedup)
    }

    /// The same with the time of the measuring loop taken off: what the allocators alone cost.
    pub fn net_ratio_table(&self) -> Table {
        let title = format!("Speed over {}, both net of the loop", baseline());
        self.ratios(&title, Row::net_speedup)
    }

    fn ratios(&self, title: &str, ratio: fn(&Row) -> Option<f64>) -> Table {
        let first = [String::from("times the speed")].into_iter();
        let last = [String::from("geometric mean")];
        let mut table = Table::new(title, first.chain(self.workloads.clone()).chain(last));
        for name in self.contenders() {
            let ratios: Vec<Option<f64>> =
                (0..self.rows.len()).map(|index| ratio(self.row(index, name)?)).collect();
            let cells =
                ratios.iter().map(|ratio| ratio.map_or(String::new(), |r| format!("{r:.2}")));
            table.row([String::from(name)].into_iter().chain(cells).chain([mean_cell(&ratios)]));
        }
        table
    }

    /// The same ratios as bars.
    pub fn chart(&self, file: &str, title: &str) -> Chart {
        let named = |name: &'static str| (name.to_owned(), self.speedups(name));
        let series = self.contenders().map(named).collect();
        Chart {
            file: file.to_owned(),
            title: title.to_owned(),
            axis: format!("times the speed of {}", baseline()),
            groups: self.workloads.clone(),
            series,
            cut: None,
            floor: 0.0,
        }
    }

    /// Lists the contenders that are faster than Talc, and on which workloads, in a line for each.
    pub fn losses(&self, figure: &str) -> Vec<String> {
        let rivals = self.rows.first().into_iter().flatten();
        // Another configuration of Talc is no loss.
        let rivals = rivals.filter(|row| row.kind != Kind::Ours || row.name == ours());
        let speeds = rivals.map(|row| (row.name, self.speedups(row.name)));
        losses(figure, &self.workloads, &speeds.collect::<Vec<_>>())
    }
}

/// Returns, given the speed of each contender on each workload, a line for each one that is faster
/// than Talc anywhere.
pub fn losses(
    figure: &str,
    workloads: &[String],
    speeds: &[(&'static str, Vec<Option<f64>>)],
) -> Vec<String> {
    better(figure, "is faster on", workloads, speeds)
}

/// Returns, given the score of each contender on each workload, a line for each one that is higher
/// than Talc's anywhere. Differences of up to a hundredth are a draw.
pub fn better(
    figure: &str,
    how: &str,
    workloads: &[String],
    scores: &[(&'static str, Vec<Option<f64>>)],
) -> Vec<String> {
    let Some((_, own)) = scores.iter().find(|(name, _)| *name == ours()) else {
        return Vec::new();
    };
    let mut lines = Vec::new();
    for (name, theirs) in scores.iter().filter(|(name, _)| *name != Null::NAME) {
        let places: Vec<String> = (0..workloads.len())
            .filter_map(|index| Some((&workloads[index], theirs[index]? / own[index]?)))
            .filter(|&(_, ratio)| ratio > 1.01)
            .map(|(workload, ratio)| format!("{workload} ({ratio:.2})"))
            .collect();
        if !places.is_empty() {
            lines.push(format!("{figure}: {name} {how} {}", places.join(", ")));
        }
    }
    lines
}

/// The geometric mean of what is known; `NAN` when nothing is.
pub fn mean_of(values: &[Option<f64>]) -> f64 {
    geometric_mean(&values.iter().copied().flatten().collect::<Vec<_>>())
}

/// The smallest of what is known.
pub fn least_of(values: &[Option<f64>]) -> f64 {
    values.iter().copied().flatten().fold(f64::NAN, f64::min)
}
