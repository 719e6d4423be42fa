//! How many bytes of flash and RAM an allocator takes in firmware.

use super::{progress, Options};
use crate::report::{Bar, Figure, Table};
use crate::subproject;
use anyhow::{ensure, Context, Result};
use std::process::Command;

const TARGET: &str = "thumbv7m-none-eabi";

/// The profiles of `flash/Cargo.toml`.
const PROFILES: [&str; 2] = ["opt-s", "opt-z"];

/// As in tables, and the features of the firmware.
const CONTENDERS: [(&str, &str); 11] = [
    ("talc", "talc"),
    ("talc small", "small"),
    ("talc tiny", "tiny"),
    ("talc tiny, no grow in place", "tiny,no-grow"),
    ("talc tiny, no realloc in place", "tiny,no-realloc"),
    ("talc 5.1.1", "talc5"),
    ("talc 5.1.1, no grow in place", "talc5,no-grow"),
    ("talc 5.1.1, no realloc in place", "talc5,no-realloc"),
    ("embedded-alloc, TLSF", "tlsf"),
    ("embedded-alloc, linked list", "linked-list"),
    (NONE, ""),
];

/// The firmware in which every request fails.
const NONE: &str = "(none)";

/// The sizes of sections.
#[derive(Clone, Copy)]
struct Sections {
    text: u64,
    data: u64,
    bss: u64,
}

impl Sections {
    fn flash(self) -> u64 {
        self.text + self.data
    }

    fn ram(self) -> u64 {
        self.data + self.bss
    }
}

/// Measures the figure.
pub fn measure(options: &Options) -> Result<Figure> {
    let wanted = |name: &str| name == NONE || options.wants(name);
    let contenders: Vec<_> = CONTENDERS.into_iter().filter(|(name, _)| wanted(name)).collect();
    let progress = progress("flash", contenders.len());
    let mut built = Vec::new();
    for (name, features) in contenders {
        progress.step(name);
        let sections: Vec<Sections> =
            PROFILES.iter().map(|profile| build(profile, features)).collect::<Result<_>>()?;
        built.push((name, sections));
    }
    drop(progress);
    let (_, none) = built.pop().context("there is always the last one")?;
    let flash = |sections: &[Sections], index: usize| {
        sections[index].flash().saturating_sub(none[index].flash())
    };
    let mut table = Table::new(
        "Bytes that an allocator adds to a firmware",
        ["bytes", "flash, opt-level s", "flash, opt-level z", "RAM beside a heap of 32 KiB"],
    );
    for (name, sections) in &built {
        let ram = sections[1].ram().saturating_sub(none[1].ram());
        let cells = [flash(sections, 0), flash(sections, 1), ram].map(|bytes| bytes.to_string());
        table.row([(*name).to_owned()].into_iter().chain(cells));
    }
    let bar = |ours: &str, theirs: &str| {
        let of = |name: &str| built.iter().find(|(known, _)| *known == name);
        let goal = flash(&of(theirs)?.1, 1) as f64;
        let value = flash(&of(ours)?.1, 1) as f64;
        let what = format!("flash of {ours}, opt-level z, beside {theirs}");
        Some(Bar { what, goal, at_least: false, value })
    };
    let bars =
        [("talc tiny", "talc 5.1.1"), ("talc tiny, no realloc in place", "embedded-alloc, TLSF")];
    Ok(Figure {
        id: String::from("flash"),
        title: String::from("Firmware: flash and RAM"),
        text: String::from(
            "A firmware for Cortex-M3 that allocates, reallocates and frees, with a lock that masks interrupts, \
             less one in which every request fails. The copying of memory, 744 bytes that most firmware has \
             anyway, is in it. embedded-alloc always moves. Each has a heap of 32 KiB; Talc and talc 5 have their \
             tables in it, unless Talc is tiny or small.",
        ),
        tables: vec![table],
        bars: bars.into_iter().filter_map(|(ours, theirs)| bar(ours, theirs)).collect(),
        ..Figure::default()
    })
}

/// Builds a firmware, and returns the sizes of its sections.
fn build(profile: &str, features: &str) -> Result<Sections> {
    let mut cargo = subproject::build("flash");
    cargo.args(["--quiet", "--locked", "--profile", profile, "--features", features]);
    let status = cargo.status().context("running cargo")?;
    ensure!(status.success(), "no firmware: is there a `rustup target add {TARGET}`?");
    let binary = subproject::target("flash").join(TARGET).join(profile).join("flash");
    let output = Command::new("size").arg(binary).output().context("running size, of binutils")?;
    let text = String::from_utf8(output.stdout)?;
    let numbers = text.lines().nth(1).unwrap_or_default().split_whitespace();
    let numbers: Vec<u64> = numbers.flat_map(str::parse).collect();
    match numbers[..] {
        [text, data, bss, ..] => Ok(Sections { text, data, bss }),
        _ => anyhow::bail!("size says {text}"),
    }
}
