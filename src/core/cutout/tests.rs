use super::*;
use crate::frame::{BANDS, ImageId};
use crate::measure::footprint_shapes;
use crate::model::{STAMP, STAMP_LEN};
use crate::psf::scene::{self, NOISE, Scene, sdss, simulate};

fn star(x: f64, y: f64, flux: f64) -> scene::Source {
    scene::Source { x, y, sigma: 1.6, flux }
}

/// What a cut needs, with a Gaussian PSF measured on the scene itself.
struct Ready {
    scene: Scene,
    survey: Survey,
    splines: Splines,
    psf: Psf,
    profiles: Profiles,
}

impl Ready {
    fn new(mut sources: Vec<scene::Source>) -> Self {
        sources.extend((0..40).map(|i| star(150.0 + 41.3 * f64::from(i % 8), 150.0 + 43.7 * f64::from(i / 8), 100.0)));
        let scene = simulate(512, 400, &sources, 5);
        let survey = sdss();
        let splines = Splines::new(&scene.prepared.frame);
        let shapes = footprint_shapes(&scene.prepared, &survey, &scene.footprints);
        let (psf, _) = crate::psf::measure(&scene.prepared, &survey, &splines, &shapes, &[1.4; 5]);
        let profiles = Profiles::new(&psf);
        Self { scene, survey, splines, psf, profiles }
    }

    fn view(&self) -> FrameView<'_> {
        FrameView {
            prepared: &self.scene.prepared,
            survey: &self.survey,
            splines: &self.splines,
            psf: &self.psf,
            profiles: &self.profiles,
            segmentation: &self.scene.footprints.segmentation,
            scene: None,
            astrometric_error_deg: 0.0,
        }
    }
}

#[test]
fn a_stars_position_and_flux_come_back_and_its_residual_is_noise() {
    let ready = Ready::new(vec![star(60.37, 80.81, 50.0)]);
    let at = recentre(&ready.view(), 1, (60.0, 81.0));
    assert!((at.0 - 60.37).hypot(at.1 - 80.81) < 0.02, "{at:?}");
    let cutout = Cutout::take(&ready.view(), 1, at);
    for p in cutout.point_source {
        assert!((p.flux / 50.0 - 1.0).abs() < 0.02, "{p:?}");
    }
    assert!(cutout.has_basis());
    let stamp = cutout.stamp();
    let rms = (stamp.iter().map(|v| v * v).sum::<f32>() / STAMP_LEN as f32).sqrt();
    // Noise of unit size, but for the floor at high S/N.
    let rms = f64::from(rms) * (1.0 + (cutout.sn() / 30.0).powi(2)).sqrt();
    assert!(rms > 0.8 && rms < 1.4, "{rms}");
}

#[test]
fn neighbours_leave_the_stamp_and_the_flux_alone() {
    let alone = Ready::new(vec![star(60.0, 80.0, 20.0)]);
    let pair = Ready::new(vec![star(60.0, 80.0, 20.0), star(69.0, 80.0, 500.0)]);
    let (one, two) = (Cutout::take(&alone.view(), 1, (60.0, 80.0)), Cutout::take(&pair.view(), 1, (60.0, 80.0)));
    assert!(two.masked.iter().any(|m| *m) && !one.masked.iter().any(|m| *m));
    // The bright star's wings outside of its square footprint remain: a few per cent, not its 500 nMgy.
    assert!((two.point_source[2].flux / one.point_source[2].flux - 1.0).abs() < 0.1, "{:?}", two.point_source[2]);
    let (column, row) = (10 + 9, 10);
    assert_eq!(two.stamp()[row * 21 + column], 0.0);
}

#[test]
fn controls_are_seeded_noise_of_the_stamps_own_size() {
    let ready = Ready::new(vec![star(60.0, 80.0, 1.0)]);
    let cutout = Cutout::take(&ready.view(), 1, (60.0, 80.0));
    assert_eq!(cutout.control_stamp(7), cutout.control_stamp(7));
    assert_ne!(cutout.control_stamp(7), cutout.control_stamp(8));
    let floor = (1.0 + (cutout.sn() / 30.0).powi(2)).sqrt();
    let mean_square: f64 = (0..50)
        .map(|seed| cutout.control_stamp(seed).iter().map(|v| f64::from(v * v)).sum::<f64>() / STAMP_LEN as f64)
        .sum::<f64>()
        / 50.0;
    // Three of some 440 directions are gone.
    assert!((mean_square.sqrt() * floor - 1.0).abs() < 0.02, "{mean_square} {floor}");
}

#[test]
fn unusable_pixels_do_not_enter() {
    let mut ready = Ready::new(vec![star(60.0, 80.0, 50.0)]);
    ready.scene.prepared.frame.bands[2].pixels.set(62, 80, 1e4);
    ready.scene.prepared.frame.bands[2].mask.set(62, 80, crate::frame::mask::BAD);
    let cutout = Cutout::take(&ready.view(), 1, (60.0, 80.0));
    assert!((cutout.point_source[2].flux / 50.0 - 1.0).abs() < 0.03, "{:?}", cutout.point_source[2]);
    for y in 60..100 {
        for x in 40..80 {
            ready.scene.prepared.frame.bands[2].mask.set(x, y, crate::frame::mask::SAT);
        }
    }
    let cutout = Cutout::take(&ready.view(), 1, (60.0, 80.0));
    assert!(!cutout.has_basis() && cutout.point_source[2].flux.is_nan() && cutout.point_source[1].flux.is_finite());
    let at = recentre(&ready.view(), 1, (60.2, 79.8));
    assert!((at.0 - 60.0).hypot(at.1 - 80.0) < 0.05, "{at:?}");
}

#[test]
fn objects_anywhere_are_survived() {
    let ready = Ready::new(vec![]);
    for at in [(0.0, 0.0), (511.0, 399.0), (-300.0, 5e4), (f64::NAN, 3.0)] {
        let start = recentre(&ready.view(), 1, at);
        let cutout = Cutout::take(&ready.view(), 1, start);
        assert!(Cutout::take(&ready.view(), 1, at).shape_bands.is_empty());
        let _ = (cutout.has_basis(), cutout.stamp(), cutout.control_stamp(1), cutout64(&ready.view(), 1, at, 1));
    }
}

#[test]
fn the_64_px_cut_has_the_object_on_index_32_and_no_neighbour() {
    let ready = Ready::new(vec![star(60.0, 80.0, 20.0), star(75.0, 80.0, 500.0)]);
    let cut = cutout64(&ready.view(), 1, (60.0, 80.0), 3);
    let pixel = |x: usize, y: usize, b: usize| cut[(y * 64 + x) * BANDS + b];
    let peak = 20.0 / (std::f64::consts::TAU * 1.6 * 1.6);
    for b in 0..BANDS {
        assert!((f64::from(pixel(32, 32, b)) / peak - 1.0).abs() < 0.1);
        assert!(f64::from(pixel(47, 32, b)).abs() < 6.0 * NOISE, "{}", pixel(47, 32, b));
    }
    assert_eq!(cut, cutout64(&ready.view(), 1, (60.0, 80.0), 3));
}

/// What a training shows without a band is what is served of a frame that lacks it.
#[test]
fn a_band_left_out_of_a_cutout_is_as_one_that_was_not_taken() {
    let mut ready = Ready::new(vec![star(60.37, 80.81, 50.0)]);
    let at = (60.37, 80.81);
    let mut left_out = Cutout::take(&ready.view(), 1, at);
    left_out.leave_out(3);
    ready.scene.prepared.frame.present[3] = false;
    ready.scene.prepared.frame.bands[3].mask.pixels_mut().fill(crate::frame::mask::NO_DATA);
    let absent = Cutout::take(&ready.view(), 1, at);
    assert!(left_out.has_basis() && left_out.shape_bands == [1, 2]);
    // NaN is not equal to NaN.
    let told = |cutout: &Cutout| format!("{:?}", cutout.classifier_input(&ready.profiles, at, 18.0));
    assert_eq!(told(&left_out), told(&absent));
    assert_eq!(left_out.control_stamp(7), absent.control_stamp(7));
}

/// The reference's cutouts, without fluxes; and all of its arrays by name.
fn references_cutouts() -> Option<(Vec<Cutout>, impl Fn(&str) -> Vec<f64>)> {
    let folder = scene::python("arrays.py", &scene::reference("dev_stamps.npz")?)?;
    let array = move |name: &str| scene::doubles(&folder.path().join(format!("{name}.f64")));
    let (cuts, psfs, masks) = (array("cut"), array("psf"), array("mask"));
    let (sigmas, photons) = (array("sigma"), array("nmgy_per_electron"));
    let cutout = |o: usize| {
        let image =
            |from: &[f64], b: usize| -> Stamp { std::array::from_fn(|i| from[(o * BANDS + b) * AREA + i] as f32) };
        let noise = |b: usize| Noise { sigma: sigmas[o * BANDS + b], nmgy_per_electron: photons[o * BANDS + b] };
        Cutout {
            pixels: std::array::from_fn(|b| image(&cuts, b)),
            psf: std::array::from_fn(|b| image(&psfs, b)),
            masked: std::array::from_fn(|i| masks[o * AREA + i] > 0.0),
            unusable: std::array::from_fn(|_| None),
            noise: std::array::from_fn(noise),
            sky_variance: std::array::from_fn(|_| None),
            point_source: [PointSource::NONE; BANDS],
            shape_bands: vec![1, 2, 3],
            planes: [true; BANDS],
        }
    };
    let cutouts = (0..sigmas.len() / BANDS).map(cutout).collect();
    Some((cutouts, array))
}

/// The reference's own cuts, PSFs and masks must give its fluxes and classifier inputs: nothing here is random, so
/// rounding is the only excuse.
#[test]
fn the_references_cuts_give_its_stamps() {
    let Some((cutouts, array)) = references_cutouts() else { return };
    let (fluxes, errors, inputs) = (array("flux"), array("error"), array("ae_input"));
    assert_eq!(cutouts.len(), 20);
    for (o, mut cutout) in cutouts.into_iter().enumerate() {
        cutout.fit();
        for b in 0..BANDS {
            let p = cutout.point_source[b];
            assert!((p.flux / fluxes[o * BANDS + b] - 1.0).abs() < 1e-5, "{o} {b}: {p:?}");
            assert!((p.error / errors[o * BANDS + b] - 1.0).abs() < 1e-5, "{o} {b}: {p:?}");
        }
        let truth = &inputs[o * STAMP_LEN..(o + 1) * STAMP_LEN];
        let largest = truth.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
        for (v, t) in cutout.stamp().iter().zip(truth) {
            assert!((f64::from(*v) - t).abs() < 1e-5 * largest.max(1.0), "{o}: {v} {t}");
        }
    }
}

/// measure.fit_models of the reference on the same cuts, the models being its stored PSFs and
/// scipy.signal.fftconvolve(psf, profile, mode="same") of its PROFILES: chi^2 over g, r, i of objects 0, 5, 12, 19,
/// and the best galaxy's flux and error in u and r.
#[test]
fn the_references_cuts_give_its_chi2() {
    let Some((cutouts, _)) = references_cutouts() else { return };
    for (o, chi2, fluxes) in REFERENCE_FITS {
        let mut cutout = cutouts[o].clone();
        cutout.fit();
        let psf = Psf::constant(&cutout.psf);
        let fit = cutout.fit_profiles(&Profiles::new(&psf), (0.0, 0.0)).unwrap();
        let power = power(&cutout);
        for (k, (&found, expected)) in fit.chi2.iter().zip(chi2).enumerate() {
            // chi^2 is what is left of the pixels' power: f32 sums leave 1e-6 of that.
            assert!((f64::from(found) - expected).abs() < 2e-6 * power, "{o} {k}: {found} is not {expected}");
        }
        for (b, [flux, error]) in [(0, fluxes[0]), (2, fluxes[1])] {
            assert!((f64::from(fit.best_flux[b]) / flux - 1.0).abs() < 2e-5, "{o} {b}: {}", fit.best_flux[b]);
            assert!((f64::from(fit.best_flux_error[b]) / error - 1.0).abs() < 2e-5, "{o} {b}");
        }
    }
}

/// Sum of (pixel / sigma)^2 in the shape bands, an upper bound of what the fits sum up.
fn power(cutout: &Cutout) -> f64 {
    let band = |&b: &usize| {
        let used = cutout.used(b).unwrap();
        let sigma = cutout.noise[b].sigma;
        (0..AREA).filter(|&i| used[i]).map(|i| (f64::from(cutout.pixels[b][i]) / sigma).powi(2)).sum::<f64>()
    };
    cutout.shape_bands.iter().map(band).sum()
}
const REFERENCE_FITS: [(usize, [f64; MODELS], [[f64; 2]; 2]); 4] = [
    (
        0,
        [
            16123138.0, 15667948.0, 16024577.0, 14732691.0, 15112949.0, 12909784.0, 12377125.0, 9742741.8, 8924606.8,
            5843840.6, 6436455.5, 3901902.4, 5409673.9, 5058570.4, 5452708.3, 8200635.4, 6089950.4,
        ],
        [[929.71886, 3.8753727], [3607.7929, 0.99884735]],
    ),
    (
        5,
        [
            2865.3764, 2353.1181, 2773.1405, 3817.0411, 2770.3122, 8904.958, 5208.0638, 19632.134, 15461.631,
            38892.027, 33744.763, 65586.639, 53991.111, 91013.88, 70133.068, 114403.9, 84819.438,
        ],
        [[179.79204, 1.4852263], [659.05401, 2.5431168]],
    ),
    (
        12,
        [
            891.80157, 1088.8967, 887.77092, 2694.7899, 1049.8425, 6653.8302, 2397.9311, 14230.443, 6916.0155,
            26572.954, 15814.126, 41949.702, 27057.438, 55677.357, 36803.732, 68067.56, 46042.336,
        ],
        [[14.65221, 0.42359838], [246.66633, 1.2456114]],
    ),
    (
        19,
        [
            965.92744, 1168.8359, 972.49387, 2497.2907, 1134.0225, 5602.1807, 2063.351, 11341.955, 4930.2083,
            20513.989, 10765.616, 31853.098, 18593.787, 41971.462, 25759.517, 51133.773, 32817.779,
        ],
        [[3.8026995, 0.29396694], [136.68237, 0.82575217]],
    ),
];

/// The frame's PSF convolved once must be, at any position, the PSF of that position convolved: a Gaussian source of
/// another width tells, as Gaussians convolve to Gaussians and an exponential does not care where it is.
#[test]
fn profiles_follow_the_psf_over_the_frame() {
    let ready = Ready::new(vec![]);
    let profiles = Profiles::new(&ready.psf);
    for at in [(31.0, 350.0), (256.0, 200.0), (480.0, 20.0)] {
        let mut cutout = Cutout::take(&ready.view(), 1, at);
        let there = Psf::constant(&cutout.psf);
        cutout.pixels = cutout.psf.map(|p| p.map(|v| 30.0 * v));
        cutout.fit();
        let (moving, standing) = (cutout.fit_profiles(&profiles, at), cutout.fit_profiles(&Profiles::new(&there), at));
        let (moving, standing) = (moving.unwrap(), standing.unwrap());
        for (a, b) in moving.chi2.iter().zip(standing.chi2) {
            // What is left of a sum of squares of some 1e6.
            assert!((a - b).abs() < 2e-6 * power(&cutout) as f32, "{a} is not {b}");
        }
    }
}

/// 40 stars on frames of three names: what another night's PSF flux is off by is what the row says it would be; the PSF is
/// known from as many, and adds little.
#[test]
fn another_night_moves_a_flux_by_its_error() {
    let mut ready = Ready::new(vec![]);
    let mut pulls = Vec::new();
    for image in ["a", "b", "c"] {
        ready.scene.prepared.frame.id = ImageId::new(image).unwrap();
        for (i, found) in ready.scene.footprints.objects.iter().enumerate() {
            let (number, at) = (i as u32 + 1, (found.x, found.y));
            let here = Cutout::take(&ready.view(), number, at).point_source[2];
            let nights = other_nights(&ready.view(), number, at);
            assert_eq!((nights.len(), &nights), (crate::psf::NIGHTS, &other_nights(&ready.view(), number, at)));
            for night in nights {
                pulls.push((10f64.powf(0.4 * (22.5 - f64::from(night.measured.mag))) - here.flux) / here.error);
            }
        }
    }
    let rms = (pulls.iter().map(|p| p * p).sum::<f64>() / pulls.len() as f64).sqrt();
    // The error allows for a PSF that is wrong by 3 %, which noise does not draw.
    assert!(pulls.len() > 200 && rms > 0.5 && rms < 1.1, "{rms}");
}

/// A star beside the edge has the stamp of one that is not: what is beyond is what lies opposite.
#[test]
fn beyond_the_edge_a_stamp_is_what_lies_opposite() {
    let ready = Ready::new(vec![star(5.0, 80.0, 50.0)]);
    let cutout = Cutout::take(&ready.view(), 1, (5.0, 80.0));
    assert!(cutout.has_basis() && cutout.shape_bands.len() == 3, "{:?}", cutout.shape_bands);
    let stamp = cutout.stamp();
    // Column 4 is the frame's column -1, and 16 lies opposite; column 9 is on every band.
    for row in 0..STAMP {
        assert_eq!(stamp[row * STAMP + 4], stamp[(STAMP - 1 - row) * STAMP + 16]);
        assert!(stamp[row * STAMP + 9] != stamp[(STAMP - 1 - row) * STAMP + 11]);
    }
    // Nearer there is nothing to go by.
    assert!(!Cutout::take(&ready.view(), 1, (1.0, 80.0)).has_basis());
}

#[test]
fn a_source_is_fitted_best_by_what_it_is() {
    let ready = Ready::new(vec![star(60.0, 80.0, 50.0)]);
    let profiles = Profiles::new(&ready.psf);
    let mut cutout = Cutout::take(&ready.view(), 1, (60.0, 80.0));
    let point = cutout.fit_profiles(&profiles, (60.0, 80.0)).unwrap();
    assert!(point.chi2[5..].iter().all(|&c| c > point.chi2[0] + 10.0), "{point:?}");
    // Pixels that are a galaxy's: nothing is left of it.
    let truth = 9;
    for b in 0..BANDS {
        let light = profiles.galaxy(b, truth - 1, (60.0, 80.0));
        let at = profiles::pack(|i| i as f32);
        for (&light, &i) in light.iter().zip(&at).filter(|(_, i)| **i > 0.0) {
            cutout.pixels[b][i as usize] = 8.0 * light;
        }
    }
    cutout.fit();
    let galaxy = cutout.fit_profiles(&profiles, (60.0, 80.0)).unwrap();
    assert!(galaxy.chi2[truth].abs() < 0.1 && galaxy.chi2[0] > 100.0, "{galaxy:?}");
    for (flux, error) in galaxy.best_flux.into_iter().zip(galaxy.best_flux_error) {
        assert!((flux / 8.0 - 1.0).abs() < 1e-3 && error > 0.0, "{galaxy:?}");
    }
}

/// likelihood.asinh_colours of the reference with best_flux [-.2, 1, 3, 0, 50], error [.4, .2, .1, .3, 2].
#[test]
fn colours_are_defined_at_any_flux() {
    let fit = ProfileFit {
        chi2: [1.0; MODELS],
        best_flux: [-0.2, 1.0, 3.0, 0.0, 50.0],
        best_flux_error: [0.4, 0.2, 0.1, 0.3, 2.0],
    };
    for (colour, expected) in fit.colours(&[true; BANDS]).into_iter().zip(REFERENCE_COLOURS) {
        assert!((colour - expected).abs() < 1e-5, "{colour} is not {expected}");
    }
    let missing = ProfileFit { best_flux: [1.0, f32::NAN, 3.0, 1.0, 2.0], ..fit };
    let colours = missing.colours(&[true; BANDS]);
    assert!(colours[0].is_nan() && colours[1].is_nan() && colours[2].is_finite());
    // A survey without u and i: its neighbours are g, r and r, z.
    let few = fit.colours(&[false, true, true, false, true]);
    let all = fit.colours(&[true; BANDS]);
    assert_eq!((few[0], few[1], few[3]), (0.0, all[1], 0.0));
    assert!((few[2] - all[2] - all[3]).abs() < 1e-5, "{few:?} {all:?}");
}
const REFERENCE_COLOURS: [f32; 4] = [0.984_426, 1.127_931, -2.217_175, 5.272_687];
