use super::*;
use crate::extract::Footprints;
use crate::frame::Plane;
use crate::psf::scene::{Scene as Sky, Source, sdss, simulate};
use crate::scene::tests::gaussian_psf;
use crate::scene::{SceneObject, testing};
use crate::survey::Survey;

const SIGMA_PX: f64 = 1.5;

/// Bright stars far apart, of which every second has its core replaced in bands g and r by values that look sound; the
/// survey's masks say nothing.
fn replaced() -> (Sky, Vec<Source>) {
    let sources: Vec<Source> = (0..16)
        .map(|i| Source {
            x: 60.3 + 100.0 * (i % 4) as f64,
            y: 60.7 + 100.0 * (i / 4) as f64,
            sigma: SIGMA_PX,
            flux: 4000.0 + 100.0 * i as f64,
        })
        .collect();
    let mut sky = simulate(448, 448, &sources, 7);
    for band in &mut sky.prepared.frame.bands {
        band.saturation_nmgy = 1e9;
        band.nmgy_per_dn = 0.005;
    }
    for source in sources.iter().step_by(2) {
        for b in 1..3 {
            let (x, y) = sky.prepared.to_band[b].apply(source.x, source.y);
            let core = Core { band: b, centre: (x, y), radius_px: 2.4 };
            let pixels = &mut sky.prepared.frame.bands[b].pixels;
            for (i, j) in core.pixels(448, 448).collect::<Vec<_>>() {
                pixels.set(i, j, 20.0 + ((i * 7 + j * 13) % 5) as f32);
            }
        }
    }
    (sky, sources)
}

fn found<'a>(sky: &'a Sky, survey: &'a Survey, sources: &[Source]) -> Scene<'a> {
    let mut scene = Scene::new(&sky.prepared, survey, gaussian_psf());
    let at = |s: &Source| (s.x.round() + 1.0, s.y.round());
    let all: Vec<usize> = sources.iter().map(|s| scene.insert(SceneObject::new(at(s), None))).collect();
    scene.start_fluxes(&all);
    scene.mark_saturated();
    scene
}

#[test]
fn a_replaced_core_is_told_by_its_wings_and_a_whole_one_is_left() {
    let survey = sdss();
    let (sky, sources) = replaced();
    let scene = found(&sky, &survey, &sources);
    for (i, (object, source)) in scene.objects.iter().zip(&sources).enumerate() {
        let is_flagged = object.flags & flag::CORE_SATURATED != 0;
        assert_eq!(is_flagged, i % 2 == 0, "{i}");
        if is_flagged {
            assert!((object.x - source.x).hypot(object.y - source.y) < 0.3, "{i}: {:?}", object.at());
            for b in 1..3 {
                assert!((object.flux_nmgy[b] / source.flux - 1.0).abs() < 0.1, "{i} band {b}: {:?}", object.flux_nmgy);
                let (x, y) = scene.in_band(b, (source.x, source.y));
                assert!(scene.unusable[b].at(x.round() as usize, y.round() as usize));
            }
            let (x, y) = scene.in_band(3, (source.x, source.y));
            assert!(!scene.unusable[3].at(x.round() as usize, y.round() as usize), "band i is whole");
        }
    }
    assert_eq!(scene.cores.len(), 16);
}

/// Without a survey's word on replaced cores .08 of the value that is not trusted is the floor; below it nothing is asked.
#[test]
fn cores_below_the_floor_are_not_asked() {
    let survey = crate::testing::sdss();
    let text = include_str!("../../../../config/surveys/sdss.toml");
    let silent = Survey::parse(&text.replace("replaced_core_dn = 2400.0\n", "")).unwrap();
    let (sky, sources) = replaced();
    assert!(found(&sky, &silent, &sources).objects[0].flags & flag::CORE_SATURATED != 0);
    let high = Survey::parse(&text.replace("replaced_core_dn = 2400.0\n", "replaced_core_dn = 100000.0\n")).unwrap();
    assert!(found(&sky, &high, &sources).objects.iter().all(|object| object.flags & flag::CORE_SATURATED == 0));
    assert!(found(&sky, &survey, &sources).objects[0].flags & flag::CORE_SATURATED != 0);
}

/// A large galaxy's core has as little light for its wings, but these fall more slowly than a PSF's.
#[test]
fn a_large_galaxy_is_no_saturated_star() {
    let survey = sdss();
    let sources = [Source { x: 100.0, y: 100.0, sigma: 4.5, flux: 9000.0 }];
    let mut sky = simulate(200, 200, &sources, 8);
    sky.prepared.frame.bands.iter_mut().for_each(|band| band.nmgy_per_dn = 0.005);
    let scene = found(&sky, &survey, &sources);
    let light = scene.light((100.0, 100.0), 2);
    assert!(light.brightest > scene.floor_nmgy(2) && light.is_short(), "{light:?}");
    assert_eq!(scene.objects[0].flags & flag::CORE_SATURATED, 0);
}

/// Two halves of a core, a knot of a spike and a star of its own.
#[test]
fn parts_of_a_star_become_the_star() {
    let survey = sdss();
    let (mut sky, sources) = replaced();
    let star = &sources[0];
    // A spike along x, and a star beside it.
    for b in 0..5 {
        let (x0, y0) = sky.prepared.to_band[b].apply(star.x, star.y);
        let pixels = &mut sky.prepared.frame.bands[b].pixels;
        for x in 0..448 {
            let spike = 3.0 * (-((x as f64 - x0) / 25.0).abs()).exp();
            let y = y0.round() as usize;
            (y - 1..=y + 1).for_each(|y| pixels.set(x, y, pixels.at(x, y) + spike as f32));
        }
        let (x1, y1) = sky.prepared.to_band[b].apply(star.x + 12.0, star.y + 18.0);
        for (i, j) in (Core { band: b, centre: (x1, y1), radius_px: 8.0 }).pixels(448, 448).collect::<Vec<_>>() {
            let r2 = (i as f64 - x1).powi(2) + (j as f64 - y1).powi(2);
            pixels.set(i, j, pixels.at(i, j) + (3.0 * (-r2 / (2.0 * SIGMA_PX * SIGMA_PX)).exp()) as f32);
        }
    }
    let at = [(0.0, 0.0), (2.0, 1.0), (20.0, 0.0), (12.0, 18.0)].map(|(dx, dy)| (star.x + dx, star.y + dy));
    let mut segmentation = Plane::filled(448, 448, 0);
    at.iter().zip(1..).for_each(|(&(x, y), n)| segmentation.set(x as usize, y as usize, n));
    let objects = sky.footprints.objects[..4].to_vec();
    let mut footprints = Footprints { segmentation, objects };
    let mut shapes = vec![crate::aperture::shape(&sky.prepared.frame.bands[2].pixels, at[0].0, at[0].1); 4];
    let mut scene = Scene::new(&sky.prepared, &survey, gaussian_psf());
    let all: Vec<usize> = at.iter().zip(1..).map(|(&at, n)| scene.insert(SceneObject::new(at, Some(n)))).collect();
    scene.start_fluxes(&all);
    scene.mark_saturated();
    scene.gather_fragments(&mut footprints, &mut shapes);
    let alive: Vec<bool> = scene.objects.iter().map(|o| o.alive).collect();
    assert!(alive[0] != alive[1] && alive[2..] == [false, true], "one of two halves, and the star: {alive:?}");
    assert_eq!((footprints.objects.len(), shapes.len()), (2, 2));
    let owner = |i: usize| footprints.segmentation.at(at[i].0 as usize, at[i].1 as usize);
    assert_eq!([owner(0), owner(1), owner(2), owner(3)], [1, 1, 1, 2]);
    assert_eq!(scene.objects[3].footprint, Some(2));
}

/// Every bright star of the real fields whose core the survey replaced, by their own light alone.
#[test]
fn bright_stars_of_a_real_field_are_flagged_once() {
    testing::real("008162-6-0080", |mut scene, footprints, shapes| {
        let all: Vec<usize> = (0..scene.objects.len()).collect();
        scene.start_fluxes(&all);
        scene.mark_saturated();
        scene.gather_fragments(footprints, shapes);
        let magnitude = |object: &SceneObject| 22.5 - 2.5 * object.flux_nmgy[2].max(1e-3).log10();
        let bright = scene.objects.iter().filter(|object| object.alive && magnitude(object) < 14.3).collect::<Vec<_>>();
        for object in &bright {
            println!("{:.1} {:.1} r {:.2} flags {}", object.x, object.y, magnitude(object), object.flags);
            assert!(object.flags & flag::CORE_SATURATED != 0, "{object:?}");
            assert!(scene.neighbours(scene.near(object.at(), 0.1)[0], 6.0).is_empty(), "{object:?} is there twice");
        }
        assert!(bright.len() >= 15, "{} bright stars", bright.len());
    });
}
