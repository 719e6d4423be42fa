//! Lists the inputs in `fuzz/regressions`, which the program cannot read from there.

use std::fmt::Write;
use std::path::Path;
use std::{env, fs};

use fuzz::{Target, TARGETS};

fn main() {
    let regressions = Path::new(env!("CARGO_MANIFEST_DIR")).join("../regressions");
    println!("cargo:rerun-if-changed={}", regressions.display());
    let mut list = String::new();
    for (index, Target { name, found, .. }) in TARGETS.iter().enumerate() {
        let folder = regressions.join(name);
        if *found == 0 && !folder.exists() {
            continue;
        }
        let inputs = folder.read_dir().unwrap().map(|entry| entry.unwrap().path());
        for input in inputs {
            let input = input.canonicalize().unwrap();
            writeln!(list, "({index}, include_bytes!({input:?})),").unwrap();
        }
    }
    let out = Path::new(&env::var_os("OUT_DIR").unwrap()).join("found.rs");
    fs::write(out, format!("&[{list}]")).unwrap();
}
