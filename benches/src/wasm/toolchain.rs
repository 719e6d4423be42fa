//! The programs that build, shrink and run modules: where they are, and what to install.

use crate::report::{first_line, home};
use crate::subproject;
use anyhow::{bail, ensure, Context, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

const APT: &str = "apt-get install rustc-web rust-web-src lld-19 nodejs npm python3-pip";

/// The linker.
const LINKER: &str = "wasm-ld-19";

/// What a module may use, as the compiler says of its target, and threads. It is told to `wasm-opt`, as the
/// section of a module that lists it is stripped.
const FEATURES: [&str; 8] = [
    "--enable-bulk-memory",
    "--enable-bulk-memory-opt",
    "--enable-multivalue",
    "--enable-mutable-globals",
    "--enable-nontrapping-float-to-int",
    "--enable-reference-types",
    "--enable-sign-ext",
    "--enable-threads",
];

/// Programs that were found or installed.
pub struct Toolchain {
    /// A compiler that comes with the sources of its libraries.
    rustc: PathBuf,
    /// Where everything is built and installed.
    pub target: PathBuf,
}

impl Toolchain {
    /// Looks for what the system must have, and installs the rest into the target folder.
    pub fn find() -> Result<Self> {
        let files = output(Command::new("dpkg").args(["-L", "rustc-web", "rust-web-src"]))
            .with_context(|| format!("no compiler for WebAssembly. On Debian: {APT}"))?;
        let rustc = files.lines().find(|file| file.ends_with("bin/rustc"));
        let rustc = PathBuf::from(rustc.context("rustc-web has no rustc")?);
        for program in [LINKER, "node", "npm", "python3"] {
            output(Command::new(program).arg("--version"))
                .with_context(|| format!("{program} does not run. On Debian: {APT}"))?;
        }
        let target = subproject::target("wasm");
        std::fs::create_dir_all(&target)?;
        // Programs are run from other folders.
        let toolchain = Self { rustc, target: target.canonicalize()? };
        toolchain.install()?;
        Ok(toolchain)
    }

    /// Installs `wasm-opt` with npm and wasmtime with pip.
    fn install(&self) -> Result<()> {
        let tools = self.tools();
        std::fs::create_dir_all(&tools)?;
        for (file, command) in [
            ("package-lock.json", Command::new("npm").args(["ci", "--no-audit", "--no-fund"])),
            (
                "requirements.txt",
                Command::new("python3")
                    .args(["-m", "pip", "install", "--quiet", "--upgrade", "--target"])
                    .arg(tools.join("python"))
                    .args(["-r", "requirements.txt"]),
            ),
        ] {
            let wanted = std::fs::read(runners().join(file))?;
            // A copy in the folder tells whether what is installed is current.
            let installed = tools.join(file).with_extension("installed");
            if std::fs::read(&installed).is_ok_and(|present| present == wanted) {
                continue;
            }
            for name in [file, "package.json"] {
                std::fs::copy(runners().join(name), tools.join(name))?;
            }
            output(command.current_dir(&tools))?;
            std::fs::write(installed, wanted)?;
        }
        Ok(())
    }

    /// What npm and pip have installed.
    fn tools(&self) -> PathBuf {
        self.target.join("tools")
    }

    /// `cargo build` for WebAssembly, with the libraries built from their sources.
    pub(super) fn cargo(&self, libraries: &str) -> Command {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo
            .args(["build", "--quiet", "--target", "wasm32-unknown-unknown"])
            .arg(format!("-Zbuild-std={libraries}"))
            .env("RUSTC", &self.rustc)
            .env("RUSTC_BOOTSTRAP", "1")
            .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", LINKER)
            .env("CARGO_TARGET_DIR", &self.target)
            .env_remove("RUSTFLAGS");
        cargo
    }

    /// Writes the smallest module that does the same as `from`.
    pub(super) fn shrink(&self, from: &Path, to: &Path) -> Result<()> {
        let program = self.tools().join("node_modules/binaryen/bin/wasm-opt");
        let mut node = Command::new("node");
        node.arg(program).arg("-Oz").args(FEATURES).arg(from).arg("-o").arg(to);
        output(&mut node).map(|_| ())
    }

    /// node, with the optimising compiler only: otherwise it would compile again while it measures.
    pub(super) fn node(&self) -> Command {
        node("run.mjs")
    }

    /// The same for modules with threads.
    pub(super) fn node_with_workers(&self) -> Command {
        node("threads.mjs")
    }

    /// wasmtime, as its package for Python.
    pub(super) fn wasmtime(&self) -> Command {
        let mut python = Command::new("python3");
        python.arg(runners().join("run.py")).env("PYTHONPATH", self.tools().join("python"));
        python
    }

    /// The versions of everything, for a figure's text.
    pub fn versions(&self) -> String {
        let compiler = first_line(&self.rustc.to_string_lossy(), &["--version"]);
        let node = first_line("node", &["--version"]);
        let node =
            format!("node {node} (V8 {})", first_line("node", &["-p", "process.versions.v8"]));
        let lock = std::fs::read_to_string(runners().join("package.json")).unwrap_or_default();
        let packages: serde_json::Value = serde_json::from_str(&lock).unwrap_or_default();
        let binaryen = packages["dependencies"]["binaryen"].as_str().unwrap_or("?").to_owned();
        let pip = std::fs::read_to_string(runners().join("requirements.txt")).unwrap_or_default();
        let wasmtime = pip.trim().replace("==", " ");
        format!("Modules by {compiler}; {node}, {wasmtime}, binaryen {binaryen}.")
    }
}

/// The folder of the scripts that run modules.
fn runners() -> PathBuf {
    home().join("wasm").join("runners")
}

/// node with one of the scripts.
fn node(script: &str) -> Command {
    let mut node = Command::new("node");
    node.args(["--no-liftoff", "--no-wasm-lazy-compilation", "--expose-gc"]);
    node.arg(runners().join(script));
    node
}

/// What a program prints, unless it fails.
pub(super) fn output(command: &mut Command) -> Result<String> {
    let name = format!("{command:?}");
    let output = command.output().with_context(|| format!("running {name}"))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{name} failed:\n{errors}");
    match String::from_utf8(output.stdout) {
        Ok(text) => Ok(text),
        Err(_) => bail!("{name} does not print text"),
    }
}
