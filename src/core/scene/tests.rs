//! Laws of the scene, on simulated skies whose truth is known.

use super::*;
use crate::psf::scene::{NOISE, Scene as Sky, Source, sdss, simulate};
use crate::psf::{RADIUS, SIDE, Stamp};

const SIGMA_PX: f64 = 1.5;

/// The point source of the simulated sky: its values at pixel centres, as it draws them.
pub(super) fn gaussian_psf() -> Psf {
    let pixel = |i: usize| {
        let r2 = ((i % SIDE).abs_diff(RADIUS).pow(2) + (i / SIDE).abs_diff(RADIUS).pow(2)) as f64;
        ((-r2 / (2.0 * SIGMA_PX * SIGMA_PX)).exp() / (std::f64::consts::TAU * SIGMA_PX * SIGMA_PX)) as f32
    };
    let stamp: Stamp = std::array::from_fn(pixel);
    Psf::constant(&[stamp; BANDS])
}

fn star(x: f64, y: f64, flux: f64) -> Source {
    Source { x, y, sigma: SIGMA_PX, flux }
}

/// A scene of objects at each source's nearest pixel, solved.
fn solved<'a>(sky: &'a Sky, survey: &'a Survey, at: &[(f64, f64)], profiles: Profiles) -> Scene<'a> {
    let mut scene = Scene::new(&sky.prepared, survey, gaussian_psf());
    let all: Vec<usize> = at.iter().map(|&at| scene.insert(SceneObject::new(at, None))).collect();
    scene.start_fluxes(&all);
    scene.solve(&all, profiles);
    scene
}

fn places(sources: &[Source]) -> Vec<(f64, f64)> {
    sources.iter().map(|s| (s.x.round(), s.y.round())).collect()
}

/// A loose grid of pairs, of which the second is half as bright.
fn pairs(n: usize, separation: f64, flux: f64) -> Vec<Source> {
    (0..n)
        .flat_map(|i| {
            let (x, y) = (60.0 + 61.37 * (i % 7) as f64, 60.0 + 59.71 * (i / 7) as f64);
            let angle = i as f64;
            [star(x, y, flux), star(x + separation * angle.cos(), y + separation * angle.sin(), flux / 2.0)]
        })
        .collect()
}

#[test]
fn a_star_alone_is_where_and_what_it_is() {
    let survey = sdss();
    let sky = simulate(128, 128, &[star(60.3, 61.8, 30.0)], 1);
    let scene = solved(&sky, &survey, &[(60.0, 62.0)], Profiles::Chosen);
    let object = &scene.objects[0];
    assert!((object.x - 60.3).hypot(object.y - 61.8) < 0.02, "{object:?}");
    for b in 0..BANDS {
        assert!((object.flux_nmgy[b] / 30.0 - 1.0).abs() < 0.03, "{object:?}");
    }
}

#[test]
fn the_data_are_the_sum_of_the_models_and_what_is_left() {
    let survey = sdss();
    let sources = pairs(30, 4.0, 20.0);
    let sky = simulate(512, 512, &sources, 2);
    let mut scene = solved(&sky, &survey, &places(&sources), Profiles::Chosen);
    let kept = scene.total.clone();
    for i in 0..scene.objects.len() {
        scene.kill(i);
    }
    for (b, kept) in kept.iter().enumerate() {
        let brightest = kept.pixels().iter().fold(0.0f32, |a, &v| a.max(v));
        let left = scene.total[b].pixels().iter().fold(0.0f32, |a, v| a.max(v.abs()));
        assert!(brightest > 0.5 && left < 1e-5 * brightest, "{left} of {brightest}");
    }
}

#[test]
fn fluxes_of_blended_stars_are_unbiased_with_pulls_of_one() {
    let survey = sdss();
    for separation in [3.0, 5.0, 8.0] {
        let sources = pairs(49, separation, 8.0);
        let sky = simulate(512, 512, &sources, 3);
        let scene = solved(&sky, &survey, &places(&sources), Profiles::Kept);
        let mut pulls: Vec<f64> = Vec::new();
        for (i, (object, source)) in scene.objects.iter().zip(&sources).enumerate() {
            let errors = scene.model_errors(i).flux_nmgy;
            pulls.extend((1..4).map(|b| (object.flux_nmgy[b] - source.flux) / errors[b]));
        }
        let n = pulls.len() as f64;
        let mean = pulls.iter().sum::<f64>() / n;
        let width = (pulls.iter().map(|p| (p - mean).powi(2)).sum::<f64>() / n).sqrt();
        println!("{separation} px: pulls {mean:+.3} +- {width:.3}");
        assert!(mean.abs() < 0.2 && (0.75..1.25).contains(&width), "{separation}: {mean} {width}");
    }
}

#[test]
fn threads_and_the_order_of_objects_change_nothing() {
    let survey = sdss();
    let sources = pairs(49, 4.0, 20.0);
    let sky = simulate(512, 512, &sources, 4);
    let at = places(&sources);
    let on = |threads, at: &[(f64, f64)]| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| solved(&sky, &survey, at, Profiles::Chosen).objects)
    };
    let one = on(1, &at);
    assert!(one == on(4, &at), "threads");
    let backwards: Vec<(f64, f64)> = at.iter().rev().copied().collect();
    for (a, b) in one.iter().zip(on(2, &backwards).iter().rev()) {
        assert!(a == b, "{a:?} {b:?}");
    }
}

#[test]
fn a_faint_neighbour_far_away_changes_nothing() {
    let survey = sdss();
    let near = star(100.2, 100.4, 20.0);
    let sky = simulate(256, 256, &[near], 5);
    let alone = solved(&sky, &survey, &[(100.0, 100.0)], Profiles::Chosen).objects[0].clone();
    let both = solved(&sky, &survey, &[(100.0, 100.0), (180.0, 170.0)], Profiles::Chosen).objects[0].clone();
    assert_eq!(alone, both);
}

#[test]
fn galaxies_are_told_from_stars_by_their_profiles() {
    let survey = sdss();
    let wide = Source { x: 60.3, y: 61.8, sigma: 2.4, flux: 40.0 };
    let sky = simulate(192, 128, &[wide, star(130.2, 60.4, 40.0)], 6);
    let scene = solved(&sky, &survey, &[(60.0, 62.0), (130.0, 60.0)], Profiles::Chosen);
    assert!(matches!(scene.objects[0].model, Model::Galaxy(_)), "{:?}", scene.objects[0]);
    // A galaxy far smaller than a pixel is a point source.
    assert!(matches!(scene.objects[1].model, Model::Point | Model::Galaxy(0 | 1)), "{:?}", scene.objects[1]);
}

#[test]
fn a_stamp_is_a_model_wherever_it_is_drawn() {
    let survey = sdss();
    let sky = simulate(128, 128, &[], 7);
    let scene = Scene::new(&sky.prepared, &survey, gaussian_psf());
    let window = Window { left: 40, top: 45, width: 40, height: 35 };
    for k in 0..bank::MODELS {
        let model = Model::of_bank(k);
        let mut light = vec![0.0; 40 * 35];
        scene.stamp(&model, 2, (60.3, 61.7), window, &mut light);
        let mut own = vec![0.0; (2 * model.half() + 1).pow(2)];
        let drawn = scene.drawn(&model, 2, (60.3, 61.7));
        scene.stamp(&model, 2, (60.3, 61.7), drawn, &mut own);
        for (i, v) in light.iter().enumerate() {
            let (x, y) = (window.left + (i % 40) as isize - drawn.left, window.top + (i / 40) as isize - drawn.top);
            let inside = (0..drawn.width as isize).contains(&x) && (0..drawn.height as isize).contains(&y);
            let expected = if inside { own[y as usize * drawn.width + x as usize] } else { 0.0 };
            assert_eq!(*v, expected, "model {k} at {i}");
        }
        let sum: f32 = own.iter().sum();
        let expected = if k == 0 { 0.999..1.001 } else { 0.8..1.001 };
        assert!(expected.contains(&f64::from(sum)), "model {k}: {sum}");
        // The first moments are where it was put.
        let moment = |along: fn(usize, usize) -> usize| {
            own.iter().enumerate().map(|(i, v)| f64::from(*v) * along(i, drawn.width) as f64).sum::<f64>()
        };
        let x = moment(|i, w| i % w) / f64::from(sum) + drawn.left as f64;
        assert!((x - 60.3).abs() < 0.04, "model {k}: {x}");
    }
}

/// What measuring a sky gives, with models or as if there were none.
fn measured(sky: &Sky, survey: &Survey, modelled: bool) -> Vec<crate::measure::Measured> {
    let splines = crate::psf::Splines::new(&sky.prepared.frame);
    let mut footprints = sky.footprints.clone();
    let mut shapes = crate::measure::footprint_shapes(&sky.prepared, survey, &footprints);
    let psf = gaussian_psf();
    let mut scene = Scene::new(&sky.prepared, survey, psf.clone());
    for (footprint, shape) in footprints.objects.iter().zip(&shapes) {
        scene.insert(SceneObject::new((shape.x, shape.y), Some(footprint.number)));
    }
    let all: Vec<usize> = (0..scene.objects.len()).collect();
    scene.start_fluxes(&all);
    scene.solve(&all, Profiles::Chosen);
    if modelled {
        scene.name_rows(&mut footprints, &sky.detection);
        scene.measure_shapes(&mut shapes);
    }
    let view = crate::cutout::FrameView {
        prepared: &sky.prepared,
        survey,
        splines: &splines,
        psf: &psf,
        profiles: &crate::cutout::Profiles::new(&psf),
        segmentation: &footprints.segmentation,
        scene: modelled.then_some(&scene),
        astrometric_error_deg: 0.0,
    };
    crate::measure::measure(&view, &footprints, &sky.detection, &shapes)
}

#[test]
fn an_object_alone_is_measured_as_without_a_scene_bit_for_bit() {
    let survey = sdss();
    let place = |i: usize| (40.0 + 53.17 * (i % 8) as f64, 40.0 + 51.39 * (i / 8) as f64);
    let sources: Vec<Source> = (0..64).map(place).map(|(x, y)| star(x, y, 30.0)).collect();
    let sky = simulate(512, 512, &sources, 8);
    let (with, without) = (measured(&sky, &survey, true), measured(&sky, &survey, false));
    assert_eq!(with.len(), 64);
    for (with, without) in with.iter().zip(&without) {
        // NaN equals itself here. What only a scene can say is left out.
        let row = crate::catalog::Row { model: None, ..with.row.clone() };
        assert_eq!(format!("{row:?}"), format!("{:?}", without.row));
        assert_eq!((&with.input, with.centre), (&without.input, without.centre));
        let facts = with.scene.as_ref().unwrap();
        assert!(facts.blendedness < 1e-6 && facts.parent.is_none() && facts.children == 0, "{facts:?}");
        assert!((facts.model_flux[2] / 30.0 - 1.0).abs() < 0.05, "{facts:?}");
    }
    // Its Kron flux is total by the correction, and its circle's by the PSF's.
    let mean = |value: &dyn Fn(&crate::catalog::Row) -> f64| with.iter().map(|m| value(&m.row)).sum::<f64>() / 64.0;
    let corr = |row: &crate::catalog::Row| f64::from(row.model.as_ref().unwrap().kron_corr[2]);
    let (raw, kron) = (mean(&|r| f64::from(r.kron_flux[2])), mean(&|r| f64::from(r.kron_flux[2]) * corr(r)));
    assert!((kron / 30.0 - 1.0).abs() < 0.01 && raw < kron, "{raw} {kron}");
}

#[test]
fn model_and_residual_are_the_frame_but_where_it_has_no_data() {
    let survey = sdss();
    let sources = pairs(3, 5.0, 20.0);
    let mut sky = simulate(256, 256, &sources, 3);
    sky.prepared.frame.bands[1].mask.set(7, 9, crate::frame::mask::BAD);
    let mut scene = solved(&sky, &survey, &places(&sources), Profiles::Kept);
    scene.data[3].set(50, 60, scene.data[3].at(50, 60) - 0.25); // as a halo is taken
    let images = scene.images();
    for (b, band) in sky.prepared.frame.bands.iter().enumerate() {
        let sum = images.model[b].pixels().iter().zip(images.residual[b].pixels()).map(|(m, r)| m + r);
        for (i, (sum, frame)) in sum.zip(band.pixels.pixels()).enumerate() {
            let is_bad = b == 1 && i == 9 * 256 + 7;
            assert!(if is_bad { sum.is_nan() } else { (sum - frame).abs() <= 1e-6 * (1.0 + frame.abs()) }, "{b} {i}");
        }
    }
    let spread = |plane: &Plane<f32>| plane.pixels().iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / 65536.0;
    let left = spread(&images.residual[2]) / NOISE.powi(2);
    assert!((left - 1.0).abs() < 0.05, "of the noise's variance {left}");
    assert!((images.model[3].at(50, 60) - scene.total[3].at(50, 60) - 0.25).abs() < 1e-6);
}

#[test]
fn blended_stars_are_measured_without_each_other() {
    let survey = sdss();
    let sources = pairs(49, 5.0, 20.0);
    let sky = simulate(512, 512, &sources, 9);
    let bias = |modelled: bool| {
        let rows = measured(&sky, &survey, modelled);
        let each = |flux: fn(&crate::catalog::Row) -> f32| {
            let ratio = rows.iter().zip(&sources).map(|(m, s)| f64::from(flux(&m.row)) / s.flux - 1.0);
            ratio.sum::<f64>() / sources.len() as f64
        };
        let offset = rows.iter().zip(&sources).map(|(m, s)| (m.row.x - s.x).hypot(m.row.y - s.y));
        (each(|r| r.psf_flux[2]), each(|r| r.kron_flux[2]), offset.sum::<f64>() / sources.len() as f64)
    };
    let (before, after) = (bias(false), bias(true));
    println!("psf, Kron, position: {before:?} -> {after:?}");
    assert!(after.0.abs() < 0.005 && after.1.abs() < 0.05 && after.2 < 0.06, "{after:?}");
    assert!(before.0.abs() > 4.0 * after.0.abs() && before.2 > 2.0 * after.2, "{before:?}");
}

#[test]
fn a_new_object_has_a_number_pixels_and_a_parent() {
    let survey = sdss();
    let sources = [star(60.0, 60.0, 40.0), star(100.0, 60.0, 40.0)];
    let sky = simulate(160, 128, &sources, 10);
    let mut footprints = sky.footprints.clone();
    let mut scene = solved(&sky, &survey, &[], Profiles::Kept);
    for (i, s) in sources.iter().enumerate() {
        let object = SceneObject { flux_nmgy: [40.0; BANDS], ..SceneObject::new((s.x, s.y), Some(i as u32 + 1)) };
        scene.insert(object);
    }
    let child =
        |at, flux, parent| SceneObject { flux_nmgy: [flux; BANDS], parent: Some(parent), ..SceneObject::new(at, None) };
    scene.insert(child((103.0, 60.0), 10.0, 1));
    let dead = scene.insert(child((80.0, 90.0), 10.0, 0));
    scene.insert(child((57.0, 60.0), 30.0, 0));
    scene.kill(dead);
    scene.name_rows(&mut footprints, &sky.detection);
    // By row and column: the one at 57 comes before that at 103.
    assert_eq!(footprints.objects.len(), 4);
    let third = &footprints.objects[2];
    assert!(third.number == 3 && (third.x - 57.0).abs() < 1e-9 && third.area_px > 10, "{third:?}");
    assert!(footprints.objects.iter().all(|f| f.flags & crate::catalog::flag::BLENDED != 0));
    for f in &footprints.objects {
        let area = footprints.segmentation.pixels().iter().filter(|n| **n == f.number).count();
        assert_eq!(area, f.area_px, "{f:?}");
    }
    let facts: Vec<SceneFacts> = footprints.objects.iter().map(|f| scene.facts(f, &footprints.segmentation)).collect();
    assert_eq!(facts.iter().map(|f| f.parent).collect::<Vec<_>>(), [None, None, Some(1), Some(2)]);
    assert_eq!(facts.iter().map(|f| f.children).collect::<Vec<_>>(), [1, 1, 0, 0]);
    assert!(facts[3].blendedness > facts[1].blendedness, "{facts:?}");
}
