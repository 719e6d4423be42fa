//! Charts as SVG: bars in groups, or lines; one colour per allocator everywhere.

use crate::compact;
use crate::contender::ours;
use crate::report::{home, number, Chart, Course};
use anyhow::{anyhow, Context, Result};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::path::PathBuf;

/// Colours by name, so that an allocator looks the same in every picture. Talc stands out; the
/// hosted allocators are greys.
const COLOURS: [(&str, RGBColor); 18] = [
    ("talc", RGBColor(200, 30, 40)),
    ("talc fast", RGBColor(130, 10, 60)),
    ("talc small", RGBColor(230, 80, 120)),
    ("talc arena", RGBColor(215, 120, 170)),
    ("talc 5.1.1", RGBColor(240, 150, 110)),
    ("rlsf", RGBColor(40, 100, 180)),
    ("rlsf small", RGBColor(120, 170, 230)),
    ("dlmalloc", RGBColor(60, 160, 90)),
    ("good_memory", RGBColor(150, 110, 190)),
    ("buddy-alloc", RGBColor(200, 170, 40)),
    ("linked_list", RGBColor(90, 180, 190)),
    ("lol_alloc", RGBColor(200, 170, 40)),
    ("wasmalloc", RGBColor(70, 70, 70)),
    ("mimalloc", RGBColor(70, 70, 70)),
    ("jemalloc", RGBColor(115, 115, 115)),
    ("snmalloc", RGBColor(155, 155, 155)),
    ("system", RGBColor(195, 195, 195)),
    ("live bytes", INK),
];

const WIDTH: u32 = 1000;
const HEIGHT: u32 = 460;
const GRID: RGBColor = RGBColor(225, 225, 225);
const INK: RGBColor = RGBColor(40, 40, 40);

/// The folder of the pictures.
pub fn folder() -> PathBuf {
    home().join("plots")
}

/// Draws a chart into its file.
pub fn draw(chart: &Chart) -> Result<()> {
    let bars = chart.groups.len() * (chart.series.len() + 2);
    let width = (bars as u32 * 9 + 120).clamp(WIDTH, 1800);
    let size = Size(f64::from(width) / f64::from(WIDTH));
    let height = size.of(HEIGHT) as u32;
    keep(&chart.file, (width, height), |area| paint(chart, area, size))
}

/// Draws lines into their file.
pub fn draw_course(course: &Course) -> Result<()> {
    keep(&course.file, (WIDTH, HEIGHT), |area| paint_course(course, area))
}

/// Writes a picture of that size into a file.
fn keep(file: &str, size: (u32, u32), paint: impl FnOnce(&Area<'_>) -> Painted) -> Result<()> {
    let path = folder().join(format!("{file}.svg"));
    let mut drawn = String::new();
    let area = SVGBackend::with_string(&mut drawn, size).into_drawing_area();
    paint(&area).map_err(|error| anyhow!("drawing {}: {error}", path.display()))?;
    area.present().map_err(|error| anyhow!("drawing {}: {error}", path.display()))?;
    drop(area);
    std::fs::create_dir_all(folder())?;
    std::fs::write(&path, compact::svg(&drawn))
        .with_context(|| format!("writing {}", path.display()))
}

/// How much wider than usual a picture is. It will be shown no wider than others, so what is in it
/// must be larger.
#[derive(Clone, Copy)]
struct Size(f64);

impl Size {
    /// Half of the way, as too large names would meet.
    fn of(self, pixels: u32) -> i32 {
        (f64::from(pixels) * self.0.sqrt()).round() as i32
    }

    fn font(self, pixels: u32) -> FontDesc<'static> {
        ("sans-serif", self.of(pixels)).into_font()
    }
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Painted = std::result::Result<(), Box<dyn std::error::Error + Send + Sync>>;

fn paint(chart: &Chart, area: &Area<'_>, size: Size) -> Painted {
    area.fill(&WHITE)?;
    heading(&chart.title, area, size)?;
    legend(chart.series.iter().map(|(name, _)| name.as_str()), area, size)?;

    let top = top_of(chart);
    let slots = chart.series.len() as f64 + 2.0;
    let mut plane = ChartBuilder::on(area)
        .margin_top(size.of(64))
        .margin_left(12)
        .margin_right(16)
        .x_label_area_size(size.of(44))
        .y_label_area_size(size.of(64))
        .build_cartesian_2d(0.0..slots * chart.groups.len() as f64, chart.floor..top)?;
    plane
        .configure_mesh()
        .disable_x_mesh()
        .disable_x_axis()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .y_desc(chart.axis.clone())
        .label_style(size.font(13).color(&INK))
        .draw()?;

    let small = size.font(13).color(&INK);
    let below = small.pos(Pos::new(HPos::Center, VPos::Top));
    for (group, name) in chart.groups.iter().enumerate() {
        let left = group as f64 * slots;
        for (index, (series, values)) in chart.series.iter().enumerate() {
            let Some(value) = values.get(group).copied().flatten() else { continue };
            let x = left + 1.0 + index as f64;
            let bar = [(x, chart.floor), (x + 0.92, value.min(top))];
            plane.draw_series([Rectangle::new(bar, colour(series).filled())])?;
            if value > top {
                // As high as a bar is wide, whatever the size.
                let turned = Size(1.0).font(10).transform(FontTransform::Rotate90);
                let style = turned.color(&WHITE).pos(Pos::new(HPos::Left, VPos::Center));
                let below_top = top - (top - chart.floor) * 0.015;
                let label = Text::new(number(value), (x + 0.5, below_top), style);
                plane.draw_series([label])?;
            }
        }
        let middle = plane.backend_coord(&(left + slots / 2.0, chart.floor));
        // Long names take two heights in turn where there are many of them.
        let lower = if chart.groups.len() > 10 && group % 2 == 1 { 18 } else { 0 };
        let at = (middle.0, middle.1 + size.of(8 + lower));
        area.draw(&Text::new(name.clone(), at, below.clone()))?;
    }
    if chart.floor < 1.0 && top > 1.0 && chart.axis.contains("times") {
        let line = [(0.0, 1.0), (slots * chart.groups.len() as f64, 1.0)];
        plane.draw_series([PathElement::new(line, INK.stroke_width(1))])?;
    }
    Ok(())
}

fn paint_course(course: &Course, area: &Area<'_>) -> Painted {
    let size = Size(1.0);
    area.fill(&WHITE)?;
    heading(&course.title, area, size)?;
    let lines = || course.series.iter().chain([&course.least]);
    legend(lines().map(|(name, _)| name.as_str()), area, size)?;

    let most = lines().flat_map(|(_, values)| values).copied().fold(0.01, f64::max);
    // The last values go on for a while, so that they are seen.
    let right = course.end * 1.04;
    let mut plane = ChartBuilder::on(area)
        .margin_top(size.of(64))
        .margin_left(12)
        .margin_right(40)
        .x_label_area_size(size.of(44))
        .y_label_area_size(size.of(64))
        .build_cartesian_2d(0.0..right, 0.0..most * 1.04)?;
    plane
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .x_desc(course.across.clone())
        .y_desc(course.axis.clone())
        .x_label_formatter(&|value| format!("{value:.0}"))
        .label_style(size.font(13).color(&INK))
        .draw()?;
    let points = |values: &[f64]| {
        let step = course.end / values.len().max(1) as f64;
        let numbered = values.iter().enumerate();
        let points = numbered.map(|(index, &value)| ((index + 1) as f64 * step, value));
        let last = values.last().map(|&value| (right, value));
        [(0.0, 0.0)].into_iter().chain(points).chain(last).collect::<Vec<(f64, f64)>>()
    };
    for (name, values) in course.series.iter().rev() {
        plane.draw_series(LineSeries::new(points(values), colour(name).stroke_width(2)))?;
    }
    let (name, values) = &course.least;
    let dashes = points(values).into_iter();
    plane.draw_series(DashedLineSeries::new(dashes, 5, 4, colour(name).stroke_width(1)))?;
    Ok(())
}

/// What is shown, in the middle above all else.
fn heading(title: &str, area: &Area<'_>, size: Size) -> Painted {
    let (width, _) = area.dim_in_pixel();
    let heading = size.font(19).color(&INK);
    let centred = heading.pos(Pos::new(HPos::Center, VPos::Top));
    area.draw(&Text::new(title.to_owned(), (width as i32 / 2, size.of(10)), centred))?;
    Ok(())
}

/// One line of names above the plane.
fn legend<'a>(names: impl Iterator<Item = &'a str>, area: &Area<'_>, size: Size) -> Painted {
    let mut x = size.of(70);
    for name in names {
        let weight = if name == ours() { FontStyle::Bold } else { FontStyle::Normal };
        let style = ("sans-serif", size.of(13), weight).into_text_style(area).color(&INK);
        let (top, side) = (size.of(40), size.of(11));
        area.draw(&Rectangle::new([(x, top), (x + side, top + side)], colour(name).filled()))?;
        area.draw(&Text::new(name.to_owned(), (x + size.of(15), top - 1), style))?;
        x += size.of(28 + 7 * name.chars().count() as u32);
    }
    Ok(())
}

fn colour(name: &str) -> RGBColor {
    let known = COLOURS.iter().find(|(known, _)| *known == name);
    known.map_or(RGBColor(120, 90, 60), |(_, colour)| *colour)
}

/// The largest value, or where the bars are cut.
fn top_of(chart: &Chart) -> f64 {
    let values = chart.series.iter().flat_map(|(_, values)| values.iter().copied().flatten());
    let most = values.fold(chart.floor, f64::max);
    let top = chart.cut.map_or(most, |cut| most.min(cut));
    chart.floor + (top - chart.floor).max(0.01) * 1.04
}
