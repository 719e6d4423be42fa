//! Workspaces of their own within this folder, which some figures build first.

use crate::report::home;
use std::path::PathBuf;
use std::process::Command;

/// Returns where the workspace in this folder is built.
pub fn target(folder: &str) -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(target) => PathBuf::from(target).join(folder),
        None => home().join(folder).join("target"),
    }
}

/// Returns a call of `cargo build` in this folder, with what it has in its `.cargo`.
pub fn build(folder: &str) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.arg("build").arg("--target-dir").arg(target(folder)).current_dir(home().join(folder));
    cargo
}
