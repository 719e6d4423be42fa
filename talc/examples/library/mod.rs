//! A lending library's catalogue, on which the example `global_allocator` works.

pub(crate) mod ask;
pub(crate) mod write;

use std::collections::{BTreeMap, HashMap};

#[derive(Default)]
pub(crate) struct Library {
    pub(crate) books: BTreeMap<u32, Book>,
    pub(crate) readers: HashMap<u32, Reader>,
    /// The books that have a word in their title.
    pub(crate) words: HashMap<String, Vec<u32>>,
    pub(crate) by_author: BTreeMap<String, Vec<u32>>,
}

pub(crate) struct Book {
    title: String,
    author: String,
    year: u16,
    subjects: Vec<String>,
    loans: Vec<Loan>,
}

struct Loan {
    reader: u32,
    days: u16,
}

pub(crate) struct Reader {
    name: String,
    town: String,
    borrowed: Vec<u32>,
}

impl Library {
    /// Adds the records of a data file.
    pub(crate) fn read(&mut self, text: &str) -> Result<(), String> {
        for (number, line) in text.lines().enumerate() {
            self.read_line(line).ok_or_else(|| format!("line {}: not a record", number + 1))?;
        }
        Ok(())
    }

    fn read_line(&mut self, line: &str) -> Option<()> {
        let fields: Vec<&str> = line.split(';').collect();
        match fields[..] {
            ["B", id, title, author, year, subjects] => {
                let book = Book {
                    title: title.to_owned(),
                    author: author.to_owned(),
                    year: year.parse().ok()?,
                    subjects: subjects.split(',').map(String::from).collect(),
                    loans: Vec::new(),
                };
                self.books.insert(id.parse().ok()?, book);
            }
            ["R", id, name, town] => {
                let (name, town) = (name.to_owned(), town.to_owned());
                let reader = Reader { name, town, borrowed: Vec::new() };
                self.readers.insert(id.parse().ok()?, reader);
            }
            ["L", book, reader, days] => {
                let (book, reader) = (book.parse().ok()?, reader.parse().ok()?);
                let loan = Loan { reader, days: days.parse().ok()? };
                self.books.get_mut(&book)?.loans.push(loan);
                self.readers.get_mut(&reader)?.borrowed.push(book);
            }
            _ => return None,
        }
        Some(())
    }

    /// Indexes the books by the words of their titles, and by author.
    pub(crate) fn index(&mut self) {
        self.words.clear();
        self.by_author.clear();
        for (&id, book) in &self.books {
            for word in book.title.split([' ', ',']).filter(|word| !word.is_empty()) {
                let found = self.words.entry(word.to_lowercase()).or_default();
                if found.last() != Some(&id) {
                    found.push(id);
                }
            }
            self.by_author.entry(book.author.clone()).or_default().push(id);
        }
    }

    /// Removes books that are old and rarely borrowed, and what refers to them. Returns how many books
    /// were removed.
    pub(crate) fn weed(&mut self) -> usize {
        let before = self.books.len();
        self.books.retain(|_, book| book.year > 1980 || book.loans.len() > 7);
        for reader in self.readers.values_mut() {
            reader.borrowed.retain(|book| self.books.contains_key(book));
            reader.borrowed.shrink_to_fit();
        }
        self.readers.retain(|_, reader| !reader.borrowed.is_empty());
        self.index();
        before - self.books.len()
    }
}
