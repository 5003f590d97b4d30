//! Small pictures in rows and columns under headings: the same pieces of sky as several nets see them.

use plotters::backend::BitMapBackend;
use plotters::drawing::IntoDrawingArea;
use plotters::style::TextStyle;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::plot::{FAMILY, INK, register};
use super::quicklook::{Rgb, SKY, UNCLASSIFIED, lupton, palette};
use super::{PictureError, png};
use twinpeak_core::catalog::Row;
use twinpeak_core::frame::Plane;

/// Between pictures, px.
const GAP_PX: usize = 10;
/// A line of a heading, px.
const LINE_PX: usize = 20;
/// The title, px.
const TITLE_PX: usize = 44;
/// Where the rows' names stand, px.
const NAMES_PX: usize = 120;

/// Objects are told apart by colours, in turn.
const OBJECTS: [Rgb; 7] =
    [[255, 158, 27], [64, 160, 224], [226, 30, 38], [110, 190, 80], [180, 110, 200], [240, 220, 90], [60, 190, 180]];

/// One small picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Panel(Plane<Rgb>);

impl Panel {
    /// Three planes in units of sky noise, bluest first, as blue, green and red ([`super::quicklook`]'s colours).
    pub fn colours(shape: &[Plane<f32>; 3]) -> Self {
        let [blue, green, red] = shape;
        let pixels = red.pixels().iter().zip(green.pixels()).zip(blue.pixels()).map(|((r, g), b)| lupton([*r, *g, *b]));
        Self(Plane::from_pixels(red.width(), red.height(), pixels.collect()))
    }

    /// Which pixels are whose: gray sky, neighbours in colours of their own.
    pub fn objects(segmentation: &Plane<u32>) -> Self {
        Self(segmentation.map(|n| if n == 0 { SKY } else { OBJECTS[n as usize % OBJECTS.len()] }))
    }

    /// What each object was taken for: gray sky, red stars and quasars, orange galaxies, pale without a class.
    pub fn classes(segmentation: &Plane<u32>, rows: &[Row]) -> Self {
        let colours = palette(rows);
        Self(segmentation.map(|n| colours.get(n as usize).copied().unwrap_or(UNCLASSIFIED)))
    }
}

/// Pictures in rows and columns.
#[derive(Clone, Debug, PartialEq)]
pub struct Panels {
    /// Title above all panels.
    pub title: String,
    /// Above each column; a line break begins another line.
    pub columns: Vec<String>,
    /// Each row's name and pictures.
    pub rows: Vec<(String, Vec<Panel>)>,
    /// Picture pixels for each pixel of a panel.
    pub scale: usize,
}

/// Draws them as PNG, each with its first row at the bottom; the same panels give the same bytes.
///
/// # Errors
/// [`PictureError`] for panels of different sizes and where drawing or encoding fails.
pub fn panels(panels: &Panels) -> Result<Vec<u8>, PictureError> {
    let all = || panels.rows.iter().flat_map(|(_, row)| row);
    let sizes: Vec<_> = all().map(|p| (p.0.width(), p.0.height())).collect();
    let Some(&(width, height)) = sizes.first().filter(|size| size.0 > 0 && sizes.iter().all(|s| s == *size)) else {
        return Err(PictureError::Size { sizes });
    };
    let step = (width * panels.scale + GAP_PX, height * panels.scale + GAP_PX);
    let lines = panels.columns.iter().map(|c| c.lines().count()).max().unwrap_or(0);
    let top = TITLE_PX + lines * LINE_PX + GAP_PX;
    let across = panels.rows.iter().map(|(_, row)| row.len()).max().unwrap_or(0);
    let (full_width, full_height) = (NAMES_PX + across * step.0, top + panels.rows.len() * step.1);
    let mut pixels = vec![255u8; full_width * full_height * 3];
    write_texts(panels, &mut pixels, (full_width, full_height), step, top)?;
    for (r, (_, row)) in panels.rows.iter().enumerate() {
        for (c, panel) in row.iter().enumerate() {
            let (left, upper) = (NAMES_PX + c * step.0, top + r * step.1);
            for y in 0..height * panels.scale {
                let from = panel.0.row(height - 1 - y / panels.scale);
                let line = ((upper + y) * full_width + left) * 3;
                let line = &mut pixels[line..line + width * panels.scale * 3];
                for (x, pixel) in line.as_chunks_mut::<3>().0.iter_mut().enumerate() {
                    *pixel = from[x / panels.scale];
                }
            }
        }
    }
    png(full_width, full_height, &pixels)
}

fn write_texts(
    panels: &Panels,
    pixels: &mut [u8],
    size: (usize, usize),
    step: (usize, usize),
    top: usize,
) -> Result<(), PictureError> {
    register();
    let area = BitMapBackend::with_buffer(pixels, (size.0 as u32, size.1 as u32)).into_drawing_area();
    let style = |size: u32, at: HPos| TextStyle::from((FAMILY, size)).color(&INK).pos(Pos::new(at, VPos::Center));
    let draw = |text: &str, style: &TextStyle, x: usize, y: usize| {
        let failed =
            |e: &dyn std::fmt::Display| PictureError::Draw { title: panels.title.clone(), problem: e.to_string() };
        area.draw_text(text, style, (x as i32, y as i32)).map_err(|e| failed(&e))
    };
    draw(&panels.title, &style(24, HPos::Left), GAP_PX, TITLE_PX / 2)?;
    for (c, heading) in panels.columns.iter().enumerate() {
        let middle = NAMES_PX + c * step.0 + (step.0 - GAP_PX) / 2;
        for (l, line) in heading.lines().enumerate() {
            draw(line, &style(16, HPos::Center), middle, TITLE_PX + l * LINE_PX + LINE_PX / 2)?;
        }
    }
    for (r, (name, _)) in panels.rows.iter().enumerate() {
        for (l, line) in name.lines().enumerate() {
            draw(line, &style(16, HPos::Left), GAP_PX, top + r * step.1 + (step.1 - GAP_PX) / 2 + l * LINE_PX)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use twinpeak_core::catalog::class;

    fn seen(bytes: &[u8]) -> image::RgbImage {
        image::load_from_memory(bytes).unwrap().to_rgb8()
    }

    #[test]
    fn each_panel_stands_in_its_place_first_row_at_the_bottom() {
        let mut segmentation = Plane::filled(8, 6, 0u32);
        segmentation.set(0, 0, 1);
        let rows = [Row { number: 1, classification: Some(class::STAR), ..Row::default() }];
        let sky = Panel::objects(&Plane::filled(8, 6, 0));
        let all = Panels {
            title: "A corner".to_owned(),
            columns: vec!["sky".to_owned(), "classes\nof objects".to_owned()],
            rows: vec![("first".to_owned(), vec![sky, Panel::classes(&segmentation, &rows)])],
            scale: 3,
        };
        let picture = seen(&panels(&all).unwrap());
        let top = TITLE_PX + 2 * LINE_PX + GAP_PX;
        let (step_x, bottom) = (8 * 3 + GAP_PX, top + 6 * 3 - 1);
        let at = |x: usize, y: usize| picture.get_pixel(x as u32, y as u32).0;
        assert_eq!((at(NAMES_PX, bottom), at(NAMES_PX + step_x, top)), (SKY, SKY));
        let [red, green, _] = at(NAMES_PX + step_x, bottom);
        assert!(red > 200 && green < 60, "a star is red: {red} {green}");
        assert!(picture.pixels().any(|p| p.0[0] < 100 && p.0 != SKY), "there are words");
    }

    #[test]
    fn panels_of_different_sizes_are_refused() {
        let panel = |side| Panel::objects(&Plane::filled(side, side, 0));
        let rows = vec![("a".to_owned(), vec![panel(4), panel(5)])];
        let all = Panels { title: String::new(), columns: Vec::new(), rows, scale: 1 };
        assert!(matches!(panels(&all), Err(PictureError::Size { .. })));
    }
}
