//! The same object on another night: what its class would be derived from then. How far a probability moves from night to
//! night is measured on the object's own pixels, without a label and without a second exposure. To them is added what
//! another exposure would have otherwise:
//!
//! - **noise**, drawn anew at every pixel from the noise of its sky and of the object's own light;
//! - **the error of the PSF**, which is measured on so many stars: a draw of it ([`Psf::error_at`]) times the flux;
//! - **the seeing**, worse by what is usual between a survey's nights: object and PSF are made wider together, so that the
//!   object tells less of itself.
//!
//! The pixels have noise already, and with more the object is a little worse than one night's. To first order, which rules
//! where probabilities move little, the change is that of another night. A position is not fitted again: the slopes of a
//! PSF are odd, and neither round profiles nor what is averaged over the symmetries of the square see them.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use super::{ClassifierInput, Cutout, FrameView, Profiles, in_aperture};
use crate::frame::{BANDS, ImageId, PerBand};
use crate::measure::magnitude;
use crate::model::STAMP;
use crate::psf::{AREA, NIGHTS, Psf, RADIUS, SIDE, Stamp};

/// Half the side of the kernel that makes a stamp wider.
const REACH: usize = 4;
/// Rows and columns at each side of a cut that the classifier's stamp leaves out.
const RIM: usize = RADIUS - STAMP / 2;

/// What other nights of one frame have in common: a wider PSF, and the profiles that go with it.
pub struct OtherNights {
    psf: Psf,
    profiles: Profiles,
    kernels: PerBand<Kernel>,
    seed: u64,
}

/// One half of a round Gaussian's cut along an axis, from its middle on; its whole sum is 1.
type Kernel = [f32; REACH + 1];

impl OtherNights {
    /// Of the frame `image` with this PSF, of a survey whose seeing scatters by `scatter_ln` (of its logarithm).
    pub fn new(image: &ImageId, psf: &Psf, scatter_ln: f64) -> Self {
        let wider = (2.0 * scatter_ln).exp_m1().sqrt();
        let kernels = std::array::from_fn(|b| kernel(wider * psf.effective_sigma_px(b)));
        let psf = psf.mapped(|band, stamp| convolve(stamp, &kernels[band]));
        Self { profiles: Profiles::new(&psf), psf, kernels, seed: seed(image) }
    }

    /// What the object `number`, at reference position `at`, is derived from on each of [`NIGHTS`] other nights.
    pub fn inputs(&self, view: &FrameView, number: u32, at: (f64, f64)) -> Vec<ClassifierInput> {
        let here = Cutout::take(view, number, at);
        let mut wider = here.clone();
        for b in 0..BANDS {
            wider.pixels[b] = convolve(&here.sound_pixels(b), &self.kernels[b]);
            wider.psf[b] = self.psf.at(b, at.0, at.1);
        }
        let faintest = view.survey.magnitudes().faintest_nmgy();
        let nights = (0..NIGHTS).map(|night| {
            let seed = self.seed ^ u64::from(number).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (night as u64) << 56;
            let mut cutout = wider.clone();
            cutout.add_noise(&here, &mut ChaCha8Rng::seed_from_u64(seed));
            for b in 0..BANDS {
                let (flux, error) = (here.point_source[b].flux as f32, view.psf.error_at(b, night, at.0, at.1));
                let Some(error) = error.filter(|_| flux.is_finite()) else { continue };
                cutout.pixels[b].iter_mut().zip(&error).for_each(|(p, e)| *p += flux * e);
            }
            cutout.fit();
            let mag = magnitude(cutout.point_source[view.survey.reference()].flux, faintest) as f32;
            cutout.has_basis().then(|| cutout.classifier_input(&self.profiles, at, mag))
        });
        nights.flatten().collect()
    }
}

impl Cutout {
    /// A band's pixels with the point source in place of unusable ones, which would spoil what is around them.
    fn sound_pixels(&self, band: usize) -> Stamp {
        let flux = self.point_source[band].flux.max(0.0) as f32;
        match &self.unusable[band] {
            None => self.pixels[band],
            Some(unusable) => std::array::from_fn(|i| {
                let light = if flux.is_finite() { flux * self.psf[band][i] } else { 0.0 };
                if unusable[i] { light } else { self.pixels[band][i] }
            }),
        }
    }

    /// Adds noise to the pixels that anything is derived from, as large as that of the object as it was `seen`.
    fn add_noise(&mut self, seen: &Cutout, random: &mut ChaCha8Rng) {
        for b in 0..BANDS {
            let flux = seen.point_source[b].flux;
            if flux.is_nan() {
                continue;
            }
            let shapes = self.shape_bands.contains(&b);
            for i in (0..AREA).filter(|&i| if shapes { in_stamp(i) } else { in_aperture(i) }) {
                let unit: f64 = StandardNormal.sample(random);
                let sigma = seen.noise_at(b, i).variance(flux * f64::from(seen.psf[b][i])).sqrt();
                self.pixels[b][i] += (unit * sigma) as f32;
            }
        }
    }
}

/// Whether pixel `i` of a cut is in the classifier's stamp.
fn in_stamp(i: usize) -> bool {
    let within = |along: usize| (RIM..SIDE - RIM).contains(&along);
    within(i % SIDE) && within(i / SIDE)
}

fn kernel(sigma_px: f64) -> Kernel {
    let at = |i: usize| (-0.5 * (i as f64 / sigma_px.max(1e-3)).powi(2)).exp();
    let sum = at(0) + 2.0 * (1..=REACH).map(at).sum::<f64>();
    std::array::from_fn(|i| (at(i) / sum) as f32)
}

/// A stamp convolved with a kernel along both axes, as if its rim went on.
fn convolve(stamp: &Stamp, kernel: &Kernel) -> Stamp {
    along(&along(stamp, kernel, 1), kernel, SIDE)
}

/// Along x (`step` 1) or y (`step` SIDE).
fn along(stamp: &Stamp, kernel: &Kernel, step: usize) -> Stamp {
    std::array::from_fn(|i| {
        let here = if step == 1 { i % SIDE } else { i / SIDE };
        let near = |k: usize| {
            let (before, after) = (k.min(here), k.min(SIDE - 1 - here));
            stamp[i - before * step] + stamp[i + after * step]
        };
        kernel[0] * stamp[i] + (1..=REACH).map(|k| kernel[k] * near(k)).sum::<f32>()
    })
}

/// The same of an image whoever works on it (FNV-1a).
fn seed(image: &ImageId) -> u64 {
    image
        .as_str()
        .bytes()
        .fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3))
}
