//! How right positions, shapes and fluxes of some objects are: bias, and pulls, which are the distance from the truth in
//! units of the stated error (median 0 and width 1 where errors are true).

use serde::Serialize;

use super::kinds::Judged;
use super::rows::{FluxKind, Row};
use super::statistics::Spread;
use crate::Profile;
use twinpeak_core::survey::{Survey, nmgy_of_mag};

/// A quantity's distance from the truth, as it is and in units of its error.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Deviation {
    /// Measured minus true, in the quantity's unit.
    pub off: Spread,
    /// The same over the stated error; null without errors.
    pub pull: Option<Spread>,
}

impl Deviation {
    fn of(values: impl Iterator<Item = (f64, Option<f64>)>) -> Option<Self> {
        let (off, pull): (Vec<f64>, Vec<Option<f64>>) = values.unzip();
        Some(Self { off: Spread::of(off)?, pull: Spread::of(pull.into_iter().flatten()) })
    }
}

/// Positions of objects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Positions {
    /// px.
    pub x: Option<Deviation>,
    /// px.
    pub y: Option<Deviation>,
    /// Right ascension, arcsec on the sky.
    pub ra: Option<Deviation>,
    /// Declination, arcsec.
    pub dec: Option<Deviation>,
}

impl Positions {
    /// Of objects that a row measures.
    pub fn of(objects: &[&Judged]) -> Self {
        let measured = || objects.iter().filter_map(|o| Some((o.row?, o.known)));
        let of_pixel = |row: fn(&Row) -> super::rows::Measured, truth: fn(&super::TrueObject) -> f64| {
            Deviation::of(measured().map(|(r, k)| {
                let (value, truth) = (row(r), truth(&k.object));
                (value.value - truth, value.pull(truth))
            }))
        };
        let on_sky = |axis: usize| {
            Deviation::of(measured().filter_map(|(r, k)| {
                let (ra, dec) = k.sky_deg?;
                let east = (r.ra.value - ra + 540.0).rem_euclid(360.0) - 180.0;
                let (off, error) =
                    [(east * dec.to_radians().cos(), r.ra.error), (r.dec.value - dec, r.dec.error)][axis];
                Some((off * 3600.0, Some(off / error).filter(|p| p.is_finite())))
            }))
        };
        Self { x: of_pixel(|r| r.x, |o| o.x), y: of_pixel(|r| r.y, |o| o.y), ra: on_sky(0), dec: on_sky(1) }
    }
}

/// Objects whose fluxes or shapes are judged together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Light {
    /// Stars and quasars.
    Stars,
    /// Galaxies that are exponential discs.
    Exponential,
    /// Galaxies that are de Vaucouleurs spheroids.
    DeVaucouleurs,
}

impl Light {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Stars, Self::Exponential, Self::DeVaucouleurs];

    fn holds(self, object: &Judged) -> bool {
        match (self, object.known.profile) {
            (Self::Stars, _) => object.known.object.star,
            (Self::Exponential, profile) => profile == Some(Profile::Exponential),
            (Self::DeVaucouleurs, profile) => profile == Some(Profile::DeVaucouleurs),
        }
    }

    /// In words.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stars => "stars",
            Self::Exponential => "exponential",
            Self::DeVaucouleurs => "devaucouleurs",
        }
    }
}

/// One kind of flux of one kind of light, against the true total.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FluxDeviation {
    /// Column without the band.
    pub flux: &'static str,
    /// What is judged.
    pub objects: Light,
    /// Measured minus true magnitude in the reference band, mag; the scatter holds the noise.
    pub mag: Spread,
    /// (measured - true flux) over the stated error, in the reference band.
    pub pull: Option<Spread>,
    /// Measured minus true colour, mag, of each pair of neighbouring shape bands.
    pub colours: Vec<ColourDeviation>,
}

/// A colour's distance from the truth.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ColourDeviation {
    /// As `g-r`.
    pub colour: String,
    /// Measured minus true, mag.
    pub mag: Spread,
}

/// All fluxes that the catalogue has, of all light that the objects have.
pub fn fluxes(objects: &[&Judged], survey: &Survey) -> Vec<FluxDeviation> {
    let pairs = Light::ALL.into_iter().flat_map(|light| FluxKind::ALL.map(|flux| (light, flux)));
    pairs.filter_map(|(light, flux)| deviation(objects, light, flux, survey)).collect()
}

fn deviation(objects: &[&Judged], light: Light, flux: FluxKind, survey: &Survey) -> Option<FluxDeviation> {
    let chosen: Vec<_> =
        objects.iter().filter(|o| light.holds(o)).filter_map(|o| Some((o.row?.flux(flux), &o.known.mag))).collect();
    let mag = |value: f64| 22.5 - 2.5 * value.log10();
    let r = survey.reference();
    let off = |b: usize| chosen.iter().map(move |(measured, truth)| mag(measured[b].value) - truth[b]);
    let bands = survey.shape_bands();
    let colours = bands.windows(2).filter_map(|pair| {
        let (a, b) = (pair[0], pair[1]);
        let colour = format!("{}-{}", survey.band(a), survey.band(b));
        Some(ColourDeviation { colour, mag: Spread::of(off(a).zip(off(b)).map(|(a, b)| a - b))? })
    });
    Some(FluxDeviation {
        flux: flux.column(),
        objects: light,
        mag: Spread::of(off(r))?,
        pull: Spread::of(chosen.iter().filter_map(|(measured, truth)| measured[r].pull(nmgy_of_mag(truth[r])))),
        colours: colours.collect(),
    })
}

/// Shapes of galaxies, where the truth has them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Shapes {
    /// Angle of the second moments of galaxies with an axis ratio under .7, deg.
    pub theta_deg: Option<Spread>,
    /// Natural logarithm of the model's half-light radius over the true one; the pull is by its error.
    pub model_radius_ln: Option<Deviation>,
    /// The model's axis ratio.
    pub model_axis_ratio: Option<Deviation>,
    /// Angle of the model of galaxies with an axis ratio under .7, deg.
    pub model_theta_deg: Option<Deviation>,
}

/// Galaxies rounder than this have no angle.
const ROUND: f64 = 0.7;

impl Shapes {
    /// Of galaxies that a row measures.
    pub fn of(objects: &[&Judged]) -> Self {
        let galaxies = objects.iter().filter(|o| !o.known.object.star);
        let shapes: Vec<(&Row, [f64; 3])> = galaxies.filter_map(|o| Some((o.row?, o.known.shape?))).collect();
        let long = || shapes.iter().filter(|(_, [_, q, _])| *q < ROUND);
        let turned = |measured: f64, truth: f64| (measured - truth + 90.0).rem_euclid(180.0) - 90.0;
        Self {
            theta_deg: Spread::of(long().map(|(row, [_, _, theta])| turned(row.theta_deg, *theta))),
            model_radius_ln: Deviation::of(shapes.iter().map(|(row, [radius, _, _])| {
                let measured = row.model_radius_arcsec;
                ((measured.value / radius).ln(), measured.pull(*radius))
            })),
            model_axis_ratio: Deviation::of(
                shapes.iter().map(|(row, [_, q, _])| (row.model_axis_ratio.value - q, row.model_axis_ratio.pull(*q))),
            ),
            model_theta_deg: Deviation::of(long().map(|(row, [_, _, theta])| {
                let off = turned(row.model_theta_deg.value, *theta);
                (off, Some(off / row.model_theta_deg.error).filter(|p| p.is_finite()))
            })),
        }
    }
}
