use super::*;
use crate::frame::BANDS;
use crate::measure::footprint_shapes;
use crate::model::STAMP_LEN;
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
}

impl Ready {
    fn new(mut sources: Vec<scene::Source>) -> Self {
        sources.extend((0..40).map(|i| star(150.0 + 41.3 * f64::from(i % 8), 150.0 + 43.7 * f64::from(i / 8), 100.0)));
        let scene = simulate(512, 400, &sources, 5);
        let survey = sdss();
        let splines = Splines::new(&scene.prepared.frame);
        let shapes = footprint_shapes(&scene.prepared, &survey, &scene.footprints);
        let (psf, _) = crate::psf::measure(&scene.prepared, &survey, &splines, &shapes, &[1.4; 5]);
        Self { scene, survey, splines, psf }
    }

    fn source(&self) -> Source<'_> {
        Source {
            prepared: &self.scene.prepared,
            survey: &self.survey,
            splines: &self.splines,
            psf: &self.psf,
            segmentation: &self.scene.footprints.segmentation,
        }
    }
}

#[test]
fn a_stars_position_and_flux_come_back_and_its_residual_is_noise() {
    let ready = Ready::new(vec![star(60.37, 80.81, 50.0)]);
    let at = recentre(&ready.source(), (60.0, 81.0));
    assert!((at.0 - 60.37).hypot(at.1 - 80.81) < 0.02, "{at:?}");
    let cutout = Cutout::take(&ready.source(), 1, at);
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
    let (one, two) = (Cutout::take(&alone.source(), 1, (60.0, 80.0)), Cutout::take(&pair.source(), 1, (60.0, 80.0)));
    assert!(two.masked.iter().any(|m| *m) && !one.masked.iter().any(|m| *m));
    // The bright star's wings outside of its square footprint remain: a few per cent, not its 500 nMgy.
    assert!((two.point_source[2].flux / one.point_source[2].flux - 1.0).abs() < 0.1, "{:?}", two.point_source[2]);
    let (column, row) = (10 + 9, 10);
    assert_eq!(two.stamp()[row * 21 + column], 0.0);
}

#[test]
fn nulls_are_seeded_noise_of_the_stamps_own_size() {
    let ready = Ready::new(vec![star(60.0, 80.0, 1.0)]);
    let cutout = Cutout::take(&ready.source(), 1, (60.0, 80.0));
    assert_eq!(cutout.null_stamp(7), cutout.null_stamp(7));
    assert_ne!(cutout.null_stamp(7), cutout.null_stamp(8));
    let floor = (1.0 + (cutout.sn() / 30.0).powi(2)).sqrt();
    let mean_square: f64 = (0..50)
        .map(|seed| cutout.null_stamp(seed).iter().map(|v| f64::from(v * v)).sum::<f64>() / STAMP_LEN as f64)
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
    let cutout = Cutout::take(&ready.source(), 1, (60.0, 80.0));
    assert!((cutout.point_source[2].flux / 50.0 - 1.0).abs() < 0.03, "{:?}", cutout.point_source[2]);
    for y in 60..100 {
        for x in 40..80 {
            ready.scene.prepared.frame.bands[2].mask.set(x, y, crate::frame::mask::SAT);
        }
    }
    let cutout = Cutout::take(&ready.source(), 1, (60.0, 80.0));
    assert!(!cutout.has_basis() && cutout.point_source[2].flux.is_nan() && cutout.point_source[1].flux.is_finite());
    let at = recentre(&ready.source(), (60.2, 79.8));
    assert!((at.0 - 60.0).hypot(at.1 - 80.0) < 0.05, "{at:?}");
}

#[test]
fn objects_anywhere_are_survived() {
    let ready = Ready::new(vec![]);
    for at in [(0.0, 0.0), (511.0, 399.0), (-300.0, 5e4), (f64::NAN, 3.0)] {
        let start = recentre(&ready.source(), at);
        let cutout = Cutout::take(&ready.source(), 1, start);
        assert!(!ready.source().is_inside(at.0, at.1));
        let _ = (cutout.has_basis(), cutout.stamp(), cutout.null_stamp(1), cutout64(&ready.source(), 1, at, 1));
    }
}

#[test]
fn the_64_px_cut_has_the_object_on_index_32_and_no_neighbour() {
    let ready = Ready::new(vec![star(60.0, 80.0, 20.0), star(75.0, 80.0, 500.0)]);
    let cut = cutout64(&ready.source(), 1, (60.0, 80.0), 3);
    let pixel = |x: usize, y: usize, b: usize| cut[(y * 64 + x) * BANDS + b];
    let peak = 20.0 / (std::f64::consts::TAU * 1.6 * 1.6);
    for b in 0..BANDS {
        assert!((f64::from(pixel(32, 32, b)) / peak - 1.0).abs() < 0.1);
        assert!(f64::from(pixel(47, 32, b)).abs() < 6.0 * NOISE, "{}", pixel(47, 32, b));
    }
    assert_eq!(cut, cutout64(&ready.source(), 1, (60.0, 80.0), 3));
}

/// The reference's own cuts, PSFs and masks must give its fluxes and classifier inputs: nothing here is random, so
/// rounding is the only excuse.
#[test]
fn the_references_cuts_give_its_stamps() {
    let Some(file) = scene::reference("dev_stamps.npz") else { return };
    let Some(folder) = scene::python("arrays.py", &file) else { return };
    let array = |name: &str| scene::doubles(&folder.path().join(format!("{name}.f64")));
    let (cuts, psfs, masks) = (array("cut"), array("psf"), array("mask"));
    let (sigmas, photons) = (array("sigma"), array("nmgy_per_electron"));
    let (fluxes, errors, inputs) = (array("flux"), array("error"), array("ae_input"));
    let n = inputs.len() / STAMP_LEN;
    assert_eq!(n, 20);
    for o in 0..n {
        let image =
            |from: &[f64], b: usize| -> Stamp { std::array::from_fn(|i| from[(o * BANDS + b) * AREA + i] as f32) };
        let mut cutout = Cutout {
            pixels: std::array::from_fn(|b| image(&cuts, b)),
            psf: std::array::from_fn(|b| image(&psfs, b)),
            masked: std::array::from_fn(|i| masks[o * AREA + i] > 0.0),
            unusable: std::array::from_fn(|_| None),
            noise: std::array::from_fn(|b| Noise {
                sigma: sigmas[o * BANDS + b],
                nmgy_per_electron: photons[o * BANDS + b],
            }),
            point_source: [PointSource::NONE; BANDS],
            shape_bands: [1, 2, 3],
        };
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
