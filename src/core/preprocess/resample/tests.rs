//! Laws of resampling, against Gaussians drawn on both grids and noise that is counted.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use super::*;
use crate::frame::Affine;
use crate::wcs::Wcs;

const FWHM_PX: f64 = 3.3;

fn band(pixels: Plane<f32>) -> Band {
    let (width, height) = (pixels.width(), pixels.height());
    let wcs = Wcs::tangent((width, height), (150.0, 2.0), (0.0, 0.0), [[1.1e-4, 0.0], [0.0, 1.1e-4]]).unwrap();
    Band {
        mask: Plane::filled(width, height, 0),
        pixels,
        wcs,
        nmgy_per_dn: 0.01,
        gain_e_per_dn: 4.0,
        dark_variance_dn2: 1.0,
        saturation_nmgy: 300.0,
        removed_sky_nmgy: Some(2.0),
        variance: None,
    }
}

fn white_noise(width: usize, height: usize, seed: u64) -> Plane<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let values = (0..width * height).map(|_| StandardNormal.sample(&mut rng)).collect();
    Plane::from_pixels(width, height, values)
}

const UNIT: Sky = Sky { level_nmgy: 1.0, sigma_nmgy: 1.0 };

fn resampled(mut band: Band, size: (usize, usize), map: impl Fn(f64, f64) -> (f64, f64)) -> (Band, Sky) {
    let mut sky = UNIT;
    onto(&mut band, &mut sky, &Nodes::new(size, |x, y| Some(map(x, y))));
    (band, sky)
}

/// A turn by `degrees` about the middle of both grids, new pixels being `scale` old ones wide.
fn turn(degrees: f64, scale: f64, new: (usize, usize), old: (usize, usize)) -> Affine {
    let (s, c) = degrees.to_radians().sin_cos();
    let middle = |length: usize| (length as f64 - 1.0) / 2.0;
    let (by_x, by_y) = ([scale * c, -scale * s], [scale * s, scale * c]);
    let from = (middle(new.0), middle(new.1));
    Affine {
        x: [middle(old.0) - by_x[0] * from.0 - by_x[1] * from.1, by_x[0], by_x[1]],
        y: [middle(old.1) - by_y[0] * from.0 - by_y[1] * from.1, by_y[0], by_y[1]],
    }
}

/// The value at a distance from a Gaussian star of unit flux.
fn star(dx: f64, dy: f64, fwhm_px: f64) -> f64 {
    let variance = (fwhm_px / 2.354_820_045).powi(2);
    (-0.5 * (dx * dx + dy * dy) / variance).exp() / (std::f64::consts::TAU * variance)
}

#[test]
fn the_same_grid_and_whole_pixels_change_nothing() {
    let noise = white_noise(90, 70, 1);
    let (same, sky) = resampled(band(noise.clone()), (90, 70), |x, y| (x + 3e-10, y - 3e-10));
    assert!(same.pixels == noise && same.mask.pixels().iter().all(|m| *m == 0) && sky == UNIT);

    let (moved, _) = resampled(band(noise.clone()), (80, 75), |x, y| (x + 4.0, y - 2.0));
    for y in 0..75 {
        for x in 0..80 {
            let from = noise.get(x as isize + 4, y as isize - 2);
            assert_eq!(moved.pixels.at(x, y), from.unwrap_or(0.0), "{x} {y}");
            let bits = if from.is_some() { 0 } else { mask::NO_DATA | mask::EDGE };
            assert_eq!(moved.mask.at(x, y), bits, "{x} {y}");
        }
    }
    let (turned, _) = resampled(band(noise.clone()), (90, 70), |x, y| (89.0 - x, 69.0 - y));
    assert!(turned.pixels.pixels().iter().eq(noise.pixels().iter().rev()));
    let (mirrored, sky) = resampled(band(noise.clone()), (70, 90), |x, y| (y, x));
    assert!((0..70).all(|x| (0..90).all(|y| mirrored.pixels.at(x, y) == noise.at(y, x))) && sky == UNIT);
}

#[test]
fn a_star_keeps_flux_place_and_shape() {
    let (old, new) = ((140, 120), (100, 110));
    for (degrees, scale) in
        [(0.05, 1.0), (17.0, 1.0), (45.0, 1.08), (90.0, 0.5), (-130.0, 0.7), (3.0, 1.6), (60.0, 2.0)]
    {
        for (dx, dy) in [(0.0, 0.0), (0.3, 0.45), (-0.5, 0.2)] {
            let at = (49.5 + dx, 54.5 + dy);
            let map = turn(degrees, scale, new, old);
            // The same star on both: as wide on the sky, and never narrower than 1.8 px of the coarser grid.
            let fwhm_px = FWHM_PX.max(1.8 / scale);
            let there = map.apply(at.0, at.1);
            let mut plane = Plane::filled(old.0, old.1, 0.0);
            for (i, p) in plane.pixels_mut().iter_mut().enumerate() {
                let (x, y) = ((i % old.0) as f64, (i / old.0) as f64);
                *p = star(x - there.0, y - there.1, fwhm_px * scale) as f32;
            }
            let (made, sky) = resampled(band(plane), new, |x, y| map.apply(x, y));
            let (mut flux, mut x, mut y, mut farthest) = (0.0, 0.0, 0.0, 0.0f64);
            for i in 0..new.0 * new.1 {
                let (px, py) = ((i % new.0) as f64, (i / new.0) as f64);
                if (px - at.0).hypot(py - at.1) > 15.0 {
                    continue;
                }
                let p = f64::from(made.pixels.pixels()[i]);
                (flux, x, y) = (flux + p, x + p * (px - at.0), y + p * (py - at.1));
                farthest = farthest.max((p - star(px - at.0, py - at.1, fwhm_px)).abs());
            }
            let peak = star(0.0, 0.0, fwhm_px);
            // Of a star that is hardly sampled the shape is told by no kernel.
            let sharpness = if fwhm_px * scale < 2.0 { 0.12 } else { 0.03 };
            let case = format!("{degrees} deg, scale {scale}: flux {flux:.5}, {x:.4} {y:.4}, {:.4}", farthest / peak);
            assert!((flux - 1.0).abs() < 1e-3 && x.hypot(y) < 0.02 && farthest < sharpness * peak, "{case}");
            assert!((f64::from(sky.level_nmgy) - scale * scale).abs() < 1e-6 * scale, "{sky:?}");
        }
    }
}

#[test]
fn distortion_is_followed_and_keeps_flux() {
    // A barrel: the scale changes by 3 % from the middle to the corner.
    let map = |x: f64, y: f64| {
        let (u, v) = (x - 150.0, y - 150.0);
        let k = 1.0 + 2.0e-7 * (u * u + v * v);
        (150.0 + u * k, 150.0 + v * k)
    };
    for at in [(150.0, 150.0), (60.3, 40.7), (250.2, 30.6)] {
        let there = map(at.0, at.1);
        let mut plane = Plane::filled(310, 310, 0.0);
        for (i, p) in plane.pixels_mut().iter_mut().enumerate() {
            let (x, y) = ((i % 310) as f64, (i / 310) as f64);
            *p = star(x - there.0, y - there.1, FWHM_PX) as f32;
        }
        let (made, _) = resampled(band(plane), (300, 300), map);
        let (mut flux, mut x, mut y) = (0.0, 0.0, 0.0);
        for i in 0..300 * 300 {
            let (dx, dy) = ((i % 300) as f64 - at.0, (i / 300) as f64 - at.1);
            if dx.hypot(dy) < 15.0 {
                let p = f64::from(made.pixels.pixels()[i]);
                (flux, x, y) = (flux + p, x + p * dx, y + p * dy);
            }
        }
        assert!((flux - 1.0).abs() < 1e-3 && x.hypot(y) < 0.02, "{at:?}: {flux} {x} {y}");
    }
}

#[test]
fn sigma_is_that_of_what_is_made_of_the_pixels() {
    for (degrees, scale) in [(0.1, 1.0), (30.0, 1.0), (45.0, 1.08), (10.0, 0.5), (25.0, 1.5), (10.0, 2.0)] {
        let (old, new) = ((900, 900), (360, 360));
        let map = turn(degrees, scale, new, old);
        let (made, sky) = resampled(band(white_noise(old.0, old.1, 7)), new, |x, y| map.apply(x, y));
        let sigma = f64::from(sky.sigma_nmgy);
        assert!((sigma - scale).abs() < 1e-5, "{sigma}");
        assert!(made.mask.pixels().iter().all(|m| *m == 0));
        // Stars of the width that the coarser grid can show, fitted on a lattice; and apertures of 4 of its pixels.
        let fwhm_px = FWHM_PX.max(1.8 / scale);
        let radius_px = 4.0 / scale.min(1.0);
        let (mut fits, mut sums, mut n) = (0.0, 0.0, 0.0);
        for i in 0..39 * 39 {
            let (cx, cy) = (20 + i % 39 * 8, 20 + i / 39 * 8);
            let (mut yp, mut pp, mut sum, mut area) = (0.0, 0.0, 0.0, 0.0);
            for j in 0..21 * 21 {
                let (dx, dy) = ((j % 21) as f64 - 10.0, (j / 21) as f64 - 10.0);
                let p = f64::from(made.pixels.at(cx + j % 21 - 10, cy + j / 21 - 10));
                let model = star(dx, dy, fwhm_px);
                (yp, pp) = (yp + p * model, pp + model * model);
                if dx.hypot(dy) <= radius_px {
                    (sum, area) = (sum + p, area + 1.0);
                }
            }
            fits += yp * yp / (pp * sigma * sigma);
            sums += sum * sum / (area * sigma * sigma);
            n += 1.0;
        }
        let (fit, aperture) = ((fits / n).sqrt(), (sums / n).sqrt());
        println!("{degrees} deg, scale {scale}: pull of point sources {fit:.3}, of apertures {aperture:.3}");
        assert!((0.95..1.03).contains(&fit) && (0.9..1.03).contains(&aperture), "{degrees} {scale}: {fit} {aperture}");
    }
}

#[test]
fn holes_and_saturation_are_carried_and_do_not_leak() {
    let mut made = band(white_noise(100, 100, 3));
    for (x, y, bit) in [(30, 30, mask::BAD), (60, 40, mask::NO_DATA)] {
        made.mask.set(x, y, bit);
        made.pixels.set(x, y, 0.0);
    }
    for y in 50..80 {
        made.mask.set(20, y, mask::SAT);
        made.pixels.set(20, y, 3e4);
    }
    let map = turn(20.0, 1.0, (100, 100), (100, 100));
    let (out, _) = resampled(made, (100, 100), |x, y| map.apply(x, y));
    let mut holes = [0; 3];
    for y in 0..100 {
        for x in 0..100 {
            let (bits, there) = (out.mask.at(x, y), map.apply(x as f64, y as f64));
            let near = |at: (f64, f64), px: f64| (there.0 - at.0).abs() < px && (there.1 - at.1).abs() < px;
            for (k, (at, bit)) in [((30.0, 30.0), mask::BAD), ((60.0, 40.0), mask::NO_DATA)].into_iter().enumerate() {
                assert!(!near(at, 0.5) || bits & bit != 0, "{x} {y}");
                holes[k] += usize::from(near(at, 4.0) && bits & bit != 0);
            }
            holes[2] += usize::from(bits & mask::SAT != 0);
            if bits & mask::UNUSABLE == 0 {
                assert!(out.pixels.at(x, y).abs() < 80.0, "{x} {y}: {}", out.pixels.at(x, y));
            } else if bits & (mask::BAD | mask::NO_DATA) != 0 {
                assert_eq!(out.pixels.at(x, y), 0.0);
            }
        }
    }
    assert!((4..30).contains(&holes[0]) && (4..30).contains(&holes[1]) && (60..260).contains(&holes[2]), "{holes:?}");
}
