//! Surveys that are not SDSS: another zero point, sky that was left in.

use twinpeak_core::catalog::Row;
use twinpeak_core::detections::{Detections, detection_weights};
use twinpeak_core::filter::{matched_filter, weighted_sum};
use twinpeak_core::preprocess::prepare;
use twinpeak_core::recipe::Recipe;

use super::*;

/// All inside is in nanomaggies: the unit of a survey's files changes nothing of its sky.
#[test]
fn a_surveys_zero_point_is_no_matter_of_its_sky() {
    let text = include_str!("../../../config/surveys/sdss.toml");
    let other = Survey::parse(&text.replacen("zero_point_mag = 22.5", "zero_point_mag = 27.0", 1)).unwrap();
    let spec = Spec { seed: 4, width: 128, height: 100, ..Spec::default() };
    let [a, b] = [&sdss(), &other].map(|survey| simulate(&spec, survey).unwrap());
    assert!(!a.truth.objects.is_empty());
    for (a, b) in a.frame.bands.iter().zip(&b.frame.bands) {
        assert_eq!((&a.pixels, a.removed_sky_nmgy, a.nmgy_per_dn), (&b.pixels, b.removed_sky_nmgy, b.nmgy_per_dn));
    }
}

/// What a matched filter finds on a frame, measured.
fn rows(frame: Frame, survey: &Survey) -> Vec<Row> {
    let recipe = Recipe::for_survey(survey);
    let prepared = prepare(frame, survey, &recipe.preprocess).unwrap();
    let score = matched_filter(&weighted_sum(&prepared.registered, &detection_weights(&prepared, survey)), 3.3);
    let scores = twinpeak_core::scores::Scores::same(score);
    let found = Detections::find(&prepared, survey, &scores, &recipe.extract, &recipe.fallback_fwhm_arcsec);
    found.measure().into_iter().map(|m| m.row).collect()
}

#[test]
fn frames_with_the_sky_left_in_are_as_good_as_those_without() {
    let survey = sdss();
    let spec = Spec { seed: 6, width: 512, height: 400, counts: Counts::Flat, sources: Some(80), ..Spec::default() };
    let without = simulate(&spec, &survey).unwrap().frame;
    let mut with = without.clone();
    for band in &mut with.bands {
        let sky = band.removed_sky_nmgy.take().unwrap() as f32;
        band.pixels.pixels_mut().iter_mut().for_each(|p| *p += sky);
    }
    let (without, with) = (rows(without, &survey), rows(with, &survey));
    let partner = |row: &Row| with.iter().find(|w| (w.x - row.x).hypot(w.y - row.y) < 0.3);
    let paired: Vec<_> = without.iter().filter_map(|row| Some((row, partner(row)?))).collect();
    assert!(without.len() > 50 && paired.len() + 2 >= without.len() && paired.len() + 2 >= with.len());
    for (a, b) in paired {
        assert_eq!(a.flags, b.flags, "{} at {:.0} {:.0}", a.number, a.x, a.y);
        for band in 0..5 {
            let off = (a.psf_flux[band] - b.psf_flux[band]).abs() / a.psf_flux_err[band];
            assert!(off.is_nan() || off < 0.3, "{} band {band}: {off} sigma", a.number);
            let errors = b.psf_flux_err[band] / a.psf_flux_err[band];
            assert!(errors.is_nan() || (errors - 1.0).abs() < 0.02, "{} band {band}: {errors}", a.number);
        }
    }
}
