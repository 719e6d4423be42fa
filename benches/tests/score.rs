//! Builds of Talc that look for misuse report it before it does harm, but for what nobody can see, and for what is
//! listed.
#![cfg(all(target_os = "linux", target_pointer_width = "64"))]

use std::collections::BTreeSet;

use benches::figures::score::run;
use benches::misuse::{cases, Outcome, CONTENDERS, SIZES};
use Outcome::{Crash, Harmless, Later};

/// What is not reported in time: the case, the sizes of the blocks, what comes of it.
type Unreported = (&'static str, &'static [usize], Outcome);

/// Without a quarantine: the pointer is right, and the layout.
const REUSED: [Unreported; 1] = [("after another owner got it", &SIZES, Later)];

/// With a quarantine: no slot comes back to its slab as long as the program runs; and where memory runs out, what is
/// kept back is handed out.
const KEPT_BACK: [Unreported; 4] = [
    ("a partial slab, first link", &[40], Harmless),
    ("a partial slab, second link", &[40], Harmless),
    ("a partial slab, free list", &[40], Harmless),
    ("after another owner got it", &[5000], Later),
];

/// In each build.
const HIDDEN: [Unreported; 2] = [
    // Only the processor knows what is mapped.
    ("unmapped memory between two heaps", &SIZES, Crash),
    ("freed after its heap is gone and unmapped", &SIZES, Crash),
];

/// Slots have no headers: what is beyond one is another one's contents, which are restored.
const BEYOND_SLOTS: [Unreported; 14] = [
    ("1 byte, a zero", &[40], Harmless),
    ("1 byte", &[40], Harmless),
    ("8 bytes", &[40], Harmless),
    ("16 bytes", &[40], Harmless),
    ("32 bytes", &[40], Harmless),
    ("16 bytes, and the block above is freed first", &[40], Harmless),
    ("16 bytes, and the block is grown", &[40], Harmless),
    ("16 bytes, and the block is shrunk", &[40], Harmless),
    ("8 bytes in front", &[40], Harmless),
    ("8 bytes in front, zero", &[40], Harmless),
    ("the word in front, lowest bit", &[40], Harmless),
    ("the word in front, second bit", &[40], Harmless),
    ("the word in front, larger by 16", &[40], Harmless),
    ("the word in front, larger by 4096", &[40], Harmless),
];

/// Words that are only used when more happens.
const UNUSED: [Unreported; 4] = [
    ("the current slab, first link", &[40], Harmless),
    ("the current slab, second link", &[40], Harmless),
    ("the heap base, and another heap is claimed", &SIZES, Harmless),
    ("the sentinel", &[40], Harmless),
];

/// Words of a free block that the allocator does not use, and ends of lists.
const UNFILLED: [Unreported; 4] = [
    ("a word in the middle", &SIZES, Harmless),
    ("last word", &[40, 600], Harmless),
    ("first word, zero", &[5000], Harmless),
    ("second word, zero", &[5000], Harmless),
];

/// Without marks, the second word of a free slot is not looked at.
const UNMARKED: [Unreported; 1] = [("second word, zero", &[40, 600], Harmless)];

/// What is found when a list is walked over, or when the gap beside it in its list is used.
const UNWALKED: [Unreported; 1] = [("a partial slab, its header", &[40], Harmless)];

/// The footer of a gap, which the program does not use.
const FOOTERS: [Unreported; 1] = [("last word", &[5000], Harmless)];

/// What the first tier leaves to the second one: whether magazines and bins have addresses in the heap at all, and
/// walks over heaps.
const TABLE: [Unreported; 3] = [
    ("the table, first eighth", &SIZES, Crash),
    ("the table, second eighth", &SIZES, Crash),
    ("the upper half of a heap claimed", &[40], Later),
];

fn reports_misuse(name: &str, lists: &[&[Unreported]]) {
    let talc = CONTENDERS.into_iter().find(|contender| contender.name == name).unwrap();
    let program = talc.build().unwrap();
    let cases = cases(&program).unwrap();
    assert!(cases.len() > 70, "{} cases", cases.len());
    let mut unreported = BTreeSet::new();
    for (case, outcomes) in cases.iter().zip(run(&talc, &program, &cases).unwrap()) {
        for (size, outcome) in SIZES.iter().zip(outcomes) {
            if let Some(outcome) = outcome.filter(|o| !matches!(o, Outcome::Call | Outcome::Next)) {
                unreported.insert((case.name.as_str(), *size, outcome.mark()));
            }
        }
    }
    let listed = lists.iter().copied().flatten().flat_map(|(name, sizes, outcome)| {
        sizes.iter().map(move |size| (*name, *size, outcome.mark()))
    });
    let listed: BTreeSet<_> = listed.collect();
    let new: Vec<_> = unreported.difference(&listed).collect();
    assert!(new.is_empty(), "not reported: {new:#?}");
    let gone: Vec<_> = listed.difference(&unreported).collect();
    assert!(gone.is_empty(), "reported now, so take it out of the list: {gone:#?}");
}

#[test]
fn debug_builds_report_misuse() {
    reports_misuse("talc debug", &[&REUSED, &HIDDEN, &BEYOND_SLOTS, &UNUSED, &UNFILLED, &UNMARKED]);
}

#[test]
fn hardened_builds_report_misuse() {
    reports_misuse(
        "talc hardened",
        &[&REUSED, &HIDDEN, &BEYOND_SLOTS, &UNUSED, &UNFILLED, &UNWALKED, &TABLE],
    );
}

#[test]
fn fully_hardened_builds_report_misuse() {
    reports_misuse("talc hardened-full", &[&REUSED, &HIDDEN, &UNUSED, &UNWALKED, &FOOTERS]);
}

#[test]
fn a_quarantine_finds_what_others_cannot_see() {
    reports_misuse("talc with quarantine", &[&KEPT_BACK, &HIDDEN, &UNUSED, &UNWALKED]);
}
