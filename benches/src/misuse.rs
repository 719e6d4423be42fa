//! A program that breaks rules of allocators: its builds, running it, and what came of it.

use crate::contender::Kind;
use crate::report::home;
use crate::subproject;
use anyhow::{bail, ensure, Context, Result};
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A build of the program.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Build {
    /// The name of its profile, which is made for it: so each build has a folder.
    name: &'static str,
    inherits: &'static str,
    features: &'static str,
}

const fn build(name: &'static str, inherits: &'static str, features: &'static str) -> Build {
    Build { name, inherits, features }
}

const DEBUG: Build = build("talc-debug", "dev", "");
const HARDENED: Build = build("talc-hardened", "release", "talc/hardened");
const FULL: Build = build("talc-hardened-full", "release", "talc/hardened-full");
const RELEASE: Build = build("peers", "release", "peers");
const SECURE: Build = build("mimalloc-secure", "release", "secure");

/// Where mimalloc puts a block is a matter of chance in that build, and so is what comes of misuse.
const SECURE_RUNS: usize = 4;

/// An allocator, in a build.
#[derive(Clone, Copy)]
pub struct Contender {
    /// As in tables.
    pub name: &'static str,
    /// What sort of allocator it is.
    pub kind: Kind,
    build: Build,
    /// As the program calls it.
    allocator: &'static str,
}

const fn contender(
    name: &'static str,
    kind: Kind,
    build: Build,
    allocator: &'static str,
) -> Contender {
    Contender { name, kind, build, allocator }
}

/// All of them, in the order of the tables. Talc with other features is one more line.
pub const CONTENDERS: [Contender; 12] = [
    contender("talc debug", Kind::Ours, DEBUG, "talc"),
    contender("talc with quarantine", Kind::Ours, FULL, "talc-quarantine"),
    contender("talc hardened-full", Kind::Ours, FULL, "talc"),
    contender("talc hardened", Kind::Ours, HARDENED, "talc"),
    contender("talc", Kind::Ours, RELEASE, "talc"),
    contender("talc 5.1.1", Kind::Peer, RELEASE, "talc5"),
    contender("rlsf", Kind::Peer, RELEASE, "rlsf"),
    contender("dlmalloc", Kind::Peer, RELEASE, "dlmalloc"),
    contender("linked_list", Kind::Peer, RELEASE, "linked-list"),
    contender("system", Kind::Hosted, RELEASE, "system"),
    contender("mimalloc", Kind::Hosted, RELEASE, "mimalloc"),
    contender("mimalloc secure", Kind::Hosted, SECURE, "mimalloc"),
];

/// The sizes of the blocks: for Talc a slot, a chunk that may go into a magazine, and a plain chunk.
pub const SIZES: [usize; 3] = [40, 600, 5000];

/// One rule that is broken in one way.
#[derive(Clone)]
pub struct Case {
    /// What it has in common with others.
    pub group: String,
    /// What it is.
    pub name: String,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The allocator reported it in the call that broke the rule.
    Call,
    /// The allocator reported it in a later call, before any harm was done.
    Next,
    /// The allocator reported it in a later call; but memory had been handed out twice, or overwritten.
    Later,
    /// Memory was handed out twice, or overwritten, and nothing was reported.
    Twice,
    /// The program crashed, or came to an end without a report.
    Crash,
    /// The program did not come to an end.
    Hang,
    /// Nothing came of it.
    Harmless,
}

impl Outcome {
    /// All of them, the best first.
    pub const ALL: [Self; 7] =
        [Self::Call, Self::Next, Self::Later, Self::Twice, Self::Crash, Self::Hang, Self::Harmless];

    /// A larger number for what is worse.
    fn badness(self) -> usize {
        match self {
            Self::Call => 0,
            Self::Next => 1,
            Self::Harmless => 2,
            Self::Later => 3,
            Self::Hang => 4,
            Self::Crash => 5,
            Self::Twice => 6,
        }
    }

    /// As in tables.
    pub fn mark(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Next => "next",
            Self::Later => "later",
            Self::Twice => "twice",
            Self::Crash => "crash",
            Self::Hang => "hang",
            Self::Harmless => "–",
        }
    }
}

impl Contender {
    /// Builds the program. Returns where it is.
    pub fn build(&self) -> Result<PathBuf> {
        let Build { name, inherits, features } = self.build;
        let mut cargo = subproject::build("misuse");
        cargo.args(["--quiet", "--locked", "--profile", name, "--features", features]);
        cargo.arg("--config").arg(format!("profile.{name}.inherits = \"{inherits}\""));
        let status = cargo.status().context("running cargo")?;
        ensure!(status.success(), "the program of {} does not build", self.name);
        Ok(subproject::target("misuse").join(name).join("misuse"))
    }

    /// Runs a case with a block of `size` bytes. Returns what came of it at the worst; `None` if the case does not
    /// apply to them.
    pub fn run(&self, program: &Path, case: &Case, size: usize) -> Result<Option<Outcome>> {
        let runs = if self.build == SECURE { SECURE_RUNS } else { 1 };
        let outcomes = (0..runs).map(|_| self.run_once(program, case, size));
        let outcomes = outcomes.collect::<Result<Option<Vec<Outcome>>>>()?;
        Ok(outcomes
            .and_then(|outcomes| outcomes.into_iter().max_by_key(|outcome| outcome.badness())))
    }

    fn run_once(&self, program: &Path, case: &Case, size: usize) -> Result<Option<Outcome>> {
        let mut child = Command::new(program);
        child.args([self.allocator, &case.name, &size.to_string()]);
        // A backtrace would take most of the time. mimalloc says nothing unless it is told to.
        child.env("RUST_BACKTRACE", "0").env("MIMALLOC_SHOW_ERRORS", "1");
        // SAFETY: a system call, which touches no memory.
        unsafe { child.pre_exec(fix_addresses) };
        let output = child.output().context("running the program")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(!said.contains("panicked at src/"), "the program itself fails: {said}");
        let is_report: fn(&str) -> bool = match self.kind {
            // Not what std says for it.
            Kind::Ours => |line| line.starts_with("talc: ") && !line.contains("a panic must not"),
            _ => |line| !line.trim().is_empty(),
        };
        let Some(outcome) = first_outcome(&said, is_report)? else {
            return Ok(None);
        };
        Ok(Some(match outcome {
            Outcome::Harmless if output.status.signal() == Some(libc::SIGXCPU) => Outcome::Hang,
            Outcome::Harmless if !output.status.success() || !said.ends_with("[end]\n") => {
                Outcome::Crash
            }
            outcome => outcome,
        }))
    }
}

/// Lets addresses be the same each time, as far as the system chooses them.
#[cfg(target_os = "linux")]
fn fix_addresses() -> io::Result<()> {
    // SAFETY: changes nothing but where the program will be.
    match unsafe { libc::personality(libc::ADDR_NO_RANDOMIZE as libc::c_ulong) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

#[cfg(not(target_os = "linux"))]
fn fix_addresses() -> io::Result<()> {
    Ok(())
}

/// Reads what the program has said: its steps, which are those of `misuse/src/steps.rs`, and between them what the
/// allocator reports. Returns `None` if the case does not apply.
fn first_outcome(said: &str, is_report: fn(&str) -> bool) -> Result<Option<Outcome>> {
    let (mut step, mut is_whole) = (None, true);
    for line in said.lines() {
        match line {
            "[skipped]" => return Ok(None),
            "[twice]" => is_whole = false,
            "[misuse]" | "[after]" | "[end]" => step = Some(line),
            _ if !is_report(line) => {}
            _ => match step {
                None => bail!("before anything is wrong: {said}"),
                Some(_) if !is_whole => return Ok(Some(Outcome::Later)),
                Some("[misuse]") => return Ok(Some(Outcome::Call)),
                Some(_) => return Ok(Some(Outcome::Next)),
            },
        }
    }
    Ok(Some(if is_whole { Outcome::Harmless } else { Outcome::Twice }))
}

/// Lists the cases that a program has.
pub fn cases(program: &Path) -> Result<Vec<Case>> {
    let output = Command::new(program).current_dir(home()).output().context("listing cases")?;
    let text = String::from_utf8(output.stdout)?;
    let case = |line: &str| {
        let (group, name) = line.split_once('\t')?;
        Some(Case { group: group.to_owned(), name: name.to_owned() })
    };
    Ok(text.lines().filter_map(case).collect())
}
