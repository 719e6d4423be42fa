//! A program that replays calls on an emulated RISC-V processor without atomics: its allocators, building and
//! running it.

use crate::contender::Kind;
use crate::subproject;
use crate::workload::{Op, OpKind};
use anyhow::{bail, ensure, Context, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "riscv32imc-unknown-none-elf";

/// An allocator, and the feature of the program that chooses it.
#[derive(Clone, Copy)]
pub struct Contender {
    /// As in tables.
    pub name: &'static str,
    /// What sort of allocator it is.
    pub kind: Kind,
    feature: &'static str,
}

const fn contender(name: &'static str, kind: Kind, feature: &'static str) -> Contender {
    Contender { name, kind, feature }
}

/// The last one only moves a pointer up: it is what a program takes that frees nothing.
pub const CONTENDERS: [Contender; 8] = [
    contender("talc", Kind::Ours, "talc"),
    contender("talc small", Kind::Ours, "small"),
    contender("talc 5.1.1", Kind::Peer, "talc5"),
    contender("rlsf", Kind::Peer, "rlsf"),
    contender("embedded-alloc, TLSF", Kind::Peer, "tlsf"),
    contender("embedded-alloc, linked list", Kind::Peer, "embedded-linked-list"),
    contender("linked_list", Kind::Peer, "linked-list"),
    contender("(bump)", Kind::Loop, ""),
];

/// The calls as the program reads them.
fn encode(ops: &[Op]) -> Vec<u8> {
    let mut words = vec![ops.len() as u32];
    for op in ops {
        let kind = match op.kind {
            OpKind::Alloc => 0,
            OpKind::Free => 1,
            OpKind::Realloc => 2,
        };
        words.extend([kind | u32::from(op.align_log2) << 2, op.slot, op.size, op.new_size]);
    }
    words.into_iter().flat_map(u32::to_le_bytes).collect()
}

/// Builds the program with an allocator.
pub fn build(contender: Contender) -> Result<PathBuf> {
    let mut cargo = subproject::build("zkvm");
    cargo.args(["--quiet", "--locked", "--release", "--features", contender.feature]);
    let status = cargo.status().context("running cargo")?;
    ensure!(status.success(), "it does not build: is there a `rustup target add {TARGET}`?");
    Ok(subproject::target("zkvm").join(TARGET).join("release").join("zkvm"))
}

/// How a run has ended.
#[derive(Clone, Copy, Debug)]
pub enum Outcome {
    /// All calls were made, in so many instructions.
    Retired(f64),
    /// The call with this index was refused.
    Refused(usize),
    /// It did not come to its end.
    Unknown,
}

/// Replays calls with a heap of `heap` bytes in QEMU, which counts instructions. What it needs for that is put into
/// the folder.
pub fn run(program: &Path, ops: &[Op], heap: usize, folder: &Path) -> Result<Outcome> {
    let calls = folder.join("calls");
    std::fs::write(&calls, encode(ops))?;
    let mut qemu = Command::new("timeout");
    qemu.args(["60", "qemu-system-riscv32", "-machine", "virt", "-bios", "none", "-nographic"]);
    qemu.args(["-icount", "shift=0", "-kernel"]).arg(program);
    qemu.arg("-device")
        .arg(format!("loader,addr=0x80800000,force-raw=on,file={}", calls.display()));
    qemu.arg("-device").arg(format!("loader,addr=0x807ffff0,data={heap},data-len=4"));
    let output = qemu.output().context("running qemu-system-riscv32")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut words = text.split_whitespace();
    match (words.next(), words.next()) {
        (Some("retired"), Some(count)) => Ok(Outcome::Retired(count.parse()?)),
        (Some("refused"), Some(index)) => Ok(Outcome::Refused(index.parse()?)),
        (Some("panic"), _) => bail!("the program panics"),
        _ => Ok(Outcome::Unknown),
    }
}
