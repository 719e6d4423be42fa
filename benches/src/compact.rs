//! The form in which results are kept in git, in as few lines as their numbers need. A number that
//! has not changed changes no line.

use std::fmt::Write;

/// Rounds a number to four significant digits, or to a whole number if it has more.
pub fn rounded(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let digits = 3 - value.abs().log10().floor() as i32;
    let scale = 10_f64.powi(digits.max(0));
    (value * scale).round() / scale
}

/// Joins lines of JSON as serde_json indents it: each row of a table, each line of a chart and each
/// object without anything inside takes one line.
pub fn json(indented: &str) -> String {
    let lines: Vec<&str> = indented.lines().collect();
    let mut out = String::new();
    let mut at = 0;
    while let Some(line) = lines.get(at) {
        let depth = indent(line);
        let length = lines[at + 1..].iter().take_while(|line| indent(line) > depth).count();
        let (inside, rest) = lines[at + 1..].split_at(length);
        if opens(line) && is_one_line(line, inside) {
            out.push_str(line);
            let parts: Vec<&str> = inside.iter().map(|line| line.trim_start()).collect();
            out.push_str(&parts.join(" ").replace("[ ", "[").replace(" ]", "]"));
            out.push_str(rest[0].trim_start());
            at += length + 2;
        } else {
            out.push_str(line);
            at += 1;
        }
        out.push('\n');
    }
    out
}

/// Whether what a line opens is written behind it: values, and values with lists of values after them.
/// What the figure itself consists of has lines of its own.
fn is_one_line(line: &str, inside: &[&str]) -> bool {
    let nested = inside.iter().filter(|line| opens(line)).count();
    let is_list_of_lists = inside.first().is_some_and(|line| opens(line));
    let has_objects = inside.iter().any(|line| line.ends_with('{'));
    indent(line) > 2 && (nested == 0 || line.ends_with('[') && !is_list_of_lists && !has_objects)
}

fn opens(line: &str) -> bool {
    line.ends_with(['[', '{'])
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// Merges shapes of an SVG picture as plotters writes it: each style has one line, with all that is
/// drawn in it. What is written is above what is drawn.
pub fn svg(drawn: &str) -> String {
    let mut shapes = Groups::default();
    let mut texts = Groups::default();
    let (mut head, mut foot) = ("", "");
    let mut lines = drawn.lines();
    while let Some(line) = lines.next() {
        let mut element = Element::parse(line);
        match element.name {
            "svg" => head = line,
            "/svg" => foot = line,
            "rect" => {
                let [x, y, width, height] = element.take(["x", "y", "width", "height"]);
                shapes.add(element.style(), &format!("M{x},{y}h{width}v{height}h-{width}z"));
            }
            "line" => {
                let [left, top, right, bottom] = element.take(["x1", "y1", "x2", "y2"]);
                shapes.add(element.style(), &format!("M{left},{top} {right},{bottom}"));
            }
            "polyline" => {
                let [points] = element.take(["points"]);
                shapes.add(element.style(), &format!("M{}", points.trim_end()));
            }
            "text" => {
                let [x, y, dy] = element.take(["x", "y", "dy"]);
                let transform = match element.take(["transform"]) {
                    [""] => String::new(),
                    [turned] => format!(" transform=\"{turned}\""),
                };
                let content: String =
                    lines.by_ref().take_while(|&line| line != "</text>").collect();
                let text =
                    format!("<text x=\"{x}\" y=\"{y}\" dy=\"{dy}\"{transform}>{content}</text>");
                texts.add(element.style(), &text);
            }
            other => unreachable!("plotters draws no {other} here"),
        }
    }
    let mut out = format!("{head}\n");
    for (style, path) in shapes.0 {
        let _ = writeln!(out, "<path{style} d=\"{path}\"/>");
    }
    for (style, text) in texts.0 {
        let _ = writeln!(out, "<g{style}>{text}</g>");
    }
    out + foot + "\n"
}

/// What is drawn or written in each style. The styles are in the order in which each occurs last, so
/// that bars, whose colours the legend has too, cover the grid.
#[derive(Default)]
struct Groups(Vec<(String, String)>);

impl Groups {
    fn add(&mut self, style: String, content: &str) {
        let known = self.0.iter().position(|(known, _)| *known == style);
        let mut contents = known.map_or(String::new(), |at| self.0.remove(at).1);
        contents.push_str(content);
        self.0.push((style, contents));
    }
}

/// An element of a picture.
struct Element<'a> {
    name: &'a str,
    attributes: Vec<(&'a str, &'a str)>,
}

impl<'a> Element<'a> {
    fn parse(line: &'a str) -> Self {
        let (name, rest) = line.split_once([' ', '>']).unwrap_or((line, ""));
        let quoted: Vec<&str> = rest.split('"').collect();
        let attributes = quoted.chunks_exact(2);
        let attributes = attributes.map(|pair| (pair[0].trim().trim_end_matches('='), pair[1]));
        Self { name: name.trim_start_matches('<'), attributes: attributes.collect() }
    }

    /// Takes attributes out; what is missing is empty.
    fn take<const N: usize>(&mut self, names: [&str; N]) -> [&'a str; N] {
        names.map(|name| {
            let at = self.attributes.iter().position(|(known, _)| *known == name);
            at.map_or("", |at| self.attributes.remove(at).1)
        })
    }

    /// The attributes that are left, but those that say what is usual.
    fn style(&self) -> String {
        let usual = [("opacity", "1"), ("stroke", "none"), ("stroke-width", "1")];
        let left = self.attributes.iter().filter(|attribute| !usual.contains(attribute));
        left.map(|(name, value)| match value.parse() {
            Ok(number) => format!(" {name}=\"{}\"", rounded(number)),
            Err(_) => format!(" {name}=\"{value}\""),
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{home, Figure};

    #[test]
    fn numbers_have_four_digits() {
        let pairs = [(0.0, 0.0), (1.23456, 1.235), (-98.765, -98.77), (0.000_123_456, 0.000_123_5)];
        assert!(pairs.iter().all(|&(value, expected)| rounded(value) == expected));
        assert_eq!(rounded(148_061.4), 148_061.0);
    }

    #[test]
    fn kept_figures_are_compact() {
        let mut figures = 0;
        for entry in home().join("results").read_dir().unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "json") {
                let figure = Figure::load(&path).unwrap().rounded();
                assert_eq!(figure.json().unwrap(), std::fs::read_to_string(&path).unwrap());
                figures += 1;
            }
        }
        assert!(figures > 10, "{figures} figures");
    }

    #[test]
    fn each_row_has_a_line() {
        let value = serde_json::json!({
            "tables": [{ "columns": ["a", "b"], "rows": [["x", "1"], ["y", "2, [3"]] }],
            "series": [["talc", [1.5, null]]],
            "bars": [{ "goal": 1.0 }],
            "losses": ["none"],
            "charts": [],
        });
        let compact = json(&serde_json::to_string_pretty(&value).unwrap());
        assert_eq!(serde_json::from_str::<serde_json::Value>(&compact).unwrap(), value);
        for line in [
            r#"["x", "1"],"#,
            r#"["y", "2, [3"]"#,
            r#""columns": ["a", "b"],"#,
            r#"["talc", [1.5, null]]"#,
            r#"{"goal": 1.0}"#,
            r#""none""#,
        ] {
            assert!(compact.lines().any(|found| found.trim() == line), "{line} in {compact}");
        }
    }

    #[test]
    fn each_style_has_a_line() {
        let drawn = "\
<svg width=\"9\">
<rect x=\"1\" y=\"2\" width=\"3\" height=\"4\" opacity=\"1\" fill=\"#FFFFFF\" stroke=\"none\"/>
<text x=\"5\" y=\"6\" dy=\"0.5ex\" font-size=\"8.0645161\" fill=\"#000000\" transform=\"rotate(90, 5, 6)\">
722
</text>
<line opacity=\"1\" stroke=\"#FFFFFF\" stroke-width=\"1\" x1=\"1\" y1=\"2\" x2=\"3\" y2=\"2\"/>
<rect x=\"9\" y=\"2\" width=\"3\" height=\"4\" opacity=\"1\" fill=\"#FFFFFF\" stroke=\"none\"/>
<polyline fill=\"none\" opacity=\"1\" stroke=\"#FFFFFF\" stroke-width=\"2\" points=\"1,2 3,4 \"/>
</svg>
";
        let expected = "\
<svg width=\"9\">
<path stroke=\"#FFFFFF\" d=\"M1,2 3,2\"/>
<path fill=\"#FFFFFF\" d=\"M1,2h3v4h-3zM9,2h3v4h-3z\"/>
<path fill=\"none\" stroke=\"#FFFFFF\" stroke-width=\"2\" d=\"M1,2 3,4\"/>
<g font-size=\"8.065\" fill=\"#000000\"><text x=\"5\" y=\"6\" dy=\"0.5ex\" transform=\"rotate(90, 5, 6)\">722</text></g>
</svg>
";
        assert_eq!(svg(drawn), expected);
    }
}
