//! Laws of the scene, on simulated skies whose truth is known.

use super::*;
use crate::psf::scene::{Scene as Sky, Source, sdss, simulate};
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
