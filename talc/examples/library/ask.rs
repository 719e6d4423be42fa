//! Questions to the catalogue, and their answers as text.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashSet};
use std::fmt::Write;

use super::{Book, Library};
use crate::common::grouped;

/// Groups loans by subject.
pub(crate) fn subjects(library: &Library) -> String {
    let mut groups = BTreeMap::<&str, (usize, usize)>::new();
    for book in library.books.values() {
        for subject in &book.subjects {
            let (loans, days) = groups.entry(subject).or_default();
            *loans += book.loans.len();
            *days += book.loans.iter().map(|loan| usize::from(loan.days)).sum::<usize>();
        }
    }
    let mut answer = "Loans by subject\n".to_owned();
    for (subject, (loans, days)) in groups {
        let average = days as f64 / loans as f64;
        let _ = writeln!(answer, "  {subject:<12} {:>8}  {average:.1} days each", grouped(loans));
    }
    answer
}

/// Lists the five books with the most loans.
pub(crate) fn most_borrowed(library: &Library) -> String {
    let mut top = BinaryHeap::new();
    for (&id, book) in &library.books {
        top.push(Reverse((book.loans.len(), id)));
        if top.len() > 5 {
            top.pop();
        }
    }
    let mut answer = "Most borrowed\n".to_owned();
    for Reverse((loans, id)) in top.into_sorted_vec() {
        let Book { title, author, year, .. } = &library.books[&id];
        let _ = writeln!(answer, "  {loans:>4} loans  {title} ({author}, {year})");
    }
    answer
}

/// Lists the towns in which the readers of the author with the most loans live: a join of authors, books,
/// loans and readers.
pub(crate) fn towns_of_readers(library: &Library) -> String {
    let loans_of = |books: &[u32]| books.iter().map(|id| library.books[id].loans.len()).sum();
    let most = library.by_author.iter().max_by_key(|(_, books)| -> usize { loans_of(books) });
    let Some((author, books)) = most else { return String::new() };
    let mut towns = BTreeMap::<&str, HashSet<&str>>::new();
    for loan in books.iter().flat_map(|id| &library.books[id].loans) {
        let reader = &library.readers[&loan.reader];
        towns.entry(&reader.town).or_default().insert(&reader.name);
    }
    let mut answer = format!("Where readers of {author} live\n");
    for (town, names) in towns {
        let _ = writeln!(answer, "  {town:<12} {:>8} names", names.len());
    }
    answer
}

/// Lists the books that have all of the words in their titles.
pub(crate) fn search(library: &Library, words: &[&str]) -> String {
    let sets = words.iter().map(|&word| library.words.get(word).map_or(&[][..], |ids| ids));
    let common = sets.map(|ids| ids.iter().copied().collect::<HashSet<u32>>());
    let found = common.reduce(|some, others| &some & &others).unwrap_or_default();
    format!("Titles with {words:?}: {}", grouped(found.len()))
}
