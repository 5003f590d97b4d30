//! From light to a calibrated frame: photons, read-out, whole DN, sky taken off, nMgy.

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Poisson, StandardNormal};
use rayon::prelude::*;

use super::conditions::BandConditions;
use super::spec::{Cores, Spec};
use super::streams::{Purpose, stream};
use super::{cores, defects};
use twinpeak_core::frame::{Plane, mask};
use twinpeak_core::survey::Survey;

/// A full well scatters about its brim: from this share of it on a pixel counts as full.
const FULL: f32 = 0.99;

/// A band as the survey's pipeline leaves it.
pub(super) struct Exposed {
    /// nMgy.
    pub pixels: Plane<f32>,
    /// What is wrong with each pixel.
    pub bits: Plane<u8>,
    /// Variance of each pixel's sky, read-out and, where the survey's own variances have them, sources, nMgy^2.
    pub variance: Plane<f32>,
}

/// Exposes the noiseless `light` (nMgy) in band `b` and reduces it as the survey does.
pub(super) fn expose(light: Plane<f32>, spec: &Spec, survey: &Survey, band: &BandConditions, b: usize) -> Exposed {
    let mut rng = stream(spec, Purpose::Defects, b, 0);
    let sigma_dn = band.sky_sigma_nmgy() / band.nmgy_per_dn;
    let columns = defects::bad_columns(&mut rng, spec, sigma_dn);
    let hits = defects::cosmic_rays(&mut rng, spec, band.gain_e_per_dn);
    let full_well_dn = survey.profile().saturation.full_well_dn as f32;
    let width = light.width();
    let with_sources = survey.profile().weight.as_ref().is_none_or(|weight| weight.includes_sources);
    let mut bits = Plane::filled(width, light.height(), 0);
    let mut variance = Plane::filled(width, light.height(), 0f32);

    let mut dn = light;
    let sky = Sky { band, half: [0.5 * spec.width as f64, 0.5 * spec.height as f64] };
    dn.pixels_mut().par_chunks_mut(width).enumerate().for_each(|(y, row)| {
        for (x, pixel) in row.iter_mut().enumerate() {
            *pixel = (f64::from(*pixel) / band.nmgy_per_dn + sky.true_dn(x, y)) as f32;
        }
    });
    for c in &columns {
        for y in c.rows[0]..c.rows[1] {
            let value = f64::from(dn.at(c.x, y)) * c.response + c.extra_dn;
            dn.set(c.x, y, value as f32);
            bits.set(c.x, y, mask::BAD);
        }
    }
    defects::bleed(&mut dn, full_well_dn);

    // A count that is more than the noise is a unit of flux, and no step of a converter: pixels of coadds are not whole.
    let whole = |dn: f64| if sigma_dn > 1.0 { dn.round() } else { dn };
    let per_dn2 = band.nmgy_per_dn * band.nmgy_per_dn;
    let rows = dn.pixels_mut().par_chunks_mut(width).zip(variance.pixels_mut().par_chunks_mut(width));
    rows.enumerate().for_each(|(y, (row, variance))| {
        let mut rng = stream(spec, Purpose::Noise, b, y as u64);
        let read_noise_dn = band.dark_variance_dn2.max(0.0).sqrt();
        for (x, (pixel, variance)) in row.iter_mut().zip(variance).enumerate() {
            let photons_dn = if with_sources { f64::from(*pixel).max(0.0) } else { sky.true_dn(x, y) };
            *variance = (per_dn2 * (photons_dn / band.gain_e_per_dn + band.dark_variance_dn2)) as f32;
            let electrons = photons(&mut rng, f64::from(*pixel) * band.gain_e_per_dn);
            let read = read_noise_dn * rng.sample::<f64, _>(StandardNormal);
            *pixel = whole(electrons / band.gain_e_per_dn + read) as f32;
        }
    });
    for &(x, y, hit_dn) in &hits {
        dn.set(x, y, dn.at(x, y) + whole(f64::from(hit_dn)) as f32);
        bits.set(x, y, bits.at(x, y) | mask::BAD);
    }
    if spec.artefacts.cores == Cores::Replaced {
        let mut rng = stream(spec, Purpose::Cores, b, 0);
        cores::replace(&mut dn, &mut bits, FULL * full_well_dn, &mut rng);
    }
    let rows = dn.pixels_mut().par_chunks_mut(width).zip(bits.pixels_mut().par_chunks_mut(width));
    rows.enumerate().for_each(|(y, (row, bits))| {
        for (x, (pixel, bits)) in row.iter_mut().zip(bits).enumerate() {
            *bits = if *pixel >= FULL * full_well_dn { mask::SAT } else { *bits };
            let counted = f64::from(pixel.min(full_well_dn));
            let flux = (counted - sky.estimated_dn(x, y)) * band.nmgy_per_dn;
            *pixel = rounded(flux as f32, spec.significant_bits);
        }
    });
    Exposed { pixels: dn, bits, variance }
}

/// `value` to the nearest number of `bits` significant binary digits.
fn rounded(value: f32, bits: u32) -> f32 {
    let dropped = f32::MANTISSA_DIGITS.saturating_sub(bits);
    let half = (1u32 << dropped) >> 1;
    f32::from_bits((value.to_bits() + half) & (u32::MAX << dropped))
}

/// The sky over the field: what it is and what the survey takes it for.
struct Sky<'a> {
    band: &'a BandConditions,
    half: [f64; 2],
}

impl Sky<'_> {
    fn true_dn(&self, x: usize, y: usize) -> f64 {
        let [u, v] = self.place(x, y);
        self.band.sky_dn * (1.0 + self.band.sky_gradient[0] * u + self.band.sky_gradient[1] * v)
    }

    fn estimated_dn(&self, x: usize, y: usize) -> f64 {
        let [u, v] = self.place(x, y);
        let [a, b, c] = self.band.residual_dn;
        self.true_dn(x, y) - (a * u + b * v + c * u * v)
    }

    fn place(&self, x: usize, y: usize) -> [f64; 2] {
        [x as f64 / self.half[0] - 1.0, y as f64 / self.half[1] - 1.0]
    }
}

/// Above this mean a skewed normal deviate (the first term of Cornish and Fisher's expansion), rounded, is a
/// Poisson deviate to .2 % of its deviation.
const MANY: f64 = 32.0;

/// A number of photons, drawn from Poisson's law of this mean.
fn photons(rng: &mut ChaCha8Rng, mean: f64) -> f64 {
    if mean > MANY {
        let z: f64 = rng.sample(StandardNormal);
        (mean + mean.sqrt() * z + (z * z - 1.0) / 6.0).round()
    } else {
        Poisson::new(mean).map_or(0.0, |p| p.sample(rng))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_keeps_significant_digits() {
        assert_eq!([rounded(-1.01, 4), rounded(15.6, 4), rounded(0.3, 24)], [-1.0, 16.0, 0.3]);
        assert!((rounded(0.123_456, 10) / 0.123_456 - 1.0).abs() < 1.0 / 1024.0);
    }

    #[test]
    fn photons_are_poisson() {
        let mut rng = stream(&Spec::default(), Purpose::Noise, 0, 0);
        for mean in [0.5, 20.0, 33.0, 700.0] {
            let n = 400_000;
            let draws: Vec<f64> = (0..n).map(|_| photons(&mut rng, mean)).collect();
            let average = draws.iter().sum::<f64>() / f64::from(n);
            let moment = |p| draws.iter().map(|d| (d - average).powi(p)).sum::<f64>() / f64::from(n);
            let (variance, skew) = (moment(2), moment(3) / moment(2).powf(1.5));
            assert!((average - mean).abs() < 5.0 * (mean / f64::from(n)).sqrt(), "{mean}: mean {average}");
            assert!((variance / mean - 1.0).abs() < 0.02, "{mean}: variance {variance}");
            assert!((skew - mean.powf(-0.5)).abs() < 0.03, "{mean}: skew {skew}");
        }
    }
}
