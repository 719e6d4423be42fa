//! Creates the catalogue's data file, which is the same each time.

use std::fmt::Write;
use std::ops::Range;

const ADJECTIVES: [&str; 8] =
    ["Silent", "Winter", "Last", "Golden", "Hidden", "Northern", "Broken", "Distant"];
const NOUNS: [&str; 8] =
    ["River", "Harbour", "Garden", "Mountain", "Letter", "Orchard", "Lighthouse", "Journey"];
const PLACES: [[&str; 8]; 3] = [
    ["Bal", "Cor", "Dun", "Fel", "Gar", "Mun", "Ros", "Tem"],
    ["a", "an", "e", "er", "i", "in", "o", "or"],
    ["berg", "dale", "ford", "gate", "ham", "stad", "ton", "wick"],
];
const FIRST: [&str; 8] = ["Ada", "Bruno", "Clara", "Davit", "Elif", "Femi", "Greta", "Hugo"];
const LAST: [&str; 6] = ["Okafor", "Lindqvist", "Moreau", "Tanaka", "Castellanos", "Byrne"];
const SUBJECTS: [&str; 6] = ["history", "poetry", "travel", "crime", "science", "cookery"];
const TOWNS: [&str; 5] = ["Easthaven", "Millbrook", "Stonebridge", "Fairwater", "Oldminster"];

/// Returns a line for each book, reader and loan, with fields separated by semicolons.
pub(crate) fn catalogue(books: Range<u32>, readers: u32, loans: u32) -> String {
    let mut random = Random(u64::from(books.start) + 2024);
    let mut text = String::new();
    // Writing into a string does not fail.
    for book in books.clone() {
        let (adjective, noun) = (random.one_of(&ADJECTIVES), random.one_of(&NOUNS));
        let place: String = PLACES.iter().map(|syllables| random.one_of(syllables)).collect();
        let (first, last) = (random.one_of(&FIRST), random.one_of(&LAST));
        let (initial, year) = (random.letter(), 1900 + random.below(124));
        let _ = write!(text, "B;{book};The {adjective} {noun} of {place};");
        let _ = write!(text, "{first} {initial}. {last};{year};{}", random.one_of(&SUBJECTS));
        // Some books have two subjects.
        let _ = match random.below(3) {
            0 => writeln!(text, ",{}", random.one_of(&SUBJECTS)),
            _ => writeln!(text),
        };
    }
    for reader in 0..readers {
        let (first, last) = (random.one_of(&FIRST), random.one_of(&LAST));
        let _ = writeln!(text, "R;{reader};{first} {last};{}", random.one_of(&TOWNS));
    }
    for _ in 0..loans {
        let (book, reader) = (random.in_demand(books.len()), random.in_demand(readers as usize));
        let _ = writeln!(text, "L;{book};{reader};{}", 1 + random.below(60));
    }
    text
}

/// A linear congruential generator.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % limit
    }

    /// Returns low numbers more often than high ones, because some books and readers are in demand.
    fn in_demand(&mut self, limit: usize) -> usize {
        self.below(limit).min(self.below(limit)).min(self.below(limit))
    }

    fn one_of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len())]
    }

    fn letter(&mut self) -> char {
        char::from(b'A' + self.below(26) as u8)
    }
}
