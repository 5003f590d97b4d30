//! Colours of stars, galaxies and quasars: (u-g, g-r, r-i, i-z), and magnitudes from them.

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use twinpeak_core::frame::PerBand;

/// The four colours of neighbouring bands.
type Colours = [f64; 4];

/// The stellar locus: g-i and the colours there.
const LOCUS: [(f64, Colours); 8] = [
    (0.4, [1.07, 0.30, 0.10, 0.01]),
    (0.6, [1.25, 0.44, 0.16, 0.04]),
    (0.8, [1.56, 0.58, 0.21, 0.08]),
    (1.0, [1.90, 0.73, 0.27, 0.12]),
    (1.5, [2.46, 1.08, 0.41, 0.22]),
    (2.0, [2.61, 1.35, 0.65, 0.35]),
    (2.5, [2.59, 1.41, 1.08, 0.57]),
    (3.0, [2.61, 1.47, 1.52, 0.81]),
];
/// Scatter of stars about the locus in each colour, mag.
const LOCUS_SCATTER: Colours = [0.1, 0.03, 0.03, 0.03];

/// Percent of stars by g-i, in bins of .5 from 0.
const STARS_BY_G_I: [f64; 7] = [2.0, 23.0, 16.0, 16.0, 22.0, 18.0, 3.0];

const BLUE_GALAXY: Colours = [1.1, 0.5, 0.3, 0.2];
const RED_GALAXY: Colours = [1.7, 1.1, 0.45, 0.35];
const QUASAR: Colours = [0.2, 0.15, 0.15, 0.1];
const YOUNG: Colours = [0.3, 0.1, 0.0, -0.1];
/// An old cluster: magnitudes below the turn-off, and g-i there: giants, turn-off, main sequence.
const CLUSTER: [(f64, f64); 9] =
    [(-6.5, 2.0), (-5.0, 1.5), (-3.0, 1.1), (-1.0, 0.9), (0.0, 0.45), (1.0, 0.5), (3.0, 1.1), (5.0, 2.0), (7.0, 2.6)];
/// Scatter of a cluster's stars about its sequence in each colour, mag.
const CLUSTER_SCATTER: Colours = [0.05, 0.02, 0.02, 0.02];
/// Scatter of galaxies and quasars in each colour.
const SCATTER: Colours = [0.15; 4];

/// Magnitudes of a star of magnitude `r`.
pub(super) fn star(rng: &mut ChaCha8Rng, r: f64) -> PerBand<f64> {
    let mut percent = 100.0 * rng.random::<f64>();
    let mut g_i = 0.0;
    for share in STARS_BY_G_I {
        if percent < share {
            g_i += 0.5 * percent / share;
            break;
        }
        percent -= share;
        g_i += 0.5;
    }
    scattered(rng, r, on_locus(g_i), LOCUS_SCATTER)
}

/// Magnitudes of a galaxy of magnitude `r`; most discs are blue, most spheroids red.
pub(super) fn galaxy(rng: &mut ChaCha8Rng, r: f64, is_disc: bool) -> PerBand<f64> {
    let is_blue = rng.random::<f64>() < if is_disc { 0.8 } else { 0.1 };
    scattered(rng, r, if is_blue { BLUE_GALAXY } else { RED_GALAXY }, SCATTER)
}

/// Magnitudes of a quasar of magnitude `r`.
pub(super) fn quasar(rng: &mut ChaCha8Rng, r: f64) -> PerBand<f64> {
    scattered(rng, r, QUASAR, SCATTER)
}

/// Magnitudes of a disc of magnitude `r`, as the mean of its kind.
pub(super) fn disc(r: f64) -> PerBand<f64> {
    in_bands(r, BLUE_GALAXY)
}

/// Magnitudes of a spheroid of magnitude `r`, as the mean of its kind.
pub(super) fn spheroid(r: f64) -> PerBand<f64> {
    in_bands(r, RED_GALAXY)
}

/// Magnitudes of a region of young stars of magnitude `r`.
pub(super) fn young(rng: &mut ChaCha8Rng, r: f64) -> PerBand<f64> {
    scattered(rng, r, YOUNG, SCATTER)
}

/// Magnitudes of an old cluster's star of magnitude `r`, which lies `below` the main sequence's turn-off (mag).
pub(super) fn cluster_star(rng: &mut ChaCha8Rng, r: f64, below: f64) -> PerBand<f64> {
    let last = CLUSTER[CLUSTER.len() - 1].1;
    let between = CLUSTER.windows(2).find(|pair| below <= pair[1].0);
    let g_i = between.map_or(last, |pair| {
        let f = ((below - pair[0].0) / (pair[1].0 - pair[0].0)).max(0.0);
        pair[0].1 + f * (pair[1].1 - pair[0].1)
    });
    scattered(rng, r, on_locus(g_i), CLUSTER_SCATTER)
}

/// The locus at `g_i`, between its tabulated points or at the nearer end.
fn on_locus(g_i: f64) -> Colours {
    let (first, last) = (LOCUS[0], LOCUS[LOCUS.len() - 1]);
    if g_i <= first.0 {
        return first.1;
    }
    let between = LOCUS.windows(2).find(|pair| g_i <= pair[1].0);
    between.map_or(last.1, |pair| {
        let f = (g_i - pair[0].0) / (pair[1].0 - pair[0].0);
        std::array::from_fn(|k| pair[0].1[k] + f * (pair[1].1[k] - pair[0].1[k]))
    })
}

fn scattered(rng: &mut ChaCha8Rng, r: f64, mean: Colours, scatter: Colours) -> PerBand<f64> {
    in_bands(r, std::array::from_fn(|k| mean[k] + scatter[k] * rng.sample::<f64, _>(StandardNormal)))
}

fn in_bands(r: f64, [ug, gr, ri, iz]: Colours) -> PerBand<f64> {
    [r + gr + ug, r + gr, r, r - ri, r - ri - iz]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_locus_passes_through_its_points() {
        for (g_i, colours) in LOCUS {
            assert_eq!(on_locus(g_i), colours);
        }
        assert_eq!((on_locus(-1.0), on_locus(9.0)), (LOCUS[0].1, LOCUS[7].1));
        let half = on_locus(1.75);
        assert!((half[0] - 2.535).abs() < 1e-12 && (half[2] - 0.53).abs() < 1e-12);
    }
}
