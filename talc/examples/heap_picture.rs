//! Turns a snapshot of an allocator's heaps into a picture and a summary.
//!
//! ```text
//! cargo run --example heap_picture -- SNAPSHOT PICTURE.svg
//! ```
//!
//! A device writes the snapshot with `talc::base::Snapshot`, a few bytes at a time and without allocating. Without
//! arguments, this program takes one of a heap of its own.

mod heap;

use std::error::Error;
use std::path::PathBuf;

use heap::draw::{svg, Summary};
use heap::read::read;
use talc::base::Snapshot;
use talc::{source::Claim, TalcCell};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args_os().skip(1);
    let (snapshot, picture) = match args.next() {
        Some(file) => {
            let picture = args.next().ok_or("where is the picture to be written?")?;
            (std::fs::read(file)?, PathBuf::from(picture))
        }
        None => (of_a_heap(), std::env::temp_dir().join("heap.svg")),
    };
    let heaps = read(&snapshot)?;
    print!("{}", Summary(&heaps));
    std::fs::write(&picture, svg(&heaps))?;
    println!("{} bytes of snapshot, drawn in {}", snapshot.len(), picture.display());
    Ok(())
}

/// Fills a heap, frees a part of it, and takes a snapshot.
fn of_a_heap() -> Vec<u8> {
    let mut memory = vec![0_u8; 1 << 18];
    // SAFETY: nothing else uses the memory, and nothing allocated outlives it.
    let talc = TalcCell::new(unsafe { Claim::new(memory.as_mut_ptr(), memory.len()) });
    let mut blocks = Vec::new();
    for number in 0..400_usize {
        let mut block = allocator_api2::vec::Vec::new_in(&talc);
        block.resize(16 + number * number % 700, number as u8);
        blocks.push(block);
    }
    blocks.retain(|block| block.len() % 3 != 0);
    let mut sent = Vec::new();
    let mut snapshot = Snapshot::new(|bytes| sent.extend_from_slice(bytes));
    // SAFETY: the closure does not use the allocator.
    unsafe { talc.visit(|part| snapshot.add(part)) };
    snapshot.finish();
    sent
}
