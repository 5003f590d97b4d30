use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use super::watch::OLDER_MAX;
use super::*;

/// Seeing about `fwhm` with 8 % scatter, half of the objects stars.
fn frame(fwhm: f64, star_share: f64, rng: &mut ChaCha8Rng) -> FrameFacts {
    let mut about = |value: f64, scatter: f64| value * (scatter * rng.sample::<f64, _>(StandardNormal)).exp();
    let (seeing, sky) = (about(fwhm, 0.08), about(0.3, 0.05));
    let fwhm_arcsec = std::array::from_fn(|b| seeing * (1.2 - 0.05 * b as f64));
    let objects: Vec<(f32, f32)> = (0..300)
        .map(|_| {
            let star = rng.random_bool(star_share);
            (rng.random_range(16.0..20.9), if star { 0.99 } else { 0.01 })
        })
        .collect();
    FrameFacts {
        fwhm_arcsec,
        sky_sigma_nmgy: [sky / 10.0; BANDS],
        sky_nmgy: [sky; BANDS],
        mixture: StarProbHistogram::of(objects, [15.0, 21.0]),
    }
}

fn distance(found: &[Found], input: Input, window: &str) -> (f64, f64) {
    let one = found.iter().find(|f| f.input == input && f.window == window).unwrap();
    (one.distance, one.threshold)
}

#[test]
fn frames_like_those_learned_from_rarely_drift() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut alarms = 0;
    for _ in 0..200 {
        let training: Vec<FrameFacts> = (0..6).map(|_| frame(1.2, 0.5, &mut rng)).collect();
        let mut watch = Watch::new(Expected::learn(&training).unwrap());
        for _ in 0..SEEN_MIN {
            assert!(watch.found().is_empty(), "so few frames say nothing");
            watch.add(Some(60_000.0), 0.0, frame(1.2, 0.5, &mut rng));
        }
        alarms += watch.found().iter().filter(|f| f.distance > f.threshold).count();
    }
    // Bands move together here, so about 1 in 100 is right.
    assert!(alarms < 40, "{alarms} of 1600");
}

#[test]
fn a_night_whose_seeing_gets_worse_drifts_in_seeing_alone() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let training: Vec<FrameFacts> = (0..12).map(|_| frame(1.2, 0.5, &mut rng)).collect();
    let mut watch = Watch::new(Expected::learn(&training).unwrap());
    for hour in 0..6 {
        for k in 0..10 {
            let time = 60_000.0 + (f64::from(hour) + f64::from(k) / 10.0) / 24.0;
            watch.add(Some(time), 0.0, frame(1.2 + 0.4 * f64::from(hour), 0.5, &mut rng));
        }
        let (now, threshold) = distance(&watch.found(), Input::Fwhm, "hour");
        // In the second hour, at 1.6", it may be either.
        if hour != 1 {
            assert_eq!(now > threshold, hour >= 2, "hour {hour}: {now} against {threshold}");
        }
    }
    let found = watch.found();
    let drifted: Vec<_> = found.iter().filter(|f| f.distance > f.threshold).map(|f| f.input).collect();
    assert!(drifted.iter().all(|i| *i == Input::Fwhm) && !drifted.is_empty(), "{found:?}");
    let ((hour, _), (night, _)) = (distance(&found, Input::Fwhm, "hour"), distance(&found, Input::Fwhm, "night"));
    assert!(night < hour, "the night has better hours too");
    watch.add(Some(59_000.0), 0.0, frame(9.0, 0.5, &mut rng));
    assert_eq!(watch.found(), found, "a backfill of an old night changes nothing");
    for _ in 0..OLDER_MAX {
        watch.add(None, 0.0, frame(1.2 + 0.4 * 5.0, 0.5, &mut rng));
        watch.add(Some(59_000.0), 0.0, frame(9.0, 0.5, &mut rng));
    }
    let (hour, _) = distance(&watch.found(), Input::Fwhm, "hour");
    assert!(hour < distance(&found, Input::Fwhm, "hour").0 + 3.0, "one without a date is of tonight: {hour}");
}

/// A clock that was wrong once, and an archive that is read.
#[test]
fn a_misdated_frame_does_not_blind_the_watch() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let training: Vec<FrameFacts> = (0..12).map(|_| frame(1.2, 0.5, &mut rng)).collect();
    let mut watch = Watch::new(Expected::learn(&training).unwrap());
    watch.add(Some(88_000.0), 61_000.0, frame(1.2, 0.5, &mut rng));
    for k in 0..OLDER_MAX + SEEN_MIN {
        watch.add(Some(53_000.0 + 0.001 * k as f64), 61_000.0, frame(3.6, 0.5, &mut rng));
    }
    let (now, threshold) = distance(&watch.found(), Input::Fwhm, "hour");
    assert!(now > threshold, "{now} against {threshold}");
}

#[test]
fn a_model_that_calls_all_stars_drifts_in_the_mixture() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let training: Vec<FrameFacts> = (0..8).map(|_| frame(1.2, 0.5, &mut rng)).collect();
    let mut watch = Watch::new(Expected::learn(&training).unwrap());
    (0..SEEN_MIN).for_each(|_| watch.add(Some(60_000.0), 0.0, frame(1.2, 1.0, &mut rng)));
    let (apart, threshold) = distance(&watch.found(), Input::Mixture, "hour");
    assert!(apart > threshold, "{apart} against {threshold}");
}

#[test]
fn what_cannot_be_learned_is_told() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let mut frames: Vec<FrameFacts> = (0..4).map(|_| frame(1.2, 0.5, &mut rng)).collect();
    assert_eq!(Expected::learn(&frames[..2]), Err(NoExpectation::TooFew(2)));
    frames[1].mixture = StarProbHistogram::default();
    assert_eq!(Expected::learn(&frames), Err(NoExpectation::NoObjects));
    frames[1].mixture = frames[0].mixture;
    frames.iter_mut().for_each(|f| f.sky_nmgy[3] = f64::NAN);
    assert_eq!(Expected::learn(&frames), Err(NoExpectation::Unmeasured { input: Input::Sky, band: 3 }));
}

/// scipy.stats.t.ppf(1 - 1e-4, 5) * sqrt(7 / 6) = 10.45296...; scipy.spatial.distance.jensenshannon(p, q, 2).
#[test]
fn quantiles_and_distances_are_scipys() {
    assert!((one_more(6, 1e-4) - SCIPY_ONE_MORE).abs() < 1e-3, "{}", one_more(6, 1e-4));
    let (a, b) = ([0.5, 0.1, 0.0, 0.0, 0.0, 0.1, 0.3], [0.2, 0.1, 0.1, 0.1, 0.1, 0.1, 0.3]);
    assert!((jensen_shannon(&a, &b) - SCIPY_DISTANCE).abs() < 1e-12, "{}", jensen_shannon(&a, &b));
    assert_eq!(jensen_shannon(&a, &a), 0.0);
}

const SCIPY_ONE_MORE: f64 = 10.452_966_297_945_277;
const SCIPY_DISTANCE: f64 = 0.444_868_296_242_471_3;

/// A survey of four bands, and a night that lacks one more.
#[test]
fn of_a_band_that_no_training_frame_has_nothing_is_expected() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let lacking = |mut facts: FrameFacts, band: usize| {
        facts.fwhm_arcsec[band] = f64::NAN;
        facts.sky_sigma_nmgy[band] = f64::NAN;
        facts.sky_nmgy[band] = f64::NAN;
        facts
    };
    let training: Vec<FrameFacts> = (0..6).map(|_| lacking(frame(1.2, 0.5, &mut rng), 0)).collect();
    let expected = Expected::learn(&training).unwrap();
    let read: Expected = toml::from_str(&toml::to_string(&expected).unwrap()).unwrap();
    assert_eq!(read, expected, "a bundle can hold it");
    let mut watch = Watch::new(expected);
    for _ in 0..SEEN_MIN {
        watch.add(Some(60_000.0), 0.0, lacking(lacking(frame(1.2, 0.5, &mut rng), 0), 3));
    }
    let found = watch.found();
    assert_eq!(found.iter().filter(|f| f.window == "hour").count(), 4);
    assert!(found.iter().all(|f| f.distance.is_finite() && f.distance < f.threshold), "{found:?}");
    let once: Vec<FrameFacts> = (0..6).map(|k| if k == 0 { frame(1.2, 0.5, &mut rng) } else { training[k] }).collect();
    assert!(matches!(Expected::learn(&once), Err(NoExpectation::Unmeasured { band: 0, .. })), "one is no scatter");
}
