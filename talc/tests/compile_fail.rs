//! What safe code must not be able to say: programs that do not compile, and with which error.
//!
//! Only error codes are compared, so that the wording of compilers does not matter. rustc is run
//! directly, on what this test itself was linked with.
#![cfg(all(feature = "allocator-api2", feature = "spinning_top"))]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// In scope in each program.
const PRELUDE: &str = "
#![allow(unused)]
use core::alloc::Layout;
use core::ptr::NonNull;
use std::alloc::System;
use talc::base::{binning::Binning, RawTalc, Talc};
use talc::source::{AllocatorSource, Claim, GlobalAllocSource, Manual, OutOfMemory, Source};
use talc::{DefaultBinning, RawSpinlock, TalcCell, TalcLock};

type Blocks = GlobalAllocSource<System>;
type Lock = TalcLock<RawSpinlock, Blocks>;
type Outer = AllocatorSource<&'static Lock>;

fn is_send<T: Send>() {}
fn is_sync<T: Sync>() {}
fn source() -> Blocks { GlobalAllocSource::new(System) }
";

/// A program and the code of the error that the compiler must find in it.
const PROGRAMS: &[(&str, &str)] = &[
    // Exchanging the allocator under its allocations.
    ("E0594", "fn f(lock: &Lock) { *lock.lock() = Talc::new(source()); }"),
    ("E0596", "fn f(a: &Lock, b: &Lock) { core::mem::swap(&mut *a.lock(), &mut *b.lock()); }"),
    ("E0596", "fn f(lock: &Lock) { core::mem::replace(&mut *lock.lock(), Talc::new(source())); }"),
    ("E0507", "fn f(lock: &Lock) { drop(*lock.lock()); }"),
    ("E0133", "fn f(lock: &Lock) { *lock.lock().talc_mut() = Talc::new(source()); }"),
    (
        "E0502",
        "fn f() {
        let mut cell = TalcCell::new(source());
        let used = &cell;
        *cell.get_mut() = Talc::new(source());
        used.largest_gap();
    }",
    ),
    (
        "E0505",
        "fn f() {
        let cell = TalcCell::new(source());
        let used = &cell;
        drop(cell.into_inner());
        used.largest_gap();
    }",
    ),
    // Exchanging or dropping a source on which memory depends.
    ("E0277", "fn f(cell: &TalcCell<Blocks>) { drop(cell.replace_source(source())); }"),
    ("E0277", "fn f(cell: &TalcCell<Outer>, other: Outer) { cell.replace_source(other); }"),
    ("E0277", "fn f(lock: &Lock) { *lock.lock().source_mut() = source(); }"),
    ("E0277", "fn f(talc: &mut Talc<Blocks>) { *talc.source_mut() = source(); }"),
    ("E0277", "fn f(talc: &mut Talc<Outer>, other: Outer) { *talc.source_mut() = other; }"),
    ("E0616", "fn f(talc: Talc<Blocks>) { drop(talc.source); }"),
    ("E0616", "fn f(talc: &mut Talc<Manual>) { talc.raw = RawTalc::new(); }"),
    ("E0594", "fn f(talc: &Talc<Claim>) { *talc.source() = Claim::standby(); }"),
    ("E0277", "fn f(cell: &TalcCell<Blocks>) { drop(cell.clone_source()); }"),
    // A source that outlives what it gives memory from, memory that outlives its allocator.
    (
        "E0597",
        "fn f() {
        let talc;
        {
            let lock = Lock::new(source());
            talc = Talc::<_>::new(AllocatorSource::new(&lock));
        }
        talc.largest_gap();
    }",
    ),
    // Doing the driver's work.
    (
        "E0133",
        "fn f(s: &mut Blocks, talc: &mut RawTalc) {
        s.acquire(talc, Layout::new::<u8>());
    }",
    ),
    (
        "E0133",
        "fn f(s: &mut Blocks, talc: &mut RawTalc, end: NonNull<u8>) {
        s.release(talc, end);
    }",
    ),
    (
        "E0133",
        "fn f(s: &mut Manual, talc: &mut RawTalc) {
        s.acquire(talc, Layout::new::<u8>());
    }",
    ),
    (
        "E0200",
        "struct Mine;
    impl Source for Mine {
        unsafe fn acquire(&mut self, _: &mut RawTalc, _: Layout) -> Result<(), OutOfMemory> {
            Ok(())
        }
    }",
    ),
    ("E0200", "struct Mine; impl talc::source::Replaceable for Mine {}"),
    ("E0277", "struct Mine; fn is_binning<B: Binning>() {} fn f() { is_binning::<Mine>(); }"),
    // Giving memory that may be used otherwise, and managing heaps.
    ("E0133", "fn f() { Claim::new(core::ptr::null_mut(), 100); }"),
    ("E0133", "fn f(array: *mut [u8; 100]) { Claim::array(array); }"),
    ("E0133", "fn f(cell: &TalcCell<Manual>) { cell.claim(core::ptr::null_mut(), 100); }"),
    ("E0133", "fn f(cell: &TalcCell<Manual>, end: NonNull<u8>) { cell.reserved(end); }"),
    ("E0133", "fn f(lock: &Lock) { lock.lock().claim(core::ptr::null_mut(), 100); }"),
    ("E0133", "fn f(lock: &Lock, end: NonNull<u8>) { lock.lock().truncate(end, end.as_ptr()); }"),
    // Running foreign code while the driver is lent out.
    ("E0133", "fn f(cell: &TalcCell<Blocks>) { cell.visit(|_| ()); }"),
    // Sharing what one thread must use alone.
    ("E0277", "fn f() { is_sync::<TalcCell<Blocks>>(); }"),
    ("E0277", "fn f() { is_send::<&TalcCell<Blocks>>(); }"),
    ("E0133", "fn f(cell: TalcCell<Blocks>) { talc::cell::TalcSyncCell::new(cell); }"),
];

/// The same things, where they are allowed.
const CONTROL: &str = "
fn f(lock: &Lock, cell: &TalcCell<Claim>, blocks: &TalcCell<Blocks>, end: NonNull<u8>) {
    let _: &Talc<Blocks> = &lock.lock();
    cell.replace_source(Claim::standby());
    is_sync::<Lock>();
    is_send::<Lock>();
    is_send::<TalcCell<Blocks>>();
    Talc::<Manual, DefaultBinning>::new(Manual);
    unsafe {
        Claim::new(core::ptr::null_mut(), 100);
        lock.lock().talc_mut();
        blocks.visit(|_| ());
    }
}
fn g(mut cell: TalcCell<Blocks>, mut talc: Talc<Claim>, outer: &'static Lock) {
    *cell.get_mut() = Talc::new(source());
    drop(cell.into_inner());
    *talc.source_mut() = Claim::standby();
    TalcCell::new(AllocatorSource::new(outer));
}
";

struct Compiler {
    command: std::ffi::OsString,
    /// Where the crates are that this test was linked with.
    folder: PathBuf,
    talc: PathBuf,
}

impl Compiler {
    /// The compiler, and the library that it is shown to compile against; `None` if the compiler
    /// is not for this kind of machine.
    fn find() -> Option<Self> {
        let command = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let version = Command::new(&command).arg("-vV").output().expect("rustc must run");
        let version = String::from_utf8(version.stdout).unwrap();
        let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
        if host.split('-').next() != Some(std::env::consts::ARCH) {
            return None;
        }
        let program = std::env::current_exe().unwrap();
        let folder = program.parent().unwrap().to_owned();
        // There may be several, of other features or sources: the newest that works is the one.
        let mut libraries: Vec<_> = std::fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| {
                let name = path.file_name().unwrap().to_string_lossy();
                name.starts_with("libtalc-") && name.ends_with(".rlib")
            })
            .collect();
        let age = |path: &PathBuf| std::fs::metadata(path).unwrap().modified().unwrap();
        libraries.sort_by_key(|path| std::cmp::Reverse(age(path)));
        let mut said = String::new();
        for talc in libraries {
            let compiler = Self { command: command.clone(), folder: folder.clone(), talc };
            said = compiler.compile(CONTROL);
            if !said.contains("error") {
                return Some(compiler);
            }
        }
        panic!("no library in {} compiles the control program: {said}", folder.display());
    }

    /// What the compiler says to a program.
    fn compile(&self, program: &str) -> String {
        let mut child = Command::new(&self.command)
            .args(["-", "--edition=2021", "--crate-type=lib", "--emit=metadata"])
            .args(["--crate-name=program", "--error-format=short", "--cap-lints=allow"])
            .arg(argument("--out-dir=", Path::new(env!("CARGO_TARGET_TMPDIR"))))
            .arg(argument("-Ldependency=", &self.folder))
            .arg(argument("--extern=talc=", &self.talc))
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("rustc must run");
        let mut input = child.stdin.take().unwrap();
        input.write_all(PRELUDE.as_bytes()).unwrap();
        input.write_all(program.as_bytes()).unwrap();
        drop(input);
        String::from_utf8(child.wait_with_output().unwrap().stderr).unwrap()
    }
}

fn argument(option: &str, path: &Path) -> std::ffi::OsString {
    let mut argument = std::ffi::OsString::from(option);
    argument.push(path);
    argument
}

#[test]
fn unsound_programs_do_not_compile() {
    let Some(compiler) = Compiler::find() else {
        eprintln!("not run: the compiler is not for this machine, which is emulated");
        return;
    };
    std::thread::scope(|scope| {
        for share in PROGRAMS.chunks(PROGRAMS.len() / 4 + 1) {
            let compiler = &compiler;
            scope.spawn(move || {
                for (code, program) in share {
                    let said = compiler.compile(program);
                    let expected = format!("error[{code}]");
                    assert!(said.contains(&expected), "{program}\nmust be {expected}:\n{said}");
                    let others = said.matches("error[E").count() - said.matches(&expected).count();
                    assert_eq!(others, 0, "{program}\nmust only be {expected}:\n{said}");
                }
            });
        }
    });
}
