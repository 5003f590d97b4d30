//! The position at which the PSF fits best in the frame's shape bands together.

use super::{FrameView, usable};
use crate::psf::{DISTANCE_SQUARED, RADIUS, SIDE};
use crate::scene::Others;

/// Steps of Gauss-Newton.
const STEPS: usize = 2;
/// The fit sees pixels within this, px.
const WITHIN_PX: f64 = 4.5;
/// Standard deviation of a step beforehand: keeps faint objects where they were detected, px.
const PRIOR_PX: f64 = 0.35;
/// Longest step along an axis, px.
const LONGEST_STEP_PX: f64 = 0.5;
/// An object that moves further is not the one that was detected, px.
const FARTHEST_PX: f64 = 1.5;
/// Half the side of the cut that is fitted.
const HALF: usize = 7;
const CUT: usize = 2 * HALF + 1;

/// Improves the reference position of object `number`; gives the start back where the fit wanders off.
pub fn recentre(view: &FrameView, number: u32, start: (f64, f64)) -> (f64, f64) {
    let others = view.others(number, start, HALF as f64 + FARTHEST_PX);
    let (mut x, mut y) = start;
    for _ in 0..STEPS {
        let Some((dx, dy)) = step(view, others.as_ref(), (x, y)) else { return start };
        x += dx.clamp(-LONGEST_STEP_PX, LONGEST_STEP_PX);
        y += dy.clamp(-LONGEST_STEP_PX, LONGEST_STEP_PX);
    }
    if (x - start.0).hypot(y - start.1) < FARTHEST_PX { (x, y) } else { start }
}

/// One step: the residual against the PSF's slopes, all shape bands in one system.
fn step(view: &FrameView, others: Option<&Others>, at: (f64, f64)) -> Option<(f64, f64)> {
    let prior = PRIOR_PX.powi(-2);
    let (mut xx, mut yy, mut xy, mut gx, mut gy) = (prior, prior, 0.0, 0.0, 0.0);
    for b in view.prepared.shape_bands(view.survey) {
        let in_band = view.prepared.to_band[b].apply(at.0, at.1);
        let mut pixels = [0.0; CUT * CUT];
        view.splines.cut(b, in_band, HALF, &mut pixels);
        let first = (in_band.0 - HALF as f64, in_band.1 - HALF as f64);
        let light = others.and_then(|others| others.on_grid(b, first, (CUT, CUT)));
        if let Some(light) = &light {
            pixels.iter_mut().zip(&light.value).for_each(|(p, l)| *p -= l);
        }
        let added = light.and_then(|light| light.variance);
        let unusable = usable::unusable(view.bits(b), in_band);
        let psf = view.psf.at(b, at.0, at.1);
        let (noise, variance) = (view.noise(b), view.prepared.frame.bands[b].variance.as_ref());
        let nearest = usable::nearest(in_band);
        // Index in the PSF's stamp, value and weight of each pixel of the fit.
        let mut fitted = [(0, 0.0, 0.0); CUT * CUT];
        let mut n = 0;
        let (mut cp, mut pp) = (0.0, 0.0);
        for (at, &value) in pixels.iter().enumerate() {
            let (i, j) = (at % CUT, at / CUT);
            let stamp = (j + RADIUS - HALF) * SIDE + i + RADIUS - HALF;
            if f64::from(DISTANCE_SQUARED[stamp]) < WITHIN_PX * WITHIN_PX && unusable.as_ref().is_none_or(|u| !u[stamp])
            {
                let (c, p) = (f64::from(value), f64::from(psf[stamp]));
                let pixel = (nearest.0 + i as isize - HALF as isize, nearest.1 + j as isize - HALF as isize);
                let others = added.as_ref().map_or(0.0, |added| f64::from(added[at]));
                let weight = (noise.at(variance, pixel.0, pixel.1).variance(c) + others).recip();
                cp += weight * c * p;
                pp += weight * p * p;
                fitted[n] = (stamp, c, weight);
                n += 1;
            }
        }
        if pp.is_nan() || pp <= 0.0 {
            continue;
        }
        let flux = cp / pp;
        for &(stamp, c, weight) in &fitted[..n] {
            let slope = |by: usize| -flux * f64::from(psf[stamp + by] - psf[stamp - by]) / 2.0;
            let (sx, sy) = (slope(1), slope(SIDE));
            let miss = weight * (c - flux * f64::from(psf[stamp]));
            gx += miss * sx;
            gy += miss * sy;
            xx += weight * sx * sx;
            yy += weight * sy * sy;
            xy += weight * sx * sy;
        }
    }
    let determinant = xx * yy - xy * xy;
    let (dx, dy) = ((yy * gx - xy * gy) / determinant, (xx * gy - xy * gx) / determinant);
    (dx.is_finite() && dy.is_finite()).then_some((dx, dy))
}
