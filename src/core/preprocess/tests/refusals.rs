//! Frames that cannot be prepared: each is told by its band, with what was found.

use super::*;

#[track_caller]
fn refused(change: impl FnOnce(&mut Frame), band: &str, says: &str) {
    let mut frame = noise(128, 128, 5);
    change(&mut frame);
    let refusal = prepared(frame).err().expect(says);
    let line = refusal.to_string();
    assert_eq!(refusal.band(), Some(band), "{line}");
    assert!(line.contains(says) && !line.contains('\n'), "{line}");
}

#[test]
fn a_pedestal_above_saturation_is_no_sky() {
    refused(
        |frame| frame.bands[1].pixels.pixels_mut().iter_mut().for_each(|v| *v += 400.0),
        "g",
        "band g: 100 % of its pixels are above saturation (300.000 nMgy), their median is 400.0",
    );
}

#[test]
fn noise_that_gain_and_calibration_do_not_allow_is_told_with_both() {
    let times =
        |factor: f32| move |frame: &mut Frame| frame.bands[1].pixels.pixels_mut().iter_mut().for_each(|v| *v *= factor);
    refused(times(100.0), "g", "gain 4 e/DN and 0.01 nMgy/DN allow at the survey's typical sky");
    let known = |frame: &mut Frame| {
        frame.bands[3].removed_sky_nmgy = Some(600.0);
    };
    refused(known, "i", "the 600.000 nMgy of sky that were subtracted");
}

#[test]
fn one_exposure_is_no_two_bands() {
    refused(|frame| frame.bands[3].pixels = frame.bands[1].pixels.clone(), "g", "bands g and i hold the same exposure");
}

#[test]
fn stars_as_sharp_as_cosmic_rays_are_told_by_their_width() {
    let stars = |frame: &mut Frame| {
        for (b, i) in [1, 2].into_iter().flat_map(|b| (0..25).map(move |i| (b, i))) {
            let at = (f64::from(20 + 22 * (i % 5)), f64::from(20 + 22 * (i / 5)));
            add_star(&mut frame.bands[b].pixels, at, 8.0, 1.1);
        }
    };
    refused(stars, "g", "px wide at half maximum, and below 1.6 px they cannot be told from cosmic rays");
}

#[test]
fn every_refusal_is_one_line_that_names_its_band() {
    let (band, reference) = (String::from("g"), String::from("r"));
    for refusal in [
        PreprocessError::OffTheSky { band: band.clone() },
        PreprocessError::Misregistered {
            band: band.clone(),
            reference,
            overlap: 0.1,
            distance_arcsec: 500.0,
            distance_px: 1250.0,
        },
        PreprocessError::OtherScale { band, found_arcsec: 0.2, wanted_arcsec: 0.396 },
    ] {
        let line = refusal.to_string();
        assert!(line.contains("band g") && !line.contains(char::is_control), "{line}");
    }
}
