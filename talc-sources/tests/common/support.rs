//! What does not depend on the crate that is tested: random numbers, the length of tests, and the
//! messages of panics. The tests of `talc-sync` include this file, too.

/// A generator of random numbers, the same ones each time (xorshift).
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % limit
    }

    /// Returns a size from 1 to `1 << doublings` bytes: small ones are as likely as large ones.
    pub fn size(&mut self, doublings: usize) -> usize {
        let below = 1 << self.below(doublings + 1);
        1 + self.below(below)
    }
}

/// Returns the number of rounds of a long test: fewer where tests are slow.
pub fn rounds(usual: usize) -> usize {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    cases.map_or(usual, |cases: usize| (usual * cases / 256).clamp(1, usual))
}

/// Returns the message with which `f` panics.
pub fn panic_message<T>(f: impl FnOnce() -> T) -> String {
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)).map(|_| ());
    let payload = result.expect_err("this must panic");
    match payload.downcast::<String>() {
        Ok(message) => *message,
        Err(payload) => (*payload.downcast::<&str>().expect("a message")).to_string(),
    }
}

/// Runs the test that calls this again in a process of its own, which calls `f` and must abort
/// there. Returns what that process writes. Returns `None` in that process, if it does not abort,
/// and on targets without processes. `number` tells several calls in one test apart.
pub fn in_a_process_that_aborts(number: usize, f: impl FnOnce()) -> Option<String> {
    const VARIABLE: &str = "TALC_TEST_ABORT";
    let thread = std::thread::current();
    let name = format!("{} {number}", thread.name().expect("tests have names"));
    match std::env::var(VARIABLE) {
        Ok(wanted) if wanted == name => {
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(f));
            println!("came back: {result:?}");
            std::process::exit(0);
        }
        Ok(_) => None,
        // QEMU runs this process, but the kernel would have to run the child.
        Err(_) if cfg!(not(any(target_arch = "x86_64", target_arch = "aarch64"))) => None,
        Err(_) => {
            let mut child = std::process::Command::new(std::env::current_exe().unwrap());
            child.args([thread.name().unwrap(), "--exact", "--nocapture", "--test-threads=1"]);
            let output = child.env(VARIABLE, &name).output().expect("the test runs once more");
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            let came_back = String::from_utf8_lossy(&output.stdout).contains("came back");
            assert!(!output.status.success() && !came_back, "{name} must abort:\n{said}");
            Some(said)
        }
    }
}
