//! What `survey check` says of one image.

use std::fmt;

use serde::Serialize;

use super::sources::{self, Source};
use twinpeak_core::files::FieldFiles;
use twinpeak_core::frame::{Frame, ImageId, mask};
use twinpeak_core::outcome::Rejection;
use twinpeak_core::preprocess::plausible::{NoiseAgainstGain, SkyFacts, noise_against_gain};
use twinpeak_core::preprocess::{Prepared, noise_ratio, prepare};
use twinpeak_core::recipe::Recipe;
use twinpeak_core::survey::Survey;
use twinpeak_formats::fits::{self, HduKind, HduSummary, Limits};
use twinpeak_store::Loader;

/// One image.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Its id, as the survey's names or table give it.
    pub image_id: String,
    /// Its files, each with its HDUs.
    pub files: Vec<FileReport>,
    /// Middle of the exposure, MJD (TAI).
    pub midpoint_mjd_tai: Option<f64>,
    /// Exposure time, s.
    pub exposure_s: Option<f64>,
    /// Each band that is there.
    pub bands: Vec<BandReport>,
    /// Sources that a matched filter finds.
    pub sources: Option<usize>,
    /// The brightest of them.
    pub brightest: Vec<Source>,
    /// What is odd and no reason to refuse it.
    pub warnings: Vec<String>,
    /// Why it would be refused.
    pub refused: Option<Rejection>,
}

/// One file.
#[derive(Clone, Debug, Serialize)]
pub struct FileReport {
    /// Its path.
    pub file: String,
    /// What it is to the image: `g`, `g mask`, `g weight`.
    pub role: String,
    /// The HDU that is asked for by name or number.
    pub hdu: Option<String>,
    /// What it holds; empty where it cannot be read.
    pub hdus: Vec<HduSummary>,
}

/// One band, as read and prepared.
#[derive(Clone, Debug, Serialize)]
pub struct BandReport {
    /// Name of the band.
    pub band: String,
    /// Width and height, px.
    pub size_px: (usize, usize),
    /// Centre (ICRS), deg.
    pub centre_deg: Option<(f64, f64)>,
    /// Pixel scale at the centre, arcsec.
    pub pixel_scale_arcsec: f64,
    /// Offset of its pixels from the reference band's at the centre, px.
    pub shift_px: Option<(isize, isize)>,
    /// Flux of one count, nMgy.
    pub nmgy_per_dn: f64,
    /// Magnitude of one count.
    pub zero_point_mag: f64,
    /// Gain, electrons per count.
    pub gain_e_per_dn: f64,
    /// Counts above which a pixel is not trusted.
    pub saturation_dn: f64,
    /// Sky that was subtracted before, nMgy a pixel.
    pub removed_sky_nmgy: Option<f64>,
    /// Sky that is still in the pixels, nMgy a pixel.
    pub sky_nmgy: Option<f64>,
    /// Noise of a sky pixel, nMgy.
    pub sky_sigma_nmgy: Option<f64>,
    /// That over the nearest noise which gain and zero point allow.
    pub noise_ratio: Option<f64>,
    /// Median noise that the survey's own variances give, over the measured one.
    pub variance_ratio: Option<f64>,
    /// Share of pixels with each bit: BAD, SAT, EDGE, NO_DATA.
    pub mask_share: [f64; 4],
    /// Full width at half maximum of the PSF, arcsec.
    pub fwhm_arcsec: Option<f64>,
    /// Stars that made the PSF.
    pub psf_stars: usize,
}

impl Report {
    /// Reads and prepares an image as `process` would.
    pub fn of(image: &ImageId, files: Result<FieldFiles, Rejection>, survey: &Survey, loader: &Loader) -> Self {
        let mut report = Self {
            image_id: image.to_string(),
            files: files.as_ref().map_or_else(|_| Vec::new(), |files| file_reports(files, survey)),
            midpoint_mjd_tai: None,
            exposure_s: None,
            bands: Vec::new(),
            sources: None,
            brightest: Vec::new(),
            warnings: Vec::new(),
            refused: None,
        };
        let frame = match files.and_then(|files| loader(image, &files)) {
            Ok(frame) => frame,
            Err(rejection) => return Self { refused: Some(rejection), ..report },
        };
        (report.midpoint_mjd_tai, report.exposure_s) = (frame.midpoint_mjd_tai, frame.exposure_s);
        if frame.midpoint_mjd_tai.is_none() {
            report.warnings.push("no card gives the time of the exposure: midpointMjdTai is null".into());
        }
        let read: Vec<BandReport> = present(&frame).map(|b| BandReport::read(&frame, b, survey)).collect();
        let names = frame.files.clone();
        match prepare(frame, survey, &Recipe::for_survey(survey).preprocess) {
            Ok(prepared) => report.prepared(read, &prepared, survey),
            Err(error) => {
                report.bands = read;
                report.refused = Some(twinpeak_engine::refused(&error, survey, &names));
            }
        }
        report
    }

    fn prepared(&mut self, read: Vec<BandReport>, prepared: &Prepared, survey: &Survey) {
        let found = sources::find(prepared, survey);
        for (b, band) in present(&prepared.frame).zip(read) {
            let band = band.prepared(prepared, b, survey);
            let name = &band.band;
            if found.psf[b].fallback {
                self.warnings.push(format!("band {name}: too few stars for a PSF"));
            }
            if let Some(ratio) = band.noise_ratio.filter(|r| (r - 1.0).abs() > 0.25) {
                self.warnings.push(format!(
                    "band {name}: the noise is {ratio:.2} times what gain and zero point allow (a gain that is off by two \
                     makes it 1.4 or .7): beyond 2, or below .5, frames are refused"
                ));
            }
            if let Some(ratio) = band.variance_ratio.filter(|r| !(0.5..=2.0).contains(r)) {
                self.warnings.push(format!(
                    "band {name}: noise by the survey's variances is {ratio:.2} times the measured: see weight.kind"
                ));
            }
            let (own, stated) = (band.pixel_scale_arcsec, survey.profile().pixel_scale_arcsec);
            if (own / stated - 1.0).abs() > 0.05 {
                self.warnings.push(format!(
                    "band {name}: {own:.4} arcsec a pixel by its coordinates, and pixel_scale_arcsec is {stated}"
                ));
            }
            let psf = &found.psf[b];
            let fwhm_arcsec = (!psf.fallback && psf.fwhm_arcsec.is_finite()).then_some(psf.fwhm_arcsec);
            self.bands.push(BandReport { fwhm_arcsec, psf_stars: psf.stars, ..band });
        }
        for b in survey.planes().filter(|&b| !prepared.frame.present[b]) {
            self.warnings.push(format!("band {} is not there: its columns are null", survey.band(b)));
        }
        (self.sources, self.brightest) = (Some(found.found), found.brightest);
    }
}

impl BandReport {
    fn read(frame: &Frame, b: usize, survey: &Survey) -> Self {
        let band = &frame.bands[b];
        let (width, height) = (band.pixels.width(), band.pixels.height());
        Self {
            band: survey.band(b).to_owned(),
            size_px: (width, height),
            centre_deg: band.wcs.pixel_to_sky((width as f64 - 1.0) / 2.0, (height as f64 - 1.0) / 2.0),
            pixel_scale_arcsec: band.wcs.pixel_scale_arcsec(),
            shift_px: None,
            nmgy_per_dn: band.nmgy_per_dn,
            zero_point_mag: 22.5 - 2.5 * band.nmgy_per_dn.log10(),
            gain_e_per_dn: band.gain_e_per_dn,
            saturation_dn: band.saturation_nmgy / band.nmgy_per_dn,
            removed_sky_nmgy: band.removed_sky_nmgy,
            sky_nmgy: None,
            sky_sigma_nmgy: None,
            noise_ratio: None,
            variance_ratio: None,
            mask_share: mask_share(band.mask.pixels()),
            fwhm_arcsec: None,
            psf_stars: 0,
        }
    }

    fn prepared(self, prepared: &Prepared, b: usize, survey: &Survey) -> Self {
        let (band, sky) = (&prepared.frame.bands[b], &prepared.sky[b]);
        let NoiseAgainstGain { ratio, .. } = noise_against_gain(&SkyFacts::of(band, b, sky, survey));
        let variance_ratio = noise_ratio(band).map(f64::from);
        Self {
            shift_px: Some(prepared.shift_px[b]),
            sky_nmgy: Some(f64::from(sky.level_nmgy)),
            sky_sigma_nmgy: Some(f64::from(sky.sigma_nmgy)),
            noise_ratio: Some(ratio),
            variance_ratio,
            mask_share: mask_share(band.mask.pixels()),
            ..self
        }
    }
}

fn present(frame: &Frame) -> impl Iterator<Item = usize> + use<> {
    let present = frame.present;
    (0..present.len()).filter(move |&b| present[b])
}

fn mask_share(bits: &[u8]) -> [f64; 4] {
    let share = |bit| bits.iter().filter(|m| **m & bit != 0).count() as f64 / bits.len().max(1) as f64;
    mask::NAMES.map(|(_, bit)| share(bit))
}

fn file_reports(files: &FieldFiles, survey: &Survey) -> Vec<FileReport> {
    let mut all = Vec::new();
    for (b, band) in files.iter().enumerate().filter_map(|(b, band)| Some((b, band.as_ref()?))) {
        let parts = [("", Some(&band.image)), (" mask", band.mask.as_ref()), (" weight", band.weight.as_ref())];
        for (role, place) in parts.into_iter().filter_map(|(role, place)| Some((role, place?))) {
            all.push(FileReport {
                file: place.file.display().to_string(),
                role: format!("{}{role}", survey.band(b)),
                hdu: place.hdu.clone(),
                hdus: fits::describe(&place.file, &Limits::default()).unwrap_or_default(),
            });
        }
    }
    all
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "image {}", self.image_id)?;
        for file in &self.files {
            let hdu = file.hdu.as_deref().map_or_else(String::new, |hdu| format!(" [{hdu}]"));
            writeln!(f, "  {}{hdu}: {}", file.role, file.file)?;
            for hdu in &file.hdus {
                writeln!(f, "    HDU {}", described(hdu))?;
            }
        }
        let time = self.midpoint_mjd_tai.map_or_else(|| "unknown".to_owned(), |mjd| format!("MJD {mjd:.6} (TAI)"));
        let exposure = self.exposure_s.map_or_else(|| "unknown".to_owned(), |s| format!("{s} s"));
        writeln!(f, "  middle of the exposure {time}, exposure time {exposure}")?;
        for band in &self.bands {
            write!(f, "{band}")?;
        }
        if let Some(found) = self.sources {
            writeln!(f, "  sources found by a matched filter: {found}")?;
        }
        for source in &self.brightest {
            let widths: Vec<String> =
                source.fwhm_px.iter().map(|w| w.map_or_else(|| "-".to_owned(), |w| format!("{w:.2}"))).collect();
            writeln!(
                f,
                "    {:.6} {:+.6} at x {:.2} y {:.2}, FWHM {} px",
                source.ra_deg,
                source.dec_deg,
                source.x,
                source.y,
                widths.join(" ")
            )?;
        }
        for warning in &self.warnings {
            writeln!(f, "  note: {warning}")?;
        }
        match &self.refused {
            Some(rejection) => writeln!(f, "  REFUSED: {rejection}"),
            None => writeln!(f, "  it would be processed"),
        }
    }
}

impl fmt::Display for BandReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |v: Option<f64>| v.map_or_else(|| "unknown".to_owned(), |v| format!("{v:.4}"));
        let centre = self.centre_deg.map_or_else(|| "nowhere".to_owned(), |(ra, dec)| format!("{ra:.6} {dec:+.6}"));
        let (width, height) = self.size_px;
        writeln!(
            f,
            "  {}: {width}x{height} px of {:.4} arcsec, centre {centre}{}",
            self.band,
            self.pixel_scale_arcsec,
            self.shift_px.map_or_else(String::new, |(x, y)| format!(", {x:+} {y:+} px from the reference band"))
        )?;
        writeln!(
            f,
            "     one count is {:.3e} nMgy (mag {:.3}), gain {:.3} e/count, saturation {:.0} counts",
            self.nmgy_per_dn, self.zero_point_mag, self.gain_e_per_dn, self.saturation_dn
        )?;
        writeln!(
            f,
            "     sky removed {}, left {} nMgy; noise {} nMgy, {} times what gain allows{}",
            number(self.removed_sky_nmgy),
            number(self.sky_nmgy),
            number(self.sky_sigma_nmgy),
            self.noise_ratio.map_or_else(|| "unknown".to_owned(), |r| format!("{r:.2}")),
            self.variance_ratio.map_or_else(String::new, |r| format!(", {r:.2} by the survey's variances"))
        )?;
        let shares: Vec<String> = mask::NAMES
            .iter()
            .zip(self.mask_share)
            .map(|((name, _), share)| format!("{name} {:.2} %", 100.0 * share))
            .collect();
        let seeing = self
            .fwhm_arcsec
            .map_or_else(|| "no PSF".to_owned(), |fwhm| format!("FWHM {fwhm:.3} arcsec by {} stars", self.psf_stars));
        writeln!(f, "     {seeing}; {}", shares.join(", "))
    }
}

fn described(hdu: &HduSummary) -> String {
    let name = hdu.name.as_deref().map_or_else(String::new, |name| format!(" {name}"));
    let axes: Vec<String> = hdu.axes.iter().map(u64::to_string).collect();
    let kind = match hdu.kind {
        HduKind::Image => format!("image {} BITPIX {}", axes.join("x"), hdu.bitpix.unwrap_or_default()),
        HduKind::Table => "table".to_owned(),
        HduKind::Empty => "header".to_owned(),
    };
    let coding = hdu.coding.as_deref().map_or_else(String::new, |coding| format!(", {coding}"));
    let unit = hdu.unit.as_deref().map_or_else(String::new, |unit| format!(", {unit:?}"));
    format!("{}{name}: {kind}{coding}{unit}", hdu.number)
}
