//! How true a frame's world coordinates are, by what its bands say against each other.
//!
//! Each band has a solution of its own. Where it puts the frame's stars, against where the reference band's puts them, is
//! off by d_b, the reference band's own d being 0. If the errors of the n solutions are independent and alike, of s in each
//! direction, then
//!
//! ```text
//! s^2 = sum_b |d_b - mean d|^2 / 2 (n - 1) - mean e_b^2
//! ```
//!
//! is unbiased, e_b being the standard error of d_b by the stars' own scatter. With five bands one frame knows s to a
//! quarter.
//!
//! What this cannot see is what all bands share: the reference catalogue's own error, refraction that moves them alike, one
//! solution copied to all. A survey that knows better says so (`typical.astrometric_error_arcsec`). Nor does it see how the
//! error changes over the frame.

use crate::frame::{BANDS, PerBand};
use crate::preprocess::Prepared;
use crate::psf::PsfQuality;
use crate::survey::Survey;

/// Standard error of the reference band's coordinates in each direction on the sky, deg: the survey's word, or what the
/// bands' stars say; 0 where there is neither.
pub(crate) fn error_deg(prepared: &Prepared, survey: &Survey, quality: &PerBand<PsfQuality>) -> f64 {
    if let Some(known) = survey.profile().typical.astrometric_error_arcsec {
        return known / 3600.0;
    }
    let seen: Vec<Offset> = (0..BANDS).filter_map(|b| Offset::of(prepared, b, &quality[b])).collect();
    spread(&seen).unwrap_or(0.0)
}

/// How far a band's stars are from where the reference band's coordinates put them, along ra (on the sky) and dec.
#[derive(Clone, Copy, Debug)]
struct Offset {
    deg: [f64; 2],
    error_deg: f64,
}

impl Offset {
    /// `None` of a band without stars.
    fn of(prepared: &Prepared, band: usize, quality: &PsfQuality) -> Option<Self> {
        let [dx, dy] = quality.registration_offset_px;
        let (x, y) = (prepared.frame.width() as f64 / 2.0, prepared.frame.height() as f64 / 2.0);
        let wcs = &prepared.frame.bands[band].wcs;
        let ((ra, dec), (to_ra, to_dec)) = (wcs.pixel_to_sky(x, y)?, wcs.pixel_to_sky(x + dx, y + dy)?);
        let across = (to_ra - ra + 540.0).rem_euclid(360.0) - 180.0;
        let error_deg = quality.registration_offset_error_px * prepared.pixel_scale_arcsec / 3600.0;
        let offset = Self { deg: [across * dec.to_radians().cos(), to_dec - dec], error_deg };
        offset.deg.iter().chain([&error_deg]).all(|v| v.is_finite()).then_some(offset)
    }
}

/// s of the module's formula; `None` of fewer than two bands.
fn spread(bands: &[Offset]) -> Option<f64> {
    let n = bands.len() as f64;
    if bands.len() < 2 {
        return None;
    }
    let mean = [0, 1].map(|axis| bands.iter().map(|b| b.deg[axis]).sum::<f64>() / n);
    let squares: f64 = bands.iter().flat_map(|b| [0, 1].map(|axis| (b.deg[axis] - mean[axis]).powi(2))).sum();
    let noise = bands.iter().map(|b| b.error_deg.powi(2)).sum::<f64>() / n;
    Some((squares / (2.0 * (n - 1.0)) - noise).max(0.0).sqrt())
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use rand_distr::StandardNormal;

    use super::*;

    /// 2,000 frames of five solutions that are off by 3 in each direction and whose stars know it to 1: each band is
    /// seen against the reference band's, whose own offset is 0 without error.
    #[test]
    fn independent_solutions_give_the_error_of_one() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let mut normal = |sigma: f64| sigma * random.sample::<f64, _>(StandardNormal);
        let mut frame = || {
            let reference = [normal(3.0), normal(3.0)];
            let mut bands = vec![Offset { deg: [0.0; 2], error_deg: 0.0 }];
            bands.extend(
                (0..4).map(|_| Offset { deg: reference.map(|off| normal(3.0) - off + normal(1.0)), error_deg: 1.0 }),
            );
            spread(&bands).unwrap().powi(2)
        };
        let mean = (0..2000).map(|_| frame()).sum::<f64>() / 2000.0;
        assert!((mean.sqrt() / 3.0 - 1.0).abs() < 0.03, "{}", mean.sqrt());
    }

    #[test]
    fn one_band_alone_says_nothing_and_bands_that_agree_say_none() {
        let here = Offset { deg: [1.0, 2.0], error_deg: 0.1 };
        assert!(spread(&[]).is_none() && spread(&[here]).is_none());
        assert_eq!(spread(&[here; 5]), Some(0.0));
    }
}
