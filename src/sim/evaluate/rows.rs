//! What is judged by kind: all that a catalogue's row measures, and all that is true of an object.

use twinpeak_core::catalog::flag;
use twinpeak_core::frame::PerBand;

use super::TrueObject;
use crate::Profile;

/// A measured value and its standard error; NaN where there is none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// The value.
    pub value: f64,
    /// Its standard error.
    pub error: f64,
}

impl Measured {
    /// Nothing was measured.
    pub const NONE: Self = Self { value: f64::NAN, error: f64::NAN };

    /// How far it is from `truth` in units of its error; `None` without a value or an error.
    pub fn pull(&self, truth: f64) -> Option<f64> {
        Some((self.value - truth) / self.error).filter(|pull| pull.is_finite())
    }
}

impl Default for Measured {
    fn default() -> Self {
        Self::NONE
    }
}

/// A flux that a catalogue may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FluxKind {
    /// As a point source.
    Psf,
    /// In the Kron aperture.
    Kron,
    /// In a circle of 3 arcsec.
    Aperture,
    /// Total flux of the best model; absent before version 1.1 of the rows.
    Model,
}

impl FluxKind {
    /// All, in the order of [`Row::fluxes`].
    pub const ALL: [Self; 4] = [Self::Psf, Self::Kron, Self::Aperture, Self::Model];

    /// How the catalogue's column begins; the band follows, and `Err` before it for the error.
    pub const fn column(self) -> &'static str {
        match self {
            Self::Psf => "psfFlux",
            Self::Kron => "kronFlux",
            Self::Aperture => "apFlux",
            Self::Model => "modelFlux",
        }
    }
}

/// A catalogue's row, as far as it is judged. Positions in 0-based reference pixels, fluxes in nMgy.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    /// Column of the centre, px.
    pub x: Measured,
    /// Row of the centre, px.
    pub y: Measured,
    /// Right ascension, deg; the error is that of ra x cos(dec).
    pub ra: Measured,
    /// Declination, deg.
    pub dec: Measured,
    /// PSF magnitude in the reference band.
    pub mag: f64,
    /// Probability of being a star; `None` without a class.
    pub star_prob: Option<f64>,
    /// Its stated error.
    pub star_prob_err: Option<f64>,
    /// Bits of [`flag`].
    pub flags: u32,
    /// Whether it names a parent: a part of a larger object, or found on the residual.
    pub has_parent: bool,
    /// Each of [`FluxKind::ALL`] by band.
    pub fluxes: [PerBand<Measured>; 4],
    /// Angle of the second moments' major axis from +x to +y, deg.
    pub theta_deg: f64,
    /// Half-light semi-major axis of the model, arcsec.
    pub model_radius_arcsec: Measured,
    /// Minor over major axis of the model.
    pub model_axis_ratio: Measured,
    /// Angle of the model's major axis, deg.
    pub model_theta_deg: Measured,
}

/// Bit of rows whose core was saturated, or replaced by the survey; of version 1.1 of the rows.
const CORE_SATURATED: u32 = 65_536;

impl Row {
    /// A flux by band.
    pub fn flux(&self, kind: FluxKind) -> &PerBand<Measured> {
        &self.fluxes[kind as usize]
    }

    /// Whether the catalogue says that it is saturated.
    pub const fn is_flagged_saturated(&self) -> bool {
        self.flags & (flag::SATURATED | CORE_SATURATED) != 0
    }

    /// PSF flux of these bands over its error, added in squares.
    pub fn signal_to_noise(&self, bands: &[usize]) -> f64 {
        let ratio = |b: &usize| self.flux(FluxKind::Psf)[*b].pull(0.0).unwrap_or(0.0).max(0.0);
        bands.iter().map(|b| ratio(b).powi(2)).sum::<f64>().sqrt()
    }
}

/// What is true of an object, as far as a truth says it.
#[derive(Clone, Debug, PartialEq)]
pub struct Known {
    /// Place, class and magnitude.
    pub object: TrueObject,
    /// Its number in the sky.
    pub id: Option<u32>,
    /// Right ascension and declination, deg.
    pub sky_deg: Option<(f64, f64)>,
    /// Total magnitude by band; NaN where it is not told.
    pub mag: PerBand<f64>,
    /// How its light is spread.
    pub profile: Option<Profile>,
    /// Half-light semi-major axis, arcsec, minor over major axis, and angle, deg.
    pub shape: Option<[f64; 3]>,
    /// Whether its core is saturated, where the truth says it.
    pub is_saturated: Option<bool>,
}

impl From<TrueObject> for Known {
    fn from(object: TrueObject) -> Self {
        let mag = [f64::NAN; 5];
        Self { object, id: None, sky_deg: None, mag, profile: None, shape: None, is_saturated: None }
    }
}

/// The catalogue of a field and its truth.
#[derive(Clone, Debug)]
pub struct JudgedField {
    /// Id of the image.
    pub image: String,
    /// Id of the image whose sky it shows: another at a later visit.
    pub sky: String,
    /// Width and height of the frame, px; without them no object is at an edge.
    pub size: Option<(usize, usize)>,
    /// What was found.
    pub rows: Vec<Row>,
    /// What is there.
    pub known: Vec<Known>,
}
