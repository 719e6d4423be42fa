//! No example of a document is left out: each Markdown file of the repository that contains Rust code is
//! the documentation of an item, and so is tested; code that is not compiled says why. And the links of
//! documents lead somewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// What a reason begins with. It is in the paragraph above the code, or in a comment at the code's start.
const REASON: &str = "Not compiled";

/// Whether rustdoc takes a word for an attribute of Rust code.
fn is_rust_attribute(word: &str) -> bool {
    ["rust", "no_run", "should_panic", "compile_fail", "test_harness", "standalone_crate"]
        .contains(&word)
        || ["ignore", "edition"].iter().any(|start| word.starts_with(start))
}

/// Whether a line looks like Rust, and not like anything else that documents contain.
fn is_rust_line(line: &str) -> bool {
    let words = ["let ", "fn ", "use ", "impl ", "static ", "const ", "struct ", "pub ", "unsafe "];
    words.iter().any(|word| line.trim_start().starts_with(word))
        && line.trim_end().ends_with([';', '{', '}'])
        || line.trim_start().starts_with("#[")
}

/// A block of code.
#[derive(Debug, Default, Clone, PartialEq)]
struct Block {
    /// The number of its first line, counted from 1.
    line: usize,
    /// The text after the opening fence.
    info: String,
    code: Vec<String>,
    /// The text from the last blank line before it.
    paragraph: String,
}

impl Block {
    fn words(&self) -> impl Iterator<Item = &str> {
        self.info.split([',', ' ', '{', '}', '.']).filter(|word| !word.is_empty())
    }

    /// Whether rustdoc takes it for Rust.
    fn is_rust(&self) -> bool {
        self.words().all(is_rust_attribute)
    }

    /// Whether it is Rust, but rustdoc does not compile it.
    fn is_left_out(&self) -> bool {
        if self.is_rust() {
            return self.words().any(|word| word.starts_with("ignore"));
        }
        !["toml", "sh"].contains(&&*self.info) && self.code.iter().any(|line| is_rust_line(line))
    }

    fn has_reason(&self) -> bool {
        let first = self.code.first().map_or("", String::as_str);
        self.paragraph.contains(REASON) || first.starts_with(&format!("// {REASON}"))
    }
}

fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<(String, Block)> = None;
    let (mut paragraph, mut is_after_blank) = (String::new(), true);
    for (number, line) in text.lines().enumerate() {
        let start = line.trim_start().trim_start_matches("> ");
        let fence: String = start.chars().take_while(|c| ['`', '~'].contains(c)).collect();
        if let Some((opening, block)) = &mut open {
            if fence.starts_with(&**opening) && start.trim() == fence {
                blocks.push(block.clone());
                (open, paragraph, is_after_blank) = (None, String::new(), true);
            } else {
                block.code.push(line.to_string());
            }
        } else if fence.len() >= 3 {
            let info = start[fence.len()..].trim().to_string();
            let paragraph = std::mem::take(&mut paragraph);
            open = Some((fence, Block { line: number + 1, info, paragraph, code: Vec::new() }));
        } else if line.trim().is_empty() {
            is_after_blank = true;
        } else {
            if std::mem::take(&mut is_after_blank) {
                paragraph.clear();
            }
            paragraph.push_str(line);
            paragraph.push('\n');
        }
    }
    assert!(open.is_none(), "a block of code that does not end");
    blocks
}

/// Returns the folder of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..").canonicalize().unwrap()
}

/// Returns every file below a folder, except for what tools have put there.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    collect_files(folder, &mut found);
    found
}

fn collect_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        if entry.file_type().unwrap().is_dir() {
            if !["target", ".git", "node_modules"].iter().any(|left_out| name == *left_out) {
                collect_files(&entry.path(), found);
            }
        } else {
            found.push(entry.path());
        }
    }
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found == extension)
}

/// Returns the documents that a file of Rust code includes as documentation.
fn included(path: &Path) -> Vec<PathBuf> {
    let text = fs::read_to_string(path).unwrap();
    let names =
        text.split("doc = include_str!(\"").skip(1).filter_map(|rest| rest.split('"').next());
    names.filter_map(|name| path.parent()?.join(name).canonicalize().ok()).collect()
}

#[test]
fn every_example_is_compiled_or_says_why_not() {
    let root = root();
    let all = files(&root);
    let documentation: BTreeSet<_> = all
        .iter()
        .filter(|path| has_extension(path, "rs"))
        .flat_map(|path| included(path))
        .collect();

    let (mut documents, mut examples, mut wrong) = (0, 0, Vec::new());
    for path in all.iter().filter(|path| has_extension(path, "md")) {
        documents += 1;
        let name = path.strip_prefix(&root).unwrap().display();
        let blocks = blocks(&fs::read_to_string(path).unwrap());
        examples += blocks.iter().filter(|block| block.is_rust()).count();
        if blocks.iter().any(Block::is_rust) && !documentation.contains(path) {
            wrong.push(format!("{name}: has Rust code, and is no item's documentation"));
        }
        for block in &blocks {
            if block.is_left_out() && !block.has_reason() {
                let Block { line, info, .. } = block;
                wrong.push(format!(
                    "{name}:{line}: `{info}`, and nothing says \"{REASON}\" and why"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(documents >= 10 && examples >= 30, "{documents} documents, {examples} examples");
}

/// Returns the lines of a document that are not code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    })
}

/// Returns the links that a document defines by lines like `[label]: target`.
fn definitions(text: &str) -> impl Iterator<Item = (&str, &str)> {
    prose(text).filter_map(|line| line.strip_prefix('[')?.split_once("]: "))
}

/// Returns the anchors of a document: its headings, as web pages that show Markdown name them.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = prose(text).filter(|line| line.starts_with('#'));
    let is_kept = |c: &char| c.is_alphanumeric() || [' ', '-', '_'].contains(c);
    let name = |line: &str| line.trim_start_matches('#').trim().to_lowercase();
    headings
        .map(|line| name(line).chars().filter(is_kept).collect::<String>().replace(' ', "-"))
        .collect()
}

#[test]
fn links_lead_somewhere() {
    let root = root();
    let (mut links, mut wrong) = (0, Vec::new());
    for path in files(&root).iter().filter(|path| has_extension(path, "md")) {
        let text = fs::read_to_string(path).unwrap();
        let targets = prose(&text)
            .flat_map(|line| line.split("](").skip(1).filter_map(|rest| rest.split(')').next()))
            .chain(definitions(&text).map(|(_, target)| target));
        // rustdoc checks the links to items.
        let is_file = |target: &&str| !target.contains("://") && !target.starts_with("crate");
        for target in targets.filter(is_file) {
            links += 1;
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let file =
                if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            let has_anchor = || anchors(&fs::read_to_string(&file).unwrap()).contains(anchor);
            if !file.exists() || (!anchor.is_empty() && !has_anchor()) {
                wrong.push(format!("{}: {target}", path.strip_prefix(&root).unwrap().display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(links >= 50, "{links} links");
    assert_eq!(anchors("# A `B` c-d\n```\n# no\n```\n"), BTreeSet::from(["a-b-c-d".to_string()]));
}

/// Returns the labels of links like ``[`label`]`` and `[text][label]`, whose targets are defined elsewhere.
fn labels(text: &str) -> BTreeSet<String> {
    let lines: Vec<_> = prose(text).filter(|line| definitions(line).next().is_none()).collect();
    let text = lines.join("\n");
    let named = text.split("][").skip(1).filter_map(|rest| rest.split(']').next());
    let code = text.match_indices("[`").filter_map(|(start, _)| {
        let (label, rest) = text[start + 1..].split_once(']')?;
        (!rest.starts_with(['(', '['])).then_some(label)
    });
    named.chain(code).map(String::from).collect()
}

/// The guide can be read as files and as the documentation of modules. For the modules, `links.md` defines
/// the links of all pages once more. Both definitions of a link lead to the same place.
#[test]
fn the_guide_links_to_the_same_in_files_and_in_modules() {
    let crate_folder = root().join("talc");
    let guide = crate_folder.join("src/guide");
    let links = fs::read_to_string(guide.join("links.md")).unwrap();
    let links: BTreeMap<_, _> = definitions(&links).collect();

    let mut checked = 0;
    for path in files(&guide).iter().chain([&crate_folder.join("README.md")]) {
        if path.ends_with("links.md") {
            continue;
        }
        let text = fs::read_to_string(path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy();
        let definitions: BTreeMap<_, _> = definitions(&text).collect();
        let defined: BTreeSet<_> = definitions.keys().map(|label| label.to_string()).collect();
        assert_eq!(labels(&text), defined, "{name}: labels used, and labels defined");
        for (label, target) in definitions {
            let item = links.get(label).copied();
            if target.starts_with("https://docs.rs/talc/") {
                // Items of features that are off by default are not in `links.md`.
                let last = item.map_or("", |item| item.rsplit("::").next().unwrap());
                assert!(target.contains(last), "{name}: {label} leads to {target} and {item:?}");
            } else {
                let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
                let file = path.parent().unwrap().join(file).canonicalize().unwrap();
                let stem = file.file_stem().unwrap().to_string_lossy();
                let module = match (&*stem, file.parent() == Some(&*guide)) {
                    ("README", true) => "crate::guide".to_string(),
                    ("README", false) => "crate".to_string(),
                    _ => format!("crate::guide::{stem}"),
                };
                let expected = [&module, anchor].join("#");
                assert_eq!(item, Some(expected.trim_end_matches('#')), "{name}: {label}");
            }
            checked += 1;
        }
    }
    assert!(checked >= 50, "{checked} links");
}

#[test]
fn blocks_are_found() {
    let text =
        "One\ntwo\n\nthree\nfour\n```rust\nlet a = 1;\n```\n- five\n\n  ```text\n  six\n  ```\n\
                ~~~~\n```\n~~~\n~~~~\n";
    let found = blocks(text);
    let lines: Vec<_> = found.iter().map(|block| (block.line, &*block.info)).collect();
    assert_eq!(lines, [(6, "rust"), (11, "text"), (14, "")]);
    assert_eq!(found[0].paragraph, "three\nfour\n");
    assert_eq!(found[1].paragraph, "- five\n");
    assert_eq!(
        (&*found[2].paragraph, &*found[2].code),
        ("", &["```".to_string(), "~~~".to_string()][..])
    );
}

#[test]
fn code_that_is_left_out_is_found() {
    let of = |info: &str, code: &str| blocks(&format!("```{info}\n{code}\n```")).remove(0);
    for info in ["", "rust", "no_run", "rust,edition2021", "rust, should_panic"] {
        let block = of(info, "let a = 1;");
        assert!(block.is_rust() && !block.is_left_out(), "{info}");
    }
    for info in ["ignore", "rust,ignore", "ignore-wasm", "text", "not_rust", "rs", "none"] {
        assert!(of(info, "let a = 1;").is_left_out(), "{info}");
        assert!(!of(info, "let a = 1;").has_reason(), "{info}");
        assert!(of(info, "// Not compiled: no reason.\nlet a = 1;").has_reason(), "{info}");
    }
    for (info, code) in
        [("toml", "talc = 1"), ("sh", "cargo test;"), ("text", "a ──► b"), ("text", "cargo test")]
    {
        assert!(!of(info, code).is_rust() && !of(info, code).is_left_out(), "{info}");
    }
    assert!(blocks("Not compiled, as\nit is none:\n```text\nlet a = 1;\n```")[0].has_reason());
    assert!(!blocks("Not compiled.\n\nThis:\n```text\nlet a = 1;\n```")[0].has_reason());
}
