//! Manifests parsed, edited in place and written, with comments and spacing kept.

use super::text::{checksum, word, words};
use fastrand::Rng;
use std::fmt::Write;
use toml_edit::{value, Array, DocumentMut, Item, Table};

fn manifest(rng: &mut Rng) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "# {}\n[package]\nname = \"{}\"", words(rng, 8), word(rng));
    let _ = writeln!(text, "version = \"{}.{}.0\" # {}", rng.u8(..9), rng.u8(..20), word(rng));
    let _ = writeln!(text, "keywords = [\"{}\", \"{}\"]\n\n[dependencies]", word(rng), word(rng));
    for index in 0..rng.usize(5..40) {
        let name = word(rng);
        let _ = if rng.bool() {
            writeln!(text, "{name}-{index} = \"{}.{}\"", rng.u8(..5), rng.u8(..30))
        } else {
            writeln!(
                text,
                "{name}-{index} = {{ version = \"1.{}\", features = [\"{}\", \"{}\"] }}",
                rng.u8(..30),
                word(rng),
                word(rng)
            )
        };
    }
    for index in 0..rng.usize(2..12) {
        let _ = writeln!(
            text,
            "\n[[bin]]\nname = \"{}-{index}\"\npath = \"src/{index}.rs\"",
            word(rng)
        );
    }
    text
}

pub(crate) fn run(scale: u32) -> u64 {
    let mut rng = Rng::with_seed(2);
    let mut sum = 0;
    for _ in 0..scale {
        let mut workspace: Vec<DocumentMut> =
            (0..150).map(|_| manifest(&mut rng).parse().expect("a manifest")).collect();
        for _ in 0..3 {
            for document in &mut workspace {
                document["package"]["edition"] = value("2021");
                let features = document.entry("features").or_insert(Item::Table(Table::new()));
                let mut list = Array::new();
                list.extend((0..rng.usize(1..5)).map(|_| word(&mut rng)));
                features[&word(&mut rng)] = value(list);
                if let Some(dependencies) = document["dependencies"].as_table_like_mut() {
                    let old = dependencies.iter().next().map(|(name, _)| name.to_owned());
                    if let Some(old) = old {
                        dependencies.remove(&old);
                    }
                    dependencies.insert(&word(&mut rng), value(format!("{}.0", rng.u8(..9))));
                }
            }
            for document in &mut workspace {
                let text = document.to_string();
                sum ^= checksum(text.as_bytes());
                *document = text.parse().expect("just written");
            }
        }
    }
    sum
}
