//! Drift: is what comes still what the model was made for?
//!
//! A bundle says what its training frames were like ([`Expected`]), measured on them by the same program that serves:
//! the seeing, the noise and the sky of each band, and how the objects share out over the probability of being a star:
//! the mixture as it is published. (A shift of the nets' latents that profiles and colours outvote is not in it.)
//! [`Watch`] holds the frames of the last hour and of the last night against that.
//!
//! *Distance.* Of seeing (as its logarithm), noise (the same) and sky: how many standard deviations of the training frames
//! the window's mean is off, in the band where that is most. Of the mixture: the Jensen-Shannon distance between the
//! window's histogram and the training frames', 0 for equal ones, 1 for ones without overlap.
//!
//! *Threshold*, learned from the training frames too. If frames still come from the population of which n were seen, one more
//! is off by t s sqrt(1 + 1/n), t being Student's with n - 1 degrees of freedom: the threshold is where one frame in
//! [`FALSE_ALARMS`] would be off by chance, in a band. A window's mean is off less often than a frame, a window of
//! fewer than [`SEEN_MIN`] frames says nothing, and an alert waits for it to last. Few training frames so make a wide
//! threshold, not a false alarm: of the seeing's deviations 4.4 for 6 frames, 3.0 for 20. For the mixture it is the
//! same, with the logarithms of each training frame's distance from all the others.

mod watch;

pub use watch::{Found, WINDOWS, Watch};

use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, StudentsT};

use crate::frame::{BANDS, PerBand};

/// One frame in so many is off by chance.
pub const FALSE_ALARMS: f64 = 100.0;
/// Fewest frames to learn from.
pub const FRAMES_MIN: usize = 3;
/// Fewest frames of a window: one odd one is no drift.
pub const SEEN_MIN: usize = 3;
/// Frames agree no better than this: of logarithms, and of the sky relative to its mean.
const DEVIATION_MIN: f64 = 0.02;
/// Upper edges of the mixture's bins, of the probability of being a star.
const EDGES: [f32; BINS - 1] = [0.02, 0.1, 0.3, 0.7, 0.9, 0.98];
const BINS: usize = 7;

/// A quantity of frames that is compared with the training frames'.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// Width of the PSF.
    Fwhm,
    /// Noise of a sky pixel.
    Noise,
    /// Level of the sky.
    Sky,
    /// How objects share out over the probability of being a star.
    Mixture,
}

impl Input {
    /// All quantities, in the order in which they are reported.
    pub const ALL: [Self; 4] = [Self::Fwhm, Self::Noise, Self::Sky, Self::Mixture];

    /// Its name in metrics and on the page.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fwhm => "fwhm",
            Self::Noise => "noise",
            Self::Sky => "sky",
            Self::Mixture => "mixture",
        }
    }
}

/// Objects by their probability of being a star.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StarProbHistogram([u32; BINS]);

impl StarProbHistogram {
    /// Of objects of a reference-band magnitude and a probability; those between `mag` count, which are bright enough that
    /// the nets tell them.
    pub fn of(objects: impl IntoIterator<Item = (f32, f32)>, mag: [f64; 2]) -> Self {
        let [brightest, faintest] = mag.map(|mag| mag as f32);
        let mut counts = [0; BINS];
        for (_, p) in objects.into_iter().filter(|(mag, _)| *mag > brightest && *mag < faintest) {
            counts[EDGES.iter().filter(|&&edge| p >= edge).count()] += 1;
        }
        Self(counts)
    }

    fn add(mut self, other: &Self) -> Self {
        self.0.iter_mut().zip(other.0).for_each(|(a, b)| *a += b);
        self
    }

    /// Shares of the bins, which sum to 1; `None` without objects.
    fn shares(&self) -> Option<[f64; BINS]> {
        let all: u32 = self.0.iter().sum();
        (all > 0).then(|| self.0.map(|n| f64::from(n) / f64::from(all)))
    }
}

/// What a frame was like. What could not be measured is NaN.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FrameFacts {
    /// Full width at half maximum of the PSF, arcsec.
    pub fwhm_arcsec: PerBand<f64>,
    /// Noise of a sky pixel, nMgy.
    pub sky_sigma_nmgy: PerBand<f64>,
    /// Sky, nMgy a pixel.
    pub sky_nmgy: PerBand<f64>,
    /// Its classified objects by probability of being a star.
    pub mixture: StarProbHistogram,
}

impl FrameFacts {
    /// What is compared: of each band.
    fn values(&self, input: Input) -> PerBand<f64> {
        match input {
            Input::Fwhm => self.fwhm_arcsec.map(f64::ln),
            Input::Noise => self.sky_sigma_nmgy.map(f64::ln),
            Input::Sky => self.sky_nmgy,
            Input::Mixture => [f64::NAN; BANDS],
        }
    }
}

/// Mean and scatter of a quantity over the training frames.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spread {
    /// Mean over the training frames, in the quantity's unit.
    pub mean: f64,
    /// Standard deviation over the training frames, in the quantity's unit; infinite where none of them has the band,
    /// of which nothing is expected then.
    pub deviation: f64,
}

/// What the training frames were like, and how far others may be off.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// Training frames that were measured.
    pub frames: usize,
    /// Largest distance of seeing, noise and sky, standard deviations.
    pub threshold_sigma: f64,
    /// Largest distance of the mixture.
    pub threshold_mixture: f64,
    /// Logarithm of the PSF's width in arcsec, by band.
    pub ln_fwhm: PerBand<Spread>,
    /// Logarithm of the noise in nMgy, by band.
    pub ln_noise: PerBand<Spread>,
    /// Sky in nMgy, by band.
    pub sky: PerBand<Spread>,
    /// Shares of objects in the bins of the probability of being a star.
    pub mixture: [f64; BINS],
}

/// Frames from which nothing can be learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoExpectation {
    /// Their scatter cannot be told.
    #[error("{0} frames are too few to tell how frames differ: give at least {FRAMES_MIN}")]
    TooFew(usize),
    /// Without them there is no mixture.
    #[error("a frame has no objects of the survey's magnitudes.drift that have a class")]
    NoObjects,
    /// Something could not be measured in any two frames.
    #[error("{} cannot be measured in band {band} of two frames", input.name())]
    Unmeasured {
        /// The quantity that could not be measured.
        input: Input,
        /// Index of the band, from 0.
        band: usize,
    },
}

impl Expected {
    /// From the training frames.
    ///
    /// # Errors
    /// [`NoExpectation`]
    pub fn learn(frames: &[FrameFacts]) -> Result<Self, NoExpectation> {
        let n = frames.len();
        if n < FRAMES_MIN {
            return Err(NoExpectation::TooFew(n));
        }
        let spread = |input: Input| -> Result<PerBand<Spread>, NoExpectation> {
            let mut of_bands = [Spread { mean: 0.0, deviation: 1.0 }; BANDS];
            for (band, of_band) in of_bands.iter_mut().enumerate() {
                if frames.iter().all(|f| !f.sky_sigma_nmgy[band].is_finite()) {
                    *of_band = Spread { mean: 0.0, deviation: f64::INFINITY };
                    continue;
                }
                let values: Vec<f64> = frames.iter().map(|f| f.values(input)[band]).filter(|v| v.is_finite()).collect();
                let Spread { mean, deviation } = spread(&values).ok_or(NoExpectation::Unmeasured { input, band })?;
                let least = if input == Input::Sky { DEVIATION_MIN * mean.abs() } else { DEVIATION_MIN };
                // A sky that is nowhere anything has no scale of its own.
                let least = if least > 0.0 { least } else { f64::MIN_POSITIVE };
                *of_band = Spread { mean, deviation: deviation.max(least) };
            }
            Ok(of_bands)
        };
        let shares: Option<Vec<_>> = frames.iter().map(|f| f.mixture.shares()).collect();
        let shares = shares.ok_or(NoExpectation::NoObjects)?;
        let others = |k: usize| {
            let rest = frames.iter().enumerate().filter(|(i, _)| *i != k).map(|(_, f)| &f.mixture);
            rest.fold(StarProbHistogram::default(), StarProbHistogram::add).shares()
        };
        let apart = |k: usize| Some(jensen_shannon(&shares[k], &others(k)?).max(DEVIATION_MIN).ln());
        let apart: Option<Vec<f64>> = (0..n).map(apart).collect();
        let ln_apart = spread_of_all(&apart.ok_or(NoExpectation::NoObjects)?);
        let all = frames.iter().map(|f| &f.mixture).fold(StarProbHistogram::default(), StarProbHistogram::add);
        let once = 1.0 / FALSE_ALARMS;
        Ok(Self {
            frames: n,
            threshold_sigma: one_more(n, once / 2.0), // either way
            threshold_mixture: (ln_apart.mean + one_more(n, once) * ln_apart.deviation).exp().min(1.0),
            ln_fwhm: spread(Input::Fwhm)?,
            ln_noise: spread(Input::Noise)?,
            sky: spread(Input::Sky)?,
            mixture: all.shares().ok_or(NoExpectation::NoObjects)?,
        })
    }

    /// Beyond which distance an input has drifted.
    pub fn threshold(&self, input: Input) -> f64 {
        if input == Input::Mixture { self.threshold_mixture } else { self.threshold_sigma }
    }

    /// How far these frames are off; `None` where nothing was measured.
    fn distance<'a>(&self, input: Input, frames: impl Iterator<Item = &'a FrameFacts>) -> Option<f64> {
        let known = match input {
            Input::Fwhm => &self.ln_fwhm,
            Input::Noise => &self.ln_noise,
            Input::Sky => &self.sky,
            Input::Mixture => {
                let all = frames.map(|f| &f.mixture).fold(StarProbHistogram::default(), StarProbHistogram::add);
                return Some(jensen_shannon(&all.shares()?, &self.mixture));
            }
        };
        let (mut sums, mut counts) = ([0.0; BANDS], [0.0; BANDS]);
        for facts in frames {
            for (band, value) in facts.values(input).into_iter().enumerate().filter(|(_, v)| v.is_finite()) {
                sums[band] += value;
                counts[band] += 1.0;
            }
        }
        let bands = (0..BANDS).filter(|&b| counts[b] > 0.0);
        bands.map(|b| (sums[b] / counts[b] - known[b].mean).abs() / known[b].deviation).reduce(f64::max)
    }
}

/// Mean and standard deviation; `None` of fewer than two.
fn spread(values: &[f64]) -> Option<Spread> {
    (values.len() > 1).then(|| spread_of_all(values))
}

fn spread_of_all(values: &[f64]) -> Spread {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let deviation = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
    Spread { mean, deviation }
}

/// By how many standard deviations of n values one more exceeds their mean with this probability.
fn one_more(n: usize, probability: f64) -> f64 {
    let n = n as f64;
    let student = StudentsT::new(0.0, 1.0, n - 1.0).expect("at least three frames leave two degrees of freedom");
    student.inverse_cdf(1.0 - probability) * (1.0 + 1.0 / n).sqrt()
}

/// The distance of two distributions: the root of the Jensen-Shannon divergence in bits, 0 to 1.
fn jensen_shannon(a: &[f64; BINS], b: &[f64; BINS]) -> f64 {
    let from = |p: f64, m: f64| if p > 0.0 { p * (p / m).log2() } else { 0.0 };
    let sum: f64 = a.iter().zip(b).map(|(&p, &q)| from(p, (p + q) / 2.0) + from(q, (p + q) / 2.0)).sum();
    (sum / 2.0).max(0.0).sqrt()
}

#[cfg(test)]
mod tests;
