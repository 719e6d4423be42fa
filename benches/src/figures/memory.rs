//! What the memory figures share: one number per contender and workload, smaller is better.

use crate::contender::{ours, Entry, Kind};
use crate::report::{Chart, Table};
use crate::stats::mean_of_all;
use std::time::Duration;

/// An allocator that needs longer for one checked replay has no value (a dash in the tables):
/// finding one would take it minutes.
pub const PATIENCE: Duration = Duration::from_millis(500);

/// Heap bytes over live bytes.
pub struct Sizes {
    /// Names of the workloads.
    pub workloads: Vec<String>,
    /// Per contender, a value for each workload; none where it could not take part.
    pub values: Vec<(Entry, Vec<Option<f64>>)>,
}

impl Sizes {
    /// The table, with the mean over all workloads.
    pub fn table(&self, title: &str) -> Table {
        let first = [String::from("heap over live bytes")].into_iter();
        let last = [String::from("geometric mean")];
        let mut table = Table::new(title, first.chain(self.workloads.clone()).chain(last));
        for (entry, values) in &self.values {
            let cells =
                values.iter().map(|value| value.map_or("–".into(), |v| format!("{v:.3}")));
            let mean = crate::report::mean_cell(values);
            table.row([entry.name.to_owned()].into_iter().chain(cells).chain([mean]));
        }
        table
    }

    /// The same as bars that begin at 1.
    pub fn chart(&self, file: &str, title: &str) -> Chart {
        Chart {
            file: file.to_owned(),
            title: title.to_owned(),
            axis: String::from("heap over peak live bytes"),
            groups: self.workloads.clone(),
            series: self.values.iter().map(|(e, v)| (e.name.to_owned(), v.clone())).collect(),
            cut: Some(1.6),
            floor: 1.0,
        }
    }

    fn ours(&self) -> Option<&[Option<f64>]> {
        let found = self.values.iter().find(|(entry, _)| entry.name == ours());
        found.map(|(_, values)| values.as_slice())
    }

    /// The values of other allocators than Talc.
    fn others(&self) -> impl Iterator<Item = &(Entry, Vec<Option<f64>>)> {
        self.values.iter().filter(|(entry, _)| entry.kind != Kind::Ours)
    }

    fn best_other(&self, workload: usize) -> Option<(&'static str, f64)> {
        let known =
            self.others().filter_map(|(entry, values)| Some((entry.name, values[workload]?)));
        known.min_by(|a, b| a.1.total_cmp(&b.1))
    }

    /// Our largest value over the best of the others on the same workload.
    pub fn worst_against_best(&self) -> f64 {
        let Some(ours) = self.ours() else { return f64::NAN };
        (0..ours.len())
            .filter_map(|index| Some(ours[index]? / self.best_other(index)?.1))
            .fold(f64::NAN, f64::max)
    }

    /// Our mean over the best mean among the others.
    pub fn mean_against_best(&self) -> f64 {
        let best =
            self.others().filter_map(|(_, values)| mean_of_all(values)).fold(f64::NAN, f64::min);
        self.ours().and_then(mean_of_all).unwrap_or(f64::NAN) / best
    }

    /// The mean of this contender over ours.
    pub fn mean_against_ours(&self, name: &str) -> f64 {
        let found = self.values.iter().find(|(entry, _)| entry.name == name);
        let mean_of =
            |values: Option<&[Option<f64>]>| values.and_then(mean_of_all).unwrap_or(f64::NAN);
        mean_of(found.map(|(_, values)| values.as_slice())) / mean_of(self.ours())
    }

    /// Workloads on which another contender needs less.
    pub fn losses(&self, figure: &str) -> Vec<String> {
        let Some(ours) = self.ours() else { return Vec::new() };
        let mut losses = Vec::new();
        for (index, workload) in self.workloads.iter().enumerate() {
            if let (Some(ours), Some((name, best))) = (ours[index], self.best_other(index)) {
                if best < ours {
                    losses.push(format!(
                        "{figure}, {workload}: {name} needs {best:.3} of the live bytes, Talc \
                         {ours:.3}"
                    ));
                }
            }
        }
        losses
    }
}
