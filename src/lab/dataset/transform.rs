//! What a net sees of a cutout.
//!
//! The paper turns brightness into magnitudes (its eq 1), m = -2.5 log10 F, which half of all pixels of sky do not
//! have: their flux is negative. Asinh magnitudes (Lupton, Gunn & Szalay 1999)
//!
//! ```text
//! lupt = -(2.5 / ln 10) [asinh(F / 2b) + ln b],    F and the softening b in maggies (1 nMgy = 1e-9)
//! ```
//!
//! are finite everywhere, and the ordinary magnitude where F is far above b. Below 2b they are linear in the flux, with a
//! slope of -1.086 / 2b. SDSS's own b suit the aperture of a PSF: in r, b is four times the noise of one pixel, so that
//! the sky's noise is .14 mag and a faint object's pixels stand out of it on a linear scale. With b the noise of a
//! pixel the noise is .54 mag, and what rises above it is seen on a logarithmic scale from there on. Both are
//! offered.
//!
//! Nets want values of order one: each band is taken relative to the mean, and in units of the deviation, of all pixels
//! of a sample of the training part. These constants ([`Standards`]) are global, lie in the data set's manifest, and go
//! into the bundle with the net that was trained with them.
//!
//! The third view is what nets of pictures are usually shown: the flux itself, each cutout brought to mean 0 and
//! deviation 1 by its own pixels of all bands. It keeps the colours and forgets the brightness, and what rises above a
//! faint object's noise is no larger than it is.

use serde::{Deserialize, Serialize};
use tch::{Kind, TchError, Tensor};

use twinpeak_core::frame::{BANDS, PerBand};
use twinpeak_core::measure::asinh_magnitude;
use twinpeak_core::model::TILE;
use twinpeak_core::survey::Survey;

/// Magnitudes in a factor e.
const POGSON: f64 = 2.5 / std::f64::consts::LN_10;

/// What a net sees of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Input {
    /// The cutout in asinh magnitudes with the survey's softening.
    MagnitudeSdss,
    /// The cutout in asinh magnitudes softened by the noise of a pixel of sky.
    MagnitudeSigma,
    /// The cutout's flux in units of sky noise, of mean 0 and deviation 1 over all its own pixels and bands.
    PerCutout,
    /// The 21x21 PSF residual of the shape bands (`Features::stamp`), not the cutout.
    Residual,
}

/// The scale of asinh magnitudes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Softening {
    /// b of each band, maggies.
    Fixed(PerBand<f64>),
    /// b is the noise of a pixel of the image's own sky.
    SkyNoise,
}

impl Softening {
    /// b of an image with this sky, maggies.
    fn maggies(&self, sky_sigma_nmgy: f64, b: usize) -> f64 {
        match self {
            Self::Fixed(maggies) => maggies[b],
            Self::SkyNoise => sky_sigma_nmgy * 1e-9,
        }
    }

    /// The asinh magnitude of a pixel of `value` times `sky_sigma_nmgy`, in band `b`.
    pub fn magnitude(&self, value: f64, sky_sigma_nmgy: f64, b: usize) -> f64 {
        asinh_magnitude(value * sky_sigma_nmgy, self.maggies(sky_sigma_nmgy, b))
    }
}

/// Mean and deviation of all pixels' magnitudes, by band.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Standard {
    /// Mean of each band, mag.
    pub mean: PerBand<f64>,
    /// Standard deviation of each band, mag.
    pub deviation: PerBand<f64>,
}

/// The constants of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Standards {
    /// Objects of the training part that they were measured on.
    pub objects: usize,
    /// Mean and deviation under [`Input::MagnitudeSdss`].
    pub magnitude_sdss: Standard,
    /// Mean and deviation under [`Input::MagnitudeSigma`].
    pub magnitude_sigma: Standard,
}

/// Turns cutouts into what a net is shown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum View {
    /// Asinh magnitudes, standardised by the data set's constants.
    Magnitudes(Magnitudes),
    /// Each cutout by itself, as [`Input::PerCutout`] says.
    PerCutout,
}

/// Turns cutouts into standardised asinh magnitudes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Magnitudes {
    softening: Softening,
    standard: Standard,
}

impl Input {
    /// The transform of cutouts; `None` for an input that is no cutout's.
    pub fn view(self, survey: &Survey, standards: &Standards) -> Option<View> {
        let (softening, standard) = match self {
            Self::MagnitudeSdss => (fixed(survey), standards.magnitude_sdss),
            Self::MagnitudeSigma => (Softening::SkyNoise, standards.magnitude_sigma),
            Self::PerCutout => return Some(View::PerCutout),
            Self::Residual => return None,
        };
        Some(View::Magnitudes(Magnitudes { softening, standard }))
    }
}

impl View {
    /// Cutouts, transformed: (n, 5, 64, 64) of n whole cutouts (NHWC, in units of sky noise), whose images have these
    /// skies, nMgy.
    ///
    /// # Errors
    /// libtorch's, for numbers that are no whole cutouts.
    pub fn tensor(&self, cutouts: &[f32], sky_sigma_nmgy: &[PerBand<f32>]) -> Result<Tensor, TchError> {
        let side = TILE as i64;
        let pixels = Tensor::f_from_slice(cutouts)?.f_view([-1, side, side, BANDS as i64])?;
        let seen = match self {
            Self::Magnitudes(magnitudes) => magnitudes.of(&pixels, sky_sigma_nmgy)?,
            Self::PerCutout => standardised(&pixels)?,
        };
        seen.f_permute([0, 3, 1, 2])
    }
}

/// Each cutout at mean 0 and deviation 1; a constant one becomes 0.
fn standardised(pixels: &Tensor) -> Result<Tensor, TchError> {
    let all = &[1i64, 2, 3][..];
    let deviation = pixels.f_std_dim(all, false, true)?;
    pixels
        .f_sub(&pixels.f_mean_dim(all, true, Kind::Float)?)?
        .f_div(&deviation.f_clamp_min(f64::from(f32::MIN_POSITIVE))?)
}

fn fixed(survey: &Survey) -> Softening {
    Softening::Fixed(survey.profile().asinh_softening_maggies)
}

impl Magnitudes {
    /// Of pixels (n, rows, columns, bands). libtorch takes a twentieth of the time that one number after another would.
    fn of(&self, pixels: &Tensor, sky_sigma_nmgy: &[PerBand<f32>]) -> Result<Tensor, TchError> {
        // (mag - mean) / deviation = gain asinh(scale v) + offset. The two large magnitudes meet in f64.
        let (mut scales, mut gains, mut offsets) = (Vec::new(), Vec::new(), Vec::new());
        for sky in sky_sigma_nmgy {
            for (b, &sigma) in sky.iter().enumerate() {
                let softening = self.softening.maggies(f64::from(sigma), b);
                let (mean, deviation) = (self.standard.mean[b], self.standard.deviation[b]);
                scales.push((f64::from(sigma) * 1e-9 / (2.0 * softening)) as f32);
                gains.push((-POGSON / deviation) as f32);
                offsets.push(((-POGSON * softening.ln() - mean) / deviation) as f32);
            }
        }
        let each = |values: &[f32]| Tensor::f_from_slice(values)?.f_view([-1, 1, 1, BANDS as i64]);
        let mut magnitudes = pixels.f_mul(&each(&scales)?)?.f_asinh()?;
        magnitudes.f_mul_(&each(&gains)?)?.f_add_(&each(&offsets)?)
    }
}

/// Measures [`Standards`], cutout by cutout.
pub struct Measuring {
    objects: usize,
    softenings: [Softening; 2],
    sums: [PerBand<Sum>; 2],
}

#[derive(Clone, Copy, Default)]
struct Sum {
    pixels: f64,
    mean: f64,
    squares: f64,
}

impl Measuring {
    /// Starts with no object measured.
    pub fn new(survey: &Survey) -> Self {
        Self { objects: 0, softenings: [fixed(survey), Softening::SkyNoise], sums: Default::default() }
    }

    /// Adds a cutout (NHWC, in units of sky noise) of an image with this sky.
    pub fn add(&mut self, cutout: &[f32], sky_sigma_nmgy: &PerBand<f32>) {
        self.objects += 1;
        for (softening, sums) in self.softenings.iter().zip(&mut self.sums) {
            for (i, value) in cutout.iter().enumerate() {
                let b = i % BANDS;
                sums[b].add(softening.magnitude(f64::from(*value), f64::from(sky_sigma_nmgy[b]), b));
            }
        }
    }

    /// The constants; all pixels alike in a band count as a deviation of 1.
    pub fn standards(&self) -> Standards {
        let [sdss, sigma] = self.sums.map(|sums| Standard {
            mean: sums.map(|s| s.mean),
            deviation: sums.map(|s| {
                let deviation = (s.squares / s.pixels).sqrt();
                if deviation > 0.0 { deviation } else { 1.0 }
            }),
        });
        Standards { objects: self.objects, magnitude_sdss: sdss, magnitude_sigma: sigma }
    }
}

impl Sum {
    /// Welford's sum: magnitudes near 23 leave no digits to a sum of squares.
    fn add(&mut self, value: f64) {
        self.pixels += 1.0;
        let off = value - self.mean;
        self.mean += off / self.pixels;
        self.squares += off * (value - self.mean);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use twinpeak_core::model::TILE_LEN;

    fn sdss() -> Survey {
        Survey::parse(include_str!("../../../config/surveys/sdss.toml")).unwrap()
    }

    #[test]
    fn no_flux_has_sdss_own_magnitudes() {
        // As SDSS publishes them: the magnitude of zero flux in u, g, r, i, z.
        for (b, zero) in [24.63, 25.11, 24.80, 24.36, 22.83].into_iter().enumerate() {
            assert!((fixed(&sdss()).magnitude(0.0, 0.03, b) - zero).abs() < 5e-3, "{b}");
        }
    }

    #[test]
    fn bright_pixels_have_ordinary_magnitudes() {
        // asinh(F / 2b) = ln(F / b) + (b / F)^2 + ...: a factor 100 above the softening is 1e-4 mag away.
        for softening in [fixed(&sdss()), Softening::SkyNoise] {
            for (b, nmgy) in [100.0, 10.0, 10.0, 30.0, 100.0].into_iter().enumerate() {
                let mag = softening.magnitude(nmgy / 0.05, 0.05, b);
                assert!((mag - (22.5 - 2.5 * f64::log10(nmgy))).abs() < 1e-3, "{softening:?} {b}: {mag}");
            }
        }
    }

    #[test]
    fn softened_by_its_own_noise_the_sky_is_linear() {
        let at = |v| Softening::SkyNoise.magnitude(v, 0.03, 2);
        // Slope at 0: -(2.5 / ln 10) / 2 = -0.5429 mag a sigma.
        for v in [-1.0, -0.5, 0.5, 1.0] {
            assert!((at(v) - at(0.0) + 0.5429 * v).abs() < 0.03 * v.abs(), "{v}");
        }
        // With SDSS's b = .12 nMgy in r: (2.5 / ln 10) x .03 / .24 = .1357 mag a sigma.
        let sdss = |v| fixed(&sdss()).magnitude(v, 0.03, 2);
        assert!((sdss(-1.0) - sdss(1.0) - 2.0 * 0.1357).abs() < 1e-3);
    }

    #[test]
    fn what_constants_were_measured_on_has_mean_0_and_deviation_1() {
        let survey = sdss();
        let sky = [0.04f32, 0.017, 0.03, 0.052, 0.181];
        let cutouts: Vec<Vec<f32>> =
            (0..4).map(|k| (0..TILE_LEN).map(|i| ((i * 37 + k * 11) % 101) as f32 - 30.0).collect()).collect();
        let mut measuring = Measuring::new(&survey);
        cutouts.iter().for_each(|c| measuring.add(c, &sky));
        let standards = measuring.standards();
        assert_eq!(standards.objects, 4);
        for input in [Input::MagnitudeSdss, Input::MagnitudeSigma] {
            let view = input.view(&survey, &standards).unwrap();
            let View::Magnitudes(transform) = view else { panic!("{input:?} is no magnitude") };
            let all = view.tensor(&cutouts.concat(), &[sky; 4]).unwrap();
            assert_eq!(all.size(), [4, 5, 64, 64]);
            for b in 0..BANDS as i64 {
                let band = all.select(1, b);
                let (mean, deviation) = (band.mean(Kind::Double), band.std(false));
                let (mean, deviation) = (mean.double_value(&[]), deviation.double_value(&[]));
                assert!(mean.abs() < 1e-5 && (deviation - 1.0).abs() < 1e-5, "{input:?} {b}: {mean} {deviation}");
            }
            // One pixel after another, each cutout with its own sky.
            let skies = [sky, sky.map(|s| 2.0 * s)];
            let pair = view.tensor(&cutouts[..2].concat(), &skies).unwrap();
            for (n, b, row, column) in [(0, 0, 0, 0), (0, 4, 63, 63), (1, 2, 17, 40), (1, 1, 40, 17)] {
                let value = f64::from(cutouts[n][(row * TILE + column) * BANDS + b]);
                let mag = transform.softening.magnitude(value, f64::from(skies[n][b]), b);
                let expected = (mag - transform.standard.mean[b]) / transform.standard.deviation[b];
                let found = pair.double_value(&[n as i64, b as i64, row as i64, column as i64]);
                assert!((found - expected).abs() < 1e-5, "{input:?} {n} {b}: {found} {expected}");
            }
        }
        assert_eq!(Input::Residual.view(&survey, &standards), None);
        let text = toml::to_string(&standards).unwrap();
        assert_eq!(toml::from_str::<Standards>(&text).unwrap(), standards);
    }

    #[test]
    fn a_cutout_by_itself_keeps_its_colours_and_forgets_its_brightness() {
        let faint: Vec<f32> = (0..TILE_LEN).map(|i| ((i * 37) % 101) as f32 - 30.0).collect();
        let of = |scale: f32| faint.iter().map(move |v| scale * v);
        let three: Vec<f32> = of(1.0).chain(of(40.0)).chain(of(0.0)).collect();
        let seen = View::PerCutout.tensor(&three, &[[1.0; BANDS]; 3]).unwrap();
        assert_eq!(seen.size(), [3, 5, 64, 64]);
        let [once, brighter, nothing] = [0, 1, 2].map(|i| seen.get(i));
        assert!((&once - brighter).abs().max().double_value(&[]) < 1e-4);
        assert!(once.mean(Kind::Double).double_value(&[]).abs() < 1e-5);
        assert!((once.std(false).double_value(&[]) - 1.0).abs() < 1e-5);
        assert_eq!(nothing.abs().max().double_value(&[]), 0.0);
        // Band after band, as a net takes them.
        let mean = faint.iter().sum::<f32>() / TILE_LEN as f32;
        let value = once.double_value(&[2, 17, 40]) / once.double_value(&[0, 0, 0]);
        let wanted = (faint[(17 * TILE + 40) * BANDS + 2] - mean) / (faint[0] - mean);
        assert!((value - f64::from(wanted)).abs() < 1e-3, "{value} {wanted}");
    }
}
