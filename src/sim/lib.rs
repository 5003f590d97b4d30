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
mod cores;
mod counts;
mod defects;
mod detector;
pub mod evaluate;
mod king;
mod mixture;
mod moffat;
mod population;
mod render;
mod spec;
mod spiral;
mod streams;
#[cfg(test)]
mod tests;
mod trails;
mod truth;

use rayon::prelude::*;

use twinpeak_core::frame::{Band, Frame, PerBand, Plane, mask};
use twinpeak_core::survey::{PlaneKind, Survey, nmgy_of_mag};

pub use king::Cluster;
pub use moffat::Moffat;
pub use spec::{
    Artefacts, Cores, Counts, LAST_FIELD, LAST_SEED, LAST_VISIT, LAST_VISITED_FIELD, Seeing, SimError, Spec,
};
pub use truth::{Class, IGNORED, Profile, SimulatedObject, Truth};

use conditions::{BandConditions, Conditions};
use detector::Exposed;
use mixture::Blob;
use population::Source;

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
    let at_first = Conditions::draw(&spec.sky(), survey)?;
    let mut sources = population::draw(spec, survey, &at_first.bands[reference].wcs);
    if spec.visit > 0 {
        sources = population::visited(sources, spec, &conditions.bands[reference].wcs);
    }
    let scale = survey.profile().pixel_scale_arcsec;

    let shine = |b: usize| {
        let band = &conditions.bands[b];
        let place = |o: &SimulatedObject| match b {
            _ if b == reference => Some((o.x, o.y)),
            _ => band.wcs.sky_to_pixel(o.ra_deg, o.dec_deg),
        };
        let image = |o: &SimulatedObject| {
            place(o).map_or_else(Vec::new, |at| band.image_of(o, nmgy_of_mag(o.mag[b]), at, scale))
        };
        let stamps: Vec<Vec<Blob>> = sources.par_iter().map(|s| s.lights().iter().flat_map(image).collect()).collect();
        let mut sky = render::planes(&stamps, spec.width, spec.height);
        trails::add(&mut sky, spec, survey, band, b);
        let exposed = detector::expose(sky, spec, survey, band, b);
        let is_full = |s: &Source| {
            let pixel = place(&s.object).map(|(x, y)| (x.round() as isize, y.round() as isize));
            pixel.and_then(|(x, y)| exposed.bits.get(x, y)).is_some_and(|bits| bits & mask::SAT != 0)
        };
        let full: Vec<bool> = sources.iter().filter(|s| s.object.id != IGNORED).map(is_full).collect();
        (finish(exposed, band, survey), full)
    };
    let (seen, full) = shine(reference);
    let mut full_bands: Vec<u8> = full.iter().map(|full| u8::from(*full)).collect();
    let present: PerBand<bool> = std::array::from_fn(|b| !survey.band(b).is_empty());
    let bands: PerBand<Band> = std::array::from_fn(|b| match present[b] {
        _ if b == reference => seen.clone(),
        true => {
            let (band, full) = shine(b);
            full_bands.iter_mut().zip(full).for_each(|(bands, full)| *bands += u8::from(full));
            band
        }
        false => Band::absent(&seen),
    });

    let shape_bands = survey.shape_bands();
    let image = |o: &SimulatedObject| {
        let band = |&b: &usize| conditions.bands[b].image_of(o, nmgy_of_mag(o.mag[b]), (o.x, o.y), scale);
        shape_bands.iter().flat_map(band).collect::<Vec<_>>()
    };
    let stamps: Vec<Vec<Blob>> = sources.par_iter().map(|s| s.lights().iter().flat_map(image).collect()).collect();
    let noise = shape_bands.iter().map(|&b| conditions.bands[b].sky_sigma_nmgy().powi(2)).sum::<f64>().sqrt();
    let ids: Vec<u32> = sources.iter().map(|s| s.object.id).collect();
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
    let objects: Vec<_> = sources.into_iter().map(|s| s.object).filter(|o| o.id != IGNORED).collect();
    let replaced_bands = (spec.artefacts.cores == Cores::Replaced).then_some(full_bands);
    Ok(Simulated { frame, truth: Truth { sky: at_first.id, objects, segmentation, psf, replaced_bands } })
}

/// The band with what the survey's files say of it: masks and variances where it has them.
fn finish(exposed: Exposed, band: &BandConditions, survey: &Survey) -> Band {
    let Exposed { pixels, bits, variance } = exposed;
    let required = |kind| survey.place_of(kind).is_some_and(|place| place.required);
    Band {
        mask: if required(PlaneKind::Mask) { bits } else { Plane::filled(pixels.width(), pixels.height(), 0) },
        pixels,
        wcs: band.header_wcs.clone(),
        nmgy_per_dn: band.nmgy_per_dn,
        gain_e_per_dn: band.gain_e_per_dn,
        dark_variance_dn2: band.dark_variance_dn2,
        saturation_nmgy: survey.profile().saturation.trusted_dn * band.nmgy_per_dn,
        removed_sky_nmgy: Some(band.sky_dn * band.nmgy_per_dn),
        variance: required(PlaneKind::Weight).then_some(variance),
    }
}
