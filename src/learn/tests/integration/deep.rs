//! A survey three magnitudes deeper than SDSS, with pixels half as wide, is taught to its own depth, and nothing of it lies at
//! the end of a range.

use twinpeak_core::posterior::Calibration;
use twinpeak_core::preprocess::prepare;
use twinpeak_core::recipe::Recipe;
use twinpeak_core::survey::Survey;
use twinpeak_learn::classify::{self, control_calibration};
use twinpeak_learn::{profile_likelihood, sample};
use twinpeak_sim::{Artefacts, Counts, Spec, simulate};

/// Depth 26: gain and sky of a large telescope, seeing of .7 arcsec, pixels of .2.
fn deep() -> Survey {
    let text = include_str!("../../../../config/surveys/example.toml")
        .replacen("pixel_scale_arcsec = 0.263", "pixel_scale_arcsec = 0.2", 1)
        .replacen("fwhm_arcsec = 1.4", "fwhm_arcsec = 0.7", 1)
        .replacen("median_fwhm_arcsec = 1.32", "median_fwhm_arcsec = 0.7", 1)
        .replacen("brightest_mag = 16.5", "brightest_mag = 18.5", 1)
        .replacen("faintest_mag = 21.0", "faintest_mag = 24.0", 1)
        .replacen("mode_faintest_mag = 20.5", "mode_faintest_mag = 23.5", 1)
        .replacen("[0.0016, 0.0008, 0.0010, 0.0014, 0.0050]", "[2e-4, 1e-4, 1e-4, 2e-4, 6e-4]", 1)
        .replacen("[0.010, 0.005, 0.008, 0.013, 0.040]", "[0.0014, 0.0008, 0.0011, 0.0018, 0.0056]", 1)
        .replacen("gain_e_per_dn = [4.0, 4.0, 4.0, 4.0, 4.0]", "gain_e_per_dn = [8.0, 8.0, 8.0, 8.0, 8.0]", 1);
    Survey::parse(&text).unwrap()
}

#[test]
fn a_deep_survey_is_taught_to_its_depth_and_nothing_sits_at_the_end_of_a_range() {
    let (survey, mut taught, mut known) = (deep(), classify::TrainingSet::default(), Vec::new());
    let magnitudes = *survey.magnitudes();
    assert!(magnitudes.depth > 25.5, "{}", magnitudes.depth);
    let recipe = Recipe::for_survey(&survey);
    for field in 1..4 {
        let spec = Spec {
            seed: 2,
            field,
            width: 640,
            height: 640,
            counts: Counts::Flat,
            sources: Some(260),
            artefacts: Artefacts::NONE,
            ..Spec::of(&survey)
        };
        let prepared = prepare(simulate(&spec, &survey).unwrap().frame, &survey, &recipe.preprocess).unwrap();
        let mut filter = sample::matched_filter(&survey);
        let found =
            sample::find(&prepared, &survey, &mut sample::ObjectFinder { segmenter: &mut filter, recipe: &recipe });
        let found = found.unwrap();
        let psf = &found.quality[survey.reference()];
        assert!(
            !psf.fallback,
            "field {field} has a PSF of its own: {psf:?}, {} objects, sky {:?}",
            found.footprints.objects.len(),
            prepared.sky
        );
        sample::add_objects(&found, u64::from(field), &twinpeak_learn::MissingBands::none(), &mut taught, &mut known);
    }
    assert_eq!(taught.mag.len(), known.len());
    // SDSS's own limits would have thrown away a third of these.
    let beyond = taught.mag.iter().filter(|mag| **mag > 22.9).count();
    assert!(taught.mag.len() > 300 && beyond > taught.mag.len() / 4, "{beyond} of {}", taught.mag.len());
    assert!(taught.mag.iter().all(|mag| f64::from(*mag) < magnitudes.faintest - 1.0));

    let objects = profile_likelihood::TrainingSet {
        chi2: known.iter().map(|k| k.chi2).collect(),
        sn: known.iter().map(|k| k.sn).collect(),
        mag: taught.mag.clone(),
    };
    let mixture = profile_likelihood::train(&objects, magnitudes.profiles).unwrap();
    let calibration = control_calibration(&taught.concentration, &taught.concentration, &taught.mag, &magnitudes);
    let beyond = |nodes: &[f32]| taught.mag.iter().filter(|mag| **mag >= nodes[nodes.len() - 1]).count();
    assert_eq!(beyond(&mixture.mag_nodes), 0, "{:?}", mixture.mag_nodes);
    assert!(taught.mag.iter().all(|mag| *mag > mixture.mag_nodes[0]));
    // At its bright end the calibration stays what it is at the first node, as for SDSS: few objects are there.
    assert_eq!(beyond(&calibration.mag_nodes), 0, "{:?}", calibration.mag_nodes);
    let Calibration { mag_nodes, .. } = calibration;
    assert!(f64::from(mag_nodes[mag_nodes.len() - 1]) > magnitudes.depth);
}
