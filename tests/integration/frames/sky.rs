//! The sky of all cases: one field, simulated once on one grid for all bands, and where its pixels lie, by the formulas of
//! the standard's paper II written out for the few systems that the cases are written in.

use std::sync::OnceLock;

use twinpeak_core::survey::Survey;
use twinpeak_formats::fits;
use twinpeak_sim::{Artefacts, Counts, Seeing, Spec, simulate};

use super::image::Image;
use crate::common::BANDS;

/// Side of the frames, px.
pub const SIDE: usize = 512;
/// Index of the reference band.
pub const R: usize = 2;

/// Five bands of one field.
#[derive(Clone)]
pub struct Sky {
    /// In the survey's order.
    pub bands: [Image; 5],
}

impl Sky {
    /// A field of so many objects, seen with this FWHM.
    pub fn simulated(fwhm_arcsec: f64, sources: usize) -> Self {
        let survey = Survey::parse(include_str!("../../../config/surveys/sdss.toml")).unwrap();
        let seeing = Seeing { median_fwhm_arcsec: fwhm_arcsec, sigma_ln: 0.0, ..Spec::of(&survey).seeing };
        let spec = Spec {
            seed: 14,
            width: SIDE,
            height: SIDE,
            counts: Counts::Flat,
            sources: Some(sources),
            seeing,
            offset_max_px: [0.0, 0.0],
            artefacts: Artefacts::NONE,
            ..Spec::of(&survey)
        };
        let made = simulate(&spec, &survey).unwrap().frame;
        let band = |b| Image::read(&fits::encode_band(&survey, &made, b).unwrap());
        Self { bands: [0, 1, 2, 3, 4].map(band) }
    }

    /// The sky of most cases.
    pub fn usual() -> &'static Self {
        static USUAL: OnceLock<Sky> = OnceLock::new();
        USUAL.get_or_init(|| Self::simulated(1.3, 90))
    }

    /// The matrix, degrees per pixel, row by row.
    pub fn cd(&self) -> [[f64; 2]; 2] {
        let card = |key| self.bands[R].number(key);
        [[card("CD1_1"), card("CD1_2")], [card("CD2_1"), card("CD2_2")]]
    }

    /// Where its header says that its pixels lie.
    pub fn place(&self) -> Place {
        let card = |key| self.bands[R].number(key);
        Place {
            crval: (card("CRVAL1"), card("CRVAL2")),
            crpix: (card("CRPIX1"), card("CRPIX2")),
            cd: self.cd(),
            ..Place::default()
        }
    }

    /// Noise of a pixel of each band's sky, nMgy.
    pub const SIGMA: [f32; 5] = [0.040, 0.017, 0.030, 0.052, 0.181];
}

/// Index of a band.
pub fn band(name: &str) -> usize {
    BANDS.iter().position(|b| *b == name).unwrap()
}

/// A pair of plane or pixel coordinates.
pub type Pair = (f64, f64);

/// A zenithal system.
#[derive(Clone, Copy)]
pub struct Place {
    /// CRVAL, degrees.
    pub crval: Pair,
    /// CRPIX, from 1.
    pub crpix: Pair,
    /// CD, degrees per pixel.
    pub cd: [[f64; 2]; 2],
    /// LONPOLE, degrees.
    pub lonpole_deg: f64,
    /// Distances from CRPIX, px, as a distortion has them.
    pub bent_px: fn(Pair) -> Pair,
    /// Plane coordinates, degrees, as a distortion has them.
    pub bent_deg: fn(Pair) -> Pair,
    /// Native latitude, rad, at a radius, rad, in the plane.
    pub latitude: fn(f64) -> f64,
    /// From the header's frame, as a unit vector, to ICRS.
    pub to_icrs: fn([f64; 3]) -> [f64; 3],
    /// How near to this the answer must be, arcsec: the formulas' own error.
    pub within_arcsec: f64,
}

impl Default for Place {
    fn default() -> Self {
        Self {
            crval: (0.0, 0.0),
            crpix: (0.0, 0.0),
            cd: [[0.0; 2]; 2],
            lonpole_deg: 180.0,
            bent_px: |at| at,
            bent_deg: |at| at,
            latitude: |radius| (1.0 / radius).atan(), // TAN
            to_icrs: |v| v,
            within_arcsec: 1e-3,
        }
    }
}

impl Place {
    /// The direction of pixel (x, y), from 0.
    pub fn direction(&self, x: f64, y: f64) -> [f64; 3] {
        let (u, v) = (self.bent_px)((x + 1.0 - self.crpix.0, y + 1.0 - self.crpix.1));
        let [[a, b], [c, d]] = self.cd;
        let (xi, eta) = (self.bent_deg)((a * u + b * v, c * u + d * v));
        let theta = (self.latitude)(xi.hypot(eta).to_radians());
        let turned = xi.atan2(-eta) - self.lonpole_deg.to_radians();
        let (pole, alpha) = (self.crval.1.to_radians(), self.crval.0.to_radians());
        let east = -theta.cos() * turned.sin();
        let north = theta.sin() * pole.cos() - theta.cos() * pole.sin() * turned.cos();
        let sin_dec = theta.sin() * pole.sin() + theta.cos() * pole.cos() * turned.cos();
        let (ra, across) = (alpha + east.atan2(north), east.hypot(north));
        (self.to_icrs)([across * ra.cos(), across * ra.sin(), sin_dec])
    }

    /// How far a position, degrees ICRS, is from where pixel (x, y) lies, arcsec.
    pub fn off_arcsec(&self, (x, y): Pair, (ra, dec): Pair) -> f64 {
        let (ra, dec) = (ra.to_radians(), dec.to_radians());
        let found = [dec.cos() * ra.cos(), dec.cos() * ra.sin(), dec.sin()];
        let there = self.direction(x, y);
        let chord = (0..3).map(|k| (found[k] - there[k]).powi(2)).sum::<f64>().sqrt();
        chord.to_degrees() * 3600.0
    }
}

fn applied(matrix: &[[f64; 3]; 3], v: [f64; 3]) -> [f64; 3] {
    matrix.map(|row| row[0] * v[0] + row[1] * v[1] + row[2] * v[2])
}

/// FK4 of B1950 to FK5 of J2000, for an object without proper motion in FK4 at 1950 (Explanatory Supplement 1992, 3.59): E-terms
/// off, then the matrix of positions. FK4's own spin moves it by up to .3 arcsec a half century.
pub fn b1950_to_j2000(v: [f64; 3]) -> [f64; 3] {
    const E: [f64; 3] = [-1.625_57e-6, -0.319_19e-6, -0.138_43e-6];
    const TO_J2000: [[f64; 3]; 3] = [
        [0.999_925_678_2, -0.011_182_061_1, -0.004_857_947_7],
        [0.011_182_061_0, 0.999_937_478_4, -0.000_027_176_5],
        [0.004_857_947_9, -0.000_027_147_4, 0.999_988_199_7],
    ];
    let along: f64 = (0..3).map(|k| E[k] * v[k]).sum();
    let bare = [0, 1, 2].map(|k| v[k] - E[k] + along * v[k]);
    let turned = applied(&TO_J2000, bare);
    let length = turned.iter().map(|c| c * c).sum::<f64>().sqrt();
    turned.map(|c| c / length)
}

/// The mean equator and equinox of J1975 to J2000 by Lieske's angles (1977), whose rate is .3 arcsec a century off.
pub fn j1975_to_j2000(v: [f64; 3]) -> [f64; 3] {
    let t: f64 = -0.25; // centuries from J2000 to J1975; the turn back is its transpose
    let angle = |a: f64, b: f64, c: f64| ((a * t + b * t * t + c * t * t * t) / 3600.0).to_radians();
    let zeta = angle(2306.2181, 0.30188, 0.017_998);
    let z = angle(2306.2181, 1.09468, 0.018_203);
    let theta = angle(2004.3109, -0.42665, -0.041_833);
    let about_pole = |v: [f64; 3], a: f64| [v[0] * a.cos() - v[1] * a.sin(), v[0] * a.sin() + v[1] * a.cos(), v[2]];
    // P = Rz(-z) Ry(theta) Rz(-zeta); its inverse undoes the three turns in reverse.
    let v = about_pole(v, -z);
    let v = [theta.cos() * v[0] + theta.sin() * v[2], v[1], -theta.sin() * v[0] + theta.cos() * v[2]];
    about_pole(v, -zeta)
}
