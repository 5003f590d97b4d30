//! The same object on another night: what its class would be derived from then. How far a probability moves from night to
//! night is measured on the object's own pixels, without a label and without a second exposure. To them is added what
//! another exposure would have otherwise:
//!
//! - **noise**, drawn anew at every pixel from the noise of its sky and of the object's own light;
//! - **the error of the PSF**, which is measured on so many stars: a draw of it ([`Psf::error_at`]) times the flux.
//!
//! The pixels have noise already, and with more of it the object is a little worse than on one night: to first order the
//! change is another night's. Measured on three skies seen twice, what p moves by is .84 to 1.03 of what is stated in every
//! half magnitude from r 20.5 to 23. At brighter ones, where p seldom moves, a few that flip decide: .5 to 1.7, and 7.9 at
//! 18.5. Two things are left out. A position is not fitted again: the slopes of
//! a PSF are odd, and neither round profiles nor what is averaged over the symmetries of the square see them. And the seeing
//! stays: it can only be made worse, and with 15 % more of it, the usual change, the ratio fell to .45 to .85, since worse
//! seeing makes an object less certain while another night's is as often better.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use super::{ClassifierInput, Cutout, FrameView, in_aperture};
use crate::frame::{BANDS, ImageId};
use crate::measure::magnitude;
use crate::model::STAMP;
use crate::psf::{AREA, NIGHTS, RADIUS, SIDE};

/// Rows and columns at each side of a cut that the classifier's stamp leaves out.
const RIM: usize = RADIUS - STAMP / 2;

/// What the object `number`, at reference position `at`, is derived from on each of [`NIGHTS`] other nights; fewer where
/// noise leaves no basis.
pub fn other_nights(view: &FrameView, number: u32, at: (f64, f64)) -> Vec<ClassifierInput> {
    let seen = Cutout::take(view, number, at);
    let faintest = view.survey.magnitudes().faintest_nmgy();
    let nights = (0..NIGHTS).map(|night| {
        let seed = seed(&view.prepared.frame.id, number, night);
        let mut cutout = seen.clone();
        cutout.add_noise(&seen, &mut ChaCha8Rng::seed_from_u64(seed));
        cutout.add_psf_error(view, night, at);
        cutout.fit();
        let mag = magnitude(cutout.point_source[view.survey.reference()].flux, faintest) as f32;
        cutout.has_basis().then(|| cutout.classifier_input(view.profiles, at, mag))
    });
    nights.flatten().collect()
}

impl Cutout {
    /// Adds noise to the pixels that anything is derived from, as large as that of the object as it was `seen`.
    fn add_noise(&mut self, seen: &Cutout, random: &mut ChaCha8Rng) {
        for b in (0..BANDS).filter(|&b| seen.point_source[b].flux.is_finite()) {
            let flux = seen.point_source[b].flux;
            let has_shape = self.shape_bands.contains(&b);
            for i in (0..AREA).filter(|&i| if has_shape { in_stamp(i) } else { in_aperture(i) }) {
                let unit: f64 = StandardNormal.sample(random);
                let sigma = seen.noise_at(b, i).variance(flux * f64::from(seen.psf[b][i])).sqrt();
                self.pixels[b][i] += (unit * sigma) as f32;
            }
        }
    }

    /// Adds what the PSF is wrong by in one draw.
    fn add_psf_error(&mut self, view: &FrameView, night: usize, at: (f64, f64)) {
        for b in (0..BANDS).filter(|&b| self.point_source[b].flux.is_finite()) {
            let flux = self.point_source[b].flux as f32;
            let Some(error) = view.psf.error_at(b, night, at.0, at.1) else { continue };
            self.pixels[b].iter_mut().zip(&error).for_each(|(p, e)| *p += flux * e);
        }
    }
}

/// Whether pixel `i` of a cut is in the classifier's stamp.
fn in_stamp(i: usize) -> bool {
    let within = |along: usize| (RIM..SIDE - RIM).contains(&along);
    within(i % SIDE) && within(i / SIDE)
}

/// Of one object's one night, the same whoever works on it: FNV-1a of the image, then the object and the night.
fn seed(image: &ImageId, number: u32, night: usize) -> u64 {
    let of_image = image
        .as_str()
        .bytes()
        .fold(0xCBF2_9CE4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3));
    of_image ^ u64::from(number).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (night as u64) << 56
}
