//! The point-spread function of a frame by band and position, measured without labels: all stars of a frame share
//! one half-light radius and galaxies do not, so the densest radius is the PSF's. A PSF of its own for every frame
//! is what matters most for the classifier.

mod fallback;
mod growth;
mod quality;
mod spline;
mod stack;
mod stars;

pub use quality::PsfQuality;
pub use spline::Splines;

use rayon::prelude::*;

use crate::aperture::{HALF_LIGHT_WITHIN_PX, Shape, radius_holding};
use crate::frame::{BANDS, PerBand, Plane};
use crate::preprocess::Prepared;
use crate::survey::Survey;

/// PSF stamps reach this far from their middle pixel.
pub const RADIUS: usize = 15;
/// Side of a PSF stamp, px.
pub const SIDE: usize = 2 * RADIUS + 1;
/// Pixels of a PSF stamp.
pub const AREA: usize = SIDE * SIDE;
/// Draws of the error of a PSF: as many as other nights are asked of.
pub const NIGHTS: usize = 2;
/// Position terms: 1, u, v with u, v in -1..1 over the reference frame.
pub const TERMS: usize = 3;

/// A 31x31 image, row by row, its object on the middle pixel.
pub type Stamp = [f32; AREA];

/// The PSF in every band, linear in position.
#[derive(Clone, Debug, PartialEq)]
pub struct Psf {
    bands: PerBand<BandPsf>,
    /// Half the reference frame's width and height, px.
    half_size_px: (f64, f64),
    half_light_radius_px: f64,
}

#[derive(Clone, Debug, PartialEq)]
struct BandPsf {
    terms: [Vec<f32>; TERMS],
    /// Sum of each term, so that unit sum costs nothing at each position.
    sums: [f64; TERMS],
    /// Draws of the terms' error; none of a fallback, whose error nobody knows.
    errors: Vec<[Vec<f32>; TERMS]>,
    fallback: bool,
}

/// Squared distance, px^2, of each pixel of a stamp from its middle.
pub const DISTANCE_SQUARED: [u16; AREA] = {
    let mut squares = [0; AREA];
    let mut i = 0;
    while i < AREA {
        let (dx, dy) = ((i % SIDE).abs_diff(RADIUS), (i / SIDE).abs_diff(RADIUS));
        squares[i] = (dx * dx + dy * dy) as u16;
        i += 1;
    }
    squares
};

/// Measures the PSF of a frame from the isolated stars among `shapes` (all detections, in the reference band), and
/// how good it is. A band with too few stars gets a round Moffat profile of `fallback_fwhm_arcsec`, and so does one that
/// was not taken, of which nothing is said then.
pub fn measure(
    prepared: &Prepared,
    survey: &Survey,
    splines: &Splines,
    shapes: &[Shape],
    fallback_fwhm_arcsec: &PerBand<f64>,
) -> (Psf, PerBand<PsfQuality>) {
    let frame_size = (prepared.frame.width(), prepared.frame.height());
    let half_size_px = (frame_size.0 as f64 / 2.0, frame_size.1 as f64 / 2.0);
    let selected = stars::select(shapes, survey, frame_size);
    let scale = prepared.pixel_scale_arcsec;
    let found: Vec<(BandPsf, quality::Stars)> = (0..BANDS)
        .into_par_iter()
        .map(|b| {
            let seen = stars::stamps(prepared, survey, splines, &selected, b);
            let fitted = stack::fit(&seen.stamps, half_size_px, b as u64);
            let used = fitted.as_ref().map_or(0, |f| f.stars);
            let stars = quality::Stars { used, registration: seen.registration };
            (BandPsf::new(fitted, fallback_fwhm_arcsec[b] / scale), stars)
        })
        .collect();
    let facts: Vec<quality::Stars> = found.iter().map(|f| f.1).collect();
    let mut found = found.into_iter();
    let bands = std::array::from_fn(|_| found.next().expect("one for each band").0);
    let mut psf = Psf { bands, half_size_px, half_light_radius_px: selected.half_light_radius_px };
    if !psf.half_light_radius_px.is_finite() || psf.bands[survey.reference()].fallback {
        psf.half_light_radius_px = psf.own_half_light_radius(survey.reference());
    }
    let of = |b| if prepared.frame.present[b] { quality::of(&psf, b, facts[b], scale) } else { PsfQuality::ABSENT };
    let quality = std::array::from_fn(of);
    (psf, quality)
}

impl Psf {
    /// The same round Moffat profile (beta 3) everywhere: what serves where no PSF could be measured.
    pub fn moffat(fwhm_px: &PerBand<f64>, frame_size: (usize, usize), reference: usize) -> Self {
        let mut psf = Self {
            bands: fwhm_px.map(|fwhm| BandPsf::new(None, fwhm)),
            half_size_px: (frame_size.0 as f64 / 2.0, frame_size.1 as f64 / 2.0),
            half_light_radius_px: 0.0,
        };
        psf.half_light_radius_px = psf.own_half_light_radius(reference);
        psf
    }

    /// The sum of these images of the terms 1, u and v.
    #[cfg(any(test, feature = "testing"))]
    pub fn of_terms(terms: PerBand<[Vec<f64>; TERMS]>, frame_size: (usize, usize), reference: usize) -> Self {
        let fitted = |terms| stack::Fitted { terms, errors: Vec::new(), stars: 99 };
        let bands = terms.map(|terms| BandPsf::new(Some(fitted(terms)), 3.0));
        let mut psf = Self { bands, ..Self::moffat(&[3.0; BANDS], frame_size, reference) };
        psf.half_light_radius_px = psf.own_half_light_radius(reference);
        psf
    }

    /// The same everywhere.
    #[cfg(test)]
    pub(crate) fn constant(stamps: &PerBand<Stamp>) -> Self {
        let terms = |stamp: &Stamp| [stamp.map(f64::from).to_vec(), vec![0.0; AREA], vec![0.0; AREA]];
        let fitted = |stamp| stack::Fitted { terms: terms(stamp), errors: Vec::new(), stars: 99 };
        let bands = stamps.each_ref().map(|stamp| BandPsf::new(Some(fitted(stamp)), 3.0));
        Self { bands, half_size_px: (1024.0, 744.5), half_light_radius_px: 2.0 }
    }

    /// The PSF of `band` at reference pixel (x, y): unit sum, centred on the middle pixel.
    pub fn at(&self, band: usize, x: f64, y: f64) -> Stamp {
        let [one, u, v] = self.weights(band, x, y);
        let [a, b, c] = self.terms(band);
        let mut stamp = [0.0; AREA];
        for (((p, &a), &b), &c) in stamp.iter_mut().zip(a).zip(b).zip(c) {
            *p = one * a + u * b + v * c;
        }
        stamp
    }

    /// Draw `night` of the error of [`Psf::at`]; `None` where a model serves.
    pub fn error_at(&self, band: usize, night: usize, x: f64, y: f64) -> Option<Stamp> {
        let [a, b, c] = self.bands[band].errors.get(night)?;
        let [one, u, v] = self.weights(band, x, y);
        Some(std::array::from_fn(|i| one * a[i] + u * b[i] + v * c[i]))
    }

    /// The stamps of the terms 1, u and v, of which the PSF of `band` is a sum; what is linear in the PSF needs to be done
    /// to these alone. u and v are 0 at the frame's centre and grow by 1 over [`Psf::half_size_px`]. The sum is of any
    /// scale: the PSF is it over its own total.
    pub fn terms(&self, band: usize) -> &[Vec<f32>; TERMS] {
        &self.bands[band].terms
    }

    /// Weights of the terms at reference pixel (x, y), for a PSF of unit sum.
    pub(crate) fn weights(&self, band: usize, x: f64, y: f64) -> [f32; TERMS] {
        let sums = &self.bands[band].sums;
        let (u, v) = (x / self.half_size_px.0 - 1.0, y / self.half_size_px.1 - 1.0);
        let norm = sums[0] + u * sums[1] + v * sums[2];
        // Far outside of the frame the linear terms may take the sum anywhere; the constant one is always sound.
        let sound = norm.is_finite() && norm > 0.5 * sums[0];
        if sound { [1.0 / norm, u / norm, v / norm] } else { [1.0 / sums[0], 0.0, 0.0] }.map(|c| c as f32)
    }

    /// Half the reference frame's width and height, px: position (x, y) is u = x / width - 1, v = y / height - 1 of these.
    pub fn half_size_px(&self) -> (f64, f64) {
        self.half_size_px
    }

    /// The PSF of `band` at the frame's centre.
    pub fn at_centre(&self, band: usize) -> Stamp {
        self.at(band, self.half_size_px.0, self.half_size_px.1)
    }

    /// Half-light radius of the frame's stars in the reference band, px.
    pub fn half_light_radius_px(&self) -> f64 {
        self.half_light_radius_px
    }

    /// Whether too few stars of `band` were found and a model serves.
    pub fn is_fallback(&self, band: usize) -> bool {
        self.bands[band].fallback
    }

    fn own_half_light_radius(&self, band: usize) -> f64 {
        let image = Plane::from_pixels(SIDE, SIDE, self.at_centre(band).to_vec());
        let middle = (RADIUS as f64, RADIUS as f64);
        radius_holding(&image, middle, HALF_LIGHT_WITHIN_PX, HALF_LIGHT_WITHIN_PX, None)
    }
}

impl BandPsf {
    /// Takes measured position terms, or a Moffat profile where there are none.
    fn new(measured: Option<stack::Fitted>, fallback_fwhm_px: f64) -> Self {
        let sound = measured.filter(|fitted| fitted.terms[0].iter().sum::<f64>() > 0.0);
        let fallback = sound.is_none();
        let (terms, errors) = match sound {
            Some(fitted) => (fitted.terms, fitted.errors),
            None => (fallback::moffat(fallback_fwhm_px), Vec::new()),
        };
        let sums = std::array::from_fn(|t| terms[t].iter().sum());
        let single = |terms: [Vec<f64>; TERMS]| terms.map(|t| t.into_iter().map(|v| v as f32).collect());
        Self { terms: single(terms), sums, errors: errors.into_iter().map(single).collect(), fallback }
    }
}

#[cfg(test)]
pub(crate) mod scene;
#[cfg(test)]
mod tests;
