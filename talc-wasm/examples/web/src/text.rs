//! Words, and Markdown made of them.

use fastrand::Rng;

const WORDS: [&str; 24] = [
    "amber", "bridge", "cloud", "delta", "ember", "field", "garden", "harbour", "island",
    "juniper", "kettle", "lantern", "meadow", "north", "orchard", "pebble", "quiet", "river",
    "silver", "timber", "upland", "valley", "willow", "yonder",
];

/// A word.
pub fn word(rng: &mut Rng) -> String {
    String::from(WORDS[rng.usize(..WORDS.len())])
}

/// Several words.
fn words(rng: &mut Rng, count: usize) -> String {
    let words: Vec<String> = (0..count).map(|_| word(rng)).collect();
    words.join(" ")
}

/// A heading.
pub fn heading(rng: &mut Rng) -> String {
    let count = rng.usize(1..5);
    words(rng, count)
}

/// A paragraph, a list, a table, some code or a heading, with an empty line after it.
pub fn paragraph(rng: &mut Rng) -> String {
    match rng.u8(..6) {
        0 => format!("## {}\n\n", heading(rng)),
        1 => format!("- {}\n- *{}*\n- `{}`\n\n", words(rng, 4), words(rng, 3), word(rng)),
        2 => format!(
            "| {} | {} |\n|---|---|\n| {} | {} |\n\n",
            word(rng),
            word(rng),
            word(rng),
            words(rng, 3)
        ),
        3 => format!("```\nlet {} = {};\n```\n\n", word(rng), rng.u32(..)),
        _ => {
            let length = rng.usize(10..60);
            format!("{} **{}** {}.\n\n", words(rng, length), words(rng, 2), words(rng, length / 2))
        }
    }
}
