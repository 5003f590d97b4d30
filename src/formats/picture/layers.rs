//! A field's picture in layers: its colours, and over them, see-through, the objects' outlines, their classes, and the
//! pixels that were not trusted. At the size of the quick look, first row at the bottom.

use std::io::Cursor;

use rayon::prelude::*;

use super::quicklook::{GALAXY, GAP_PX, STAR, UNCLASSIFIED, numbers, paint_colour, step};
use super::{PictureError, png};
use twinpeak_core::catalog::{MAX_NUMBER, Row, class};
use twinpeak_core::frame::{Plane, mask};

/// One of a field's pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// The colours.
    Image,
    /// The colours, small.
    Thumbnail,
    /// Each object's border, in its class's colour.
    Outlines,
    /// Each object's pixels, in its class's colour.
    Classes,
    /// Saturated and bad pixels, those without data, and the frame's edge.
    Untrusted,
    /// The models of all objects, in colours.
    Model,
    /// What the models leave, in colours.
    Residual,
}

impl Layer {
    /// By its name in an address.
    pub fn named(name: &str) -> Option<Self> {
        let all =
            [Self::Image, Self::Thumbnail, Self::Outlines, Self::Classes, Self::Untrusted, Self::Model, Self::Residual];
        all.into_iter().find(|layer| layer.name() == name)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Thumbnail => "thumbnail",
            Self::Outlines => "outlines",
            Self::Classes => "classes",
            Self::Untrusted => "untrusted",
            Self::Model => "model",
            Self::Residual => "residual",
        }
    }

    /// Whether it shows the masks.
    pub fn of_masks(self) -> bool {
        matches!(self, Self::Outlines | Self::Classes | Self::Untrusted)
    }

    /// Whether it is of the scene, of which pictures are made on request alone.
    pub fn of_scene(self) -> bool {
        matches!(self, Self::Model | Self::Residual)
    }
}

/// Largest side of a thumbnail.
const THUMBNAIL_PX: usize = 256;

/// A mark's low bits: the object's class; the masks' bits stand above [`BITS`].
const CLASS: u8 = 3;
const IS_STAR: u8 = 1;
const IS_GALAXY: u8 = 2;
const IS_UNCLASSIFIED: u8 = 3;
const OUTLINE: u8 = 4;
const BITS: u32 = 4;

/// All of them, four bytes a pixel.
pub struct Layers {
    width: usize,
    height: usize,
    rgb: Vec<u8>,
    /// What is said of each pixel; a layer is a palette for these. Empty where nothing is known.
    marks: Vec<u8>,
}

impl Layers {
    /// Of what came of an image; `shape` and `rows` as for [`super::quicklook`], `bits` of [`mask`].
    ///
    /// # Errors
    /// [`PictureError::Size`] for planes of different sizes.
    pub fn new(
        shape: &[Plane<f32>; 3],
        segmentation: &Plane<u32>,
        rows: &[Row],
        bits: &Plane<u8>,
    ) -> Result<Self, PictureError> {
        let size = (segmentation.width(), segmentation.height());
        let sizes: Vec<_> =
            shape.iter().map(|p| (p.width(), p.height())).chain([size, (bits.width(), bits.height())]).collect();
        if size.0 == 0 || size.1 == 0 || sizes.iter().any(|s| *s != size) {
            return Err(PictureError::Size { sizes });
        }
        let step = step(size);
        let (width, height) = (size.0.div_ceil(step), size.1.div_ceil(step));
        let mut rgb = vec![0u8; width * height * 3];
        rgb.par_chunks_exact_mut(width * 3).rev().enumerate().for_each(|(y, line)| {
            paint_colour(shape, y * step..((y + 1) * step).min(size.1), step, line);
        });
        let last = rows.iter().map(|r| r.number as usize).max().unwrap_or(0);
        let mut classes = vec![IS_UNCLASSIFIED; last + 1];
        rows.iter().filter(|r| r.number > 0).for_each(|r| classes[r.number as usize] = mark_of(r.classification));
        Ok(Self { width, height, rgb, marks: marks(segmentation, bits, step, &classes) })
    }

    /// Of an image's quick look: the colours alone.
    ///
    /// # Errors
    /// [`PictureError::Decode`] for what [`super::quicklook`] has not made.
    pub fn of_quicklook(quicklook: &[u8]) -> Result<Self, PictureError> {
        Self::half(quicklook, false)
    }

    /// One of the two fields of a picture of [`super::pair`]: the right one, or the left.
    ///
    /// # Errors
    /// [`PictureError::Decode`] for what [`super::pair`] has not made.
    pub fn half(picture: &[u8], right: bool) -> Result<Self, PictureError> {
        let (width, height, both) = decode(picture)?;
        let half = width.saturating_sub(GAP_PX) / 2;
        if half == 0 || 2 * half + GAP_PX != width {
            return Err(PictureError::Decode { problem: format!("{width} columns are not two halves") });
        }
        let from = if right { half + GAP_PX } else { 0 };
        let rgb = both.chunks_exact(width * 3).flat_map(|line| &line[from * 3..][..half * 3]).copied().collect();
        Ok(Self { width: half, height, rgb, marks: Vec::new() })
    }

    /// With an image's masks as its file has them: `classes` are codes of [`class`], 0 for sky.
    ///
    /// # Errors
    /// [`PictureError::Size`] where they are not of this image.
    pub fn with_masks(
        self,
        segmentation: &Plane<u32>,
        classes: &Plane<u8>,
        bits: &Plane<u8>,
    ) -> Result<Self, PictureError> {
        let size = (segmentation.width(), segmentation.height());
        let step = step(size);
        let others = [(classes.width(), classes.height()), (bits.width(), bits.height())];
        if others != [size; 2] || (size.0.div_ceil(step), size.1.div_ceil(step)) != (self.width, self.height) {
            let sizes = [(self.width * step, self.height * step), size].into_iter().chain(others).collect();
            return Err(PictureError::Size { sizes });
        }
        let known = |number: u32| number <= MAX_NUMBER;
        let last = segmentation.pixels().iter().copied().filter(|&n| known(n)).max().unwrap_or(0);
        let mut by_number = vec![IS_UNCLASSIFIED; last as usize + 1];
        for (&number, &code) in segmentation.pixels().iter().zip(classes.pixels()).filter(|(n, _)| known(**n)) {
            by_number[number as usize] = mark_of(Some(code.into()));
        }
        let marks = marks(segmentation, bits, step, &by_number);
        Ok(Self { marks, ..self })
    }

    /// Bytes that it takes.
    pub fn bytes(&self) -> usize {
        self.rgb.len() + self.marks.len()
    }

    /// One layer as PNG.
    ///
    /// # Errors
    /// [`PictureError`] where it cannot be encoded, or the masks are not known.
    pub fn png(&self, layer: Layer) -> Result<Vec<u8>, PictureError> {
        match layer {
            Layer::Image | Layer::Model | Layer::Residual => png(self.width, self.height, &self.rgb),
            Layer::Thumbnail => self.thumbnail(),
            Layer::Outlines => self.marked(|mark| if mark & OUTLINE > 0 { opaque(mark, 255) } else { [0; 4] }),
            Layer::Classes => self.marked(|mark| if mark & CLASS > 0 { opaque(mark, 150) } else { [0; 4] }),
            Layer::Untrusted => self.marked(|mark| untrusted(mark >> BITS)),
        }
    }

    fn thumbnail(&self) -> Result<Vec<u8>, PictureError> {
        let step = self.width.max(self.height).div_ceil(THUMBNAIL_PX);
        let (width, height) = (self.width / step, self.height / step);
        let mut small = Vec::with_capacity(width * height * 3);
        for (y, x, c) in (0..height).flat_map(|y| (0..width).flat_map(move |x| (0..3).map(move |c| (y, x, c)))) {
            let sum: usize = (0..step * step)
                .map(|k| self.rgb[((y * step + k / step) * self.width + x * step + k % step) * 3 + c] as usize)
                .sum();
            small.push((sum / (step * step)) as u8);
        }
        png(width, height, &small)
    }

    /// The marks under a palette: red, green, blue and opacity of each.
    fn marked(&self, colour: impl Fn(u8) -> [u8; 4]) -> Result<Vec<u8>, PictureError> {
        if self.marks.is_empty() {
            return Err(PictureError::Encode { problem: "the masks are not known".into() });
        }
        let palette: Vec<[u8; 4]> = (0..=255).map(colour).collect();
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, self.width as u32, self.height as u32);
        encoder.set_color(png::ColorType::Indexed);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_palette(palette.iter().flat_map(|c| &c[..3]).copied().collect::<Vec<u8>>());
        encoder.set_trns(palette.iter().map(|c| c[3]).collect::<Vec<u8>>());
        encoder.set_compression(png::Compression::Fast);
        encoder.set_filter(png::Filter::NoFilter);
        let written = encoder.write_header().and_then(|mut writer| writer.write_image_data(&self.marks));
        written.map_err(|e| PictureError::Encode { problem: e.to_string() })?;
        Ok(bytes)
    }
}

fn mark_of(classification: Option<i32>) -> u8 {
    match classification {
        Some(class::STAR) => IS_STAR,
        Some(class::GALAXY) => IS_GALAXY,
        _ => IS_UNCLASSIFIED,
    }
}

fn opaque(mark: u8, opacity: u8) -> [u8; 4] {
    let [r, g, b] = match mark & CLASS {
        IS_STAR => STAR,
        IS_GALAXY => GALAXY,
        _ => UNCLASSIFIED,
    };
    [r, g, b, opacity]
}

/// The gravest of a pixel's bits.
fn untrusted(bits: u8) -> [u8; 4] {
    match bits {
        _ if bits & mask::NO_DATA > 0 => [120, 120, 255, 200],
        _ if bits & mask::SAT > 0 => [255, 255, 0, 220],
        _ if bits & mask::BAD > 0 => [255, 0, 255, 220],
        _ if bits & mask::EDGE > 0 => [0, 200, 200, 70],
        _ => [0; 4],
    }
}

/// Class by number, outline and bits of each pixel of the picture.
fn marks(segmentation: &Plane<u32>, bits: &Plane<u8>, step: usize, classes: &[u8]) -> Vec<u8> {
    let (width, height) = (segmentation.width().div_ceil(step), segmentation.height().div_ceil(step));
    let band = |y: usize| y * step..((y + 1) * step).min(segmentation.height());
    let lines: Vec<Vec<u32>> = (0..height).into_par_iter().map(|y| numbers(segmentation, band(y), step)).collect();
    let mut marks = vec![0u8; width * height];
    marks.par_chunks_exact_mut(width).rev().enumerate().for_each(|(y, out)| {
        let here = &lines[y];
        let (above, below) = (lines.get(y + 1).unwrap_or(here), lines.get(y.wrapping_sub(1)).unwrap_or(here));
        for (x, mark) in out.iter_mut().enumerate().filter(|(x, _)| here[*x] > 0) {
            let number = here[x];
            let (left, right) = (here[x.saturating_sub(1)], here[(x + 1).min(width - 1)]);
            *mark = classes.get(number as usize).copied().unwrap_or(IS_UNCLASSIFIED);
            if [left, right, above[x], below[x]].iter().any(|&other| other != number) {
                *mark |= OUTLINE;
            }
        }
        for row in band(y) {
            for (mark, pixels) in out.iter_mut().zip(bits.row(row).chunks(step)) {
                pixels.iter().for_each(|bits| *mark |= bits << BITS);
            }
        }
    });
    marks
}

/// Width, height and 8-bit RGB.
fn decode(bytes: &[u8]) -> Result<(usize, usize, Vec<u8>), PictureError> {
    let failed = |problem: String| PictureError::Decode { problem };
    let mut reader = png::Decoder::new(Cursor::new(bytes)).read_info().map_err(|e| failed(e.to_string()))?;
    let size = reader.output_buffer_size().ok_or_else(|| failed("it is too large".into()))?;
    let mut pixels = vec![0; size];
    let frame = reader.next_frame(&mut pixels).map_err(|e| failed(e.to_string()))?;
    if (frame.color_type, frame.bit_depth) != (png::ColorType::Rgb, png::BitDepth::Eight) {
        return Err(failed("it is not of three colours".into()));
    }
    Ok((frame.width as usize, frame.height as usize, pixels))
}

#[cfg(test)]
mod tests {
    use image::RgbaImage;

    use super::*;
    use crate::picture::quicklook;

    /// A star of 5x4 px, a galaxy of one, something without a class at the edge; a saturated pixel on the star.
    fn field(width: usize, height: usize) -> ([Plane<f32>; 3], Plane<u32>, Vec<Row>, Plane<u8>) {
        let mut segmentation = Plane::filled(width, height, 0u32);
        (20..25).for_each(|x| (10..14).for_each(|y| segmentation.set(x, y, 1)));
        segmentation.set(40, 20, 2);
        segmentation.set(width - 1, height - 1, 3);
        let rows = [Some(class::STAR), Some(class::GALAXY), None];
        let rows =
            rows.iter().zip(1..).map(|(&classification, number)| Row { number, classification, ..Row::default() });
        let mut bits = Plane::filled(width, height, 0u8);
        bits.set(22, 12, mask::SAT | mask::EDGE);
        let shape = [1.0, 4.0, 9.0].map(|v| Plane::filled(width, height, v));
        (shape, segmentation, rows.collect(), bits)
    }

    fn codes(segmentation: &Plane<u32>) -> Plane<u8> {
        segmentation.map(|n| [0, class::STAR as u8, class::GALAXY as u8, 1][n as usize])
    }

    fn seen(layers: &Layers, layer: Layer) -> RgbaImage {
        image::load_from_memory(&layers.png(layer).unwrap()).unwrap().to_rgba8()
    }

    #[test]
    fn each_layer_shows_its_own_and_the_rest_is_see_through() {
        let (width, height) = (64, 64);
        let (shape, segmentation, rows, bits) = field(width, height);
        let layers = Layers::new(&shape, &segmentation, &rows, &bits).unwrap();
        let at = |layer, x: u32, y: u32| seen(&layers, layer).get_pixel(x, 63 - y).0;
        assert_eq!((at(Layer::Classes, 22, 12), at(Layer::Outlines, 22, 12)[3]), (opaque(IS_STAR, 150), 0));
        assert_eq!(at(Layer::Outlines, 20, 12), opaque(IS_STAR, 255));
        assert_eq!(at(Layer::Outlines, 40, 20), opaque(IS_GALAXY, 255), "an object of one pixel is its own outline");
        assert_eq!(at(Layer::Classes, 63, 63), opaque(IS_UNCLASSIFIED, 150));
        assert_eq!((at(Layer::Untrusted, 22, 12), at(Layer::Untrusted, 20, 12)[3]), ([255, 255, 0, 220], 0));
        for layer in [Layer::Outlines, Layer::Classes, Layer::Untrusted] {
            assert_eq!(at(layer, 2, 2)[3], 0, "{layer:?}");
        }
        let [red, green, blue, opacity] = at(Layer::Image, 2, 2);
        assert!(red > green && green > blue && opacity == 255);
    }

    #[test]
    fn files_give_the_same_layers_as_the_products_of_which_they_were_made() {
        for (width, height) in [(64, 64), (1101, 701)] {
            let (shape, segmentation, rows, bits) = field(width, height);
            let made = Layers::new(&shape, &segmentation, &rows, &bits).unwrap();
            let read = Layers::of_quicklook(&quicklook(&shape, &segmentation, &rows).unwrap()).unwrap();
            assert!(read.png(Layer::Classes).is_err() && read.rgb == made.rgb);
            let read = read.with_masks(&segmentation, &codes(&segmentation), &bits).unwrap();
            assert!(read.marks == made.marks && read.bytes() == made.bytes());
            let thumbnail = seen(&read, Layer::Thumbnail);
            assert!(thumbnail.width().max(thumbnail.height()) as usize <= THUMBNAIL_PX);
            assert_eq!(thumbnail.get_pixel(3, 3), seen(&read, Layer::Image).get_pixel(3, 3));
        }
    }

    #[test]
    fn what_does_not_belong_together_is_refused() {
        let (shape, segmentation, rows, bits) = field(64, 64);
        let picture = quicklook(&shape, &segmentation, &rows).unwrap();
        let other = Plane::filled(65, 64, 0u8);
        assert!(Layers::new(&shape, &segmentation, &rows, &other).is_err());
        let read = || Layers::of_quicklook(&picture).unwrap();
        assert!(read().with_masks(&segmentation, &other, &bits).is_err());
        let large = Plane::filled(640, 640, 7u32);
        let codes = Plane::filled(640, 640, 1u8);
        assert!(read().with_masks(&large, &codes, &codes).is_err());
        assert!(Layers::of_quicklook(b"no picture").is_err() && Layers::of_quicklook(&picture[..300]).is_err());
        assert!(Layers::of_quicklook(&png(7, 1, &[0; 21]).unwrap()).is_err());
        let strange = Plane::filled(64, 64, u32::MAX);
        assert!(read().with_masks(&strange, &bits, &bits).is_ok(), "no table grows with a number from a file");
    }

    #[test]
    fn layers_are_found_by_name() {
        assert_eq!(["classes", "image", "../x"].map(Layer::named), [Some(Layer::Classes), Some(Layer::Image), None]);
        assert!(Layer::Outlines.of_masks() && !Layer::Thumbnail.of_masks());
    }

    /// What a picture that is kept costs: cargo test --release layers -- --ignored --nocapture
    #[test]
    #[ignore = "measures"]
    fn the_cost_of_a_whole_field() {
        let (shape, segmentation, rows, bits) = field(2048, 1489);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let timed = |what: &str, work: &(dyn Fn() + Sync)| {
            let started = std::time::Instant::now();
            pool.install(|| (0..20).for_each(|_| work()));
            println!("{what}: {:.1} ms of one core", started.elapsed().as_secs_f64() / 20.0 * 1e3);
        };
        let layers = Layers::new(&shape, &segmentation, &rows, &bits).unwrap();
        println!("{} bytes", layers.bytes());
        timed("made", &|| drop(Layers::new(&shape, &segmentation, &rows, &bits)));
        timed("image", &|| drop(layers.png(Layer::Image)));
        timed("outlines", &|| drop(layers.png(Layer::Outlines)));
    }
}
