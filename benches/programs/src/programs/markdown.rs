//! Documents rendered to HTML with a table of contents.

use super::text::{checksum, word, words};
use fastrand::Rng;
use pulldown_cmark::{html, Event, HeadingLevel, Options, Parser, Tag, TagEnd};
use std::collections::BTreeMap;
use std::fmt::Write;

fn document(rng: &mut Rng) -> String {
    let mut text = format!("# {}\n\n", words(rng, 4));
    for section in 0..rng.usize(8..30) {
        let _ = writeln!(text, "## {} {section}\n", words(rng, 3));
        for _ in 0..rng.usize(1..5) {
            let _ = match rng.u8(..5) {
                0 => writeln!(text, "```rust\nlet {} = {};\n```\n", word(rng), rng.u32(..)),
                1 => writeln!(text, "- {}\n- *{}*\n- `{}`\n", words(rng, 5), word(rng), word(rng)),
                2 => writeln!(
                    text,
                    "| {} | {} |\n|---|---|\n| {} | {} |\n",
                    word(rng),
                    word(rng),
                    words(rng, 3),
                    words(rng, 3)
                ),
                _ => writeln!(
                    text,
                    "{} **{}** [{}](https://{}.example/{}) {}.\n",
                    words(rng, 20),
                    words(rng, 2),
                    word(rng),
                    word(rng),
                    word(rng),
                    words(rng, 15)
                ),
            };
        }
    }
    text
}

pub(crate) fn run(scale: u32) -> u64 {
    let mut rng = Rng::with_seed(4);
    let mut sum = 0;
    for _ in 0..scale {
        let mut site: BTreeMap<String, (Vec<String>, String)> = BTreeMap::new();
        for page in 0..120 {
            let text = document(&mut rng);
            let mut headings = Vec::new();
            let mut current: Option<String> = None;
            let mut events = Vec::new();
            for event in Parser::new_ext(&text, Options::all()) {
                match &event {
                    Event::Start(Tag::Heading { level: HeadingLevel::H2, .. }) => {
                        current = Some(String::new());
                    }
                    Event::End(TagEnd::Heading(HeadingLevel::H2)) => {
                        headings.extend(current.take());
                    }
                    Event::Text(text) => {
                        if let Some(current) = &mut current {
                            current.push_str(text);
                        }
                    }
                    _ => {}
                }
                events.push(event);
            }
            let mut page_html = String::new();
            html::push_html(&mut page_html, events.into_iter());
            site.insert(format!("{}-{page}", word(&mut rng)), (headings, page_html));
        }
        let mut index = String::new();
        for (name, (headings, page)) in &site {
            let _ = writeln!(index, "<h2>{name}</h2><ul><li>{}</ul>", headings.join("<li>"));
            sum ^= checksum(page.as_bytes());
        }
        sum ^= checksum(index.as_bytes());
    }
    sum
}
