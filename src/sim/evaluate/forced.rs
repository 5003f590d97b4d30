//! How bright the sky is where a truth without magnitudes says that something is: one measure for what was found
//! and what was missed.

use rayon::prelude::*;

use twinpeak_core::aperture::{Ellipse, sum};
use twinpeak_core::frame::Frame;
use twinpeak_core::measure::asinh_magnitude;
use twinpeak_core::preprocess::{Prepared, PreprocessError, prepare};
use twinpeak_core::recipe::Recipe;
use twinpeak_core::survey::Survey;

/// Diameter of the circle, arcsec: that of the catalogue's `apFlux`.
pub const DIAMETER_ARCSEC: f64 = 3.0;
/// With less of the circle on the frame there is no magnitude.
const LEAST_SHARE: f64 = 0.5;

/// Asinh magnitudes in the reference band within the circle at each of `positions` (0-based reference pixels), the
/// sky being taken off as for a catalogue; neighbours are not removed. `None` off the frame.
///
/// # Errors
/// [`PreprocessError`] where the frame cannot be prepared.
pub fn magnitudes(
    frame: Frame,
    survey: &Survey,
    positions: &[(f64, f64)],
) -> Result<Vec<Option<f64>>, PreprocessError> {
    Ok(on(&prepare(frame, survey, &Recipe::for_survey(survey).preprocess)?, survey, positions))
}

/// The same on a frame that is prepared.
pub fn on(prepared: &Prepared, survey: &Survey, positions: &[(f64, f64)]) -> Vec<Option<f64>> {
    let (profile, reference) = (survey.profile(), survey.reference());
    let circle = Ellipse::circle(DIAMETER_ARCSEC / 2.0 / prepared.pixel_scale_arcsec);
    let softening = profile.asinh_softening_maggies[reference];
    let pixels = &prepared.frame.bands[reference].pixels;
    let magnitude = |&at: &(f64, f64)| {
        let within = sum(pixels, &circle, at);
        (within.area >= LEAST_SHARE * circle.area()).then(|| asinh_magnitude(within.flux, softening))
    };
    positions.par_iter().map(magnitude).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Artefacts, Counts, Seeing, Spec, simulate};

    #[test]
    fn a_star_is_as_bright_as_the_circle_holds_of_it() {
        let survey = Survey::parse(include_str!("../../../config/surveys/sdss.toml")).unwrap();
        // So sharp that nearly all of the light is within the circle.
        let seeing = Seeing { median_fwhm_arcsec: 0.8, sigma_ln: 0.0, beta: [4.0, 4.0], ..Seeing::default() };
        let mut compared = 0;
        for seed in 0..20 {
            let spec = Spec {
                seed,
                width: 256,
                height: 256,
                sources: Some(1),
                counts: Counts::Flat,
                artefacts: Artefacts::NONE,
                seeing: seeing.clone(),
                ..Spec::default()
            };
            let made = simulate(&spec, &survey).unwrap();
            let object = &made.truth.objects[0];
            let far_off = (object.x + 1000.0, object.y);
            let mags = magnitudes(made.frame, &survey, &[(object.x, object.y), far_off]).unwrap();
            assert_eq!(mags[1], None);
            if object.class.is_point() && (15.0..21.0).contains(&object.mag[2]) {
                let lost = mags[0].unwrap() - object.mag[2];
                assert!((-0.05..0.15).contains(&lost), "{lost}");
                compared += 1;
            }
        }
        assert!(compared > 0);
    }
}
