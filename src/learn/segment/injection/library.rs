//! What there is to inject: how sources look on a frame, measured on the frame itself.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use twinpeak_core::catalog::{Row, flag};
use twinpeak_core::detections::Detections;
use twinpeak_core::frame::PerBand;
use twinpeak_core::psf::Stamp;

/// S/N in the reference band of detections whose colours and sizes are taken: sure of both, and not of the few brightest.
const SN: (f32, f32) = (18.0, 160.0);
/// Flags of detections whose colours or sizes may be another's.
const NOT_ALONE: u32 =
    flag::NEIGHBOURS | flag::BLENDED | flag::SATURATED | flag::TRUNCATED | flag::BAD_PIXELS | flag::MISSING_BAND;
/// Largest intrinsic radius that is believed, px.
const LARGEST_PX: f32 = 6.0;

/// An object's colours and size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Kind {
    /// Flux of each band over that of the reference band; 0 in a band that was not taken.
    pub colour: PerBand<f32>,
    /// Half-light radius without the PSF's share, px.
    pub radius_px: f32,
}

/// How sources look on one frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Library {
    /// The PSF at the frame's centre, of unit sum.
    pub psf: PerBand<Box<Stamp>>,
    /// Noise of one pixel, nMgy; infinite in a band that was not taken.
    pub sigma_nmgy: PerBand<f32>,
    /// Flux of one electron, nMgy.
    pub nmgy_per_electron: PerBand<f32>,
    /// Weights of the detection sum.
    pub weights: PerBand<f32>,
    /// Magnitude of a point source of S/N 5 in the reference band.
    pub depth_mag: f32,
    /// Width of the Gaussian with the noise-equivalent area of the reference band's PSF, px.
    pub fwhm_px: f64,
    /// Colours and sizes of its isolated detections.
    pub kinds: Vec<Kind>,
}

impl Library {
    /// Of a frame in which objects were found.
    pub fn of(found: &Detections) -> Self {
        let view = found.view();
        let (survey, prepared) = (view.survey, view.prepared);
        let reference = survey.reference();
        let (x, y) = (0.5 * prepared.frame.width() as f64, 0.5 * prepared.frame.height() as f64);
        let psf: PerBand<Box<Stamp>> = std::array::from_fn(|b| Box::new(view.psf.at(b, x, y)));
        let noise_area = 1.0 / psf[reference].iter().map(|p| f64::from(*p).powi(2)).sum::<f64>();
        let sigma_nmgy = prepared.sky.map(|s| s.sigma_nmgy);
        let limit_nmgy = 5.0 * f64::from(sigma_nmgy[reference]) * noise_area.sqrt();
        let own_px = view.psf.half_light_radius_px() as f32;
        let rows = found.measure();
        Self {
            psf,
            sigma_nmgy,
            nmgy_per_electron: std::array::from_fn(|b| {
                let band = &prepared.frame.bands[b];
                (band.nmgy_per_dn / band.gain_e_per_dn) as f32
            }),
            weights: twinpeak_core::detections::detection_weights(prepared, survey),
            depth_mag: (22.5 - 2.5 * limit_nmgy.log10()) as f32,
            fwhm_px: found.quality[reference].effective_fwhm_px,
            kinds: rows.iter().filter_map(|m| kind(&m.row, reference, own_px)).collect(),
        }
    }
}

/// Colours and size of a detection, if it shows them.
fn kind(row: &Row, reference: usize, psf_px: f32) -> Option<Kind> {
    let (flux, error) = (row.psf_flux[reference], row.psf_flux_err[reference]);
    let sure = (SN.0..SN.1).contains(&(flux / error)) && row.flags & NOT_ALONE == 0;
    let radius = row.half_light_radius;
    if !sure || !radius.is_finite() {
        return None;
    }
    let colour = row.psf_flux.map(|f| if f.is_finite() { f.max(0.0) / flux } else { 0.0 });
    Some(Kind { colour, radius_px: (radius.powi(2) - psf_px.powi(2)).max(0.0).sqrt().min(LARGEST_PX) })
}

/// Colours and sizes of all frames together.
pub(super) struct Kinds(pub(super) Vec<Kind>);

impl Kinds {
    /// A colour, scattered about one that was seen.
    pub(super) fn colour(&self, rng: &mut ChaCha8Rng) -> PerBand<f32> {
        const SCATTER: f32 = 0.08;
        let colour = self.0[rng.random_range(0..self.0.len())].colour;
        colour.map(|c| c * (SCATTER * rng.sample::<f32, _>(rand_distr::StandardNormal)).exp())
    }

    /// A size.
    pub(super) fn radius_px(&self, rng: &mut ChaCha8Rng) -> f32 {
        self.0[rng.random_range(0..self.0.len())].radius_px
    }
}
