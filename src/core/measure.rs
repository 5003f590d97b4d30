//! What the catalogue says of each object: position, shape, fluxes, flags, and what its class is derived from. All
//! but the class is filled in here. One object costs a bounded time, whatever its footprint.

mod isophote;
mod magnitude;
mod model;
mod photometry;
mod position;

pub use magnitude::{asinh_magnitude, magnitude};

use isophote::Isophote;
use photometry::Photometry;
use rayon::prelude::*;

use crate::aperture::{Shape, shapes};
use crate::catalog::{Row, flag, source_id};
use crate::cutout::{ClassifierInput, Cutout, FrameView, recentre};
use crate::extract::{Footprint, Footprints};
use crate::frame::{BANDS, PerBand, Plane, mask};
use crate::preprocess::Prepared;
use crate::scene::SceneFacts;
use crate::survey::Survey;

/// An object, measured but not yet classified.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// Its row, without star probability and class.
    pub row: Row,
    /// What its class is derived from; `None` where there is no basis for one (the row is then flagged `NO_CLASS`).
    pub input: Option<ClassifierInput>,
    /// What the scene says of it; `None` where there is no scene.
    pub scene: Option<SceneFacts>,
    /// Where the PSF fits best: the position of the stamp and of the PSF fluxes, reference px.
    pub centre: (f64, f64),
}

/// Positions and sizes of all footprints in the reference band, in their order: what [`crate::psf::measure`] finds
/// its stars among.
pub fn footprint_shapes(prepared: &Prepared, survey: &Survey, footprints: &Footprints) -> Vec<Shape> {
    let positions: Vec<(f64, f64)> = footprints.objects.iter().map(|f| (f.x, f.y)).collect();
    shapes(&prepared.frame.bands[survey.reference()].pixels, &positions)
}

/// Measures all objects, in parallel, in the order of their numbers. `detection` is the image, in sigma on the
/// reference grid, on which they were found; `shapes` are theirs, of [`footprint_shapes`].
///
/// The result does not depend on the number of threads.
pub fn measure(view: &FrameView, footprints: &Footprints, detection: &Plane<f32>, shapes: &[Shape]) -> Vec<Measured> {
    let isophotes = isophote::measure(footprints, detection, &view.prepared.bits);
    let objects = footprints.objects.par_iter().zip(shapes).zip(&isophotes);
    objects.map(|((footprint, shape), isophote)| one(view, detection, footprint, shape, isophote)).collect()
}

fn one(
    view: &FrameView,
    detection: &Plane<f32>,
    footprint: &Footprint,
    shape: &Shape,
    isophote: &Isophote,
) -> Measured {
    let reference = view.survey.reference();
    let here = (shape.x, shape.y);
    let centre = recentre(view, footprint.number, here);
    let cutout = Cutout::take(view, footprint.number, centre);
    let photometry = Photometry::new(view, footprint.number, here, isophote, detection);
    let position = position::measure(view, footprint.number, shape);
    let (kron, aperture) = (photometry.kron(), photometry.aperture());
    let scene = view.scene.map(|scene| scene.facts(footprint, view.segmentation));
    let shared = scene.as_ref().map_or([1.0; BANDS], |scene| scene.point_shared);
    let psf = cutout.point_source;
    let psf_error: PerBand<f64> = std::array::from_fn(|b| psf[b].error * shared[b].sqrt());
    // What is not known of neighbours is as much of an aperture's flux.
    let with_share = |error: &PerBand<f64>| -> PerBand<f32> {
        std::array::from_fn(|b| {
            let share = (psf[b].error * psf[b].error * (shared[b] - 1.0)).max(0.0);
            if share > 0.0 { error[b].hypot(share.sqrt()) as f32 } else { error[b] as f32 }
        })
    };
    let mag = magnitude(psf[reference].flux, view.survey.magnitudes().faintest_nmgy()) as f32;
    let input = cutout.has_basis().then(|| cutout.classifier_input(view.profiles, centre, mag));

    let mut flags = footprint.flags | flags(view, isophote) | scene.as_ref().map_or(0, |scene| scene.flags);
    let set = |flags: &mut u32, bit, when: bool| *flags |= if when { bit } else { 0 };
    set(&mut flags, flag::NO_CLASS, input.is_none());
    set(&mut flags, flag::NEIGHBOURS, kron.neighbours);
    set(&mut flags, flag::TRUNCATED, kron.truncated);
    set(&mut flags, flag::MISSING_BAND, view.survey.planes().any(|b| psf[b].flux.is_nan()));

    let half_light_radius = sound_radius(shape);
    let softening = &view.survey.profile().asinh_softening_maggies;
    let id = source_id(&view.survey.profile().name, &view.prepared.frame.id, footprint.number);
    let row = Row {
        number: footprint.number,
        source_id: id,
        ra: position.ra,
        dec: position.dec,
        ra_err: position.ra_err as f32,
        dec_err: position.dec_err as f32,
        x: shape.x,
        y: shape.y,
        x_err: position.x_err as f32,
        y_err: position.y_err as f32,
        a: isophote.a as f32,
        b: isophote.b as f32,
        theta: isophote.theta.to_degrees() as f32,
        half_light_radius: half_light_radius as f32,
        // As the classifier's star peak was named with: a radius below .3 px is noise.
        concentration: (view.psf.half_light_radius_px() / half_light_radius.max(0.3)) as f32,
        iso_area: footprint.area_px.try_into().unwrap_or(i32::MAX),
        kron_radius: photometry.kron_radius_px() as f32,
        psf_flux: psf.map(|p| p.flux as f32),
        psf_flux_err: psf_error.map(|e| e as f32),
        kron_flux: kron.flux.map(|f| f as f32),
        kron_flux_err: with_share(&kron.error),
        ap_flux: aperture.flux.map(|f| f as f32),
        ap_flux_err: with_share(&aperture.error),
        psf_mag: std::array::from_fn(|b| asinh_magnitude(psf[b].flux, softening[b]) as f32),
        star_prob: None,
        star_prob_err: None,
        classification: None,
        primary: is_primary(view, here) && flags & flag::PART == 0,
        flags,
        model: scene.as_ref().map(|facts| model::published(facts, &photometry.kron_correction(), id)),
    };
    Measured { row, input, scene, centre }
}

/// The half-light radius, or NaN where the curve of growth never came to half.
fn sound_radius(shape: &Shape) -> f64 {
    let radius = shape.half_light_radius_px;
    let sound = radius > 0.0 && radius < crate::aperture::HALF_LIGHT_WITHIN_PX;
    if sound { radius } else { f64::NAN }
}

/// What the masks and the PSFs say of the footprint.
fn flags(view: &FrameView, isophote: &Isophote) -> u32 {
    let present = &view.prepared.frame.present;
    [
        (flag::SATURATED, isophote.bits & mask::SAT != 0),
        (flag::BAD_PIXELS, isophote.bits & mask::BAD != 0),
        (flag::MISSING_BAND, isophote.bits & mask::NO_DATA != 0),
        (flag::TRUNCATED, isophote.at_border),
        (flag::PSF_FALLBACK, (0..BANDS).any(|b| present[b] && view.psf.is_fallback(b))),
    ]
    .into_iter()
    .filter(|f| f.1)
    .fold(0, |bits, f| bits | f.0)
}

/// Whether a position lies in the part of the field that no neighbouring field owns: pixel centres are whole, so
/// the part begins half a pixel before its first.
fn is_primary(view: &FrameView, at: (f64, f64)) -> bool {
    let margin = view.survey.profile().primary_margin_px;
    let frame = &view.prepared.frame;
    let within = |v: f64, low: usize, high: usize, length: usize| {
        v >= low as f64 - 0.5 && v < length.saturating_sub(high) as f64 - 0.5
    };
    within(at.0, margin.left, margin.right, frame.width()) && within(at.1, margin.bottom, margin.top, frame.height())
}

#[cfg(test)]
mod tests;
