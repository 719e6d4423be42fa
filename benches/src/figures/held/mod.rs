//! Bytes held over blocks of another allocator: at most, and once everything is freed.

#[cfg(test)]
mod tests;

use super::{progress, traces, Options};
use crate::contender::{
    baseline, ours, Contender, Talc5Api, Talc5Global, TalcApi, TalcGlobal, USUAL,
};
use crate::held::{self, Held, ObjectSize};
use crate::replay::Slots;
use crate::report::{number, Bar, Course, Figure, Table};
use crate::workload::passing::{crowd, layers, mixed, Order};
use crate::workload::Workload;
use anyhow::{ensure, Context, Result};

/// Points of a line.
const SAMPLES: usize = 200;

/// What Talc may hold over what talc 5.1.1 does.
const GOAL: f64 = 1.2;

/// The source that is drawn.
const DRAWN: &str = "GlobalAllocSource";

/// How much is replayed.
struct Scale {
    mixed_calls: usize,
    mixed_most: usize,
    /// The large objects between layers of small ones, and how many of those.
    layers: (u32, usize),
    crowd: usize,
    pairs: usize,
}

const FULL: Scale = Scale {
    mixed_calls: 2_000_000,
    mixed_most: 8000,
    layers: (16 << 20, 2000),
    crowd: 300_000,
    pairs: 10_000,
};

/// Measures the figure.
pub fn measure(options: &Options) -> Result<Figure> {
    let sections = sections(&FULL, options)?;
    let rows = || sections.iter().flat_map(|section| &section.rows);
    let at_edge = sections.iter().filter(|section| section.is_edge).flat_map(|s| &s.rows);
    let fetched = at_edge.map(|row| row.ours.fetched as f64).fold(f64::NAN, f64::max);
    let worst = rows().map(Row::ratio).fold(f64::NAN, f64::max);
    let bar = |what: String, goal, value| Bar { what, goal, at_least: false, value };
    Ok(Figure {
        id: String::from("held"),
        title: String::from("Bytes held over blocks of another allocator"),
        text: format!(
            "Talc and talc 5.1.1 take blocks from an allocator that counts what they hold of it, \
             with `GlobalAllocSource` and with `AllocatorSource`. Nothing is timed. Blocks are as \
             large as a source takes them if it is not told, 1 MiB (4 MiB for talc 5.1.1's \
             `AllocatorSource`), or as large as the row says. Columns, in KiB: the most bytes live \
             at once, the most held, and those held once everything is freed, without a call of \
             `trim`, with Talc's over talc 5.1.1's. Last, the number of blocks fetched. In the \
             last table it is that of {} pairs: an object for which a further block was needed is \
             freed and allocated again and again.",
            FULL.pairs
        ),
        tables: sections.iter().map(Section::table).collect(),
        courses: courses(&sections),
        bars: vec![
            bar(String::from("held once everything is freed, worst, over talc 5.1.1"), GOAL, worst),
            bar(
                format!("blocks fetched by {} pairs at the edge, most", FULL.pairs),
                100.0,
                fetched,
            ),
        ],
        losses: losses(&sections),
        ..Figure::default()
    })
}

/// Some workloads, and what was held.
struct Section {
    title: &'static str,
    /// Whether pairs at the edge of a block are counted.
    is_edge: bool,
    rows: Vec<Row>,
}

/// One workload with one source.
struct Row {
    workload: String,
    source: &'static str,
    /// Calls, and the bytes live after each so many of them; none at the edge of a block.
    calls: usize,
    live: Vec<f64>,
    ours: Held,
    theirs: Held,
}

impl Row {
    /// What Talc holds once everything is freed over what talc 5.1.1 does.
    fn ratio(&self) -> f64 {
        self.ours.after as f64 / self.theirs.after as f64
    }
}

/// A source in both crates.
struct Source {
    name: &'static str,
    ours: Version,
    theirs: Version,
}

/// One of the crates with a source, as functions that are monomorphised for it.
struct Version {
    name: &'static str,
    replay: fn(&Workload, &mut Slots, usize) -> Option<Held>,
    edge: fn(ObjectSize, usize) -> Option<Held>,
}

impl Version {
    fn of<C: Contender>() -> Self {
        Self { name: C::NAME, replay: held::replay::<C>, edge: held::edge::<C> }
    }
}

impl Source {
    fn of<Ours: Contender, Theirs: Contender>(name: &'static str) -> Self {
        Self { name, ours: Version::of::<Ours>(), theirs: Version::of::<Theirs>() }
    }

    /// Calls `measure` for both crates.
    fn both(&self, mut measure: impl FnMut(&Version) -> Option<Held>) -> Result<(Held, Held)> {
        let mut one = |version: &Version| {
            measure(version)
                .with_context(|| format!("{}, {}: out of memory", version.name, self.name))
        };
        Ok((one(&self.ours)?, one(&self.theirs)?))
    }
}

/// Blocks of the usual size.
fn usual_sources() -> Vec<Source> {
    vec![
        Source::of::<TalcGlobal<USUAL>, Talc5Global<USUAL>>(DRAWN),
        Source::of::<TalcApi<USUAL>, Talc5Api<USUAL>>("AllocatorSource"),
    ]
}

/// Blocks of other sizes, the same for both.
fn other_sources() -> Vec<Source> {
    const SMALL: usize = 8 << 10;
    const MIDDLE: usize = 64 << 10;
    const MIB: usize = 1 << 20;
    vec![
        Source::of::<TalcGlobal<SMALL>, Talc5Global<SMALL>>("GlobalAllocSource, 8 KiB"),
        Source::of::<TalcApi<SMALL>, Talc5Api<SMALL>>("AllocatorSource, 8 KiB"),
        Source::of::<TalcGlobal<MIDDLE>, Talc5Global<MIDDLE>>("GlobalAllocSource, 64 KiB"),
        Source::of::<TalcApi<MIDDLE>, Talc5Api<MIDDLE>>("AllocatorSource, 64 KiB"),
        Source::of::<TalcApi<MIB>, Talc5Api<MIB>>("AllocatorSource, 1 MiB"),
    ]
}

/// Objects that a further block is needed for.
const AT_EDGE: [(&str, ObjectSize); 3] = [
    ("pair of 64 bytes", |_| 64),
    ("pair of 5,000 bytes", |_| 5000),
    ("pair of five eighths of a block", |block| block / 8 * 5),
];

/// Measures everything.
fn sections(scale: &Scale, options: &Options) -> Result<Vec<Section>> {
    let wanted = |workloads: Vec<Workload>| -> Vec<Workload> {
        workloads.into_iter().filter(|workload| options.wants_trace(&workload.name)).collect()
    };
    let programs: Vec<Workload> =
        traces::load(options)?.into_iter().map(|subject| subject.workload).collect();
    let mixed = wanted(vec![mixed(scale.mixed_calls, scale.mixed_most)]);
    let (large, small) = scale.layers;
    let layers = wanted([true, false].map(|first| layers(large, small, first)).into());
    let crowds = wanted(Order::ALL.map(|order| crowd(scale.crowd, order)).into());
    let blocks: Vec<Workload> = mixed.iter().chain(&crowds).cloned().collect();

    let (usual, other) = (usual_sources(), other_sources());
    let mut slots = Slots::default();
    let mut sections = Vec::new();
    let groups = [
        ("Recorded programs", &programs, &usual),
        ("Many calls, 8 bytes to 64 KiB", &mixed, &usual),
        ("Sixteen large objects, small ones of one size after each", &layers, &usual),
        ("Many small objects", &crowds, &usual),
        ("Blocks of other sizes", &blocks, &other),
    ];
    let steps = groups.iter().map(|(_, workloads, _)| workloads.len()).sum::<usize>();
    let progress = progress("held", steps + AT_EDGE.len());
    for (title, workloads, sources) in groups {
        let mut rows = Vec::new();
        for workload in workloads {
            progress.step(&workload.name);
            for source in sources {
                rows.push(replay(workload, source, &mut slots)?);
            }
        }
        sections.push(Section { title, is_edge: false, rows });
    }
    let mut rows = Vec::new();
    for (name, size) in AT_EDGE.into_iter().filter(|(name, _)| options.wants_trace(name)) {
        progress.step(name);
        for source in &usual {
            let (ours, theirs) = source.both(|version| (version.edge)(size, scale.pairs))?;
            let (workload, source) = (name.to_owned(), source.name);
            rows.push(Row { workload, source, calls: 0, live: Vec::new(), ours, theirs });
        }
    }
    sections.push(Section { title: "Pairs at the edge of a block", is_edge: true, rows });
    sections.retain(|section| !section.rows.is_empty());
    ensure!(!sections.is_empty(), "no workload has such a name");
    Ok(sections)
}

fn replay(workload: &Workload, source: &Source, slots: &mut Slots) -> Result<Row> {
    let (ours, theirs) = source.both(|version| (version.replay)(workload, slots, SAMPLES))?;
    Ok(Row {
        workload: workload.name.clone(),
        source: source.name,
        calls: workload.ops.len() + workload.cleanup.len(),
        live: held::live_samples(workload, SAMPLES),
        ours,
        theirs,
    })
}

impl Section {
    fn table(&self) -> Table {
        let columns = [
            "workload",
            "source",
            "live, most",
            "held, most: talc",
            "5.1.1",
            "at the end: talc",
            "5.1.1",
            "ratio",
            "blocks: talc",
            "5.1.1",
        ];
        let mut table = Table::new(self.title, columns);
        for row in &self.rows {
            let Row { workload, source, ours, theirs, .. } = row;
            let kib = |bytes: isize| format!("{:.0}", bytes as f64 / 1024.0);
            let live = |held: &Held| kib(held.peak_live as isize);
            table.row([
                workload.clone(),
                (*source).to_owned(),
                // How many objects fill a block depends on the crate.
                if live(ours) == live(theirs) {
                    live(ours)
                } else {
                    format!("{}, {}", live(ours), live(theirs))
                },
                kib(ours.peak),
                kib(theirs.peak),
                kib(ours.after),
                kib(theirs.after),
                format!("{:.2}", row.ratio()),
                ours.fetched.to_string(),
                theirs.fetched.to_string(),
            ]);
        }
        table
    }
}

/// Workloads that are drawn, and the names of the files.
const COURSES: [(&str, &str); 4] = [
    ("mixed", "held-mixed"),
    ("large ones first", "held-large-first"),
    ("small ones first", "held-small-first"),
    ("search", "held-search"),
];

fn courses(sections: &[Section]) -> Vec<Course> {
    let rows = || sections.iter().flat_map(|section| &section.rows);
    let drawn = COURSES.into_iter().filter_map(|(workload, file)| {
        let row = rows().find(|row| row.workload == workload && row.source == DRAWN)?;
        let mib = |bytes: &[f64]| bytes.iter().map(|bytes| bytes / f64::from(1 << 20)).collect();
        Some(Course {
            file: file.to_owned(),
            title: format!("Bytes held with {DRAWN}: {workload}"),
            across: String::from("calls"),
            end: row.calls as f64,
            axis: String::from("MiB"),
            least: (String::from("live bytes"), mib(&row.live)),
            series: vec![
                (ours().to_owned(), mib(&row.ours.samples)),
                (baseline().to_owned(), mib(&row.theirs.samples)),
            ],
        })
    });
    drawn.collect()
}

/// Where talc 5.1.1 holds less in the end, one line for each source.
fn losses(sections: &[Section]) -> Vec<String> {
    let mut losses: Vec<(&str, Vec<String>)> = Vec::new();
    for row in sections.iter().flat_map(|section| &section.rows) {
        if row.ratio() > 1.0 {
            let found = format!("{} ({})", row.workload, number(row.ratio()));
            match losses.iter_mut().find(|(source, _)| *source == row.source) {
                Some((_, all)) => all.push(found),
                None => losses.push((row.source, vec![found])),
            }
        }
    }
    let line = |(source, all): &(&str, Vec<String>)| {
        format!(
            "held once everything is freed, {source}: talc 5.1.1 holds less on {}",
            all.join("; ")
        )
    };
    losses.iter().map(line).collect()
}
