//! Patterns compiled and run over log lines.

use super::text::{word, words};
use fastrand::Rng;
use regex::{Regex, RegexSet};
use std::collections::HashMap;

const PATTERNS: [&str; 8] = [
    r"(?P<user>[a-z]+)@(?P<host>[a-z]+)\.example",
    r"\b(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\b",
    r"(?i)error|warn(ing)?|fatal",
    r"took (?P<ms>\d+)ms",
    r"[A-Z][a-z]+(?: [A-Z][a-z]+)+",
    r"(\w+)=(\w+)(?:,\s*(\w+)=(\w+))*",
    r"^\[(?P<time>[0-9:]+)\] (?P<rest>.*)$",
    r"[aeiou]{2,}[^aeiou\s]{3,}",
];

fn line(rng: &mut Rng) -> String {
    let level = ["info", "warning", "Error", "debug"][rng.usize(..4)];
    format!(
        "[{:02}:{:02}:{:02}] {level} {}@{}.example 10.{}.{}.{} took {}ms {}={}, {}={} {}",
        rng.u8(..24),
        rng.u8(..60),
        rng.u8(..60),
        word(rng),
        word(rng),
        rng.u8(..),
        rng.u8(..),
        rng.u8(..),
        rng.u16(..),
        word(rng),
        word(rng),
        word(rng),
        word(rng),
        words(rng, 8)
    )
}

pub(crate) fn run(scale: u32) -> u64 {
    let mut rng = Rng::with_seed(5);
    let mut sum = 0;
    for round in 0..scale {
        // Some patterns are made of the data's own words, as search boxes do.
        let mut patterns: Vec<String> = PATTERNS.iter().map(|&p| p.to_owned()).collect();
        for _ in 0..24 {
            patterns.push(format!(r"\b({}|{}+{})\w*", word(&mut rng), word(&mut rng), round));
        }
        let compiled: Vec<Regex> =
            patterns.iter().map(|pattern| Regex::new(pattern).expect("a pattern")).collect();
        let set = RegexSet::new(&patterns).expect("patterns");
        let mut users: HashMap<String, Vec<u64>> = HashMap::new();
        for _ in 0..1200 {
            let line = line(&mut rng);
            for index in set.matches(&line).iter().take(4) {
                if let Some(captures) = compiled[index].captures(&line) {
                    sum += captures.len() as u64;
                }
            }
            if let Some(captures) = compiled[0].captures(&line) {
                let ms: Option<u64> =
                    compiled[3].captures(&line).and_then(|found| found["ms"].parse().ok());
                users.entry(captures["user"].to_owned()).or_default().extend(ms);
            }
            sum += compiled[1].replace_all(&line, "<$1>").len() as u64;
            sum += compiled[5].split(&line).map(str::to_owned).collect::<Vec<_>>().len() as u64;
        }
        sum += users.values().map(|times| times.iter().sum::<u64>()).sum::<u64>();
    }
    sum
}
