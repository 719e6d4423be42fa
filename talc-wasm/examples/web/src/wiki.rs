//! A wiki: documents in Markdown with their HTML, headings, words and properties, which come,
//! change and go. Long-lived and short-lived, large and small objects are side by side.

use crate::text::{heading, paragraph, word};
use fastrand::Rng;
use pulldown_cmark::{html, Event, Options, Parser, Tag, TagEnd};
use serde_json::{json, Value};
use std::collections::BTreeMap;

/// The numbers of documents when the wiki is largest, and when it is smallest after it has grown.
const MOST: usize = 600;
const FEWEST: usize = 200;

struct Document {
    source: String,
    html: String,
    headings: Vec<String>,
    /// How often each word occurs: what a search looks at.
    words: BTreeMap<String, u32>,
    properties: Value,
}

/// The wiki.
pub struct Wiki {
    rng: Option<Rng>,
    documents: BTreeMap<u32, Document>,
    next: u32,
    growing: bool,
    checksum: u32,
}

impl Wiki {
    /// Creates a wiki without documents.
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Self {
        Self { rng: None, documents: BTreeMap::new(), next: 0, growing: true, checksum: 0 }
    }

    /// Writes, changes, reads or removes a document.
    pub fn step(&mut self) {
        let mut rng = self.rng.take().unwrap_or_else(|| Rng::with_seed(7));
        if self.documents.len() >= MOST {
            self.growing = false;
        } else if self.documents.len() <= FEWEST {
            self.growing = true;
        }
        match rng.u8(..20) {
            0..=4 if self.growing => self.write(&mut rng),
            0..=1 => self.write(&mut rng),
            2..=6 if !self.growing => self.remove(&mut rng),
            5 => self.remove(&mut rng),
            18 => self.tag(&mut rng),
            19 => self.export(),
            _ => self.edit(&mut rng),
        }
        self.rng = Some(rng);
    }

    /// Returns the number of documents.
    pub fn documents(&self) -> usize {
        self.documents.len()
    }

    /// Returns a checksum of all steps.
    pub fn checksum(&self) -> u32 {
        self.checksum
    }

    fn note(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.checksum = (self.checksum ^ u32::from(byte)).wrapping_mul(0x0100_0193);
        }
    }

    /// Returns one of the documents; `None` if there are none.
    fn any(&mut self, rng: &mut Rng) -> Option<u32> {
        let from = rng.u32(..self.next.max(1));
        let after = self.documents.range(from..).next();
        after.or(self.documents.iter().next()).map(|(&id, _)| id)
    }

    fn write(&mut self, rng: &mut Rng) {
        let mut source = format!("# {}\n\n", heading(rng));
        for _ in 0..rng.usize(2..12) {
            source.push_str(&paragraph(rng));
        }
        let properties = json!({ "author": word(rng), "tags": [word(rng)], "edits": 0 });
        let (html, headings) = render(&source);
        self.note(html.as_bytes());
        let words = count_words(&source);
        self.documents.insert(self.next, Document { source, html, headings, words, properties });
        self.next += 1;
    }

    fn edit(&mut self, rng: &mut Rng) {
        let Some(id) = self.any(rng) else { return };
        let document = self.documents.get_mut(&id).expect("one of the documents");
        if document.source.len() > 6000 {
            let half = document.source[..3000].rfind("\n\n").map_or(0, |end| end + 2);
            document.source.drain(half..);
            document.source.shrink_to_fit();
        }
        document.source.push_str(&paragraph(rng));
        (document.html, document.headings) = render(&document.source);
        document.words = count_words(&document.source);
        let edits = document.properties["edits"].as_u64().unwrap_or(0);
        document.properties["edits"] = json!(edits + 1);
        let length = document.html.len() as u32;
        self.note(&length.to_le_bytes());
    }

    fn tag(&mut self, rng: &mut Rng) {
        let Some(id) = self.any(rng) else { return };
        let document = self.documents.get_mut(&id).expect("one of the documents");
        // As if it were stored: written, read again, and changed.
        let stored = document.properties.to_string();
        document.properties = serde_json::from_str(&stored).expect("just written");
        if let Some(tags) = document.properties["tags"].as_array_mut() {
            tags.push(Value::String(word(rng)));
            tags.truncate(12);
        }
        self.note(stored.as_bytes());
    }

    fn remove(&mut self, rng: &mut Rng) {
        let Some(id) = self.any(rng) else { return };
        let document = self.documents.remove(&id);
        self.note(document.expect("one of the documents").source.as_bytes());
    }

    /// Writes the table of contents of all documents, as one large text.
    fn export(&mut self) {
        let contents: Vec<Value> = self
            .documents
            .iter()
            .map(|(id, document)| json!({ "id": id, "headings": document.headings }))
            .collect();
        let text = serde_json::to_string(&contents).expect("values can be written");
        self.note(text.as_bytes());
    }
}

fn count_words(source: &str) -> BTreeMap<String, u32> {
    let mut words = BTreeMap::new();
    for word in source.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        match words.get_mut(word) {
            Some(count) => *count += 1,
            None => drop(words.insert(word.to_owned(), 1)),
        }
    }
    words
}

/// Returns the HTML of a text, and its headings.
fn render(source: &str) -> (String, Vec<String>) {
    let (mut headings, mut current) = (Vec::new(), None);
    let events = Parser::new_ext(source, Options::all()).inspect(|event| match event {
        Event::Start(Tag::Heading { .. }) => current = Some(String::new()),
        Event::End(TagEnd::Heading(_)) => headings.extend(current.take()),
        Event::Text(text) => current.iter_mut().for_each(|current| current.push_str(text)),
        _ => {}
    });
    let mut out = String::new();
    html::push_html(&mut out, events);
    out.shrink_to_fit();
    (out, headings)
}
