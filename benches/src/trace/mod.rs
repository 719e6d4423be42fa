//! Recorded programs: how a trace is kept in a file, and how one is recorded.
//!
//! A file is one zstd frame around three columns, which compress better apart than together:
//!
//! ```text
//! "talc-trace 1\n"  one line of description "\n"
//! number of calls                                    varint
//! what each call is     kind in 2 bits, log2(alignment) above   bytes
//! which block           for free and realloc: how many blocks were allocated since it was   varints
//! how large             for alloc and realloc: the new size                                varints
//! ```
//!
//! Everything else (slots, old sizes, live bytes) follows from these and is worked out on loading.

mod record;

pub use self::record::Recorder;

use crate::workload::{BlockId, Builder, OpKind, Workload};
use anyhow::{bail, ensure, Context, Result};
use std::path::{Path, PathBuf};

const MAGIC: &str = "talc-trace 1\n";

/// Ending of trace files.
const ENDING: &str = "trace";

/// zstd's slowest level short of its "ultra" ones.
const LEVEL: i32 = 19;

/// A workload and what it is a recording of.
pub struct Trace {
    /// One line: the program and its input.
    pub description: String,
    /// The calls; its name is that of the file.
    pub workload: Workload,
}

/// One call, told apart from any particular heap: what a recorder writes down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// A new block. Blocks are numbered in the order of these calls.
    Alloc {
        /// Bytes.
        size: u32,
        /// Binary logarithm of the alignment.
        align_log2: u8,
    },
    /// The end of a block.
    Free {
        /// Its number.
        block: usize,
    },
    /// Another size for a block, which keeps its number.
    Realloc {
        /// Its number.
        block: usize,
        /// Bytes.
        new_size: u32,
    },
}

/// Writes calls to a file.
pub fn write(path: &Path, description: &str, calls: &[Call]) -> Result<()> {
    ensure!(!description.contains('\n'), "the description has more than one line");
    let (mut kinds, mut ages, mut sizes) = (Vec::new(), Vec::new(), Vec::new());
    let mut blocks = 0;
    for &call in calls {
        match call {
            Call::Alloc { size, align_log2 } => {
                kinds.push(OpKind::Alloc as u8 | align_log2 << 2);
                put_varint(&mut sizes, u64::from(size));
                blocks += 1;
            }
            Call::Free { block } => {
                kinds.push(OpKind::Free as u8);
                put_varint(&mut ages, (blocks - block) as u64);
            }
            Call::Realloc { block, new_size } => {
                kinds.push(OpKind::Realloc as u8);
                put_varint(&mut ages, (blocks - block) as u64);
                put_varint(&mut sizes, u64::from(new_size));
            }
        }
    }
    let mut bytes = format!("{MAGIC}{description}\n").into_bytes();
    put_varint(&mut bytes, kinds.len() as u64);
    for column in [kinds, ages, sizes] {
        put_varint(&mut bytes, column.len() as u64);
        bytes.extend(column);
    }
    let packed = zstd::encode_all(bytes.as_slice(), LEVEL)?;
    std::fs::write(path, packed).with_context(|| format!("writing {}", path.display()))
}

/// Reads a trace.
pub fn read(path: &Path) -> Result<Trace> {
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let packed = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    parse(&zstd::decode_all(packed.as_slice())?, &name)
        .with_context(|| format!("parsing {}", path.display()))
}

fn parse(bytes: &[u8], name: &str) -> Result<Trace> {
    let rest = bytes.strip_prefix(MAGIC.as_bytes()).context("not a trace")?;
    let end = rest.iter().position(|&byte| byte == b'\n').context("no description")?;
    let description = String::from_utf8(rest[..end].to_vec())?;
    let mut input = &rest[end + 1..];
    let count = take_varint(&mut input)? as usize;
    let kinds = take_column(&mut input)?;
    let mut ages = take_column(&mut input)?;
    let mut sizes = take_column(&mut input)?;
    ensure!(kinds.len() == count, "wrong number of calls");

    let mut builder = Builder::default();
    let mut blocks: Vec<BlockId> = Vec::new();
    for &kind in kinds {
        if kind & 3 == OpKind::Alloc as u8 {
            let size = u32::try_from(take_varint(&mut sizes)?)?;
            blocks.push(builder.alloc(size, kind >> 2));
            continue;
        }
        let age = take_varint(&mut ages)? as usize;
        let index = blocks.len().checked_sub(age).context("a block that never was")?;
        let block = *blocks.get(index).context("a block that is not yet")?;
        match kind & 3 {
            kind if kind == OpKind::Free as u8 => builder.free(block),
            kind if kind == OpKind::Realloc as u8 => {
                builder.realloc(block, u32::try_from(take_varint(&mut sizes)?)?);
            }
            _ => bail!("unknown kind of call"),
        }
    }
    Ok(Trace { description, workload: builder.finish(name) })
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn take_varint(input: &mut &[u8]) -> Result<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = input.split_first().context("the file ends early")?;
        *input = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    bail!("a number that is too long")
}

fn take_column<'a>(input: &mut &'a [u8]) -> Result<&'a [u8]> {
    let length = take_varint(input)? as usize;
    ensure!(length <= input.len(), "the file ends early");
    let (column, rest) = input.split_at(length);
    *input = rest;
    Ok(column)
}

/// The folder of the traces that come with this crate.
pub fn folder() -> PathBuf {
    crate::report::home().join("traces")
}

/// Where the trace of this name is kept.
pub fn path_of(name: &str) -> PathBuf {
    folder().join(name).with_extension(ENDING)
}

/// All traces that come with this crate and pass the filter, in order of their names.
pub fn all(wanted: impl Fn(&str) -> bool) -> Result<Vec<Trace>> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder())
        .with_context(|| format!("listing {}", folder().display()))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|ending| ending == ENDING))
        .filter(|path| path.file_stem().is_some_and(|stem| wanted(&stem.to_string_lossy())))
        .collect();
    paths.sort();
    paths.iter().map(|path| read(path)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let calls = [
            Call::Alloc { size: 1, align_log2: 0 },
            Call::Alloc { size: 100_000, align_log2: 12 },
            Call::Realloc { block: 0, new_size: 300 },
            Call::Free { block: 1 },
            Call::Alloc { size: 8, align_log2: 3 },
        ];
        let path = std::env::temp_dir().join(format!("talc-{}.trace", std::process::id()));
        write(&path, "a test", &calls).unwrap();
        let trace = read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let workload = trace.workload;
        assert_eq!(trace.description, "a test");
        assert_eq!(workload.ops.len(), 5);
        assert_eq!(workload.peak_bytes, 100_300);
        assert_eq!(workload.peak_blocks, 2);
        assert_eq!(workload.slots, 2);
        assert_eq!(workload.cleanup.len(), 2);
        assert_eq!((workload.ops[3].size, workload.ops[3].align_log2), (100_000, 12));
        assert_eq!((workload.ops[2].size, workload.ops[2].new_size), (1, 300));
    }

    #[test]
    fn damaged_files_are_refused() {
        assert!(parse(b"talc-trace 1\nx\n", "x").is_err());
        assert!(parse(b"something else", "x").is_err());
        assert!(parse(b"talc-trace 1\nx\n\x01\x01\x01\x01\x01\x00", "x").is_err());
    }
}
