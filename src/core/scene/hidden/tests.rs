use super::*;
use crate::frame::BANDS;
use crate::psf::scene::{Scene as Sky, Source, sdss, simulate};
use crate::scene::Model;
use crate::scene::ellipse::tests as ellipses;
use crate::scene::tests::gaussian_psf;
use crate::survey::Survey;

const SIDE: usize = 512;
const SIGMA_PX: f64 = 1.5;

/// A loose grid of pairs, of which detection saw the brighter alone.
fn pairs(separation: f64, flux: f64, second: f64) -> Vec<Source> {
    let star = |x, y, flux| Source { x, y, sigma: SIGMA_PX, flux };
    (0..49)
        .flat_map(|i| {
            let (x, y) = (60.0 + 61.37 * f64::from(i % 7), 60.0 + 59.71 * f64::from(i / 7));
            let (sin, cos) = f64::from(i).sin_cos();
            [star(x, y, flux), star(x + separation * cos, y + separation * sin, second * flux)]
        })
        .collect()
}

fn looked_through<'a>(sky: &'a Sky, survey: &'a Survey, psf: crate::psf::Psf, at: &[(f64, f64)]) -> Scene<'a> {
    let mut scene = Scene::new(&sky.prepared, survey, psf);
    let all: Vec<usize> = at.iter().map(|&at| scene.insert(SceneObject::new(at, None))).collect();
    scene.start_fluxes(&all);
    scene.solve(&all, Profiles::Chosen);
    scene.find_hidden(&Plane::filled(SIDE, SIDE, false), Profiles::Chosen);
    scene
}

#[test]
fn companions_are_found_beside_their_stars() {
    let survey = sdss();
    for (separation, flux, second, least) in [(3.0, 20.0, 0.5, 40), (4.0, 20.0, 0.5, 47), (5.0, 8.0, 0.3, 47)] {
        let sources = pairs(separation, flux, second);
        let sky = simulate(SIDE, SIDE, &sources, 11);
        let seen: Vec<(f64, f64)> = sources.iter().step_by(2).map(|s| (s.x.round(), s.y.round())).collect();
        let scene = looked_through(&sky, &survey, gaussian_psf(), &seen);
        let near = |s: &Source| scene.near((s.x, s.y), 1.0);
        let found = sources.chunks(2).filter(|pair| !near(&pair[0]).is_empty() && !near(&pair[1]).is_empty()).count();
        let alive = scene.objects.iter().filter(|object| object.alive).count();
        println!("{separation} px: {found} of 49 pairs, {alive} objects");
        assert!(found >= least && alive <= 100, "{separation} px: {found} pairs, {alive} objects");
        for pair in sources.chunks(2).filter(|pair| !near(&pair[1]).is_empty()) {
            let companion = near(&pair[1])[0];
            let parent = scene.objects[companion].parent.map(|p| scene.objects[p].at());
            let away = parent.map(|at| (at.0 - pair[0].x).hypot(at.1 - pair[0].y));
            assert!(companion < 49 || away.is_some_and(|away| away < 2.0), "{:?} {away:?}", pair[1].x);
        }
    }
}

#[test]
fn nothing_is_found_where_nothing_is() {
    let survey = sdss();
    let sources: Vec<Source> = pairs(5.0, 30.0, 0.5);
    let sky = simulate(SIDE, SIDE, &sources, 12);
    let at: Vec<(f64, f64)> = sources.iter().map(|s| (s.x.round(), s.y.round())).collect();
    let scene = looked_through(&sky, &survey, gaussian_psf(), &at);
    let new = scene.objects.iter().skip(at.len()).filter(|object| object.alive).count();
    assert!(new <= 1, "{new} new objects");
}

/// A cosmic ray is in one band, a bad pixel in none.
#[test]
fn what_one_band_shows_is_no_object() {
    let survey = sdss();
    let sources = pairs(6.0, 30.0, 0.0);
    let mut sky = simulate(SIDE, SIDE, &sources, 13);
    for i in 0..40 {
        let (x, y) = (30 + 11 * i, 35 + 12 * i % 440);
        let pixels = &mut sky.prepared.frame.bands[1 + i % 3].pixels;
        (0..3).for_each(|k| pixels.set(x + k, y, pixels.at(x + k, y) + 0.6));
        sky.prepared.frame.bands[2].mask.set(x, y + 20, crate::frame::mask::BAD);
        sky.prepared.frame.bands[2].pixels.set(x, y + 20, 50.0);
    }
    let at: Vec<(f64, f64)> = sources.iter().step_by(2).map(|s| (s.x.round(), s.y.round())).collect();
    let scene = looked_through(&sky, &survey, gaussian_psf(), &at);
    let new = scene.objects.iter().skip(at.len()).filter(|object| object.alive).count();
    assert!(new <= 1 && scene.objects.len() > at.len() + 20, "{new} of {}", scene.objects.len() - at.len());
}

/// Elongated galaxies leave their ends beside a round model; one ellipse each takes them back.
#[test]
fn a_galaxy_is_not_shredded() {
    let survey = sdss();
    let mut sky = simulate(SIDE, SIDE, &[], 14);
    let shapes = [ellipses::shapes()[1], ellipses::shapes()[2], ellipses::shapes()[4]];
    let centres: Vec<(f64, f64)> =
        (0..16).map(|i| (70.3 + 115.0 * f64::from(i % 4), 70.6 + 115.0 * f64::from(i / 4))).collect();
    // All lie alike between the pixels, so that each shape is drawn once a band.
    const REACH: usize = 22;
    for b in 0..BANDS {
        let (x0, y0) = sky.prepared.to_band[b].apply(centres[0].0, centres[0].1);
        let place = |p: usize| (p % (2 * REACH + 1), p / (2 * REACH + 1));
        let (left, top) = (x0 as usize - REACH, y0 as usize - REACH);
        let area = (2 * REACH + 1) * (2 * REACH + 1);
        let away = |p: usize| ((left + place(p).0) as f64 - x0, (top + place(p).1) as f64 - y0);
        let away: Vec<(f64, f64)> = (0..area).map(away).collect();
        let drawn = shapes.map(|shape| ellipses::direct(&shape, &away));
        for i in 0..centres.len() {
            let pixels = &mut sky.prepared.frame.bands[b].pixels;
            for (p, light) in drawn[i % 3].iter().enumerate() {
                let (x, y) = (left + 115 * (i % 4) + place(p).0, top + 115 * (i / 4) + place(p).1);
                pixels.set(x, y, pixels.at(x, y) + (60.0 * light) as f32);
            }
        }
    }
    let at: Vec<(f64, f64)> = centres.iter().map(|c| (c.0.round(), c.1.round())).collect();
    let scene = looked_through(&sky, &survey, ellipses::gaussian_psf(), &at);
    let new = scene.objects.iter().skip(16).filter(|object| object.alive).count();
    let ellipses = scene.objects[..16].iter().filter(|object| matches!(object.model, Model::Ellipse(_))).count();
    println!("{} candidates, {new} stay, {ellipses} ellipses", scene.objects.len() - 16);
    assert!(ellipses >= 12 && new <= 2, "{ellipses} ellipses, {new} new objects");
    for object in scene.objects.iter().take(16).filter(|object| matches!(object.model, Model::Ellipse(_))) {
        assert!((object.flux_nmgy[2] / 60.0 - 1.0).abs() < 0.06, "{:?}", object.flux_nmgy);
    }
}

#[test]
fn threads_change_nothing() {
    let survey = sdss();
    let sources = pairs(4.0, 20.0, 0.5);
    let sky = simulate(SIDE, SIDE, &sources, 15);
    let seen: Vec<(f64, f64)> = sources.iter().step_by(2).map(|s| (s.x.round(), s.y.round())).collect();
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| looked_through(&sky, &survey, gaussian_psf(), &seen).objects)
    };
    assert!(on(1) == on(4));
}
