//! A star cluster over the field: places by King's profile, magnitudes and colours as of an old cluster.

use rand::Rng;
use serde::{Deserialize, Serialize};

use super::colour;
use super::counts::{magnitude, reaching};
use super::spec::Spec;
use super::streams::{Purpose, stream};
use super::truth::SimulatedObject;

/// A cluster, its centre near the frame's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cluster {
    /// Number of its stars down to r = 25, wherever they fall. One in three is brighter than r = 22.
    pub stars: usize,
    /// Core radius, arcsec: the surface density is half of the centre's there.
    pub core_radius_arcsec: f64,
    /// Tidal radius, arcsec, where the density is nil.
    pub tidal_radius_arcsec: f64,
    /// Magnitude r of the main sequence's turn-off; giants are up to 6.5 mag brighter.
    pub turnoff_mag: f64,
}

impl Default for Cluster {
    fn default() -> Self {
        Self { stars: 20_000, core_radius_arcsec: 35.0, tidal_radius_arcsec: 420.0, turnoff_mag: 18.8 }
    }
}

/// Faintest star that is drawn.
const FAINTEST_MAG: f64 = 25.0;
/// The luminosity function: (r - turn-off, log10 of stars per magnitude), after globular clusters: giants rise slowly,
/// with a clump of the horizontal branch, the subgiants steeply, the main sequence slowly again.
const LUMINOSITY: [(f64, f64); 9] = [
    (-6.5, -0.6),
    (-4.0, 0.3),
    (-3.4, 0.8),
    (-3.0, 0.6),
    (-1.0, 1.15),
    (0.0, 1.95),
    (1.0, 2.3),
    (3.5, 2.6),
    (6.2, 2.75),
];
/// Steps in which King's profile is summed.
const RINGS: usize = 4096;
/// The centre lies within this share of the frame's size from its middle.
const OFF_CENTRE: f64 = 0.1;

/// Stars of the cluster, each with its place in the reference frame (which may lie outside) and magnitudes; the ids are
/// to be given.
pub(super) fn draw(spec: &Spec, cluster: &Cluster, scale_arcsec: f64) -> Vec<SimulatedObject> {
    let mut rng = stream(spec, Purpose::Cluster, 0, 0);
    let counts: Vec<(f64, f64)> = LUMINOSITY.iter().map(|&(r, log)| (r + cluster.turnoff_mag, log)).collect();
    let counts = reaching(&counts, FAINTEST_MAG);
    let [core, tidal] = [cluster.core_radius_arcsec, cluster.tidal_radius_arcsec].map(|r| r / scale_arcsec);
    let within = cumulative(core, tidal);
    let mut near_middle = |size: usize| size as f64 * (0.5 + OFF_CENTRE * (2.0 * rng.random::<f64>() - 1.0));
    let centre = (near_middle(spec.width), near_middle(spec.height));
    let star = |_| {
        let share = rng.random::<f64>();
        let ring = within.partition_point(|&w| w < share).max(1);
        let part = (share - within[ring - 1]) / (within[ring] - within[ring - 1]);
        let radius = tidal * (ring as f64 - 1.0 + part) / RINGS as f64;
        let (s, c) = rng.random_range(0.0..std::f64::consts::TAU).sin_cos();
        let r = magnitude(&counts, rng.random());
        let mag = colour::cluster_star(&mut rng, r, r - cluster.turnoff_mag);
        SimulatedObject { x: centre.0 + radius * c, y: centre.1 + radius * s, mag, ..SimulatedObject::POINT }
    };
    (0..cluster.stars).map(star).collect()
}

/// Share of the stars within each of [`RINGS`] even steps of radius, from 0 to 1.
fn cumulative(core: f64, tidal: f64) -> Vec<f64> {
    let at = |r: f64| (1.0 + (r / core).powi(2)).sqrt().recip();
    let density = |r: f64| (at(r) - at(tidal)).powi(2);
    let mut sums = vec![0.0];
    let mut sum = 0.0;
    for k in 0..RINGS {
        let r = tidal * (k as f64 + 0.5) / RINGS as f64;
        sum += r * density(r);
        sums.push(sum);
    }
    sums.iter().map(|s| s / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_follow_kings_law() {
        let cluster = Cluster { stars: 40_000, ..Cluster::default() };
        let spec = Spec { artefacts: crate::Artefacts::NONE, ..Spec::default() };
        let stars = draw(&spec, &cluster, 0.5);
        let mean = |f: fn(&SimulatedObject) -> f64| stars.iter().map(f).sum::<f64>() / stars.len() as f64;
        let centre = (mean(|s| s.x), mean(|s| s.y));
        let radii: Vec<f64> = stars.iter().map(|s| 0.5 * (s.x - centre.0).hypot(s.y - centre.1)).collect();
        // King (1962), eq. 18: the number within r, with x = (r / core)^2.
        let number = |r: f64| {
            let (x, t) = (
                (r / cluster.core_radius_arcsec).powi(2),
                1.0 + (cluster.tidal_radius_arcsec / cluster.core_radius_arcsec).powi(2),
            );
            (1.0 + x).ln() - 4.0 * ((1.0 + x).sqrt() - 1.0) / t.sqrt() + x / t
        };
        for r in [20.0, 35.0, 70.0, 150.0, 300.0] {
            let expected = number(r) / number(cluster.tidal_radius_arcsec);
            let found = radii.iter().filter(|q| **q < r).count() as f64 / radii.len() as f64;
            assert!((found - expected).abs() < 0.012, "{r}: {found}, King has {expected}");
        }
        assert!(radii.iter().all(|r| *r < 421.0 + 3.0));
        let brighter = |r: f64| stars.iter().filter(|s| s.mag[2] < r).count() as f64 / stars.len() as f64;
        assert!((0.3..0.42).contains(&brighter(22.0)) && brighter(25.0) == 1.0, "{}", brighter(22.0));
    }
}
