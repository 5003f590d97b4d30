use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use super::scene::{self, NOISE, Source, sdss, simulate};
use super::*;
use crate::measure::footprint_shapes;

const FALLBACK: PerBand<f64> = [1.5, 1.4, 1.3, 1.2, 1.2];

fn measured(scene: &scene::Scene) -> (Psf, PerBand<PsfQuality>) {
    let survey = sdss();
    let splines = Splines::new(&scene.prepared.frame);
    let shapes = footprint_shapes(&scene.prepared, &survey, &scene.footprints);
    measure(&scene.prepared, &survey, &splines, &shapes, &FALLBACK)
}

/// Stars on a loose grid, so that they are isolated, at odd sub-pixel positions.
fn stars(n: usize, flux: f64) -> Vec<Source> {
    let place = |i: usize| (40.0 + 43.17 * (i % 10) as f64, 40.0 + 41.39 * (i / 10) as f64);
    (0..n).map(place).map(|(x, y)| Source { x, y, sigma: 1.6, flux }).collect()
}

#[test]
fn a_gaussian_psf_is_measured() {
    let scene = simulate(512, 512, &stars(60, 100.0), 1);
    let (psf, quality) = measured(&scene);
    for (b, q) in quality.iter().enumerate() {
        let fwhm = 1.6 * 2.3548 * 0.396;
        assert!((q.fwhm_arcsec / fwhm - 1.0).abs() < 0.02, "band {b}: {}", q.fwhm_arcsec);
        assert!(q.stars > 40 && !q.fallback && q.ellipticity < 0.03, "band {b}: {q:?}");
        assert!((q.effective_fwhm_px / (1.6 * 2.3548) - 1.0).abs() < 0.02, "band {b}: {q:?}");
        assert!(q.registration_residual_px < 0.1, "band {b}: {q:?}");
        let stamp = psf.at(b, 37.0, 402.0);
        assert!((stamp.iter().sum::<f32>() - 1.0).abs() < 1e-4);
    }
    assert!((psf.half_light_radius_px() / (1.6 * 1.1774) - 1.0).abs() < 0.03, "{}", psf.half_light_radius_px());
}

#[test]
fn bands_with_too_few_stars_fall_back() {
    let scene = simulate(512, 512, &stars(2, 100.0), 1);
    let (psf, quality) = measured(&scene);
    for (q, fwhm) in quality.iter().zip(FALLBACK) {
        assert!(q.fallback && q.stars == 0, "{q:?}");
        // A pixel's own width adds to a Moffat's.
        assert!((q.fwhm_arcsec / fwhm - 1.0).abs() < 0.1, "{} {fwhm}", q.fwhm_arcsec);
    }
    assert!((psf.at_centre(2).iter().sum::<f32>() - 1.0).abs() < 1e-4);
    assert!(psf.half_light_radius_px() > 1.0 && psf.half_light_radius_px() < 4.0);
}

#[test]
fn noise_alone_gives_the_fallback() {
    let (psf, quality) = measured(&simulate(128, 128, &[], 3));
    assert!(quality.iter().all(|q| q.fallback) && psf.half_light_radius_px().is_finite());
    let faint = stars(20, 5.0 * NOISE);
    assert!(measured(&simulate(512, 512, &faint, 3)).1.iter().all(|q| q.fallback));
}

/// Many are bright enough and isolated, but they share no width.
#[test]
fn galaxies_alone_give_the_fallback() {
    let (mut sources, mut rng) = (stars(90, 100.0), ChaCha8Rng::seed_from_u64(1));
    for source in &mut sources {
        source.sigma = 2.2 * (0.3 * rng.sample::<f64, _>(StandardNormal)).exp(); // as galaxies' sizes are scattered
    }
    let (psf, quality) = measured(&simulate(512, 512, &sources, 1));
    assert!(quality.iter().all(|q| q.fallback), "{quality:?}");
    assert!(psf.half_light_radius_px().is_finite());
    // With as many stars among them there is a locus.
    sources.iter_mut().step_by(2).for_each(|source| source.sigma = 1.4);
    let (_, quality) = measured(&simulate(512, 512, &sources, 1));
    assert!(quality.iter().all(|q| !q.fallback), "{quality:?}");
}

#[test]
fn stars_with_unusable_pixels_do_not_count() {
    let mut scene = simulate(512, 512, &stars(60, 100.0), 1);
    for f in &scene.footprints.objects {
        scene.prepared.frame.bands[1].mask.set(f.x as usize + 4, f.y as usize, crate::frame::mask::BAD);
    }
    let (_, quality) = measured(&scene);
    assert!(quality[1].fallback && !quality[2].fallback);
}

#[test]
fn real_stars_give_the_references_psf() {
    let (Some(real), Some(table)) = (scene::real(), scene::reference("fields.csv")) else { return };
    let (_, quality) = measured(&real.scene);
    let table = std::fs::read_to_string(table).unwrap();
    let rows: Vec<Vec<&str>> =
        table.lines().filter(|l| l.starts_with("003918-3-0213")).map(|l| l.split(',').collect()).collect();
    for (q, row) in quality.iter().zip(&rows) {
        let number = |i: usize| row[i].parse::<f64>().unwrap();
        let seen = (q.fwhm_arcsec, q.stars, q.registration_residual_px, q.ellipticity);
        eprintln!(
            "{}: FWHM {:.3}, stars {}, residual {:.3} px, ellipticity {:.3}",
            row[1], seen.0, seen.1, seen.2, seen.3
        );
        assert!((q.fwhm_arcsec / number(2) - 1.0).abs() < 0.03, "{row:?}: {q:?}");
        assert!((q.effective_fwhm_px / number(3) - 1.0).abs() < 0.03, "{row:?}: {q:?}");
        assert!((q.stars as f64 - number(7)).abs() <= 2.0, "{row:?}: {q:?}");
    }
}
