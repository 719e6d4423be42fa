//! What does not hang on the crate that is tested; `talc-sync`'s tests include this file too: a
//! small generator of random numbers, how long a test is, and what a panic said.

/// A generator of random numbers, the same ones each time (xorshift).
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % limit
    }

    /// A size from 1 to `1 << doublings` bytes: small ones are as likely as large ones.
    pub fn size(&mut self, doublings: usize) -> usize {
        let below = 1 << self.below(doublings + 1);
        1 + self.below(below)
    }
}

/// Rounds of a long test: fewer where the tests are slow.
pub fn rounds(usual: usize) -> usize {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    cases.map_or(usual, |cases: usize| (usual * cases / 256).clamp(1, usual))
}

/// The message of a panic of `f`.
pub fn panic_message<T>(f: impl FnOnce() -> T) -> String {
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)).map(|_| ());
    let payload = result.expect_err("this must panic");
    match payload.downcast::<String>() {
        Ok(message) => *message,
        Err(payload) => (*payload.downcast::<&str>().expect("a message")).to_string(),
    }
}
