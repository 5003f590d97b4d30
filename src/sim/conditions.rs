//! What a field was observed under: pointing, coordinates, PSF and sky of each band.

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use super::mixture::{self, Blob, Covariance, Sheared};
use super::moffat::Moffat;
use super::spec::{SimError, Spec};
use super::streams::{Purpose, stream};
use super::truth::{Profile, SimulatedObject};
use twinpeak_core::frame::{FieldIds, ImageId, PerBand};
use twinpeak_core::survey::{Survey, nmgy_of_mag};
use twinpeak_core::wcs::Wcs;

/// Number of the run of seed 0: higher than the last detector change of any profile so far.
const FIRST_RUN: u32 = 9000;
/// Light under this fraction of the sky's noise is not drawn.
const FAINTEST_SIGMA: f64 = 0.02;
/// Scatter of the sky's brightness between fields (all bands together) and between bands, mag.
const SKY_SCATTER_MAG: [f64; 2] = [0.12, 0.05];
/// Largest shift of the field between visits in (x, y), px.
const DITHER_MAX_PX: f64 = 12.0;
/// Nights between visits.
const VISITS_APART_DAYS: f64 = 10.0;
/// Largest relative change of the sky from the centre to an edge.
const SKY_GRADIENT: f64 = 0.01;

/// What a field was exposed under: time, pointing, seeing, sky.
#[derive(Clone, Debug)]
pub(super) struct Conditions {
    pub id: ImageId,
    pub ids: FieldIds,
    pub midpoint_mjd_tai: f64,
    pub bands: PerBand<BandConditions>,
}

/// What one band was exposed under: its PSF, gain, noise and sky.
#[derive(Clone, Debug)]
pub(super) struct BandConditions {
    /// Where things truly are.
    pub wcs: Wcs,
    /// Where the survey's astrometry has them.
    pub header_wcs: Wcs,
    pub psf: Moffat,
    pub nmgy_per_dn: f64,
    pub gain_e_per_dn: f64,
    pub dark_variance_dn2: f64,
    /// Sky at the centre, DN.
    pub sky_dn: f64,
    /// Relative change of the sky to the right and upper edge.
    pub sky_gradient: [f64; 2],
    /// Sky left in after subtraction, DN: coefficients of u, v and uv, which run from -1 to 1 over the field.
    pub residual_dn: [f64; 3],
}

impl Conditions {
    /// Draws the circumstances of a field.
    pub fn draw(spec: &Spec, survey: &Survey) -> Result<Self, SimError> {
        let ids = name(spec, survey);
        let [run, camcol, field] = [ids.run, ids.camcol, ids.field].map(Option::unwrap_or_default);
        let image = survey.profile().simulated.image.replace("{run}", &format!("{run:06}"));
        let image = image.replace("{camcol}", &camcol.to_string()).replace("{field}", &format!("{field:04}"));
        let mut rng = stream(spec, Purpose::Conditions, 0, 0);
        let pointing = match spec.visit {
            0 => Pointing::draw(&mut rng, survey),
            _ => Pointing::draw(&mut stream(&spec.sky(), Purpose::Conditions, 0, 0), survey).moved(&mut rng),
        };
        let fwhm_ln = spec.seeing.sigma_ln * normal(&mut rng);
        let fwhm_px = spec.seeing.median_fwhm_arcsec * fwhm_ln.exp() / survey.profile().pixel_scale_arcsec;
        let sky_mag = SKY_SCATTER_MAG[0] * normal(&mut rng);
        let mut bands = Vec::new();
        for b in 0..spec.seeing.band_factor.len() {
            let mut rng = stream(spec, Purpose::Conditions, b + 1, 0);
            let mut off = stream(spec, Purpose::Astrometry, b, 0);
            let header = pointing.off_by([0, 1].map(|_| spec.wcs_scatter_arcsec / 3600.0 * normal(&mut off)));
            let header_wcs = header.band(&mut rng.clone(), spec, b == survey.reference())?;
            let wcs = pointing.band(&mut rng, spec, b == survey.reference())?;
            let psf = draw_psf(&mut rng, spec, fwhm_px * spec.seeing.band_factor[b]);
            bands.push(BandConditions::draw(&mut rng, spec, (survey, b), (&ids, sky_mag), ([wcs, header_wcs], psf)));
        }
        let days = f64::from(spec.field) * survey.profile().typical.exposure_s / 86_400.0;
        let days = days + f64::from(spec.visit) * VISITS_APART_DAYS;
        Ok(Self {
            id: ImageId::new(&image)?,
            ids,
            midpoint_mjd_tai: 53_000.0 + (spec.seed % 3000) as f64 + days,
            bands: bands.try_into().unwrap_or_else(|_| unreachable!("one was made for each band")),
        })
    }
}

/// Run from the seed, camera column from both in turn.
fn name(spec: &Spec, survey: &Survey) -> FieldIds {
    let mut columns: Vec<u32> = survey.profile().detector.iter().filter_map(|d| d.camcol).collect();
    columns.dedup();
    let turn = spec.seed as usize + spec.field as usize;
    FieldIds {
        run: Some(FIRST_RUN + spec.seed as u32),
        rerun: None,
        camcol: Some(if columns.is_empty() { 1 } else { columns[turn % columns.len()] }),
        field: Some(spec.field + 1000 * spec.visit),
    }
}

/// Where the telescope looks, and how the camera is turned.
#[derive(Clone)]
struct Pointing {
    centre_deg: (f64, f64),
    /// Shift of all bands against the first visit, px.
    shift_px: [f64; 2],
    angle: f64,
    scale_deg: f64,
}

impl Pointing {
    fn draw(rng: &mut ChaCha8Rng, survey: &Survey) -> Self {
        let dec = rng.random_range(-0.15f64..0.85).asin().to_degrees();
        Self {
            centre_deg: (rng.random_range(0.0..360.0), dec),
            shift_px: [0.0; 2],
            angle: rng.random_range(0.0..std::f64::consts::TAU),
            scale_deg: survey.profile().pixel_scale_arcsec / 3600.0,
        }
    }

    /// At another visit: nearly the same.
    fn moved(self, rng: &mut ChaCha8Rng) -> Self {
        Self { shift_px: [0, 1].map(|_| rng.random_range(-DITHER_MAX_PX..DITHER_MAX_PX)), ..self }
    }

    /// Taken to look elsewhere, by so many degrees along right ascension (on the sky) and declination.
    fn off_by(&self, [east, north]: [f64; 2]) -> Self {
        let (ra, dec) = self.centre_deg;
        Self { centre_deg: (ra + east / dec.to_radians().cos(), dec + north), ..self.clone() }
    }

    /// The coordinates of a band: shifted against the reference band, and turned by up to 1e-4 rad. Columns and
    /// rows of a drift scan are neither quite square nor quite alike; so are these.
    fn band(&self, rng: &mut ChaCha8Rng, spec: &Spec, is_reference: bool) -> Result<Wcs, SimError> {
        let mut draw = |most: f64| if most > 0.0 { rng.random_range(-most..most) } else { 0.0 };
        let shift = [draw(spec.offset_max_px[0]), draw(spec.offset_max_px[1])];
        let turn = draw(1e-4);
        let (shift, turn) = if is_reference { ([0.0; 2], 0.0) } else { (shift, turn) };
        let (s, c) = (self.angle + turn).sin_cos();
        let (sx, sy, skew) = (self.scale_deg * (1.0 + 1e-4), self.scale_deg * (1.0 - 2e-4), 3e-4);
        let cd = [[-c * sx, (s + skew * c) * sy], [s * sx, (c - skew * s) * sy]];
        let [x, y] = self.shift_px;
        let centre = (spec.width as f64 / 2.0 + shift[0] + x, spec.height as f64 / 2.0 + shift[1] + y);
        Ok(Wcs::tangent((spec.width, spec.height), self.centre_deg, centre, cd)?)
    }
}

fn draw_psf(rng: &mut ChaCha8Rng, spec: &Spec, fwhm_px: f64) -> Moffat {
    let seeing = &spec.seeing;
    let [low, high] = seeing.beta;
    let beta = low + (high - low) * rng.random::<f64>();
    // Three quarters at the centre leave a quarter for the change over the field.
    let size = 0.75 * seeing.ellipticity_max * rng.random::<f64>();
    let (s, c) = rng.random_range(0.0..std::f64::consts::TAU).sin_cos();
    let mut change = |most: f64| most * (2.0 * rng.random::<f64>() - 1.0);
    Moffat {
        fwhm_px,
        beta,
        ellipticity: [size * c, size * s],
        fwhm_gradient: [0.4, 0.4, 0.2].map(|part| change(part * seeing.variation_max)),
        ellipticity_gradient: [0, 1].map(|_| [0, 1].map(|_| change(0.08 * seeing.ellipticity_max))),
        half_size_px: [spec.width as f64 / 2.0, spec.height as f64 / 2.0],
    }
}

impl BandConditions {
    fn draw(
        rng: &mut ChaCha8Rng,
        spec: &Spec,
        (survey, b): (&Survey, usize),
        (ids, sky_mag): (&FieldIds, f64),
        ([wcs, header_wcs], psf): ([Wcs; 2], Moffat),
    ) -> Self {
        let (profile, detector) = (survey.profile(), survey.detector(ids));
        let typical = &profile.typical;
        let mag = typical.sky_mag_arcsec2[b] + sky_mag + SKY_SCATTER_MAG[1] * normal(rng);
        let sky_nmgy = nmgy_of_mag(mag) * profile.pixel_scale_arcsec.powi(2);
        let mut band = Self {
            wcs,
            header_wcs,
            psf,
            nmgy_per_dn: typical.nmgy_per_dn[b],
            gain_e_per_dn: detector.gain_e_per_dn[b],
            dark_variance_dn2: detector.dark_variance_dn2[b],
            sky_dn: sky_nmgy / typical.nmgy_per_dn[b],
            sky_gradient: [0, 1].map(|_| SKY_GRADIENT * (2.0 * rng.random::<f64>() - 1.0)),
            residual_dn: [0.0; 3],
        };
        let most = spec.artefacts.sky_residual_max_sigma * band.sky_sigma_nmgy() / band.nmgy_per_dn;
        // The three parts together reach at most `most`.
        band.residual_dn = [0.4, 0.4, 0.2].map(|part| part * most * (2.0 * rng.random::<f64>() - 1.0));
        band
    }

    /// Noise of a pixel of empty sky at the centre, nMgy: c sqrt(sky / gain + dark).
    pub fn sky_sigma_nmgy(&self) -> f64 {
        self.nmgy_per_dn * (self.sky_dn / self.gain_e_per_dn + self.dark_variance_dn2).sqrt()
    }

    /// The image of an object of `flux` nMgy centred at a pixel, seen through the PSF there.
    pub fn image_of(&self, object: &SimulatedObject, flux: f64, at: (f64, f64), scale_arcsec: f64) -> Vec<Blob> {
        let psf = Sheared { rounds: self.psf.rounds_at(at.0, at.1), shape: self.psf.shape_at(at.0, at.1) };
        // `r_e` is the semi-major axis; the shape has unit determinant.
        let radius = object.r_e_arcsec / scale_arcsec * object.axis_ratio.sqrt();
        let rounds = match object.profile {
            Profile::Point => mixture::point(),
            Profile::Exponential | Profile::Spiral => mixture::exponential(radius),
            Profile::DeVaucouleurs => mixture::de_vaucouleurs(radius),
        };
        let shape = Covariance::ellipse(object.axis_ratio, object.theta_deg.to_radians());
        mixture::image(&Sheared { rounds, shape }, &psf, flux, at, FAINTEST_SIGMA * self.sky_sigma_nmgy())
    }
}

fn normal(rng: &mut ChaCha8Rng) -> f64 {
    rng.sample(StandardNormal)
}
