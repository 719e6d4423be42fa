//! A lending library's catalogue, with Talc as the global allocator over 64 MiB of static memory.
//!
//! ```text
//! cargo run --release --example global_allocator
//! ```
//!
//! The program writes a data file of some 8 MB (into memory), reads it into nested collections,
//! indexes it, answers questions, weeds out half of the books and buys new ones. All of its strings,
//! vectors and maps, and whatever the standard library allocates, come from the one array below.

mod common;
mod library;

use std::time::Instant;

use common::{grouped, show, Bytes, Picture};
use library::{ask, write, Library};
use talc::base::Counters;
use talc::{source::Claim, RawSpinlock, TalcLock};

const ARENA_SIZE: usize = 64 << 20;
static mut ARENA: [u8; ARENA_SIZE] = [0; ARENA_SIZE];

#[global_allocator]
static TALC: TalcLock<RawSpinlock, Claim> =
    // SAFETY: nothing else uses `ARENA`.
    TalcLock::new(unsafe { Claim::array(&raw mut ARENA) });

const BOOKS: u32 = 60_000;
const READERS: u32 = 20_000;
const LOANS: u32 = 280_000;
const NEW_BOOKS: u32 = 15_000;

fn main() -> Result<(), String> {
    println!("A library's catalogue. Its memory: {} of static array.\n", Bytes(ARENA_SIZE));
    println!("{:<6} {:>9} {:>12} {:>10}  what", "phase", "time", "allocations", "live");

    let text = phase("write", || {
        let text = write::catalogue(0..BOOKS, READERS, LOANS);
        let what = format!("{} lines, {}", grouped(text.lines().count()), Bytes(text.len()));
        Ok((text, what))
    })?;
    let mut library = Library::default();
    phase("read", || {
        library.read(&text)?;
        let (books, readers) = (grouped(library.books.len()), grouped(library.readers.len()));
        Ok(((), format!("{books} books and {readers} readers, with their loans")))
    })?;
    phase("index", || {
        library.index();
        let (words, authors) = (library.words.len(), grouped(library.by_author.len()));
        Ok(((), format!("{words} words of titles, {authors} authors")))
    })?;
    let answers = phase("ask", || {
        let answers = [
            ask::subjects(&library),
            ask::most_borrowed(&library),
            ask::towns_of_readers(&library),
            ask::search(&library, &["silent", "river"]),
        ];
        Ok((answers, "4 questions, answered below".into()))
    })?;
    let (full, full_counters) = picture_of_heap();

    phase("weed", || {
        drop(text);
        let removed = library.weed();
        Ok(((), format!("{} books that nobody wants, and the file itself", grouped(removed))))
    })?;
    let (weeded, weeded_counters) = picture_of_heap();

    phase("buy", || {
        let text = write::catalogue(BOOKS..BOOKS + NEW_BOOKS, 0, 0);
        library.read(&text)?;
        library.index();
        Ok(((), format!("{} books, into the holes", grouped(NEW_BOOKS as usize))))
    })?;

    println!();
    answers.iter().for_each(|answer| println!("{answer}"));
    show("The heap with everything loaded", &full, &full_counters);
    show("The heap after weeding", &weeded, &weeded_counters);
    let (bought, counters) = picture_of_heap();
    show("The heap with the new books", &bought, &counters);
    println!("\n{counters}");
    Ok(())
}

/// Runs a part of the program, and prints what it did, how long it took and what it allocated.
fn phase<T>(name: &str, run: impl FnOnce() -> Result<(T, String), String>) -> Result<T, String> {
    let before = TALC.lock().counters().total_allocation_count;
    let start = Instant::now();
    let (result, what) = run()?;
    let ms = start.elapsed().as_secs_f64() * 1e3;
    // A copy, so that the guard is dropped before `println!` allocates.
    let counters = *TALC.lock().counters();
    let allocations = grouped((counters.total_allocation_count - before) as usize);
    let live = Bytes(counters.allocated_bytes);
    println!("{name:<6} {ms:>6.1} ms {allocations:>12} {live:>10}  {what}");
    Ok(result)
}

fn picture_of_heap() -> (Picture<6>, Counters) {
    let arena = (&raw const ARENA).cast::<u8>();
    let mut picture = Picture::of(arena..arena.wrapping_add(ARENA_SIZE));
    // Allocating while the guard lives would wait forever. So this only writes to the picture's array,
    // and prints later.
    let talc = TALC.lock();
    talc.visit(|part| picture.add(part));
    (picture, *talc.counters())
}
