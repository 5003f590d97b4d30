//! Trails on made-up noise, and none in real fields.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use super::*;
use crate::preprocess::real;

pub(in crate::preprocess) fn noise(size: (usize, usize), seed: u64) -> Band {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let pixels = (0..size.0 * size.1).map(|_| StandardNormal.sample(&mut rng)).collect();
    let cd = [[1e-4, 0.0], [0.0, 1e-4]];
    Band {
        pixels: Plane::from_pixels(size.0, size.1, pixels),
        mask: Plane::filled(size.0, size.1, 0),
        wcs: crate::wcs::Wcs::tangent(size, (10.0, 0.0), (1.0, 1.0), cd).unwrap(),
        nmgy_per_dn: 0.2,
        gain_e_per_dn: 4.0,
        dark_variance_dn2: 1.0,
        saturation_nmgy: 6000.0,
        removed_sky_nmgy: None,
        variance: None,
    }
}

/// Adds a Gaussian trail through a point, at an angle from the rows.
fn add_trail(band: &mut Band, through: (f32, f32), angle_deg: f32, peak: f32, width_px: f32) {
    let (sin, cos) = angle_deg.to_radians().sin_cos();
    for y in 0..band.pixels.height() {
        for x in 0..band.pixels.width() {
            let d = (y as f32 - through.1) * cos - (x as f32 - through.0) * sin;
            let v = band.pixels.at(x, y) + peak * (-0.5 * (d / width_px).powi(2)).exp();
            band.pixels.set(x, y, v);
        }
    }
}

#[test]
fn trails_are_found_at_any_angle_and_masked_to_their_wings() {
    for (seed, (angle, peak, width)) in (0..).zip([
        (26.6, 8.0, 1.4),
        (-16.7, 30.0, 1.4),
        (0.0, 10.0, 2.0),
        (90.0, 3.0, 3.0),
        (67.0, 2.0, 2.5),
        (133.0, 4.0, 9.0),
    ]) {
        let mut band = noise((700, 600), seed);
        let through = (330.0, 280.0);
        add_trail(&mut band, through, angle, peak, width);
        let found = find(&band, 1.0);
        assert_eq!(found.len(), 1, "{angle} deg: {found:?}");
        assert!(found[0].is_trail([]), "{found:?}");
        let mut bits = Plane::filled(700, 600, 0);
        found[0].mark(&mut bits);
        let (sin, cos) = angle.to_radians().sin_cos();
        let (mut missed, mut beyond) = (0, 0);
        for y in 0..600 {
            for x in 0..700 {
                let d = ((y as f32 - through.1) * cos - (x as f32 - through.0) * sin).abs();
                let light = peak * (-0.5 * (d / width).powi(2)).exp();
                let marked = bits.at(x, y) != 0;
                missed += usize::from(light > 1.0 && !marked);
                beyond += usize::from(d > 4.0 * width + 6.0 && marked);
            }
        }
        assert!(missed == 0 && beyond == 0, "{angle} deg: {missed} missed, {beyond} beyond");
    }
    assert!(find(&noise((700, 600), 99), 1.0).is_empty());
    assert!(find(&noise((64, 64), 98), 1.0).is_empty());
}

#[test]
fn objects_that_happen_to_stand_in_a_row_are_no_trail() {
    let (mut lines, size) = (0, 512);
    for seed in 0..8 {
        let mut band = noise((size, size), 200 + seed);
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        for _ in 0..170 {
            let [x, y] = [(); 2].map(|()| rng.random_range(0.0..size as f32));
            let (width, peak) = (rng.random_range(1.4f32..5.0), 10f32.powf(rng.random_range(0.5..3.0)));
            let reach = (4.0 * width) as isize;
            for (dx, dy) in (-reach..=reach).flat_map(|dx| (-reach..=reach).map(move |dy| (dx, dy))) {
                let (px, py) = (x as isize + dx, y as isize + dy);
                if let Some(value) = band.pixels.get(px, py) {
                    let r2 = (px as f32 - x).powi(2) + (py as f32 - y).powi(2);
                    band.pixels.set(px as usize, py as usize, value + peak * (-0.5 * r2 / width.powi(2)).exp());
                }
            }
        }
        lines += find(&band, 1.0).iter().filter(|line| line.is_trail([])).count();
    }
    assert_eq!(lines, 0);
}

#[test]
fn what_every_band_shows_is_no_trail_unless_it_crosses_the_frame() {
    let line = Line { cos: 1.0, sin: 0.0, offset: 50.0 };
    let spike = Streak { line, ends: (100.0, 500.0), half_width_px: 4.0, crosses: false, even: true };
    let elsewhere = Streak { line: Line { offset: 80.0, ..line }, ..spike };
    assert!(spike.is_trail([&elsewhere]) && !spike.is_trail([&elsewhere, &spike]));
    assert!(Streak { crosses: true, ..spike }.is_trail([&spike]));
    assert!(!Streak { even: false, ..spike }.is_trail([]));
}

#[test]
fn real_fields_have_no_trail() {
    for name in ["003918-3-0213", "008162-6-0080", "001043-5-0025", "002820-3-0122"] {
        let Some(frame) = real::frame(name) else { return };
        let mut found = Vec::new();
        for (b, mut band) in frame.bands.into_iter().enumerate() {
            let cleaned = crate::preprocess::clean(&mut band, b, &real::sdss(), &Default::default()).unwrap();
            found.push(cleaned.streaks);
        }
        for (b, streaks) in found.iter().enumerate() {
            let others = || found.iter().enumerate().filter(move |o| o.0 != b).flat_map(|o| o.1);
            let trails: Vec<&Streak> = streaks.iter().filter(|s| s.is_trail(others())).collect();
            println!("{name} band {b}: {} lines, {trails:?}", streaks.len());
            assert!(trails.is_empty(), "{name} band {b}");
        }
    }
}
