//! A frame's brightest sources, found without a model: enough to see whether seeing and sky are what they should be.

use serde::Serialize;

use twinpeak_core::aperture::gaussian_fwhm_px;
use twinpeak_core::detections::{Detections, detection_weights};
use twinpeak_core::filter::{matched_filter, weighted_sum};
use twinpeak_core::frame::{BANDS, PerBand, mask};
use twinpeak_core::preprocess::Prepared;
use twinpeak_core::psf::PsfQuality;
use twinpeak_core::recipe::Recipe;
use twinpeak_core::scores::Scores;
use twinpeak_core::survey::Survey;

/// Seeing that the filter is made for, arcsec: ordinary; it costs little to be off.
const SEEING_ARCSEC: f64 = 1.2;
/// Sources that are listed.
const LISTED: usize = 5;

/// One source.
#[derive(Clone, Debug, Serialize)]
pub struct Source {
    /// Right ascension (ICRS), deg.
    pub ra_deg: f64,
    /// Declination (ICRS), deg.
    pub dec_deg: f64,
    /// Column, 0-based reference px.
    pub x: f64,
    /// Row, 0-based reference px.
    pub y: f64,
    /// Full width at half maximum of a Gaussian in each band, px of that band; null where it has none.
    pub fwhm_px: PerBand<Option<f64>>,
}

/// What a matched filter finds.
pub struct Sources {
    /// How many.
    pub found: usize,
    /// The brightest that are whole, unsaturated and not at the rim.
    pub brightest: Vec<Source>,
    /// The PSF of each band, where there are stars enough.
    pub psf: PerBand<PsfQuality>,
}

/// Finds them.
pub fn find(prepared: &Prepared, survey: &Survey) -> Sources {
    let scale_arcsec = prepared.frame.bands[survey.reference()].wcs.pixel_scale_arcsec();
    // Of the white sum, since the detection image is smoothed already.
    let sum = weighted_sum(&prepared.registered, &detection_weights(prepared, survey));
    let scores = Scores::same(matched_filter(&sum, SEEING_ARCSEC / scale_arcsec));
    let settings = Recipe::for_survey(survey).extract;
    let found = Detections::find(prepared, survey, &scores, &settings, &[SEEING_ARCSEC; BANDS]);
    let mut shapes: Vec<_> = found.shapes().iter().filter(|s| s.windowed && is_clean(prepared, (s.x, s.y))).collect();
    shapes.sort_by(|a, b| b.flux_4px.total_cmp(&a.flux_4px));
    let wcs = &prepared.frame.bands[survey.reference()].wcs;
    let source = |shape: &&twinpeak_core::aperture::Shape| {
        let (ra_deg, dec_deg) = wcs.pixel_to_sky(shape.x, shape.y)?;
        let fwhm_px = std::array::from_fn(|b| {
            let band = &prepared.frame.bands[b];
            let at = prepared.to_band[b].apply(shape.x, shape.y);
            prepared.frame.present[b]
                .then(|| gaussian_fwhm_px(&band.pixels, &band.mask, at, shape.window_sigma_px))
                .flatten()
        });
        Some(Source { ra_deg, dec_deg, x: shape.x, y: shape.y, fwhm_px })
    };
    let brightest = shapes.iter().take(LISTED).filter_map(source).collect();
    Sources { found: found.footprints.objects.len(), brightest, psf: found.quality }
}

/// Whether no pixel near a position is saturated or without data.
fn is_clean(prepared: &Prepared, (x, y): (f64, f64)) -> bool {
    const NEAR_PX: isize = 5;
    let (x, y) = (x.round() as isize, y.round() as isize);
    let bit = |dx, dy| prepared.bits.get(x + dx, y + dy);
    (-NEAR_PX..=NEAR_PX).all(|dy| {
        (-NEAR_PX..=NEAR_PX).all(|dx| bit(dx, dy).is_some_and(|bits| bits & (mask::SAT | mask::NO_DATA) == 0))
    })
}
