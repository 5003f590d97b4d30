//! What detectors do beside counting photons: bad columns, bleeding, cosmic rays.

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Poisson};

use super::spec::Spec;
use twinpeak_core::frame::Plane;

/// A column that is deaf, or hot, over some of its rows.
#[derive(Clone, Copy, Debug)]
pub(super) struct BadColumn {
    pub x: usize,
    pub rows: [usize; 2],
    /// Multiplies what falls on it.
    pub response: f64,
    /// Signal that is added to each of its pixels, DN.
    pub extra_dn: f64,
}

/// Draws a band's bad columns: half of them reach over all rows.
pub(super) fn bad_columns(rng: &mut ChaCha8Rng, spec: &Spec, sigma_dn: f64) -> Vec<BadColumn> {
    let [fewest, most] = spec.artefacts.bad_columns;
    let count = rng.random_range(fewest..=most);
    let draw = |_| {
        let from = if rng.random() { 0 } else { rng.random_range(0..spec.height) };
        let x = rng.random_range(0..spec.width);
        let rows = [from, spec.height];
        if rng.random() {
            BadColumn { x, rows, response: rng.random_range(0.0..0.7), extra_dn: 0.0 }
        } else {
            BadColumn { x, rows, response: 1.0, extra_dn: sigma_dn * rng.random_range(3.0..50.0) }
        }
    };
    (0..count).map(draw).collect()
}

/// Moves charge above `full_well_dn` up and down its column, half each way, until it finds room.
pub(super) fn bleed(expected_dn: &mut Plane<f32>, full_well_dn: f32) {
    let (width, height) = (expected_dn.width(), expected_dn.height());
    let full: Vec<usize> = (0..width).filter(|&x| (0..height).any(|y| expected_dn.at(x, y) > full_well_dn)).collect();
    for x in full {
        let (mut up, mut down) = (vec![0f32; height], vec![0f32; height]);
        for y in 0..height {
            let excess = (expected_dn.at(x, y) - full_well_dn).max(0.0);
            (up[y], down[y]) = (0.5 * excess, 0.5 * excess);
            expected_dn.set(x, y, expected_dn.at(x, y) - excess);
        }
        let mut pour = |spill: &[f32], rows: &mut dyn Iterator<Item = usize>| {
            let mut carried = 0f32;
            for y in rows {
                let here = expected_dn.at(x, y);
                carried += spill[y];
                let taken = carried.min(full_well_dn - here).max(0.0);
                expected_dn.set(x, y, here + taken);
                carried -= taken;
            }
        };
        pour(&up, &mut (0..height));
        pour(&down, &mut (0..height).rev());
    }
}

/// Draws a band's cosmic rays: (x, y, DN) of each pixel hit. Most are short and strike steeply.
pub(super) fn cosmic_rays(rng: &mut ChaCha8Rng, spec: &Spec, gain_e_per_dn: f64) -> Vec<(usize, usize, f32)> {
    let mean = spec.artefacts.cosmic_rays * (spec.width * spec.height) as f64 / (2048.0 * 1489.0);
    let count = Poisson::new(mean).map_or(0, |p| p.sample(rng) as usize);
    let mut hits = Vec::new();
    for _ in 0..count {
        let (mut x, mut y) = (rng.random_range(0.0..spec.width as f64), rng.random_range(0.0..spec.height as f64));
        let (s, c) = rng.random_range(0.0..std::f64::consts::TAU).sin_cos();
        let length_px = 1.0 - 6.0 * rng.random::<f64>().max(1e-3).ln();
        let electrons_per_px = 10f64.powf(rng.random_range(2.3..3.7));
        // Half a pixel at a time, so that a track has no gaps and its pixels are unequal.
        for _ in 0..(2.0 * length_px) as usize {
            let here = Some((x.floor(), y.floor()))
                .filter(|h| (0.0..spec.width as f64).contains(&h.0) && (0.0..spec.height as f64).contains(&h.1));
            if let Some((px, py)) = here {
                let dn = 0.5 * electrons_per_px * rng.random_range(0.5..1.5) / gain_e_per_dn;
                hits.push((px as usize, py as usize, dn as f32));
            }
            (x, y) = (x + 0.5 * c, y + 0.5 * s);
        }
    }
    hits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bleeding_keeps_charge_and_its_column() {
        let mut plane = Plane::filled(3, 40, 1f32);
        plane.set(1, 20, 51.0);
        bleed(&mut plane, 11.0);
        let sum: f32 = (0..40).map(|y| plane.at(1, y)).sum();
        assert!((sum - 90.0).abs() < 1e-3, "{sum}");
        let column: Vec<f32> = (16..26).map(|y| plane.at(1, y)).collect();
        assert_eq!(column, [1.0, 1.0, 11.0, 11.0, 11.0, 11.0, 11.0, 1.0, 1.0, 1.0]);
        assert!((0..40).all(|y| plane.at(0, y) == 1.0 && plane.at(2, y) == 1.0));
    }
}
