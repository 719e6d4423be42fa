//! Building modules.

use super::toolchain::{output, Toolchain};
use super::Contender;
use crate::report::home;
use anyhow::Result;
use std::path::{Path, PathBuf};

/// An optimisation level, and the profile of `wasm/Cargo.toml` that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// As in tables.
    pub name: &'static str,
    profile: &'static str,
}

/// Those that are measured.
pub const LEVELS: [Level; 2] = [
    Level { name: "opt-level 3", profile: "opt-3" },
    Level { name: "opt-level z", profile: "opt-z" },
];

/// How a module with threads is compiled and linked. `wasm/runners/threads.mjs` has the same maximum.
const THREADS: &str = "-Ctarget-feature=+atomics,+bulk-memory,+mutable-globals \
    -Clink-arg=--import-memory -Clink-arg=--shared-memory -Clink-arg=--max-memory=1073741824 \
    -Clink-arg=--export=__stack_pointer";
/// What the workloads of threads need besides.
const LOCALS: &str = " -Clink-arg=--export=__wasm_init_tls -Clink-arg=--export=__tls_size \
    -Clink-arg=--export=__tls_align";

/// What a module has besides its allocator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contents {
    /// The three calls, with an alignment of 8.
    Calls,
    /// The three calls, with any alignment.
    CallsOfAnyAlignment,
    /// The loops that are measured.
    Workloads,
    /// A program.
    Program,
}

impl Contents {
    /// The package, and its feature.
    fn package(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Contents::Calls => ("module", &[]),
            Contents::CallsOfAnyAlignment => ("module", &["module/any-alignment"]),
            Contents::Workloads => ("module", &["module/workloads"]),
            Contents::Program => ("program", &[]),
        }
    }
}

/// Builds modules.
pub struct Builder<'a> {
    toolchain: &'a Toolchain,
}

impl<'a> Builder<'a> {
    /// Creates a builder that uses these programs.
    pub fn new(toolchain: &'a Toolchain) -> Self {
        Self { toolchain }
    }

    /// Builds a module. Returns where it is kept.
    pub fn build(&self, contender: Contender, level: Level, contents: Contents) -> Result<PathBuf> {
        let (package, own) = contents.package();
        let features = contender.features.iter().map(|name| format!("contender/{name}"));
        let features: Vec<String> = features.chain(own.iter().map(|&name| name.into())).collect();
        let libraries = match contents {
            _ if contender.threads => "std,panic_abort",
            Contents::Program => "std,panic_abort",
            _ => "core,alloc,panic_abort",
        };
        let mut cargo = self.toolchain.cargo(libraries);
        if contender.threads {
            let locals = if contents == Contents::Workloads { LOCALS } else { "" };
            cargo.env("RUSTFLAGS", format!("{THREADS}{locals}"));
        }
        cargo.args(["--profile", level.profile, "--package", package]);
        cargo.arg(format!("--features={}", features.join(",")));
        output(cargo.current_dir(home().join("wasm")))?;

        let target = &self.toolchain.target;
        let built = target.join("wasm32-unknown-unknown").join(level.profile);
        let kept = target.join("modules");
        std::fs::create_dir_all(&kept)?;
        let name = format!("{} {} {contents:?}.wasm", contender.name, level.name);
        let kept = kept.join(name.replace([' ', ','], "-"));
        std::fs::copy(built.join(package).with_extension("wasm"), &kept)?;
        Ok(kept)
    }

    /// Bytes of a module, before and after `wasm-opt -Oz`.
    pub fn bytes(&self, module: &Path) -> Result<(u64, u64)> {
        let shrunk = module.with_extension("opt.wasm");
        self.toolchain.shrink(module, &shrunk)?;
        Ok((std::fs::metadata(module)?.len(), std::fs::metadata(shrunk)?.len()))
    }
}
