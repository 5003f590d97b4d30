//! Whether what a band says of itself can be true: its noise is that of its own sky, and its pixels are its own.

use std::fmt;

use super::Sky;
use super::dead::Allowed;
use crate::frame::{Band, Plane, mask};
use crate::median::upper_median;
use crate::survey::{Survey, nmgy_of_mag};

/// A frame is refused whose noise contradicts gain and zero point by more than this factor.
pub const NOISE_FACTOR: f64 = 2.0;
/// How far the sky may be from the survey's typical one, where the frame does not tell: a full moon's, mag.
pub const SKY_RANGE_MAG: f64 = 2.0;
/// A sky that is brighter than the survey's typical one by more than this is none, mag: twilight, or a wrong zero point.
pub const BRIGHTEST_MAG: f64 = 3.0;
/// Bands whose noise has a higher correlation were not exposed one by one.
const SAME_PIXELS: f64 = 0.5;
/// Pixels that are compared, about.
const COMPARED: usize = 40_000;

/// What a band and its survey say of its sky and detector, fluxes in nMgy a pixel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SkyFacts {
    /// Noise of one pixel, measured.
    pub sigma_nmgy: f64,
    /// Level that is still in the pixels; it may hold a pedestal besides sky.
    pub level_nmgy: f64,
    /// The sky that was subtracted before, where that is known.
    pub removed_nmgy: Option<f64>,
    /// Whether the survey leaves the sky in its pixels: the level is then sky and nothing else.
    pub sky_left_in: bool,
    /// The survey's typical sky.
    pub typical_nmgy: f64,
    /// Flux of one count.
    pub nmgy_per_dn: f64,
    /// Electrons a count.
    pub gain_e_per_dn: f64,
    /// Variance of read noise and dark current, DN^2.
    pub dark_variance_dn2: f64,
}

impl SkyFacts {
    /// Of band `b`, whose `sky` was measured.
    pub fn of(band: &Band, b: usize, sky: &Sky, survey: &Survey) -> Self {
        let profile = survey.profile();
        let typical = nmgy_of_mag(profile.typical.sky_mag_arcsec2[b]) * profile.pixel_scale_arcsec.powi(2);
        Self {
            sigma_nmgy: f64::from(sky.sigma_nmgy),
            level_nmgy: f64::from(sky.level_nmgy),
            removed_nmgy: band.removed_sky_nmgy,
            sky_left_in: profile.image.sky_left_in,
            typical_nmgy: typical,
            nmgy_per_dn: band.nmgy_per_dn,
            gain_e_per_dn: band.gain_e_per_dn,
            dark_variance_dn2: band.dark_variance_dn2,
        }
    }
}

/// What is known of a band's sky, nMgy a pixel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum KnownSky {
    /// So much was subtracted before.
    Removed(f64),
    /// So much is in the pixels.
    LeftIn(f64),
    /// Nothing but what is typical of the survey.
    Typical,
}

impl fmt::Display for KnownSky {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Removed(sky) => write!(f, "the {sky:.3} nMgy of sky that were subtracted"),
            Self::LeftIn(sky) => write!(f, "the {sky:.3} nMgy of sky in its pixels"),
            Self::Typical => write!(f, "the survey's typical sky, +-{SKY_RANGE_MAG} mag"),
        }
    }
}

impl SkyFacts {
    /// Which sky the noise is held against.
    pub fn known(&self) -> KnownSky {
        match self.removed_nmgy {
            _ if self.sky_left_in => KnownSky::LeftIn(self.level_nmgy),
            Some(removed) => KnownSky::Removed(removed),
            None => KnownSky::Typical,
        }
    }
}

/// The noise that gain and zero point allow, and what was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NoiseAgainstGain {
    /// Noise over the nearest that is allowed: 1 within, below 1 too little, above 1 too much.
    pub ratio: f64,
    /// Least noise that is allowed, nMgy.
    pub least_nmgy: f64,
    /// Most noise that is allowed, nMgy.
    pub most_nmgy: f64,
}

impl NoiseAgainstGain {
    /// Whether the factor is within [`NOISE_FACTOR`].
    pub fn is_plausible(&self) -> bool {
        (1.0 / NOISE_FACTOR..=NOISE_FACTOR).contains(&self.ratio)
    }
}

/// Holds a sky's noise against the Poisson noise of its electrons and the detector's own. Where the survey leaves its sky
/// in the pixels, that is the sky, and it must be a sky: at most [`BRIGHTEST_MAG`] brighter or fainter than the typical one,
/// which also tells a zero point that is consistent and wrong. Else, where the frame tells what sky was removed, that and
/// what is left decide; else the typical sky, [`SKY_RANGE_MAG`] brighter or fainter. A pedestal adds to the level and not
/// to the noise, so what is left only allows more there.
///
/// ```
/// use twinpeak_core::preprocess::plausible::{SkyFacts, noise_against_gain};
/// // 120 DN of sky at 4 e/DN: 5.5 DN of noise.
/// let facts = SkyFacts {
///     sigma_nmgy: 0.0275, level_nmgy: 0.0, removed_nmgy: Some(0.6), typical_nmgy: 0.7,
///     nmgy_per_dn: 0.005, gain_e_per_dn: 4.0, dark_variance_dn2: 1.0, sky_left_in: false,
/// };
/// assert!((noise_against_gain(&facts).ratio - 1.0).abs() < 0.02);
/// // The same pixels with a calibration that is a hundred times too large.
/// let wrong = SkyFacts { nmgy_per_dn: 0.5, removed_nmgy: Some(60.0), ..facts };
/// assert!(noise_against_gain(&wrong).ratio < 0.02);
/// ```
pub fn noise_against_gain(facts: &SkyFacts) -> NoiseAgainstGain {
    let range = 10f64.powf(0.4 * SKY_RANGE_MAG);
    let brightest = facts.typical_nmgy * 10f64.powf(0.4 * BRIGHTEST_MAG);
    let left = facts.level_nmgy.clamp(0.0, brightest);
    let (least, most) = match facts.removed_nmgy {
        removed if facts.sky_left_in => {
            let faintest = facts.typical_nmgy / 10f64.powf(0.4 * BRIGHTEST_MAG);
            let sky = (left + removed.unwrap_or(0.0)).clamp(faintest, brightest);
            (sky, sky)
        }
        Some(removed) => (removed.max(0.0), removed.max(0.0) + left),
        None => (facts.typical_nmgy / range, facts.typical_nmgy * range + left),
    };
    let noise = |sky_nmgy: f64| {
        let electrons_dn2 = sky_nmgy / facts.nmgy_per_dn / facts.gain_e_per_dn;
        facts.nmgy_per_dn * (electrons_dn2 + facts.dark_variance_dn2).sqrt()
    };
    let (least_nmgy, most_nmgy) = (noise(least), noise(most));
    let ratio = if facts.sigma_nmgy > most_nmgy {
        facts.sigma_nmgy / most_nmgy
    } else if facts.sigma_nmgy < least_nmgy {
        facts.sigma_nmgy / least_nmgy
    } else {
        1.0
    };
    NoiseAgainstGain { ratio, least_nmgy, most_nmgy }
}

/// The noise that gain and zero point allow to a frame of this band, under the faintest and the brightest sky.
pub(super) fn allowed_noise(band: &Band, b: usize, survey: &Survey) -> Allowed {
    let facts = SkyFacts::of(band, b, &Sky::default(), survey);
    let noise = |facts: SkyFacts| noise_against_gain(&facts);
    let dark = facts.nmgy_per_dn * facts.dark_variance_dn2.max(0.0).sqrt();
    let least = noise(SkyFacts { removed_nmgy: None, sky_left_in: false, ..facts }).least_nmgy;
    let most = noise(SkyFacts { level_nmgy: f64::MAX, removed_nmgy: None, sky_left_in: true, ..facts }).most_nmgy;
    Allowed { dark: dark as f32, least: least as f32, most: most as f32 }
}

/// Noise of a pixel from the differences of neighbours, which structure in the sky does not reach; too low where the
/// noise is correlated. NaN without usable pixels.
pub(super) fn difference_sigma(pixels: &Plane<f32>, bits: &Plane<u8>) -> f64 {
    let mut steps = Vec::new();
    for y in (0..pixels.height()).step_by(3) {
        let row = pixels.row(y).windows(2).zip(bits.row(y).windows(2)).step_by(3);
        steps.extend(row.filter(|(_, m)| (m[0] | m[1]) & mask::UNUSABLE == 0).map(|(p, _)| (p[1] - p[0]).abs()));
    }
    upper_median(&mut steps, f32::total_cmp).map_or(f64::NAN, |m| 1.4826 * f64::from(m) / std::f64::consts::SQRT_2)
}

/// Steps from pixel to pixel in a band's sky, in sigma; 0 where there is none. The same places for all bands of a size.
#[derive(Clone, Debug, Default)]
pub(super) struct SkySteps {
    size: (usize, usize),
    steps: Vec<f32>,
}

impl SkySteps {
    /// Of a background-subtracted band.
    pub(super) fn of(pixels: &Plane<f32>, bits: &Plane<u8>, sigma: f32) -> Self {
        let (width, height) = (pixels.width(), pixels.height());
        let stride = ((width * height / COMPARED) as f64).sqrt().ceil().max(1.0) as usize;
        let is_sky = |p: f32, m: u8| m & mask::UNUSABLE == 0 && p.abs() < 2.0 * sigma;
        let mut steps = Vec::with_capacity(width * height / stride / stride + width + height);
        for y in (0..height).step_by(stride) {
            let row = pixels.row(y).windows(2).zip(bits.row(y).windows(2)).step_by(stride);
            steps.extend(row.map(
                |(p, m)| {
                    if is_sky(p[0], m[0]) && is_sky(p[1], m[1]) { (p[1] - p[0]) / sigma } else { 0.0 }
                },
            ));
        }
        Self { size: (width, height), steps }
    }

    /// Whether another band has this one's noise, whatever was added or multiplied.
    pub(super) fn are_those_of(&self, other: &Self) -> bool {
        self.size == other.size && self.correlation(other) > SAME_PIXELS
    }

    fn correlation(&self, other: &Self) -> f64 {
        let (mut along, mut own, mut others, mut n) = (0.0, 0.0, 0.0, 0);
        for (a, b) in self.steps.iter().zip(&other.steps).filter(|(a, b)| **a != 0.0 && **b != 0.0) {
            along += f64::from(a * b);
            own += f64::from(a * a);
            others += f64::from(b * b);
            n += 1;
        }
        const FEWEST: usize = 200;
        if n < FEWEST { 0.0 } else { along / (own * others).sqrt() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const R: SkyFacts = SkyFacts {
        sigma_nmgy: 0.0283,
        level_nmgy: 0.0,
        removed_nmgy: None,
        sky_left_in: false,
        typical_nmgy: 0.711,
        nmgy_per_dn: 0.0051,
        gain_e_per_dn: 4.72,
        dark_variance_dn2: 1.3225,
    };

    #[test]
    fn a_pedestal_is_no_contradiction_and_a_wrong_unit_is() {
        let ratio = |facts| noise_against_gain(&facts).ratio;
        assert_eq!(ratio(R), 1.0);
        assert_eq!(ratio(SkyFacts { level_nmgy: 5.0, ..R }), 1.0);
        // Twice the sky's light, and its noise.
        assert_eq!(ratio(SkyFacts { sigma_nmgy: 0.04, level_nmgy: 0.7, ..R }), 1.0);
        // Counts taken for nanomaggies, with and without their sky.
        for level_nmgy in [0.0, 100.0] {
            assert!(ratio(SkyFacts { sigma_nmgy: 4.7, level_nmgy, ..R }) > 10.0);
        }
        // Calibrations that are off by a hundred either way.
        assert!(ratio(SkyFacts { nmgy_per_dn: 0.51, ..R }) < 0.1);
        assert!(ratio(SkyFacts { nmgy_per_dn: 5.1e-5, ..R }) > NOISE_FACTOR);
        // Where the sky is known, a factor of ten is seen: the counts of the table are those of the frame.
        for (slip, low, high) in [(10.0, 0.0, 0.2), (0.1, 5.0, 20.0)] {
            let facts = SkyFacts { nmgy_per_dn: 0.0051 * slip, removed_nmgy: Some(0.7 * slip), ..R };
            assert!((low..high).contains(&ratio(facts)), "{}", ratio(facts));
        }
    }

    /// A survey that leaves its sky in knows it: a gain or a zero point is told that hides behind the typical sky's range.
    #[test]
    fn a_sky_that_is_left_in_tells_a_wrong_gain_and_a_wrong_zero_point() {
        let left = SkyFacts { sky_left_in: true, level_nmgy: 0.711, ..R };
        let ratio = |facts| noise_against_gain(&facts).ratio;
        assert!((ratio(left) - 1.0).abs() < 0.05, "{}", ratio(left));
        for (gain, noise) in [(5.0, 5f64.sqrt()), (0.2, 0.2f64.sqrt())] {
            let found = ratio(SkyFacts { gain_e_per_dn: gain * R.gain_e_per_dn, ..left });
            assert!((found / noise - 1.0).abs() < 0.15 && !(0.5..=2.0).contains(&found), "{gain}: {found}");
        }
        for scale in [90.0, 1.0 / 90.0] {
            // All fluxes are off by one factor, so that they agree with each other.
            let (sigma_nmgy, level_nmgy) = (scale * left.sigma_nmgy, scale * left.level_nmgy);
            let wrong = SkyFacts { sigma_nmgy, level_nmgy, nmgy_per_dn: scale * R.nmgy_per_dn, ..left };
            assert!(!(0.5..=2.0).contains(&ratio(wrong)), "{scale}: {}", ratio(wrong));
        }
    }

    #[test]
    fn only_a_copy_has_the_same_noise() {
        use rand::SeedableRng;
        use rand_distr::{Distribution, StandardNormal};
        let noise = |seed| {
            let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
            Plane::from_pixels(100, 80, (0..8000).map(|_| StandardNormal.sample(&mut rng)).collect::<Vec<f32>>())
        };
        let bits = Plane::filled(100, 80, 0);
        let [a, b] = [1, 2].map(noise);
        let twice = a.map(|p| 2.0 * p);
        let steps = |p: &Plane<f32>, sigma| SkySteps::of(p, &bits, sigma);
        assert!(!steps(&a, 1.0).are_those_of(&steps(&b, 1.0)));
        assert!(steps(&a, 1.0).are_those_of(&steps(&twice, 2.0)));
        assert!((difference_sigma(&a, &bits) - 1.0).abs() < 0.1);
    }
}
