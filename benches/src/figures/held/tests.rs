use super::*;

const QUICK: Scale = Scale {
    mixed_calls: 40_000,
    mixed_most: 1000,
    layers: (2 << 20, 100),
    crowd: 20_000,
    pairs: 200,
};

const PROGRAMS: [&str; 14] = [
    "archive",
    "codegen",
    "entities",
    "graph",
    "javascript",
    "json",
    "markdown",
    "messages",
    "search",
    "server",
    "sql",
    "templates",
    "toml",
    "xml",
];
const LAYERS: [&str; 2] = ["large ones first", "small ones first"];
const CROWDS: [&str; 3] =
    ["1 to 250 bytes, in order", "1 to 250 bytes, in reverse", "1 to 250 bytes, shuffled"];
const OBJECTS: [&str; 3] =
    ["pair of 64 bytes", "pair of 5,000 bytes", "pair of five eighths of a block"];
const USUAL_SOURCES: [&str; 2] = ["GlobalAllocSource", "AllocatorSource"];
const OTHER_SOURCES: [&str; 5] = [
    "GlobalAllocSource, 8 KiB",
    "AllocatorSource, 8 KiB",
    "GlobalAllocSource, 64 KiB",
    "AllocatorSource, 64 KiB",
    "AllocatorSource, 1 MiB",
];

fn measured(scale: &Scale) -> Vec<Section> {
    sections(scale, &Options::default()).unwrap()
}

/// What is wrong with what one crate held.
fn check(held: &Held, live: &[f64], pairs: Option<usize>) {
    assert!(held.peak_live > 0);
    assert!(held.peak >= held.peak_live as isize, "held less than was live");
    assert!((0..=held.peak).contains(&held.after), "{} held in the end", held.after);
    assert_eq!(held.dropped, 0, "blocks that the source never gave back");
    if let Some(pairs) = pairs {
        assert!(held.fetched <= pairs && held.returned <= pairs);
        return;
    }
    assert!(held.fetched > 0 && held.returned <= held.fetched);
    assert_eq!(held.fetched == held.returned, held.after == 0);
    assert_eq!(held.samples.len(), live.len());
    assert!(held.samples.iter().zip(live).all(|(held, live)| held >= live), "live but not held");
    assert_eq!(held.samples.last(), Some(&(held.after as f64)));
}

#[test]
fn rows_are_complete_and_possible() {
    let sections = measured(&QUICK);
    let many = [&["mixed"], &CROWDS[..]].concat();
    let expected: [(&[&str], &[&str]); 6] = [
        (&PROGRAMS, &USUAL_SOURCES),
        (&["mixed"], &USUAL_SOURCES),
        (&LAYERS, &USUAL_SOURCES),
        (&CROWDS, &USUAL_SOURCES),
        (&many, &OTHER_SOURCES),
        (&OBJECTS, &USUAL_SOURCES),
    ];
    assert_eq!(sections.len(), expected.len());
    for (section, (workloads, sources)) in sections.iter().zip(expected) {
        let rows: Vec<(&str, &str)> =
            section.rows.iter().map(|row| (row.workload.as_str(), row.source)).collect();
        let wanted: Vec<(&str, &str)> = workloads
            .iter()
            .flat_map(|&workload| sources.iter().map(move |&source| (workload, source)))
            .collect();
        assert_eq!(rows, wanted, "{}", section.title);
        let table = section.table();
        assert_eq!(table.rows.len(), rows.len());
        assert!(table.rows.iter().all(|cells| cells.len() == table.columns.len()));
        let pairs = section.is_edge.then_some(QUICK.pairs);
        for row in &section.rows {
            check(&row.ours, &row.live, pairs);
            check(&row.theirs, &row.live, pairs);
            assert!(row.ratio().is_finite());
        }
    }
    assert_eq!(courses(&sections).len(), COURSES.len());
}

/// A pair of calls at the edge of a block does not fetch and return it each time.
#[test]
fn pairs_at_the_edge_keep_their_block() {
    for row in measured(&QUICK).iter().filter(|section| section.is_edge).flat_map(|s| &s.rows) {
        let Row { workload, source, ours, .. } = row;
        let fetched = ours.fetched;
        assert!(fetched * 100 <= QUICK.pairs, "{workload}, {source}: {fetched} blocks fetched");
    }
}

/// Once everything is freed, Talc holds at most [`GOAL`] times what talc 5.1.1 does.
#[test]
fn gives_back_what_talc5_gives_back() {
    let sections = measured(&FULL);
    let over: Vec<String> = sections
        .iter()
        .flat_map(|section| &section.rows)
        .filter(|row| row.ratio() > GOAL)
        .map(|row| format!("{:.2} times on {}, {}", row.ratio(), row.workload, row.source))
        .collect();
    assert!(over.is_empty(), "holds more than talc 5.1.1:\n{}", over.join("\n"));
}
