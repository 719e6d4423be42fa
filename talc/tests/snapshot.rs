//! Snapshots: what is read from one is what was visited, and nothing else is taken for one.

#[path = "../examples/heap/mod.rs"]
mod heap;

use std::alloc::Layout;
use std::ptr::NonNull;

use heap::draw::{svg, Summary};
use heap::read::{read, Error, Heap, Heaps, Kind, Piece};
use proptest::prelude::*;
use talc::base::{Part, RawTalc, Snapshot};

fn snapshot(talc: &RawTalc) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut snapshot = Snapshot::new(|some| bytes.extend_from_slice(some));
    talc.visit(|part| snapshot.add(part));
    snapshot.finish();
    bytes
}

/// What `visit` says, in the form of what is read.
fn visited(talc: &RawTalc) -> Heaps {
    let address = |ptr: NonNull<u8>| ptr.as_ptr() as u64;
    let mut heaps: Vec<Heap> = Vec::new();
    talc.visit(|part| {
        let (kind, payload, size) = match part {
            Part::Base(base) => {
                heaps.push(Heap { base: address(base), end: 0, parts: Vec::new() });
                return;
            }
            Part::End(end) => {
                heaps.last_mut().unwrap().end = address(end);
                return;
            }
            Part::Table { payload, size } => (Kind::Table, payload, size),
            Part::Allocated { payload, size } => (Kind::Allocated, payload, size),
            Part::Slab { payload, size, slot_size, slots, free_slots } => {
                let [slot_size, slots, free_slots] =
                    [slot_size, slots, free_slots].map(|number| number as u64);
                (Kind::Slab { slot_size, slots, free_slots }, payload, size)
            }
            Part::Gap { payload, size } => (Kind::Gap, payload, size),
            other => panic!("{other:?} is not in a snapshot"),
        };
        let piece = Piece { kind, payload: address(payload), size: size as u64 };
        heaps.last_mut().unwrap().parts.push(piece);
    });
    Heaps { word: std::mem::size_of::<usize>() as u64, heaps }
}

/// Two heaps with a table, slabs, chunks and gaps.
fn with_heaps(check: impl FnOnce(&RawTalc)) {
    let mut memory = vec![0_u128; 16 << 10];
    let base = memory.as_mut_ptr().cast::<u8>();
    let mut talc = <RawTalc>::new();
    // SAFETY: nothing else uses the memory; blocks are freed once, with their layouts.
    unsafe {
        talc.claim(base, 200 << 10).unwrap();
        talc.claim(base.add(201 << 10), 40 << 10).unwrap();
        let layouts = (0..900).map(|n| Layout::from_size_align(1 + n * 7 % 300, 8).unwrap());
        let blocks: Vec<_> =
            layouts.filter_map(|layout| Some((talc.try_allocate(layout)?, layout))).collect();
        for (block, layout) in blocks.into_iter().step_by(3) {
            let _ = talc.deallocate(block.as_ptr(), layout);
        }
    }
    check(&talc);
}

#[test]
fn what_was_visited_is_read() {
    with_heaps(|talc| {
        let expected = visited(talc);
        assert_eq!(expected.heaps.len(), 2);
        let bytes = snapshot(talc);
        assert_eq!(read(&bytes), Ok(visited(talc)));
        let parts: usize = expected.heaps.iter().map(|heap| heap.parts.len()).sum();
        assert!(bytes.len() < 8 * parts + 40, "{} bytes for {parts} parts", bytes.len());

        let summary = Summary(&expected).to_string();
        for text in ["2 heaps", "allocated chunks: ", "slots of ", "gaps: "] {
            assert!(summary.contains(text), "{summary}");
        }
        let picture = svg(&expected);
        assert!(picture.starts_with("<svg ") && picture.ends_with("</svg>\n"));
        assert!(picture.matches("<rect ").count() > parts);
    });
    // Without a heap.
    assert_eq!(read(&snapshot(&<RawTalc>::new())), Ok(visited(&<RawTalc>::new())));
}

/// Every number in a small domain, and those around all powers of two, as an address, a size and a count.
#[test]
fn every_number_is_read_as_it_was_written() {
    let powers = (0..usize::BITS - 3).flat_map(|n| [(1_usize << n) - 1, 1 << n, (1 << n) + 1]);
    for number in (0..1 << 15).chain(powers) {
        let at = |address: usize| NonNull::new(address as *mut u8).unwrap();
        let parts = [
            Part::Base(at(number.max(1))),
            Part::Slab {
                payload: at(number + 16),
                size: number,
                slot_size: 1,
                slots: number,
                free_slots: number,
            },
            Part::Gap { payload: at(2 * number + 32), size: number },
            Part::End(at(3 * number + 64)),
        ];
        let mut bytes = Vec::new();
        let mut snapshot = Snapshot::new(|some| bytes.extend_from_slice(some));
        parts.into_iter().for_each(|part| snapshot.add(part));
        snapshot.finish();
        let n = number as u64;
        let slab = Kind::Slab { slot_size: 1, slots: n, free_slots: n };
        let heap = Heap {
            base: n.max(1),
            end: 3 * n + 64,
            parts: vec![
                Piece { kind: slab, payload: n + 16, size: n },
                Piece { kind: Kind::Gap, payload: 2 * n + 32, size: n },
            ],
        };
        let word = std::mem::size_of::<usize>() as u64;
        assert_eq!(read(&bytes), Ok(Heaps { word, heaps: vec![heap] }), "{number:#x}");
    }
}

#[test]
fn a_part_of_one_is_too_short() {
    with_heaps(|talc| {
        let bytes = snapshot(talc);
        let few = |length: &usize| length % 13 == 0 || length + 40 > bytes.len();
        for length in (6..bytes.len()).filter(few) {
            assert_eq!(read(&bytes[..length]), Err(Error::TooShort), "{length} bytes");
        }
        assert_eq!(read(&bytes[..5]), Err(Error::OtherForm));
    });
}

proptest! {
    /// Whatever is read, it ends, and what it has can be drawn.
    #[test]
    fn anything_else_is_refused_or_drawn(mut bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        bytes.splice(..0, *b"TALC\x01\x08");
        if let Ok(heaps) = read(&bytes) {
            let _ = (svg(&heaps), Summary(&heaps).to_string());
        }
    }
}
