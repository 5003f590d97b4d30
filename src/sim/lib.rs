//! A seeded night sky: a five-band field as the survey would have taken it, with the truth about every object; and
//! scores against truth.
//!
//! ```text
//! Spec, Survey -> conditions   coordinates, PSF and sky of each band
//!              -> population   positions, classes, magnitudes, shapes
//!              -> mixture      each object x PSF as a sum of Gaussians (analytic convolution)
//!              -> render       noiseless planes
//!              -> detector     sky, defects, photons, read noise, whole DN, back to nMgy
//!              -> truth        the table and the segmentation plane
//!
//! catalogue, truth -> evaluate  AUC, completeness, purity, calibration; two models against each other
//! ```
//!
//! All that is drawn comes from streams keyed by (seed, field, purpose, band), so a field is the same whatever
//! else is simulated and however many threads work, and two seeds never share a number.
//!
//! The recipe (counts, stellar locus, sizes, seeing) is that of a Sloan-like survey's sky; the instrument is the
//! survey's profile. The five bands stand for u, g, r, i, z in the profile's order.
//!
//! # What it may know
//!
//! `twinpeak-core` alone. Truth lives here, so what learns must never know this crate: `twinpeak-learn` has it for its
//! tests alone, and a test of the program holds that.
//!
//! # A field simulated, searched and scored
//!
//! The classical segmenter's matched filter finds the objects; no net is needed.
//!
//! ```
//! use twinpeak_core::scores::Scores;
//! use twinpeak_core::{detections, extract, filter, preprocess, survey::Survey, threshold::ThresholdSegmenter};
//! use twinpeak_sim::evaluate::{self, Rules};
//! use twinpeak_sim::{Class, Spec, simulate};
//!
//! let survey = Survey::parse(include_str!("../../config/surveys/sdss.toml"))?;
//! let made = simulate(&Spec { seed: 7, width: 300, height: 200, ..Spec::default() }, &survey)?;
//! let frame = preprocess::prepare(made.frame, &survey, &preprocess::Settings::default())?;
//!
//! let weights = detections::detection_weights(&frame, &survey);
//! let scores = Scores::same(filter::matched_filter(&filter::weighted_sum(&frame.registered, &weights), 3.0));
//! let settings = extract::Settings {
//!     detect_threshold: ThresholdSegmenter::DETECT_SIGMA,
//!     extent_threshold: ThresholdSegmenter::DETECT_SIGMA,
//!     min_area_px: 5,
//!     parting: extract::Parting::BRIGHTNESS,
//!     max_children: 1000,
//!     max_component_px: 100_000,
//! };
//! let detection = filter::detection_image(&frame.registered, &weights);
//! let found = extract::extract(&scores, &detection, &frame.bits, &settings).objects;
//!
//! let (scale, r) = (survey.profile().pixel_scale_arcsec, survey.reference());
//! let catalog: Vec<_> =
//!     found.iter().map(|o| evaluate::Object { x: o.x, y: o.y, mag: 20.0, ..Default::default() }).collect();
//! let truth = made.truth.objects.iter();
//! let truth: Vec<_> = truth
//!     .map(|o| evaluate::TrueObject { x: o.x, y: o.y, star: o.class != Class::Galaxy, mag: Some(o.mag[r]) })
//!     .collect();
//! let bright = evaluate::evaluate(&catalog, &truth, &Rules::for_scale(scale)).detection_between(15.0, 21.0);
//! assert!(found.len() > 5 && bright.completeness() > Some(0.8));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod colour;
mod conditions;
mod defects;
mod detector;
pub mod evaluate;
mod mixture;
mod moffat;
mod population;
mod render;
mod spec;
mod streams;
#[cfg(test)]
mod tests;
mod truth;

use rayon::prelude::*;

use twinpeak_core::frame::{Band, Frame, PerBand, Plane};
use twinpeak_core::survey::{PlaneKind, Survey, nmgy_of_mag};

pub use moffat::Moffat;
pub use spec::{Artefacts, Counts, LAST_FIELD, LAST_SEED, Seeing, SimError, Spec};
pub use truth::{Class, IGNORED, Profile, SimulatedObject, Truth};

use conditions::{BandConditions, Conditions};
use detector::Exposed;
use mixture::Blob;

/// A field and all that is true of it.
#[derive(Clone, Debug)]
pub struct Simulated {
    /// The field as if read from its files: calibrated, with masks and variances where the survey has them, the masks
    /// empty otherwise; `input_hash` empty.
    pub frame: Frame,
    /// The objects and pixels that are truly in it.
    pub truth: Truth,
}

/// Simulates one field.
///
/// # Errors
/// [`SimError`] where the specification makes no sense.
pub fn simulate(spec: &Spec, survey: &Survey) -> Result<Simulated, SimError> {
    spec.check()?;
    let conditions = Conditions::draw(spec, survey)?;
    let reference = survey.reference();
    let objects = population::draw(spec, survey, &conditions.bands[reference].wcs);

    let fluxes: Vec<PerBand<f64>> = objects.iter().map(|o| o.mag.map(nmgy_of_mag)).collect();
    let scale = survey.profile().pixel_scale_arcsec;

    let shine = |b: usize| {
        let band = &conditions.bands[b];
        let stamps: Vec<Vec<Blob>> = objects
            .par_iter()
            .zip(&fluxes)
            .map(|(o, flux)| {
                let at = if b == reference { Some((o.x, o.y)) } else { band.wcs.sky_to_pixel(o.ra_deg, o.dec_deg) };
                at.map_or_else(Vec::new, |(x, y)| band.image_of(o, flux[b], (x, y), scale))
            })
            .collect();
        let sky = render::planes(&stamps, spec.width, spec.height);
        finish(detector::expose(sky, spec, survey, band, b), band, survey)
    };
    let seen = shine(reference);
    let present: PerBand<bool> = std::array::from_fn(|b| !survey.band(b).is_empty());
    let bands: PerBand<Band> = std::array::from_fn(|b| match present[b] {
        _ if b == reference => seen.clone(),
        true => shine(b),
        false => Band::absent(&seen),
    });

    let shape_bands = survey.shape_bands();
    let stamps: Vec<Vec<Blob>> = objects
        .par_iter()
        .zip(&fluxes)
        .map(|(o, flux)| {
            let bands = shape_bands.iter();
            bands.flat_map(|&b| conditions.bands[b].image_of(o, flux[b], (o.x, o.y), scale)).collect()
        })
        .collect();
    let noise = shape_bands.iter().map(|&b| conditions.bands[b].sky_sigma_nmgy().powi(2)).sum::<f64>().sqrt();
    let ids: Vec<u32> = objects.iter().map(|o| o.id).collect();
    let segmentation = render::segmentation(&stamps, &ids, noise as f32, spec.width, spec.height);

    let frame = Frame {
        id: conditions.id,
        ids: conditions.ids,
        midpoint_mjd_tai: Some(conditions.midpoint_mjd_tai),
        exposure_s: Some(survey.profile().typical.exposure_s),
        bands,
        input_hash: String::new(),
        present,
        files: Default::default(),
    };
    let psf = conditions.bands.map(|b| b.psf);
    let objects = objects.into_iter().filter(|o| o.id != IGNORED).collect();
    Ok(Simulated { frame, truth: Truth { objects, segmentation, psf } })
}

/// The band with what the survey's files say of it: masks and variances where it has them.
fn finish(exposed: Exposed, band: &BandConditions, survey: &Survey) -> Band {
    let Exposed { pixels, bits, variance } = exposed;
    let required = |kind| survey.place_of(kind).is_some_and(|place| place.required);
    Band {
        mask: if required(PlaneKind::Mask) { bits } else { Plane::filled(pixels.width(), pixels.height(), 0) },
        pixels,
        wcs: band.wcs.clone(),
        nmgy_per_dn: band.nmgy_per_dn,
        gain_e_per_dn: band.gain_e_per_dn,
        dark_variance_dn2: band.dark_variance_dn2,
        saturation_nmgy: survey.profile().saturation.trusted_dn * band.nmgy_per_dn,
        removed_sky_nmgy: Some(band.sky_dn * band.nmgy_per_dn),
        variance: required(PlaneKind::Weight).then_some(variance),
    }
}
