//! Words, for programs that need some.

use fastrand::Rng;

const SYLLABLES: [&str; 24] = [
    "al", "bor", "cen", "da", "el", "for", "gan", "hi", "in", "jo", "ka", "lum", "mi", "nor", "o",
    "pra", "qui", "ras", "se", "tur", "um", "ver", "wy", "zen",
];

/// A word of one to four syllables.
pub(crate) fn word(rng: &mut Rng) -> String {
    (0..rng.usize(1..=4)).map(|_| SYLLABLES[rng.usize(..SYLLABLES.len())]).collect()
}

/// Several words.
pub(crate) fn words(rng: &mut Rng, count: usize) -> String {
    let words: Vec<String> = (0..count).map(|_| word(rng)).collect();
    words.join(" ")
}

/// A checksum of some bytes.
pub(crate) fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    })
}
