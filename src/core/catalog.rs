//! The published catalogue: one [`Row`] a source, and its [`columns`].

mod columns;
mod source_model;

pub use columns::{Cell, Column, Kind, Value, columns};
pub use source_model::{ModelType, SourceModel};

use sha2::{Digest, Sha256};

use crate::frame::{ImageId, PerBand};

/// Class codes, as SDSS's.
pub mod class {
    /// A galaxy.
    pub const GALAXY: i32 = 3;
    /// A star or quasar: a point source.
    pub const STAR: i32 = 6;
}

/// Bits of a row's `flags`: SExtractor's first, ours from 256.
pub mod flag {
    /// Bright neighbours may bias the measurement.
    pub const NEIGHBOURS: u32 = 1;
    /// Was blended with another source.
    pub const BLENDED: u32 = 2;
    /// At least one pixel is saturated.
    pub const SATURATED: u32 = 4;
    /// Truncated by the frame's edge.
    pub const TRUNCATED: u32 = 8;
    /// There is no basis for a classification: `starProb` is null.
    pub const NO_CLASS: u32 = 256;
    /// The deblender's bound on children was hit; the footprint may hold several sources.
    pub const DEBLEND_BOUND: u32 = 512;
    /// The footprint was larger than the bound on a component and was not deblended.
    pub const COMPONENT_BOUND: u32 = 1024;
    /// The frame had too few stars: the bundle's PSF was used.
    pub const PSF_FALLBACK: u32 = 2048;
    /// Bad pixels in the footprint.
    pub const BAD_PIXELS: u32 = 4096;
    /// At least one band has no data here.
    pub const MISSING_BAND: u32 = 8192;
    /// Found in what the models of all others leave.
    pub const FROM_RESIDUAL: u32 = 16384;
    /// A bound of the scene was hit here: what overlaps may not be told apart as well as it could be.
    pub const SCENE_BOUND: u32 = 32768;
    /// The core is saturated in at least one shape band, marked so or not: what is known is from the wings.
    pub const CORE_SATURATED: u32 = 65536;
    /// Part of a large galaxy, its parent: a knot or an arm. Never primary.
    pub const PART: u32 = 131_072;
}

/// One source. Fluxes in nMgy, positions in 0-based reference pixels.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Row {
    /// Its value in the segmentation mask, from 1.
    pub number: u32,
    /// Identity of the source over all images: [`source_id`] of survey, image and number.
    pub source_id: i64,
    /// Right ascension, deg.
    pub ra: f64,
    /// Declination, deg.
    pub dec: f64,
    /// Error of ra x cos(dec), deg.
    pub ra_err: f32,
    /// Error of dec, deg.
    pub dec_err: f32,
    /// Column of the windowed centroid, 0-based px of the reference band.
    pub x: f64,
    /// Row of the windowed centroid, 0-based px of the reference band.
    pub y: f64,
    /// Error of x, px.
    pub x_err: f32,
    /// Error of y, px.
    pub y_err: f32,
    /// Second moment along the major axis, px.
    pub a: f32,
    /// Second moment along the minor axis, px.
    pub b: f32,
    /// Angle of the major axis from +x to +y, deg, -90..90.
    pub theta: f32,
    /// Radius that holds half of the flux in the reference band, px; NaN where it cannot be measured.
    pub half_light_radius: f32,
    /// Half-light radius of the frame's PSF over the source's own: 1 for a star, smaller for a galaxy.
    pub concentration: f32,
    /// Area of the footprint, px.
    pub iso_area: i32,
    /// Semi-major axis of the Kron aperture, px.
    pub kron_radius: f32,
    /// Flux as a point source, forced at the reference position, nMgy.
    pub psf_flux: PerBand<f32>,
    /// Standard error of `psf_flux`, nMgy.
    pub psf_flux_err: PerBand<f32>,
    /// Kron (total) flux in the reference band's aperture, nMgy.
    pub kron_flux: PerBand<f32>,
    /// Standard error of `kron_flux`, nMgy.
    pub kron_flux_err: PerBand<f32>,
    /// Flux within a circle of 3 arcsec diameter, nMgy.
    pub ap_flux: PerBand<f32>,
    /// Standard error of `ap_flux`, nMgy.
    pub ap_flux_err: PerBand<f32>,
    /// Asinh magnitude of the PSF flux; finite at any flux.
    pub psf_mag: PerBand<f32>,
    /// Probability of being a star or quasar, 0..1; `None` without a basis.
    pub star_prob: Option<f32>,
    /// How far that would move on another night (standard deviation).
    pub star_prob_err: Option<f32>,
    /// [`class`] code; `None` where `star_prob` is.
    pub classification: Option<i32>,
    /// Inside the part of the field that no neighbouring field owns.
    pub primary: bool,
    /// Bits of [`flag`], or-ed.
    pub flags: u32,
    /// Its best model, and how it stands to other rows; `None` where the frame was not modelled.
    pub model: Option<SourceModel>,
}

/// What made a catalogue, and from what.
#[derive(Clone, Debug, PartialEq)]
pub struct Provenance {
    /// Name of the survey, from its description.
    pub survey: String,
    /// Image in which the sources were found.
    pub image_id: ImageId,
    /// Middle of the exposure, MJD TAI.
    pub midpoint_mjd_tai: Option<f64>,
    /// SHA-256 of the five input files, hex.
    pub input_hash: String,
    /// Version of the model bundle, from its manifest.
    pub model_version: String,
    /// SHA-256 of the bundle, hex.
    pub model_hash: String,
    /// Version of twinpeak that made it.
    pub software_version: String,
}

/// The sources of one image.
#[derive(Clone, Debug, PartialEq)]
pub struct Catalog {
    /// What made the catalogue, and from what.
    pub provenance: Provenance,
    /// Its sources, by NUMBER.
    pub rows: Vec<Row>,
}

/// How many sources a catalogue has, and of which class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClassCounts {
    /// Number of sources.
    pub rows: usize,
    /// Sources classified as star or quasar.
    pub stars: usize,
    /// Sources classified as galaxy.
    pub galaxies: usize,
    /// Sources without a basis for a class.
    pub unclassified: usize,
}

impl Catalog {
    /// Its sources by class.
    pub fn counts(&self) -> ClassCounts {
        let of = |class: Option<i32>| self.rows.iter().filter(|row| row.classification == class).count();
        let (rows, stars, galaxies) = (self.rows.len(), of(Some(class::STAR)), of(Some(class::GALAXY)));
        ClassCounts { rows, stars, galaxies, unclassified: rows - stars - galaxies }
    }
}

/// Largest NUMBER that a [`source_id`] has room for.
pub const MAX_NUMBER: u32 = (1 << 20) - 1;

/// A positive id that the same source of the same image always gets: the top 43 bits of
/// SHA-256(survey, 0, image id), shifted left by 20, with NUMBER in the low 20 bits.
pub fn source_id(survey: &str, image: &ImageId, number: u32) -> i64 {
    let digest = Sha256::new().chain_update(survey).chain_update([0]).chain_update(image.as_str()).finalize();
    let top = u64::from_be_bytes(digest[..8].try_into().expect("a digest has 32 bytes")) >> 21;
    ((top << 20) | u64::from(number & MAX_NUMBER)) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_positive_stable_and_distinct() {
        let image = ImageId::new("003918-3-0213").unwrap();
        let id = source_id("sdss", &image, 1);
        assert!(id > 0 && source_id("sdss", &image, 2) == id + 1 && source_id("other", &image, 1) >> 20 != id >> 20);
        assert_eq!(id >> 20, source_id("sdss", &image, 77) >> 20);
    }
}
