//! A catalogue read into a tree of nodes, changed and written.

use super::text::{checksum, word, words};
use fastrand::Rng;
use quick_xml::events::{BytesEnd, BytesStart, BytesText, Event};
use quick_xml::{Reader, Writer};
use std::fmt::Write;

// Each child in a box of its own, as trees with parent links have them.
#[allow(clippy::vec_box)]
#[derive(Default)]
struct Node {
    name: String,
    attributes: Vec<(String, String)>,
    text: String,
    children: Vec<Box<Node>>,
}

fn catalogue(rng: &mut Rng) -> String {
    let mut text = String::from("<catalogue>");
    for id in 0..900 {
        let _ = write!(text, "<book id=\"{id}\" lang=\"{}\">", word(rng));
        let _ = write!(text, "<title>{}</title>", words(rng, 4));
        for _ in 0..rng.usize(1..4) {
            let _ =
                write!(text, "<author born=\"{}\">{}</author>", rng.u16(1800..2000), words(rng, 2));
        }
        let _ = write!(text, "<abstract>{}</abstract></book>", words(rng, 30));
    }
    text + "</catalogue>"
}

fn read(text: &str) -> Node {
    let mut reader = Reader::from_str(text);
    let mut open = vec![Node::default()];
    loop {
        match reader.read_event().expect("well-formed") {
            Event::Start(start) => open.push(Node {
                name: String::from_utf8_lossy(start.name().as_ref()).into_owned(),
                attributes: start
                    .attributes()
                    .flatten()
                    .map(|attribute| {
                        let key = String::from_utf8_lossy(attribute.key.as_ref()).into_owned();
                        (key, String::from_utf8_lossy(&attribute.value).into_owned())
                    })
                    .collect(),
                ..Node::default()
            }),
            Event::Text(text) => {
                let node = open.last_mut().expect("a root");
                node.text.push_str(&String::from_utf8_lossy(&text));
            }
            Event::End(_) => {
                let node = open.pop().expect("balanced");
                open.last_mut().expect("a root").children.push(Box::new(node));
            }
            Event::Eof => return open.pop().expect("a root"),
            _ => {}
        }
    }
}

fn write(node: &Node, out: &mut Writer<Vec<u8>>) {
    let mut start = BytesStart::new(node.name.as_str());
    for (key, value) in &node.attributes {
        start.push_attribute((key.as_str(), value.as_str()));
    }
    out.write_event(Event::Start(start)).expect("memory");
    out.write_event(Event::Text(BytesText::new(&node.text))).expect("memory");
    for child in &node.children {
        write(child, out);
    }
    out.write_event(Event::End(BytesEnd::new(node.name.as_str()))).expect("memory");
}

pub(crate) fn run(scale: u32) -> u64 {
    let mut rng = Rng::with_seed(3);
    let mut sum = 0;
    for _ in 0..scale {
        let text = catalogue(&mut rng);
        let mut root = read(&text);
        drop(text);
        let books = &mut root.children[0].children;
        books.sort_by(|a, b| a.children[0].text.cmp(&b.children[0].text));
        books.retain(|_| rng.u8(..5) > 0);
        for _ in 0..2000 {
            let index = rng.usize(..books.len());
            let book = &mut books[index];
            book.attributes.push((format!("mark{}", book.attributes.len()), word(&mut rng)));
            book.children.insert(
                1,
                Box::new(Node {
                    name: "review".into(),
                    text: words(&mut rng, 9),
                    ..Node::default()
                }),
            );
            if book.children.len() > 6 {
                book.children.pop();
            }
        }
        let mut out = Writer::new(Vec::new());
        write(&root.children[0], &mut out);
        sum ^= checksum(&out.into_inner());
    }
    sum
}
