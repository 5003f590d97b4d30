//! The header cards that every product shares: what made it, from what, and how good the image was.

use super::card::Cards;
use twinpeak_core::catalog::Provenance;
use twinpeak_core::frame::PerBand;
use twinpeak_core::outcome::BandQuality;

/// Cards that say what made a product.
pub(super) fn add_provenance(cards: &mut Cards, made: &Provenance) {
    cards.add("SURVEY", made.survey.as_str(), "survey");
    cards.add("IMAGEID", made.image_id.as_str(), "image");
    cards.add("INPUTSHA", made.input_hash.as_str(), "");
    cards.add("MODELVER", made.model_version.as_str(), "model bundle");
    cards.add("MODELSHA", made.model_hash.as_str(), "");
    cards.add("SOFTVER", made.software_version.as_str(), "twinpeak");
    cards.add("TIMESYS", "TAI", "");
    cards.add("MIDPOINT", made.midpoint_mjd_tai.unwrap_or(f64::NAN), "[d] middle of the exposure, MJD TAI");
}

/// Cards that say how good each band of the survey was, named by it: `FWHM_R` and so on.
pub(super) fn add_quality(cards: &mut Cards, quality: &PerBand<BandQuality>) {
    for q in quality.iter().filter(|q| !q.band.is_empty()) {
        let key = |stem: &str| format!("{stem}_{}", q.band.to_uppercase());
        cards.add(&key("FWHM"), q.fwhm_arcsec, "[arcsec] FWHM of the PSF at the centre");
        cards.add(&key("ELL"), q.ellipticity, "ellipticity of the PSF, 1 - b/a");
        cards.add(&key("SKY"), q.sky_nmgy, "[nmgy] sky of one pixel");
        cards.add(&key("SIG"), q.sky_sigma_nmgy, "[nmgy] noise of one sky pixel");
        cards.add(&key("DEP"), q.depth_5sigma_mag, "[mag] point source at S/N 5");
        cards.add(&key("NST"), q.psf_stars, "stars that made the PSF");
        cards.add(&key("FBK"), q.psf_fallback, "whether the bundle's PSF had to serve");
        cards.add(&key("APC"), q.ap_corr, "apFlux of a star times this is its psfFlux");
        cards.add(&key("HAL"), q.halo_share, "a star's light beyond its psfFlux, to 60 px");
        cards.add(&key("REG"), q.registration_residual_px, "[pix] scatter about the registration");
    }
}
