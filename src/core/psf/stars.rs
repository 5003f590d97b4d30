//! Which detections are stars, by what the frame itself shows, and their stamps in each band.

use rayon::prelude::*;

use super::{AREA, DISTANCE_SQUARED, RADIUS, Splines, Stamp};
use crate::aperture::{HALF_LIGHT_PER_SIGMA, Shape, windowed_centroid};
use crate::frame::mask;
use crate::median::median_and_scatter;
use crate::preprocess::Prepared;
use crate::survey::{Survey, nmgy_of_mag};

/// Stars keep this far from the frame's edge, px.
const EDGE_PX: f64 = 20.0;
/// Within this of a star its neighbours, px...
const NEIGHBOURS_WITHIN_PX: f64 = 20.0;
/// ...have less than this share of its flux together.
const NEIGHBOURS_FLUX: f64 = 0.05;
/// Half-light radii that a PSF can have, px.
const HALF_LIGHT_PX: (f64, f64) = (0.8, 6.0);
/// A star's radius is within this share of the mode.
const RADIUS_TOLERANCE: f64 = 0.10;
/// Stars share one radius: at least so many are within...
const LOCUS_MIN: usize = 4;
/// ...this share of it, and...
const LOCUS_WIDTH: f64 = 0.05;
/// ...nothing is sharper than a star, but for some defects: no more than this share of the stars is.
const SHARPER_MAX: f64 = 0.1;
/// Enough stars for any PSF: the brightest are taken, so that a crowded field costs no more.
const MOST_STARS: usize = 400;
/// A centroid further from the predicted one is another object's, px.
const CENTROID_WITHIN_PX: f64 = 0.6;
/// Flux of a stamp is that within this radius, px.
const FLUX_WITHIN_PX: u16 = 12;
/// Least S/N of a star in a shape band...
const LEAST_SN_SHAPE: f64 = 60.0;
/// ...and in the others, where stars are faint and few.
const LEAST_SN_OTHER: f64 = 25.0;

/// Stars of a frame.
pub(super) struct Selected {
    /// Positions in the reference band, brightest first, px.
    pub stars: Vec<(f64, f64)>,
    /// Mode of the half-light radii of isolated objects, px; NaN where no stars gather there.
    pub half_light_radius_px: f64,
}

/// One star in one band, scaled to unit flux and centred.
pub(super) struct StarStamp {
    pub pixels: Box<Stamp>,
    /// Position in the reference band, px.
    pub at: (f64, f64),
    pub sn: f64,
}

/// All stars of one band.
pub(super) struct Seen {
    pub stamps: Vec<StarStamp>,
    /// Where their own-band centroids lie against the predicted positions.
    pub registration: Registration,
}

/// How a band's stars lie against where the world coordinates put them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Registration {
    /// Root mean square, by the median, of the distances, px; 0 without stars.
    pub residual_px: f64,
    /// Median along x and y, px; NaN without stars.
    pub offset_px: [f64; 2],
    /// Standard error of that median in each direction, by the stars' own scatter, px.
    pub offset_error_px: f64,
}

/// Isolated objects of the survey's magnitudes for PSF stars whose half-light radius lies near its mode.
pub(super) fn select(shapes: &[Shape], survey: &Survey, frame_size: (usize, usize)) -> Selected {
    let limits = &survey.profile().psf_stars;
    let (faintest, mode_faintest, brightest) =
        (nmgy_of_mag(limits.faintest_mag), nmgy_of_mag(limits.mode_faintest_mag), nmgy_of_mag(limits.brightest_mag));
    let (width, height) = (frame_size.0 as f64, frame_size.1 as f64);
    let possible = |s: &Shape| {
        s.x > EDGE_PX
            && s.x < width - EDGE_PX
            && s.y > EDGE_PX
            && s.y < height - EDGE_PX
            && s.flux_4px > faintest
            && s.flux_4px < brightest
            && s.flux_8px > 0.0
            && s.half_light_radius_px > HALF_LIGHT_PX.0
            && s.half_light_radius_px < HALF_LIGHT_PX.1
    };
    let mut by_x: Vec<&Shape> = shapes.iter().filter(|s| s.x.is_finite() && s.y.is_finite()).collect();
    by_x.sort_by(|a, b| a.x.total_cmp(&b.x).then(a.y.total_cmp(&b.y)));
    let mut usable: Vec<&Shape> = by_x.par_iter().copied().filter(|s| possible(s) && is_isolated(s, &by_x)).collect();
    usable.sort_by(|a, b| b.flux_4px.total_cmp(&a.flux_4px));
    let bright = usable.iter().filter(|s| s.flux_4px > mode_faintest).map(|s| s.half_light_radius_px);
    let bright: Vec<f64> = bright.collect();
    let mode = half_sample_mode(bright.clone());
    if !is_locus(&bright, mode) {
        return Selected { stars: Vec::new(), half_light_radius_px: f64::NAN };
    }
    let is_star = |s: &&Shape| (s.half_light_radius_px / mode - 1.0).abs() < RADIUS_TOLERANCE;
    let stars = usable.into_iter().filter(is_star).map(|s| (s.x, s.y)).take(MOST_STARS).collect();
    Selected { stars, half_light_radius_px: mode }
}

/// Whether the radii gather at their mode and end there, as stars' do. Those of galaxies alone have a mode too, but
/// nothing that keeps others from being smaller.
fn is_locus(radii: &[f64], mode: f64) -> bool {
    let stars = radii.iter().filter(|&r| (r / mode - 1.0).abs() < LOCUS_WIDTH).count();
    let sharper = radii.iter().filter(|&r| r / mode < 1.0 - RADIUS_TOLERANCE).count();
    stars >= LOCUS_MIN && sharper as f64 <= SHARPER_MAX * stars as f64
}

/// Whether the neighbours of `star` are faint. `by_x`: all objects by x.
fn is_isolated(star: &Shape, by_x: &[&Shape]) -> bool {
    let first = by_x.partition_point(|s| s.x < star.x - NEIGHBOURS_WITHIN_PX);
    let near = by_x[first..].iter().take_while(|s| s.x <= star.x + NEIGHBOURS_WITHIN_PX);
    let around: f64 =
        near.filter(|s| (s.x - star.x).hypot(s.y - star.y) <= NEIGHBOURS_WITHIN_PX).map(|s| s.flux_4px).sum();
    around - star.flux_4px < NEIGHBOURS_FLUX * star.flux_4px
}

/// Robust mode (Bickel & Fruehwirth 2006): keep the densest half until three values are left. NaN for none.
fn half_sample_mode(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let mut v = &values[..];
    while v.len() > 3 {
        let n = v.len().div_ceil(2);
        let width = |i: usize| v[i + n - 1] - v[i];
        let densest = (0..=v.len() - n).min_by(|&i, &j| width(i).total_cmp(&width(j))).unwrap_or(0);
        v = &v[densest..densest + n];
    }
    v.iter().sum::<f64>() / v.len() as f64
}

/// Stamps of the selected stars in `band`, each about its own centroid there, without those that have unusable
/// pixels or are too faint.
pub(super) fn stamps(
    prepared: &Prepared,
    survey: &Survey,
    splines: &Splines,
    selected: &Selected,
    band: usize,
) -> Seen {
    let least_sn = if survey.shape_bands().contains(&band) { LEAST_SN_SHAPE } else { LEAST_SN_OTHER };
    let image = &prepared.frame.bands[band].pixels;
    let sigma = f64::from(prepared.sky[band].sigma_nmgy);
    let aperture: Vec<usize> = (0..AREA).filter(|&i| DISTANCE_SQUARED[i] < FLUX_WITHIN_PX * FLUX_WITHIN_PX).collect();
    let noise = sigma * (aperture.len() as f64).sqrt();
    let seen: Vec<(StarStamp, Option<[f64; 2]>)> = selected
        .stars
        .par_iter()
        .filter_map(|&at| {
            let predicted = prepared.to_band[band].apply(at.0, at.1);
            if !is_clean(prepared, band, predicted) {
                return None;
            }
            let found = windowed_centroid(image, predicted, selected.half_light_radius_px / HALF_LIGHT_PER_SIGMA);
            let moved = [found.x - predicted.0, found.y - predicted.1];
            let own = !found.truncated && moved[0].hypot(moved[1]) < CENTROID_WITHIN_PX;
            let centre = if own { (found.x, found.y) } else { predicted };
            let mut pixels = Box::new([0.0; AREA]);
            splines.cut(band, centre, RADIUS, &mut pixels[..]);
            let flux: f64 = aperture.iter().map(|&i| f64::from(pixels[i])).sum();
            let sn = flux / noise;
            if sn.is_nan() || sn <= least_sn {
                return None;
            }
            pixels.iter_mut().for_each(|p| *p = (f64::from(*p) / flux) as f32);
            Some((StarStamp { pixels, at, sn }, own.then_some(moved)))
        })
        .collect();
    let moves: Vec<[f64; 2]> = seen.iter().filter_map(|s| s.1).collect();
    Seen { stamps: seen.into_iter().map(|s| s.0).collect(), registration: Registration::of(&moves) }
}

impl Registration {
    /// Of stars that lie so far from where they were predicted, px.
    fn of(moves: &[[f64; 2]]) -> Self {
        let mut distances: Vec<f64> = moves.iter().map(|m| m[0].hypot(m[1])).collect();
        distances.sort_by(f64::total_cmp);
        let along = |axis: usize| median_and_scatter(&mut moves.iter().map(|m| m[axis]).collect::<Vec<_>>());
        let [(x, x_scatter), (y, y_scatter)] = [along(0), along(1)];
        let scatter = (0.5 * (x_scatter.powi(2) + y_scatter.powi(2))).sqrt();
        Self {
            // The median of r^2 of a circular Gaussian is ln 2 times its mean.
            residual_px: distances.get(distances.len() / 2).map_or(0.0, |m| m / std::f64::consts::LN_2.sqrt()),
            offset_px: [x, y],
            // The variance of a median is pi / 2 times that of a mean.
            offset_error_px: scatter * (std::f64::consts::FRAC_PI_2 / moves.len() as f64).sqrt(),
        }
    }
}

/// Whether every pixel that makes a star's flux can be used.
fn is_clean(prepared: &Prepared, band: usize, at: (f64, f64)) -> bool {
    let bits = &prepared.frame.bands[band].mask;
    let reach = FLUX_WITHIN_PX as isize;
    let (x, y) = (at.0.round() as isize, at.1.round() as isize);
    (-reach..=reach).all(|dy| {
        (-reach..=reach).all(|dx| {
            let beyond = dx * dx + dy * dy > reach * reach;
            beyond || bits.get(x + dx, y + dy).is_some_and(|b| b & mask::UNUSABLE == 0)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mode_is_where_values_crowd() {
        let mut values: Vec<f64> = (0..40).map(|i| 1.0 + f64::from(i) * 0.2).collect();
        values.extend((0..25).map(|i| 3.0 + f64::from(i) * 0.002));
        assert!((half_sample_mode(values) - 3.02).abs() < 0.04);
        assert!(half_sample_mode(vec![]).is_nan());
        assert_eq!(half_sample_mode(vec![2.0]), 2.0);
    }
}
