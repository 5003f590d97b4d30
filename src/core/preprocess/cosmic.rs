//! Cosmic rays: pixels sharper than the point-spread function can be (SDSS's photometric pipeline has the same
//! test, Lupton et al. 2001, section 4; van Dokkum 2001 asks it of the Laplacian).
//!
//! Any pixel of a star, peak or flank, has on each axis through it two neighbours whose mean is at least its own
//! value times the PSF's fall from its centre to that distance. A pixel with an axis on which it is much less
//! has not come through the telescope.
//!
//! Stars of an undersampled frame look the same in one band, but they are in every band at the same place, where a
//! cosmic ray is in one: [`undersampled`].

use std::collections::BTreeSet;

use super::defects::RIM_PX;
use crate::frame::{Band, Plane, mask};
use crate::median::median;

/// The PSF's fall from its centre: value at 1 px along rows and columns, and along diagonals, over the peak.
#[derive(Clone, Copy, Debug)]
struct Fall {
    side: f32,
    diagonal: f32,
}

impl Fall {
    /// Of a Gaussian 1.6 px wide at half maximum, sharper than any frame is expected to be.
    const SHARPEST: Self = Self { side: 0.34, diagonal: 0.115 };
}

/// How far below a PSF's fall a pixel must be.
#[derive(Clone, Copy)]
struct Criterion {
    /// Share of the PSF's fall that is still believed.
    share: f32,
    /// By how many sigma the neighbours must be too faint.
    by_sigma: f32,
    /// Faintest pixel asked, sigma.
    above_sigma: f32,
}

const FIRST: Criterion = Criterion { share: 0.6, by_sigma: 4.0, above_sigma: 7.0 };
/// Beside a pixel that failed: tracks are longer than their sharpest point.
const NEXT: Criterion = Criterion { share: 0.8, by_sigma: 2.5, above_sigma: 4.0 };

/// How many times its surroundings a pixel must be. In the core of a star it is not, whatever was done there: the
/// survey fills cores that saturated by interpolation, which leaves steps sharper than any PSF.
const ALONE: f32 = 8.0;

/// The four axes through a pixel: steps, and whether they are diagonal.
const AXES: [(isize, isize, bool); 4] = [(1, 0, false), (0, 1, false), (1, 1, true), (1, -1, true)];

/// Pixels of a band that are too sharp for its PSF.
#[derive(Clone, Debug, Default)]
pub(super) struct TooSharp {
    /// Indices of the pixels.
    pixels: BTreeSet<usize>,
    /// The brightest pixel of each group, and its neighbours' mean along the sharpest axis over it.
    peaks: Vec<(usize, f32)>,
}

impl TooSharp {
    /// Whether a pixel, by its index, is one.
    pub(super) fn has(&self, index: usize) -> bool {
        self.pixels.contains(&index)
    }

    /// Marks them as [`mask::BAD`].
    pub(super) fn mark(&self, bits: &mut Plane<u8>) {
        self.pixels.iter().for_each(|&i| bits.pixels_mut()[i] |= mask::BAD);
    }
}

/// Finds cosmic rays of a background-subtracted band.
pub(super) fn cosmic_rays(band: &Band, sigma: f32) -> TooSharp {
    let judge = Judge {
        pixels: &band.pixels,
        bits: &band.mask,
        sky_variance: sigma * sigma,
        per_flux: band.nmgy_per_electron().max(0.0) as f32,
    };
    let bright = judge.above(FIRST.above_sigma * sigma);
    let fall = judge.fall(&bright, sigma);
    let mut hit: Vec<usize> = bright.into_iter().filter(|&i| judge.is_too_sharp(i, fall, FIRST)).collect();
    let mut all: BTreeSet<usize> = hit.iter().copied().collect();
    let width = band.mask.width();
    for _ in 0..2 {
        // Hits lie inside the rim, so their neighbours are pixels.
        let beside = hit.iter().flat_map(|&i| {
            [i - width - 1, i - width, i - width + 1, i - 1, i + 1, i + width - 1, i + width, i + width + 1]
        });
        let next: BTreeSet<usize> = beside
            .filter(|&i| judge.pixels.pixels()[i] > NEXT.above_sigma * sigma && judge.is_too_sharp(i, fall, NEXT))
            .filter(|i| !all.contains(i))
            .collect();
        hit = next.iter().copied().collect();
        all.extend(next);
    }
    let value = |i: usize| judge.pixels.pixels()[i];
    let is_peak = |i: usize| {
        let beside = [i - width - 1, i - width, i - width + 1, i - 1, i + 1, i + width - 1, i + width, i + width + 1];
        beside.iter().all(|j| value(*j) < value(i))
    };
    let sharpness = |i: usize| {
        let means = AXES.iter().filter(|a| !a.2).filter_map(|&axis| judge.pair(i, axis));
        means.fold(f32::INFINITY, f32::min) / value(i)
    };
    let peaks = all.iter().filter(|i| is_peak(**i)).map(|&i| (i, sharpness(i))).collect();
    TooSharp { pixels: all, peaks }
}

/// Of peaks that are too sharp, so many...
const SHARED: usize = 8;
/// ...and this share of a band's are in another band too, and the frame is undersampled.
const SHARED_SHARE: f64 = 0.1;

/// Width (full, at half maximum, px, of the Gaussian that falls as steeply) of the stars of the band `of` where they are
/// taken for cosmic rays: its peaks are those of `other` too. `step`, whole pixels, leads from band to other.
pub(super) fn undersampled(of: &TooSharp, other: &TooSharp, step: (isize, isize), width: usize) -> Option<f64> {
    if of.peaks.len() < SHARED || other.pixels.len() < SHARED {
        return None;
    }
    let there = |i: usize| {
        let at = i as isize + step.1 * width as isize + step.0;
        (-1..=1).any(|dy| {
            let first = at + dy * width as isize - 1;
            let range = first.max(0) as usize..(first + 3).max(0) as usize;
            other.pixels.range(range).next().is_some()
        })
    };
    let mut shared: Vec<f64> = of.peaks.iter().filter(|p| there(p.0)).map(|p| f64::from(p.1)).collect();
    if shared.len() < SHARED || (shared.len() as f64) < SHARED_SHARE * of.peaks.len() as f64 {
        return None;
    }
    let fall = median(&mut shared)?.clamp(1e-3, 0.9);
    Some((-4.0 * std::f64::consts::LN_2 / fall.ln()).sqrt())
}

struct Judge<'a> {
    pixels: &'a Plane<f32>,
    bits: &'a Plane<u8>,
    sky_variance: f32,
    per_flux: f32,
}

impl Judge<'_> {
    /// Usable pixels above `value`, away from the rim.
    fn above(&self, value: f32) -> Vec<usize> {
        let (width, height) = (self.pixels.width(), self.pixels.height());
        let mut found = Vec::new();
        for y in RIM_PX.min(height)..height.saturating_sub(RIM_PX) {
            for x in RIM_PX..width.saturating_sub(RIM_PX) {
                if self.pixels.at(x, y) > value && self.bits.at(x, y) & mask::UNUSABLE == 0 {
                    found.push(y * width + x);
                }
            }
        }
        found
    }

    /// Whether a saturated pixel lies within 8 px of pixel `i`: that spoils the shape around it.
    fn is_near_saturation(&self, i: usize) -> bool {
        let (width, height) = (self.bits.width(), self.bits.height());
        let (x, y) = (i % width, i / width);
        let columns = x.saturating_sub(RIM_PX)..(x + RIM_PX + 1).min(width);
        (y.saturating_sub(RIM_PX)..(y + RIM_PX + 1).min(height))
            .any(|y| self.bits.row(y)[columns.clone()].iter().any(|m| m & mask::SAT != 0))
    }

    /// Median of the 5x5 pixels about pixel `i`.
    fn surroundings(&self, i: usize) -> f32 {
        let (width, height) = (self.pixels.width(), self.pixels.height());
        let (x, y) = ((i % width).clamp(2, width - 3), (i / width).clamp(2, height - 3));
        let mut near = [0.0; 25];
        for (k, five) in near.chunks_exact_mut(5).enumerate() {
            five.copy_from_slice(&self.pixels.row(y + k - 2)[x - 2..x + 3]);
        }
        *near.select_nth_unstable_by(12, f32::total_cmp).1
    }

    /// Mean of the two neighbours of pixel `i` on an axis over the pixel; `None` where one is unusable.
    fn pair(&self, i: usize, (dx, dy, _): (isize, isize, bool)) -> Option<f32> {
        let step = dx + dy * self.pixels.width() as isize;
        let [a, b] = [i as isize + step, i as isize - step];
        let usable = |j: isize| {
            let bits = *self.bits.pixels().get(usize::try_from(j).ok()?)?;
            (bits & mask::UNUSABLE == 0).then(|| self.pixels.pixels()[j as usize])
        };
        Some(0.5 * (usable(a)? + usable(b)?))
    }

    /// The frame's own PSF's fall, from its bright peaks: the sharpest are its stars.
    fn fall(&self, bright: &[usize], sigma: f32) -> Fall {
        let (mut side, mut diagonal) = (Vec::new(), Vec::new());
        for &i in bright.iter().filter(|&&i| self.pixels.pixels()[i] > 50.0 * sigma) {
            let peak = self.pixels.pixels()[i];
            let [Some(a), Some(b), Some(c), Some(d)] = AXES.map(|axis| self.pair(i, axis)) else { continue };
            let (s, t) = (a.min(b) / peak, c.min(d) / peak);
            // A peak has every axis below itself; what is sharper than any PSF tells nothing of this one.
            if a.max(b).max(c).max(d) < peak && s > Fall::SHARPEST.side && t > Fall::SHARPEST.diagonal {
                side.push(s);
                diagonal.push(t);
            }
        }
        const ENOUGH: usize = 20;
        if side.len() < ENOUGH {
            return Fall::SHARPEST;
        }
        let tenth = side.len() / 10;
        let low = |v: &mut [f32]| *v.select_nth_unstable_by(tenth, f32::total_cmp).1;
        Fall { side: low(&mut side), diagonal: low(&mut diagonal) }
    }

    fn is_too_sharp(&self, i: usize, fall: Fall, criterion: Criterion) -> bool {
        let value = self.pixels.pixels()[i];
        if self.bits.pixels()[i] & mask::UNUSABLE != 0 {
            return false;
        }
        let sharp = AXES.iter().any(|&axis| {
            let Some(mean) = self.pair(i, axis) else { return false };
            let fall = criterion.share * if axis.2 { fall.diagonal } else { fall.side };
            let own = self.sky_variance + self.per_flux * value.max(0.0);
            let pair = 0.5 * (self.sky_variance + self.per_flux * mean.max(0.0));
            fall * value - mean > criterion.by_sigma * (fall * fall * own + pair).sqrt()
        });
        sharp && !self.is_near_saturation(i) && value > ALONE * self.surroundings(i)
    }
}
