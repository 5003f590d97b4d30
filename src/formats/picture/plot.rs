//! Charts: loss curves, ROC curves, figures by magnitude. The font comes with the program, so a chart looks the
//! same on every machine.

use std::sync::OnceLock;

use plotters::backend::{BitMapBackend, DrawingBackend};
use plotters::chart::{ChartBuilder, ChartContext, SeriesLabelPosition};
use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::drawing::{DrawingArea, IntoDrawingArea};
use plotters::element::{Circle, PathElement};
use plotters::prelude::Cartesian2d;
use plotters::style::{Color, FontStyle, RGBColor, ShapeStyle, TextStyle, register_font};

use super::axis::Axis;
use super::{PictureError, png};

/// A chart's size, px.
const SIZE: (usize, usize) = (1200, 800);
/// It is drawn this many times larger and averaged down, because the drawing library has no smooth lines.
const OVERSAMPLE: usize = 3;
/// Most curves with colours of their own; more take them in turn.
const COLOURS: [RGBColor; 8] = [
    RGBColor(31, 97, 165),
    RGBColor(208, 64, 32),
    RGBColor(44, 140, 72),
    RGBColor(232, 150, 20),
    RGBColor(122, 72, 160),
    RGBColor(20, 150, 160),
    RGBColor(190, 80, 140),
    RGBColor(110, 110, 110),
];
pub(super) const INK: RGBColor = RGBColor(40, 44, 52);
const PAPER: RGBColor = RGBColor(255, 255, 255);
pub(super) const FAMILY: &str = "twinpeak";

/// A chart: some series over two axes.
#[derive(Clone, Debug, PartialEq)]
pub struct Chart {
    /// Title above the chart.
    pub title: String,
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
    /// What is drawn, first at the bottom.
    pub series: Vec<Series>,
    /// Where the names of the series stand.
    pub legend: Corner,
}

/// Points under one name.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Name in the legend.
    pub name: String,
    /// (x, y); a point that is not finite leaves a gap.
    pub points: Vec<(f64, f64)>,
    /// Whether it is a line or dots.
    pub style: Style,
}

/// How a series is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    /// A line.
    #[default]
    Line,
    /// A broken line in gray, for what others are compared with (chance, a target).
    Guide,
    /// A dot at each point, joined by a thin line.
    Dots,
}

/// A corner of the chart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Corner {
    /// Upper right.
    #[default]
    UpperRight,
    /// Upper left.
    UpperLeft,
    /// Lower right.
    LowerRight,
    /// Lower left.
    LowerLeft,
}

/// Draws a chart of 1200x800 px as PNG; the same chart gives the same bytes.
///
/// # Errors
/// [`PictureError`] where drawing or encoding fails.
pub fn chart(chart: &Chart) -> Result<Vec<u8>, PictureError> {
    let (width, height) = (SIZE.0 * OVERSAMPLE, SIZE.1 * OVERSAMPLE);
    let mut pixels = vec![255u8; width * height * 3];
    register();
    {
        let area = BitMapBackend::with_buffer(&mut pixels, (width as u32, height as u32)).into_drawing_area();
        draw(chart, &area).map_err(|e| PictureError::Draw { title: chart.title.clone(), problem: e.to_string() })?;
    }
    png(SIZE.0, SIZE.1, &shrink(&pixels))
}

type Area<'a> = DrawingArea<BitMapBackend<'a>, Shift>;
type DrawError<'a> = plotters::drawing::DrawingAreaErrorKind<<BitMapBackend<'a> as DrawingBackend>::ErrorType>;
type Plot<'a, 'b> = ChartContext<'b, BitMapBackend<'a>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

fn draw<'a>(chart: &Chart, area: &Area<'a>) -> Result<(), DrawError<'a>> {
    let unit = OVERSAMPLE as u32;
    let text = |size: u32| TextStyle::from((FAMILY, size * unit)).color(&INK);
    area.fill(&PAPER)?;
    let x = chart.x.ends(chart.series.iter().flat_map(|s| s.points.iter().map(|p| p.0)));
    let y = chart.y.ends(chart.series.iter().flat_map(|s| s.points.iter().map(|p| p.1)));
    let mut plot = ChartBuilder::on(area)
        .margin(18 * unit)
        .margin_right(34 * unit)
        .caption(&chart.title, text(34))
        .x_label_area_size(76 * unit)
        .y_label_area_size(104 * unit)
        .build_cartesian_2d(x.0..x.1, y.0..y.1)?;
    plot.configure_mesh()
        .x_desc(&chart.x.label)
        .y_desc(&chart.y.label)
        .axis_desc_style(text(27))
        .label_style(text(23))
        .axis_style(ShapeStyle::from(&INK).stroke_width(unit * 3 / 2))
        .bold_line_style(RGBColor(216, 220, 226).stroke_width(unit))
        .light_line_style(RGBColor(242, 243, 246).stroke_width(unit))
        .max_light_lines(2)
        .x_labels(chart.x.labels(x.1 - x.0))
        .y_labels(chart.y.labels(y.1 - y.0))
        .x_label_formatter(&|v| chart.x.text(*v, x.1 - x.0))
        .y_label_formatter(&|v| chart.y.text(*v, y.1 - y.0))
        .draw()?;
    let mut colours = COLOURS.iter().cycle();
    for series in &chart.series {
        let colour =
            if series.style == Style::Guide { RGBColor(130, 134, 142) } else { *colours.next().unwrap_or(&INK) };
        draw_series(chart, series, colour, &mut plot)?;
    }
    if chart.series.iter().any(|s| !s.name.is_empty()) {
        plot.configure_series_labels()
            .position(position(chart.legend))
            .margin(16 * unit)
            .legend_area_size(56 * unit)
            .label_font(text(24))
            .background_style(PAPER.mix(0.9))
            .border_style(RGBColor(190, 194, 200).stroke_width(unit))
            .draw()?;
    }
    area.present()
}

fn draw_series<'a>(
    chart: &Chart,
    series: &Series,
    colour: RGBColor,
    plot: &mut Plot<'a, '_>,
) -> Result<(), DrawError<'a>> {
    let unit = OVERSAMPLE as u32;
    let placed: Vec<(f64, f64)> = series.points.iter().map(|p| (chart.x.place(p.0), chart.y.place(p.1))).collect();
    let width = match series.style {
        Style::Line => 3 * unit,
        Style::Guide => 2 * unit,
        Style::Dots => unit * 3 / 2,
    };
    let stroke = colour.stroke_width(width);
    let runs = placed.split(|p| !(p.0.is_finite() && p.1.is_finite())).filter(|run| !run.is_empty());
    let pieces: Vec<Vec<(f64, f64)>> = match series.style {
        Style::Guide => runs.flat_map(|run| dashes(run, plot)).collect(),
        _ => runs.map(<[_]>::to_vec).collect(),
    };
    let drawn = plot.draw_series(pieces.into_iter().map(|run| PathElement::new(run, stroke)))?;
    if !series.name.is_empty() {
        drawn.label(&series.name).legend(move |(x, y)| {
            let right = x + 44 * unit as i32;
            PathElement::new(vec![(x + 4 * unit as i32, y), (right, y)], stroke)
        });
    }
    if series.style == Style::Dots {
        let dots = placed.iter().filter(|p| p.0.is_finite() && p.1.is_finite());
        plot.draw_series(dots.map(|p| Circle::new(*p, 5 * unit, colour.filled())))?;
    }
    Ok(())
}

/// Cuts a line into dashes of equal length on the picture.
fn dashes(run: &[(f64, f64)], plot: &Plot<'_, '_>) -> Vec<Vec<(f64, f64)>> {
    let (dash, gap) = (14.0 * OVERSAMPLE as f64, 10.0 * OVERSAMPLE as f64);
    let on_picture = |p: &(f64, f64)| {
        let at = plot.backend_coord(p);
        (f64::from(at.0), f64::from(at.1))
    };
    let mut all = Vec::new();
    let mut along = 0.0;
    for ends in run.windows(2) {
        let (a, b) = (on_picture(&ends[0]), on_picture(&ends[1]));
        let length = (b.0 - a.0).hypot(b.1 - a.1);
        let at = |s: f64| {
            let t = (s / length).clamp(0.0, 1.0);
            (ends[0].0 + t * (ends[1].0 - ends[0].0), ends[0].1 + t * (ends[1].1 - ends[0].1))
        };
        let mut start = -(along % (dash + gap));
        while length > 0.0 && start < length {
            if start + dash > 0.0 {
                all.push(vec![at(start), at(start + dash)]);
            }
            start += dash + gap;
        }
        along += length;
    }
    all
}

fn position(corner: Corner) -> SeriesLabelPosition {
    match corner {
        Corner::UpperRight => SeriesLabelPosition::UpperRight,
        Corner::UpperLeft => SeriesLabelPosition::UpperLeft,
        Corner::LowerRight => SeriesLabelPosition::LowerRight,
        Corner::LowerLeft => SeriesLabelPosition::LowerLeft,
    }
}

pub(super) fn register() {
    static FONT: OnceLock<()> = OnceLock::new();
    FONT.get_or_init(|| {
        let registered = register_font(FAMILY, FontStyle::Normal, epaint_default_fonts::UBUNTU_LIGHT);
        assert!(registered.is_ok(), "the font that comes with the program can be read");
    });
}

/// Averages `OVERSAMPLE` x `OVERSAMPLE` pixels.
fn shrink(large: &[u8]) -> Vec<u8> {
    let line = SIZE.0 * OVERSAMPLE * 3;
    let samples = (OVERSAMPLE * OVERSAMPLE) as u32;
    let mut small = Vec::with_capacity(SIZE.0 * SIZE.1 * 3);
    for lines in large.chunks_exact(line * OVERSAMPLE) {
        for x in 0..SIZE.0 {
            for colour in 0..3 {
                let at = |dx: usize, dy: usize| u32::from(lines[dy * line + (x * OVERSAMPLE + dx) * 3 + colour]);
                let sum: u32 = (0..OVERSAMPLE)
                    .flat_map(|dy| (0..OVERSAMPLE).map(move |dx| (dx, dy)))
                    .map(|(dx, dy)| at(dx, dy))
                    .sum();
                small.push(((sum + samples / 2) / samples) as u8);
            }
        }
    }
    small
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(name: &str, style: Style, f: impl Fn(f64) -> f64) -> Series {
        let points = (0..=40).map(|i| f64::from(i) / 40.0).map(|x| (x, f(x))).collect();
        Series { name: name.into(), points, style }
    }

    fn pixels(bytes: &[u8]) -> image::RgbImage {
        image::load_from_memory(bytes).unwrap().to_rgb8()
    }

    fn roc() -> Chart {
        Chart {
            title: "Star or galaxy: ROC on field 003918-3-0213".into(),
            x: Axis::named("galaxies taken for stars").within(0.0, 1.0),
            y: Axis::named("stars found").within(0.0, 1.0),
            series: vec![
                line("chance (AUC .500)", Style::Guide, |x| x),
                line("twinpeak (AUC .998)", Style::Line, |x| x.powf(0.02)),
                line("concentration (AUC .958)", Style::Dots, |x| x.powf(0.2)),
            ],
            legend: Corner::LowerRight,
        }
    }

    /// Writes the chart where a person can look at it, when asked to.
    fn keep(name: &str, bytes: &[u8]) {
        if let Some(folder) = std::env::var_os("TWINPEAK_KEEP") {
            std::fs::write(std::path::Path::new(&folder).join(name), bytes).unwrap();
        }
    }

    #[test]
    fn a_chart_is_the_same_each_time_and_shows_its_series() {
        let bytes = chart(&roc()).unwrap();
        assert_eq!(bytes, chart(&roc()).unwrap());
        keep("roc.png", &bytes);
        let seen = pixels(&bytes);
        assert_eq!(seen.dimensions(), (1200, 800));
        let has = |c: RGBColor| seen.pixels().any(|p| p.0 == [c.0, c.1, c.2]);
        assert!(has(COLOURS[0]) && has(COLOURS[1]) && !has(COLOURS[2]), "one colour a series, the guide gray");
    }

    #[test]
    fn a_logarithmic_axis_and_gaps_are_drawn() {
        let mut epochs: Vec<_> = (1..200).map(|i| (f64::from(i), 300.0 / f64::from(i).powf(1.5) + 0.02)).collect();
        epochs[50].1 = f64::NAN;
        epochs[51].1 = -1.0;
        let loss = Chart {
            title: "Training of the classifier".into(),
            x: Axis::named("epoch"),
            y: Axis::named("loss, nats a stamp").logarithmic(),
            series: vec![Series { name: "training".into(), points: epochs, style: Style::Line }],
            legend: Corner::UpperRight,
        };
        let bytes = chart(&loss).unwrap();
        keep("loss.png", &bytes);
        assert!(pixels(&bytes).pixels().any(|p| p.0 == [COLOURS[0].0, COLOURS[0].1, COLOURS[0].2]));
    }

    #[test]
    fn any_points_make_a_chart() {
        for points in [vec![], vec![(0.0, 0.0)], vec![(f64::NAN, 1.0)], vec![(1e300, -1e300), (-1e300, f64::INFINITY)]]
        {
            for style in [Style::Line, Style::Guide, Style::Dots] {
                let series = vec![Series { name: "any".into(), points: points.clone(), style }];
                let (x, y) = (Axis::named("x").within(3.0, 3.0), Axis::named("y").logarithmic());
                let any = Chart { title: String::new(), x, y, series, legend: Corner::UpperLeft };
                assert!(chart(&any).is_ok());
            }
        }
    }
}
