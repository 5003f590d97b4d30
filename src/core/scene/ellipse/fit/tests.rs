use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use super::super::tests::{direct, gaussian_psf, shapes};
use super::*;

const RADIUS_PX: usize = 12;
const SIGMA: f64 = 0.02;

/// Patches of an ellipse of these fluxes in the shape bands, without noise.
fn patches(ellipse: &Shape, moved: (f64, f64), fluxes: [f64; 3]) -> Vec<Patch> {
    let side = 2 * RADIUS_PX + 1;
    let pixel = |i: usize| ((i % side) as f64 - RADIUS_PX as f64, (i / side) as f64 - RADIUS_PX as f64);
    (1..4)
        .zip(fluxes)
        .map(|(band, flux)| {
            let offset = (0.2 * band as f64 - 0.4, 0.3 - 0.2 * band as f64);
            let from_it = |i: usize| (pixel(i).0 - offset.0 - moved.0, pixel(i).1 - offset.1 - moved.1);
            let places: Vec<(f64, f64)> = (0..side * side).map(from_it).collect();
            let pixels = direct(ellipse, &places).into_iter().map(|v| (flux * v) as f32).collect();
            Patch { band, radius: RADIUS_PX, offset, pixels, weights: vec![SIGMA.powi(-2) as f32; side * side] }
        })
        .collect()
}

#[test]
fn ellipses_come_back_with_errors_that_are_true() {
    let psf = PsfTransform::for_fits(&gaussian_psf());
    for (s, ellipse) in shapes().into_iter().enumerate().skip(1) {
        let moved = (0.25, -0.4);
        // Noise is added to one drawing: drawing takes longest.
        let clean = patches(&ellipse, moved, [6.0, 12.0, 16.0]);
        let mut rng = ChaCha8Rng::seed_from_u64(s as u64);
        let mut pulls: Vec<[f64; 5]> = Vec::new();
        let mut chi2 = 0.0;
        const TRIALS: usize = 60;
        for _ in 0..TRIALS {
            let mut noisy = clean.clone();
            for patch in &mut noisy {
                for p in &mut patch.pixels {
                    *p += (SIGMA * rng.sample::<f64, _>(StandardNormal)) as f32;
                }
            }
            let found = fit(&psf, (500.0, 500.0), &noisy, 1.3, f64::INFINITY).unwrap();
            chi2 += found.chi2 / TRIALS as f64;
            assert_eq!(found.shape.profile, ellipse.profile);
            let off = [
                (found.shape.radius_px / ellipse.radius_px).ln(),
                found.shape.e1 - ellipse.e1,
                found.shape.e2 - ellipse.e2,
                found.moved.0 - moved.0,
                found.moved.1 - moved.1,
            ];
            pulls.push(std::array::from_fn(|i| off[i] / found.errors[i]));
        }
        println!("{ellipse:?}: chi2 {chi2:.0} of {}", 3 * 625);
        assert!((chi2 / 1867.0 - 1.0).abs() < 0.02, "{ellipse:?}: {chi2}");
        for p in 0..5 {
            let mean = pulls.iter().map(|v| v[p]).sum::<f64>() / TRIALS as f64;
            let width = (pulls.iter().map(|v| (v[p] - mean).powi(2)).sum::<f64>() / TRIALS as f64).sqrt();
            println!("  {p}: mean {mean:.2}, width {width:.2}");
            assert!(mean.abs() < 0.4 && (0.7..1.3).contains(&width), "{ellipse:?} {p}: {mean:.2} +- {width:.2}");
        }
    }
}

#[test]
fn nothing_is_no_galaxy() {
    let psf = PsfTransform::for_fits(&gaussian_psf());
    let side = 2 * RADIUS_PX + 1;
    let dark = Patch {
        band: 2,
        radius: RADIUS_PX,
        offset: (0.0, 0.0),
        pixels: vec![-1.0; side * side],
        weights: vec![1.0; side * side],
    };
    assert_eq!(fit(&psf, (0.0, 0.0), std::slice::from_ref(&dark), 1.0, 0.0), None);
    let masked = Patch { weights: vec![0.0; side * side], pixels: vec![1.0; side * side], ..dark };
    assert_eq!(fit(&psf, (0.0, 0.0), &[masked], 1.0, 0.0), None);
    assert_eq!(fit(&psf, (0.0, 0.0), &[], 1.0, 0.0), None);
}
