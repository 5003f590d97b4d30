//! A frame as a sum of models: every object a point source, a round galaxy or its own ellipse, in five bands, fitted
//! together where they overlap; what is left is looked through for objects that were hidden, and each object's pixels
//! are then the data minus all others.
//!
//! ```text
//! data = frame - halos of bright stars - the sky that is left        total = sum of all models
//! V    = sky variance + g max(total, 0) + (.03 total)^2              for every fit, so that a neighbour's PSF error counts
//! ```
//!
//! An object fits itself to the data minus the total plus its own model, and the total is brought up to date at once.

pub mod bank;
mod cells;
mod contest;
mod corrected;
mod drive;
pub mod ellipse;
mod errors;
mod facts;
mod fit;
pub mod fourier;
mod fragments;
mod halo;
mod hidden;
mod images;
mod knots;
mod matrix;
mod others;
mod packed;
mod prune;
mod region;
mod render;
mod residual;
mod rows;
mod saturated;
mod solve;
mod sweep;
#[cfg(test)]
mod testing;
mod work;

pub use bank::{Coefficients, ModelBank};
pub use drive::model;
pub use errors::ModelErrors;
pub use facts::{ModelKind, SceneFacts};
pub use images::SceneImages;
pub use others::{Light, Others};
pub use region::Region;
pub use render::{LONGEST, Window};
pub use saturated::Core;
pub use solve::{Profiles, TOUCHES_PX};
pub use sweep::SweepKind;
pub use work::Work;

use cells::Cells;
use corrected::Corrected;

use crate::cutout::{HALF_LIGHT_RADII_PX, Noise};
use crate::frame::{BANDS, PerBand, Plane, mask};
use crate::preprocess::Prepared;
use crate::psf::Psf;
use crate::survey::Survey;

/// Error of the models, as a share of their own value: the PSF's.
pub const MODEL_ERROR: f64 = 0.03;

/// A frame's models, and the frame without them.
pub struct Scene<'a> {
    /// The frame.
    pub prepared: &'a Prepared,
    /// Description of its survey.
    pub survey: &'a Survey,
    /// PSF of each band as a function of position.
    pub psf: Psf,
    /// What objects can look like.
    pub bank: ModelBank,
    /// What is modelled, nMgy, on each band's own grid: the frame's pixels without halos and what is left of the sky.
    pub data: PerBand<Plane<f32>>,
    /// Sum of all models, nMgy.
    pub total: PerBand<Plane<f32>>,
    /// Pixels that enter no fit.
    pub unusable: PerBand<Plane<bool>>,
    /// Saturated cores, which enter no fit.
    pub cores: Vec<Core>,
    /// All objects, dead ones too: an index holds for good.
    pub objects: Vec<SceneObject>,
    /// Light of a bright star that the PSF's stamp does not hold, as a share of what it holds; NaN where too few stars show it.
    pub halo_share: PerBand<f64>,
    /// What was spent.
    pub work: Work,
    noise: PerBand<Noise>,
    shape_bands: Vec<usize>,
    /// Masks of bands with such cores.
    bits: PerBand<Option<Plane<u8>>>,
    cells: Cells,
    /// Where the data are not the frame's own pixels: halos or a sky were taken from them.
    corrected: Corrected,
    /// By number of a row, less 1, the index of its object.
    rows: Vec<usize>,
    /// By index, the number of the row, or 0.
    numbers: Vec<u32>,
    /// By index, rows of which it is the parent.
    children: Vec<u32>,
    /// Numbers, rising, of rows whose pixels stay masked for all others.
    unmodelled: Vec<u32>,
}

/// One object's model.
#[derive(Clone, Debug, PartialEq)]
pub struct SceneObject {
    /// Column, reference px.
    pub x: f64,
    /// Row, reference px.
    pub y: f64,
    /// Where it was found, from which it never moves far, reference px.
    pub start: (f64, f64),
    /// Total light of its model, nMgy; may be negative.
    pub flux_nmgy: PerBand<f64>,
    /// What it looks like.
    pub model: Model,
    /// [`crate::catalog::flag`] bits that the scene has to say.
    pub flags: u32,
    /// Of a saturated star, how much more slowly than a PSF's its wings fall (9 to 10 px over 6 to 7 px): 1 of a star,
    /// above 2 of a galaxy; `None` where too little is seen.
    pub wings_excess: Option<f64>,
    /// The object of which it is a part, or beside which it was hidden.
    pub parent: Option<usize>,
    /// Whether it is there: its light is in the total. One that is pruned stays in the list.
    pub alive: bool,
    /// Number of the footprint that it was found by; `None` where it is from the residual.
    pub footprint: Option<u32>,
}

/// What an object looks like.
#[derive(Clone, Debug, PartialEq)]
pub enum Model {
    /// A point source.
    Point,
    /// A round galaxy: index of [`crate::cutout::GALAXIES`], by rising radius, exponential before de Vaucouleurs.
    Galaxy(u8),
    /// An ellipse of its own, chosen once and kept.
    Ellipse(Box<Ellipse>),
}

/// A galaxy of its own size, shape and orientation.
#[derive(Clone, Debug, PartialEq)]
pub struct Ellipse {
    /// Half-light radius of the circle of the same area, px.
    pub half_light_radius_px: f64,
    /// (a - b) / (a + b) times the cosine of twice the angle of the major axis from +x to +y.
    pub e1: f64,
    /// The same times the sine.
    pub e2: f64,
    /// de Vaucouleurs' profile instead of an exponential.
    pub de_vaucouleurs: bool,
    /// Standard errors of ln(half-light radius), e1 and e2.
    pub errors: [f64; 3],
    /// Its image through each band's PSF, of unit total light.
    pub coefficients: PerBand<Coefficients>,
}

impl Model {
    /// Half-light radius before the PSF, px.
    pub fn half_light_radius_px(&self) -> f64 {
        match self {
            Self::Point => 0.0,
            Self::Galaxy(k) => HALF_LIGHT_RADII_PX[usize::from(*k) / 2],
            Self::Ellipse(ellipse) => ellipse.half_light_radius_px,
        }
    }

    /// Model `k` of the bank: the point source, then the galaxies.
    pub fn of_bank(k: usize) -> Self {
        k.checked_sub(1).map_or(Self::Point, |galaxy| Self::Galaxy(galaxy as u8))
    }
}

impl SceneObject {
    /// A point source without flux, at reference position `at`.
    pub fn new(at: (f64, f64), footprint: Option<u32>) -> Self {
        Self {
            x: at.0,
            y: at.1,
            start: at,
            flux_nmgy: [0.0; BANDS],
            model: Model::Point,
            flags: 0,
            wings_excess: None,
            parent: None,
            alive: true,
            footprint,
        }
    }

    /// Its position, reference px.
    pub fn at(&self) -> (f64, f64) {
        (self.x, self.y)
    }
}

impl<'a> Scene<'a> {
    /// A frame without objects.
    pub fn new(prepared: &'a Prepared, survey: &'a Survey, psf: Psf) -> Self {
        let frame = &prepared.frame;
        let bank = ModelBank::new(&psf);
        Self {
            prepared,
            survey,
            psf,
            bank,
            data: std::array::from_fn(|b| frame.bands[b].pixels.map(|v| if v.is_finite() { v } else { 0.0 })),
            total: std::array::from_fn(|_| Plane::filled(frame.width(), frame.height(), 0.0)),
            unusable: std::array::from_fn(|b| frame.bands[b].mask.map(|bits| bits & mask::UNUSABLE != 0)),
            cores: Vec::new(),
            objects: Vec::new(),
            noise: std::array::from_fn(|b| Noise {
                sigma: f64::from(prepared.sky[b].sigma_nmgy),
                nmgy_per_electron: frame.bands[b].nmgy_per_electron(),
            }),
            halo_share: [f64::NAN; BANDS],
            work: Work::default(),
            shape_bands: prepared.shape_bands(survey),
            bits: Default::default(),
            cells: Cells::new(frame.width(), frame.height()),
            corrected: Corrected::new(frame.width(), frame.height()),
            rows: Vec::new(),
            numbers: Vec::new(),
            children: Vec::new(),
            unmodelled: Vec::new(),
        }
    }

    /// Bands that say what an object looks like and where it is: the survey's shape bands that the frame has.
    pub fn shape_bands(&self) -> &[usize] {
        &self.shape_bands
    }

    /// Takes an object in, and its light into the total; gives its index.
    pub fn insert(&mut self, object: SceneObject) -> usize {
        let i = self.objects.len();
        self.cells.insert(i, object.at());
        self.objects.push(object);
        self.add_all(i, 1.0);
        i
    }

    /// Changes an object, and the total with it. Every change of position, flux, model or life goes through here.
    pub fn change(&mut self, i: usize, change: impl FnOnce(&mut SceneObject)) {
        self.add_all(i, -1.0);
        let before = self.objects[i].at();
        change(&mut self.objects[i]);
        let after = self.objects[i].at();
        if before != after {
            self.cells.remove(i, before);
            self.cells.insert(i, after);
        }
        self.add_all(i, 1.0);
    }

    /// Takes an object's light out of the total for good.
    pub fn kill(&mut self, i: usize) {
        self.change(i, |object| object.alive = false);
    }

    /// Adds a living object to the total in all bands.
    fn add_all(&mut self, i: usize, scale: f64) {
        if self.objects[i].alive {
            (0..BANDS).for_each(|b| self.add(i, b, scale));
        }
    }

    /// Living objects other than `i` within `reach` px of it, by index.
    pub fn neighbours(&self, i: usize, reach: f64) -> Vec<usize> {
        let at = self.objects[i].at();
        let mut near = self.near(at, reach);
        near.retain(|&j| j != i);
        near
    }

    /// Living objects within `reach` px of a reference position, by index.
    pub fn near(&self, at: (f64, f64), reach: f64) -> Vec<usize> {
        let within = |&i: &usize| {
            let object = &self.objects[i];
            object.alive && (object.x - at.0).hypot(object.y - at.1) < reach
        };
        let mut near: Vec<usize> = self.cells.near(at, reach).filter(within).collect();
        near.sort_unstable();
        near
    }

    /// What the models leave of the data of `band`, nMgy, on the band's own grid; with the total it is the data.
    pub fn residual(&self, band: usize) -> Plane<f32> {
        let (data, total) = (&self.data[band], &self.total[band]);
        let left = data.pixels().iter().zip(total.pixels()).map(|(d, t)| d - t).collect();
        Plane::from_pixels(data.width(), data.height(), left)
    }

    /// Variance of pixel (x, y) of `band` with all models' light, nMgy^2.
    pub fn variance(&self, band: usize, x: usize, y: usize) -> f64 {
        let by_pixel = self.prepared.frame.bands[band].variance.as_ref();
        let total = f64::from(self.total[band].at(x, y));
        self.noise[band].at(by_pixel, x as isize, y as isize).variance(total) + (MODEL_ERROR * total).powi(2)
    }
}

#[cfg(test)]
mod tests;
