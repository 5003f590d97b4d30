//! Drift: is what comes still what the model was made for?
//!
//! A bundle says what its training frames were like ([`Expected`]), measured on them by the same program that serves: the
//! seeing, the noise and the sky of each band, and how the objects share out over the probability of being a star: the
//! mixture as it is published. (A shift of the nets' latents that profiles and colours outvote is not in it.) [`Watch`]
//! holds the frames of the last hour and of the last night against that.
//!
//! *Distance.* Of seeing (as its logarithm), noise (the same) and sky: how many standard deviations of the training frames
//! the window's mean is off, in the band where that is most. Of the mixture: the Jensen-Shannon distance between the
//! window's histogram and the training frames', 0 for equal ones, 1 for ones without overlap.
//!
//! *Threshold*, learned from the training frames too. If frames still come from the population of which n were seen, one more
//! is off by t s sqrt(1 + 1/n), t being Student's with n - 1 degrees of freedom: the threshold is where one frame in
//! [`FALSE_ALARMS`] would be off by chance, in a band. A window's mean is off less often than a frame, a window of fewer than
//! [`SEEN_MIN`] frames says nothing, and an alert waits for it to last. Few training frames so make a wide threshold, not a false alarm: of the seeing's deviations 4.4 for 6 frames,
//! 3.0 for 20. For the mixture it is the same, with the logarithms of each training frame's distance from all the others.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, StudentsT};

use crate::frame::{BANDS, PerBand};

/// One frame in so many is off by chance.
pub const FALSE_ALARMS: f64 = 100.0;
/// Fewest frames to learn from.
pub const FRAMES_MIN: usize = 3;
/// Fewest frames of a window: one odd one is no drift.
pub const SEEN_MIN: usize = 3;
/// So many older frames one after another, and it was the newest whose date was wrong, or another night is looked at.
const OLDER_MAX: usize = 10;
/// Frames agree no better than this: of logarithms, and of the sky relative to its mean.
const DEVIATION_MIN: f64 = 0.02;
/// Upper edges of the mixture's bins, of the probability of being a star.
const EDGES: [f32; BINS - 1] = [0.02, 0.1, 0.3, 0.7, 0.9, 0.98];
const BINS: usize = 7;
/// Magnitudes of the objects that count in the mixture: bright enough that the nets tell them.
const MAG: (f32, f32) = (15.0, 21.0);
/// Days.
const WINDOWS: [(&str, f64); 2] = [("hour", 1.0 / 24.0), ("night", 0.5)];
/// Most frames that are remembered.
const FRAMES_MAX: usize = 50_000;

/// What is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// Width of the PSF.
    Fwhm,
    /// Noise of a sky pixel.
    Noise,
    /// Sky.
    Sky,
    /// How objects share out over the probability of being a star.
    Mixture,
}

impl Input {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Fwhm, Self::Noise, Self::Sky, Self::Mixture];

    /// As metrics say it.
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
pub struct Mixture([u32; BINS]);

impl Mixture {
    /// Of objects of a reference-band magnitude and a probability.
    pub fn of(objects: impl IntoIterator<Item = (f32, f32)>) -> Self {
        let mut counts = [0; BINS];
        for (_, p) in objects.into_iter().filter(|(mag, _)| *mag > MAG.0 && *mag < MAG.1) {
            counts[EDGES.iter().filter(|&&edge| p >= edge).count()] += 1;
        }
        Self(counts)
    }

    fn add(mut self, other: &Self) -> Self {
        self.0.iter_mut().zip(other.0).for_each(|(a, b)| *a += b);
        self
    }

    /// `None` without objects.
    fn shares(&self) -> Option<[f64; BINS]> {
        let all: u32 = self.0.iter().sum();
        (all > 0).then(|| self.0.map(|n| f64::from(n) / f64::from(all)))
    }
}

/// What a frame was like. What could not be measured is NaN.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Facts {
    /// Full width at half maximum of the PSF, arcsec.
    pub fwhm_arcsec: PerBand<f64>,
    /// Noise of a sky pixel, nMgy.
    pub sky_sigma_nmgy: PerBand<f64>,
    /// Sky, nMgy a pixel.
    pub sky_nmgy: PerBand<f64>,
    /// Its objects.
    pub mixture: Mixture,
}

impl Facts {
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

/// A quantity over the training frames.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spread {
    /// Mean.
    pub mean: f64,
    /// Standard deviation.
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
    #[error("a frame has no objects between magnitudes {} and {} that have a class", MAG.0, MAG.1)]
    NoObjects,
    /// Something could not be measured in any two frames.
    #[error("{} cannot be measured in band {band} of two frames", input.name())]
    Unmeasured {
        /// What.
        input: Input,
        /// Which band, from 0.
        band: usize,
    },
}

impl Expected {
    /// From the training frames.
    ///
    /// # Errors
    /// [`NoExpectation`]
    pub fn learn(frames: &[Facts]) -> Result<Self, NoExpectation> {
        let n = frames.len();
        if n < FRAMES_MIN {
            return Err(NoExpectation::TooFew(n));
        }
        let spread = |input: Input| -> Result<PerBand<Spread>, NoExpectation> {
            let mut of_bands = [Spread { mean: 0.0, deviation: 1.0 }; BANDS];
            for (band, of_band) in of_bands.iter_mut().enumerate() {
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
            rest.fold(Mixture::default(), Mixture::add).shares()
        };
        let apart = |k: usize| Some(jensen_shannon(&shares[k], &others(k)?).max(DEVIATION_MIN).ln());
        let apart: Option<Vec<f64>> = (0..n).map(apart).collect();
        let ln_apart = spread_of_all(&apart.ok_or(NoExpectation::NoObjects)?);
        let all = frames.iter().map(|f| &f.mixture).fold(Mixture::default(), Mixture::add);
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
    fn distance<'a>(&self, input: Input, frames: impl Iterator<Item = &'a Facts>) -> Option<f64> {
        let known = match input {
            Input::Fwhm => &self.ln_fwhm,
            Input::Noise => &self.ln_noise,
            Input::Sky => &self.sky,
            Input::Mixture => {
                let all = frames.map(|f| &f.mixture).fold(Mixture::default(), Mixture::add);
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

/// What was found in a window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Found {
    /// Of what.
    pub input: Input,
    /// `hour` or `night`: of observation, up to the newest frame.
    pub window: &'static str,
    /// How far it is off.
    pub distance: f64,
    /// Beyond this it has drifted.
    pub threshold: f64,
}

/// The frames of the last night, held against what is expected.
pub struct Watch {
    expected: Expected,
    /// When, days; and what. By arrival.
    frames: VecDeque<(f64, Facts)>,
    newest: Option<f64>,
    /// Frames of a night long past that came one after another.
    older: usize,
}

impl Watch {
    /// Nothing seen yet.
    pub fn new(expected: Expected) -> Self {
        Self { expected, frames: VecDeque::new(), newest: None, older: 0 }
    }

    /// A frame observed at `time_days`; one without a date counts as of now: as the newest one, or `today_days`. One of a
    /// night long past (a backfill beside the night's own) says nothing of this one and is left out, until there is nothing
    /// else.
    pub fn add(&mut self, time_days: Option<f64>, today_days: f64, facts: Facts) {
        let time = time_days.or(self.newest).unwrap_or(today_days);
        let mut newest = self.newest.map_or(time, |newest| newest.max(time));
        if time <= newest - WINDOWS[1].1 {
            self.older += 1;
            if self.older < OLDER_MAX {
                return;
            }
            newest = time;
            self.frames.clear();
        }
        self.older = 0;
        self.newest = Some(newest);
        self.frames.push_back((time, facts));
        self.frames.retain(|(time, _)| *time > newest - WINDOWS[1].1);
        if self.frames.len() > FRAMES_MAX {
            self.frames.pop_front();
        }
    }

    /// How far each input is off in each window that has frames enough.
    pub fn found(&self) -> Vec<Found> {
        let mut found = Vec::new();
        let Some(newest) = self.newest else { return found };
        for input in Input::ALL {
            for (window, days) in WINDOWS {
                let within = || self.frames.iter().filter(|(time, _)| *time > newest - days).map(|(_, facts)| facts);
                if within().count() < SEEN_MIN {
                    continue;
                }
                let threshold = self.expected.threshold(input);
                let distance = self.expected.distance(input, within());
                found.extend(distance.map(|distance| Found { input, window, distance, threshold }));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use rand_distr::StandardNormal;

    use super::*;

    /// Seeing about `fwhm` with 8 % scatter, half of the objects stars.
    fn frame(fwhm: f64, star_share: f64, rng: &mut ChaCha8Rng) -> Facts {
        let mut about = |value: f64, scatter: f64| value * (scatter * rng.sample::<f64, _>(StandardNormal)).exp();
        let (seeing, sky) = (about(fwhm, 0.08), about(0.3, 0.05));
        let fwhm_arcsec = std::array::from_fn(|b| seeing * (1.2 - 0.05 * b as f64));
        let objects: Vec<(f32, f32)> = (0..300)
            .map(|_| {
                let star = rng.random_bool(star_share);
                (rng.random_range(16.0..20.9), if star { 0.99 } else { 0.01 })
            })
            .collect();
        Facts {
            fwhm_arcsec,
            sky_sigma_nmgy: [sky / 10.0; BANDS],
            sky_nmgy: [sky; BANDS],
            mixture: Mixture::of(objects),
        }
    }

    fn distance(found: &[Found], input: Input, window: &str) -> (f64, f64) {
        let one = found.iter().find(|f| f.input == input && f.window == window).unwrap();
        (one.distance, one.threshold)
    }

    #[test]
    fn frames_like_those_learned_from_rarely_drift() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut alarms = 0;
        for _ in 0..200 {
            let training: Vec<Facts> = (0..6).map(|_| frame(1.2, 0.5, &mut rng)).collect();
            let mut watch = Watch::new(Expected::learn(&training).unwrap());
            for _ in 0..SEEN_MIN {
                assert!(watch.found().is_empty(), "so few frames say nothing");
                watch.add(Some(60_000.0), 0.0, frame(1.2, 0.5, &mut rng));
            }
            alarms += watch.found().iter().filter(|f| f.distance > f.threshold).count();
        }
        // Bands move together here, so about 1 in 100 is right.
        assert!(alarms < 40, "{alarms} of 1600");
    }

    #[test]
    fn a_night_whose_seeing_gets_worse_drifts_in_seeing_alone() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let training: Vec<Facts> = (0..12).map(|_| frame(1.2, 0.5, &mut rng)).collect();
        let mut watch = Watch::new(Expected::learn(&training).unwrap());
        for hour in 0..6 {
            for k in 0..10 {
                let time = 60_000.0 + (f64::from(hour) + f64::from(k) / 10.0) / 24.0;
                watch.add(Some(time), 0.0, frame(1.2 + 0.4 * f64::from(hour), 0.5, &mut rng));
            }
            let (now, threshold) = distance(&watch.found(), Input::Fwhm, "hour");
            // In the second hour, at 1.6", it may be either.
            if hour != 1 {
                assert_eq!(now > threshold, hour >= 2, "hour {hour}: {now} against {threshold}");
            }
        }
        let found = watch.found();
        let drifted: Vec<_> = found.iter().filter(|f| f.distance > f.threshold).map(|f| f.input).collect();
        assert!(drifted.iter().all(|i| *i == Input::Fwhm) && !drifted.is_empty(), "{found:?}");
        let ((hour, _), (night, _)) = (distance(&found, Input::Fwhm, "hour"), distance(&found, Input::Fwhm, "night"));
        assert!(night < hour, "the night has better hours too");
        watch.add(Some(59_000.0), 0.0, frame(9.0, 0.5, &mut rng));
        assert_eq!(watch.found(), found, "a backfill of an old night changes nothing");
        for _ in 0..OLDER_MAX {
            watch.add(None, 0.0, frame(1.2 + 0.4 * 5.0, 0.5, &mut rng));
            watch.add(Some(59_000.0), 0.0, frame(9.0, 0.5, &mut rng));
        }
        let (hour, _) = distance(&watch.found(), Input::Fwhm, "hour");
        assert!(hour < distance(&found, Input::Fwhm, "hour").0 + 3.0, "one without a date is of tonight: {hour}");
    }

    /// A clock that was wrong once, and an archive that is read.
    #[test]
    fn a_misdated_frame_does_not_blind_the_watch() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let training: Vec<Facts> = (0..12).map(|_| frame(1.2, 0.5, &mut rng)).collect();
        let mut watch = Watch::new(Expected::learn(&training).unwrap());
        watch.add(Some(88_000.0), 61_000.0, frame(1.2, 0.5, &mut rng));
        for k in 0..OLDER_MAX + SEEN_MIN {
            watch.add(Some(53_000.0 + 0.001 * k as f64), 61_000.0, frame(3.6, 0.5, &mut rng));
        }
        let (now, threshold) = distance(&watch.found(), Input::Fwhm, "hour");
        assert!(now > threshold, "{now} against {threshold}");
    }

    #[test]
    fn a_model_that_calls_all_stars_drifts_in_the_mixture() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let training: Vec<Facts> = (0..8).map(|_| frame(1.2, 0.5, &mut rng)).collect();
        let mut watch = Watch::new(Expected::learn(&training).unwrap());
        (0..SEEN_MIN).for_each(|_| watch.add(Some(60_000.0), 0.0, frame(1.2, 1.0, &mut rng)));
        let (apart, threshold) = distance(&watch.found(), Input::Mixture, "hour");
        assert!(apart > threshold, "{apart} against {threshold}");
    }

    #[test]
    fn what_cannot_be_learned_is_told() {
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        let mut frames: Vec<Facts> = (0..4).map(|_| frame(1.2, 0.5, &mut rng)).collect();
        assert_eq!(Expected::learn(&frames[..2]), Err(NoExpectation::TooFew(2)));
        frames[1].mixture = Mixture::default();
        assert_eq!(Expected::learn(&frames), Err(NoExpectation::NoObjects));
        frames[1].mixture = frames[0].mixture;
        frames.iter_mut().for_each(|f| f.sky_nmgy[3] = f64::NAN);
        assert_eq!(Expected::learn(&frames), Err(NoExpectation::Unmeasured { input: Input::Sky, band: 3 }));
    }

    /// scipy.stats.t.ppf(1 - 1e-4, 5) * sqrt(7 / 6) = 10.45296...; scipy.spatial.distance.jensenshannon(p, q, 2).
    #[test]
    fn quantiles_and_distances_are_scipys() {
        assert!((one_more(6, 1e-4) - SCIPY_ONE_MORE).abs() < 1e-3, "{}", one_more(6, 1e-4));
        let (a, b) = ([0.5, 0.1, 0.0, 0.0, 0.0, 0.1, 0.3], [0.2, 0.1, 0.1, 0.1, 0.1, 0.1, 0.3]);
        assert!((jensen_shannon(&a, &b) - SCIPY_DISTANCE).abs() < 1e-12, "{}", jensen_shannon(&a, &b));
        assert_eq!(jensen_shannon(&a, &a), 0.0);
    }

    const SCIPY_ONE_MORE: f64 = 10.452_966_297_945_277;
    const SCIPY_DISTANCE: f64 = 0.444_868_296_242_471_3;
}
