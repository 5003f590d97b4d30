//! Tiles to learn from: noise or a piece of a frame, sources put into it, and what is true of each pixel.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Exp, Poisson, StandardNormal};
use rayon::prelude::*;

use super::images::{Image, Images, REACH, WIDE, ZOOMS, lit, placed};
use super::library::Kinds;
use crate::segment::TrainingFrame;
use crate::{LearnError, MissingBands};
use twinpeak_core::filter::{matched_filter, weighted_sum};
use twinpeak_core::frame::{BANDS, PerBand, Plane};
use twinpeak_core::model::{TILE, TILE_LEN, TILE_PIXELS};
use twinpeak_core::sky_mask::distance_px;

/// Share of tiles that are a piece of a frame as it is.
const REAL_SHARE: f64 = 0.35;
/// Faint sources in a tile of noise, and in a piece of a frame, on average.
const FAINT: (f64, f64) = (8.0, 4.0);
/// Bright ones in a tile of noise.
const BRIGHT: f64 = 0.36;
/// Magnitudes of faint ones, from the frame's depth (S/N 5 in the reference band); bright ones begin where they do.
const FAINT_MAG: (f32, f32) = (-1.95, 1.45);
/// Mean magnitudes by which bright ones are brighter than that.
const BRIGHT_MAG: f32 = 1.6;
/// A fainter one is no centre that could be asked for, but no sky either.
const CENTRE_FAINTEST_MAG: f32 = 1.15;
/// Share of points, and of sources that are placed near the one before, at these distances, px.
const POINTS: f64 = 0.2;
const PAIRS: (f64, f32, f32) = (0.15, 3.0, 14.0);
/// Where sizes are those that were measured; they shrink by a quarter with each magnitude.
const SIZE_MAG: f32 = -2.25;
const SIZE_SLOPE: f32 = -0.1;
/// A centre reaches so far, in widths of the PSF and at least in px; beyond the farther one is sky.
const CENTRE_REACH: (f32, f32) = (0.38, 1.3);
const SKY_BEYOND: (f32, f32) = (1.18, 4.0);
/// The sky begins so much farther, px, for each magnitude brighter than this.
const GLARE: (f32, f32) = (0.6, -1.75);
/// Nothing is asked within this of a tile's edge, px.
const RIM_PX: usize = 6;
/// S/N of a pixel in the sum of the shape bands that is an object's, and one that is not.
const EXTENT_SN: (f32, f32) = (1.5, 0.75);
/// On a frame, nothing is asked about what the matched filter sees above these, so far around it, px.
const KNOWN: [(f32, u16); 2] = [(3.3, 5), (30.0, 12)];

/// A tile and what is true of it.
pub(super) struct Tile {
    pub(super) pixels: Vec<f32>,
    pub(super) centre: Vec<f32>,
    pub(super) centre_known: Vec<f32>,
    pub(super) extent: Vec<f32>,
    pub(super) extent_known: Vec<f32>,
}

/// Draws tiles.
pub(super) struct Injector<'a> {
    frames: &'a [TrainingFrame],
    kinds: Kinds,
    /// For each frame, images under each of [`ZOOMS`].
    images: Vec<Vec<Images>>,
    /// For each frame, where it has objects of its own.
    known: Vec<Plane<bool>>,
    shape_bands: [usize; 3],
    missing: MissingBands,
}

/// A source that was put into a tile.
struct Source {
    x: f32,
    y: f32,
    /// Magnitude from the frame's depth.
    mag: f32,
}

impl<'a> Injector<'a> {
    /// Over these frames.
    pub(super) fn new(
        frames: &'a [TrainingFrame],
        shape_bands: [usize; 3],
        missing: MissingBands,
    ) -> Result<Self, LearnError> {
        let kinds: Vec<_> = frames.iter().flat_map(|f| f.sources.kinds.iter().copied()).collect();
        LearnError::unless_enough("segmenter", "isolated objects with a size", kinds.len(), 20)?;
        let jobs: Vec<(usize, f32)> = (0..frames.len()).flat_map(|f| ZOOMS.map(|zoom| (f, zoom))).collect();
        let made: Vec<Images> = (jobs.par_iter().enumerate())
            .map(|(i, &(f, zoom))| Images::new(&frames[f].sources.psf, zoom, &mut ChaCha8Rng::seed_from_u64(i as u64)))
            .collect();
        let mut made = made.into_iter();
        let images = frames.iter().map(|_| made.by_ref().take(ZOOMS.len()).collect()).collect();
        let known = frames.par_iter().map(objects).collect();
        Ok(Self { frames, kinds: Kinds(kinds), images, known, shape_bands, missing })
    }

    /// One tile.
    pub(super) fn draw(&self, rng: &mut ChaCha8Rng) -> Tile {
        let index = rng.random_range(0..self.frames.len());
        let frame = &self.frames[index];
        let real = rng.random_bool(REAL_SHARE);
        // A frame as it is has its own seeing; noise may have any.
        let images = match real {
            true => &self.images[index][1],
            false => {
                let of = if rng.random_bool(0.5) { index } else { rng.random_range(0..self.frames.len()) };
                &self.images[of][rng.random_range(0..ZOOMS.len())]
            }
        };
        let (width, height) = (frame.planes[0].width(), frame.planes[0].height());
        let (x0, y0) = (rng.random_range(0..=width - TILE), rng.random_range(0..=height - TILE));
        let symmetry = rng.random_range(0..8);
        let from = |i: usize| {
            let (x, y) = turned(i % TILE, i / TILE, symmetry);
            (x0 + x, y0 + y)
        };
        let planes = if real { &frame.planes } else { &frame.noise_only };
        let mut pixels = Vec::with_capacity(TILE_LEN);
        for i in 0..TILE_PIXELS {
            let (x, y) = from(i);
            pixels.extend(planes.iter().map(|plane| plane.at(x, y)));
        }
        let mut shape_light = vec![0.0f32; TILE_PIXELS];
        let sources = self.inject(frame, images, real, &mut pixels, &mut shape_light, rng);
        if let Some(band) = self.missing.draw(rng) {
            pixels.iter_mut().skip(band).step_by(BANDS).for_each(|p| *p = 0.0);
        }
        let own = |i: usize| {
            let (x, y) = from(i);
            real && self.known[index].at(x, y)
        };
        targets(pixels, &sources, &shape_light, real, own, frame.sources.fwhm_px as f32)
    }

    /// Adds sources; gives where they are, and adds their light in the sum of the shape bands, in its noise.
    fn inject(
        &self,
        frame: &TrainingFrame,
        images: &Images,
        real: bool,
        pixels: &mut [f32],
        shape_light: &mut [f32],
        rng: &mut ChaCha8Rng,
    ) -> Vec<Source> {
        let count = |mean: f64, rng: &mut ChaCha8Rng| Poisson::new(mean).map_or(0, |p| p.sample(rng) as usize);
        let faint = count(if real { FAINT.1 } else { FAINT.0 }, rng);
        let bright = if real { 0 } else { count(BRIGHT, rng) };
        let mut mags: Vec<f32> = (0..faint).map(|_| rng.random_range(FAINT_MAG.0..FAINT_MAG.1)).collect();
        let brighter = |rng: &mut ChaCha8Rng| Exp::new(1.0 / BRIGHT_MAG).map_or(0.0, |e| e.sample(rng));
        mags.extend((0..bright).map(|_| FAINT_MAG.0 - brighter(rng)));

        let library = &frame.sources;
        let noise = |b: usize| library.sigma_nmgy[b];
        let taken = self.shape_bands.iter().filter(|b| noise(**b).is_finite());
        let shape_noise = taken.map(|&b| noise(b).powi(2)).sum::<f32>().sqrt();
        let mut sources: Vec<Source> = Vec::new();
        let mut image = Vec::new();
        for mag in mags {
            let colour = self.kinds.colour(rng);
            let radius_px = match rng.random_bool(POINTS) {
                true => 0.0,
                false => self.kinds.radius_px(rng) * 10f32.powf(SIZE_SLOPE * (mag.max(SIZE_MAG - 2.5) - SIZE_MAG)),
            };
            let (x, y) = self.place(sources.last(), rng);
            let total = 10f32.powf(-0.4 * (library.depth_mag + mag - 22.5));
            let flux: PerBand<f32> =
                std::array::from_fn(|b| if noise(b).is_finite() { total * colour[b] } else { 0.0 });
            let bands: &Image = images.of(radius_px, rng);
            let symmetry = rng.random_range(0..8);
            let (column, row) = (x.round(), y.round());
            for b in lit(&flux) {
                placed(&bands[b], (x - column, y - row), symmetry, &mut image);
                let (scale, photons) = (flux[b] / noise(b), library.nmgy_per_electron[b] / noise(b));
                let into_shape = if self.shape_bands.contains(&b) { flux[b] / shape_noise } else { 0.0 };
                over_tile(column as isize, row as isize, |at, from| {
                    let light = scale * image[from];
                    // A source's own photons; below a hundredth of the sky's they change nothing.
                    let variance = light * photons;
                    let own: f32 = if variance > 0.01 { StandardNormal.sample(rng) } else { 0.0 };
                    pixels[at * BANDS + b] += light + own * variance.sqrt();
                    shape_light[at] += into_shape * image[from];
                });
            }
            sources.push(Source { x, y, mag });
        }
        sources
    }

    /// Anywhere within reach of the tile, or near the source before.
    fn place(&self, before: Option<&Source>, rng: &mut ChaCha8Rng) -> (f32, f32) {
        const BEYOND_PX: f32 = 12.0;
        match before.filter(|_| rng.random_bool(PAIRS.0)) {
            Some(before) => {
                let (angle, distance) =
                    (rng.random_range(0.0..std::f32::consts::TAU), rng.random_range(PAIRS.1..PAIRS.2));
                (before.x + distance * angle.cos(), before.y + distance * angle.sin())
            }
            None => {
                let mut along = || rng.random_range(-BEYOND_PX..TILE as f32 + BEYOND_PX);
                (along(), along())
            }
        }
    }
}

/// Visits the pixels that an image about (column, row) shares with the tile: index in the tile, index in the image.
fn over_tile(column: isize, row: isize, mut visit: impl FnMut(usize, usize)) {
    let reach = REACH as isize;
    let range = |at: isize| (at - reach).max(0)..(at + reach + 1).min(TILE as isize);
    for y in range(row) {
        for x in range(column) {
            let from = (y - row + reach) as usize * WIDE + (x - column + reach) as usize;
            visit(y as usize * TILE + x as usize, from);
        }
    }
}

fn turned(x: usize, y: usize, symmetry: usize) -> (usize, usize) {
    let x = if symmetry & 1 != 0 { TILE - 1 - x } else { x };
    let y = if symmetry & 2 != 0 { TILE - 1 - y } else { y };
    if symmetry & 4 != 0 { (y, x) } else { (x, y) }
}

/// Where a frame has objects of its own, about which nothing is known.
fn objects(frame: &TrainingFrame) -> Plane<bool> {
    let score = matched_filter(&weighted_sum(&frame.planes, &frame.sources.weights), frame.sources.fwhm_px);
    let [faint, bright] = KNOWN.map(|(sigma, grown)| (distance_px(score.map(|s| s > sigma)), grown));
    let near = |i: usize| [&faint, &bright].iter().any(|(d, grown)| d.pixels()[i] <= *grown);
    Plane::from_pixels(score.width(), score.height(), (0..score.pixels().len()).map(near).collect())
}

/// What is asked of each pixel of a tile: `own` says where a frame has objects of its own.
fn targets(
    pixels: Vec<f32>,
    sources: &[Source],
    shape_light: &[f32],
    real: bool,
    own: impl Fn(usize) -> bool,
    fwhm_px: f32,
) -> Tile {
    let reach = |(share, least): (f32, f32)| (share * fwhm_px).max(least);
    let (near, beyond) = (reach(CENTRE_REACH), reach(SKY_BEYOND));
    let (mut centre, mut centre_known) = (vec![0.0; TILE_PIXELS], vec![0.0; TILE_PIXELS]);
    let (mut extent, mut extent_known) = (vec![0.0; TILE_PIXELS], vec![0.0; TILE_PIXELS]);
    for i in 0..TILE_PIXELS {
        let (x, y) = (i % TILE, i / TILE);
        let inner = |margin: usize| x >= margin && y >= margin && x + margin < TILE && y + margin < TILE;
        let squared = |s: &Source| (x as f32 - s.x).powi(2) + (y as f32 - s.y).powi(2);
        let is_centre = sources.iter().any(|s| s.mag < CENTRE_FAINTEST_MAG && squared(s) < near * near);
        let glare = |s: &Source| beyond + GLARE.0 * (GLARE.1 - s.mag).max(0.0);
        let is_sky = !own(i) && sources.iter().all(|s| squared(s) >= glare(s).powi(2));
        if inner(RIM_PX) && (is_centre || is_sky) {
            centre_known[i] = 1.0;
            centre[i] = if is_centre { 1.0 } else { 0.0 };
        }
        let sn = shape_light[i];
        if !real && inner(RIM_PX - 2) && (sn > EXTENT_SN.0 || sn < EXTENT_SN.1) {
            extent_known[i] = 1.0;
            extent[i] = if sn > EXTENT_SN.0 { 1.0 } else { 0.0 };
        }
    }
    Tile { pixels, centre, centre_known, extent, extent_known }
}
