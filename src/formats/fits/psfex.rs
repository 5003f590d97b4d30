//! A band's PSF in PSFEx's format (PSFEx manual, "The PSF model file"), which SExtractor, galsim and others read: a table
//! PSF_DATA whose one cell holds an image for each term of a polynomial in position.

use super::FitsError;
use super::card::{Cards, TableSize, fill_block};
use super::provenance::add_provenance;
use twinpeak_core::catalog::Provenance;
use twinpeak_core::outcome::{BandQuality, FramePsf};
use twinpeak_core::psf::{SIDE, TERMS};

/// The PSF of `band`, which the frame has. Positions are those of the catalogue's X_IMAGE and Y_IMAGE, of the reference
/// band and from 1; a pixel of the image is one of the frame. The sum of the image at a position is 1 at the frame's
/// centre and near it elsewhere: divide by it.
///
/// # Errors
/// [`FitsError`] where a name or version cannot stand in a header.
pub fn psfex(frame: &FramePsf, band: usize, quality: &BandQuality, made: &Provenance) -> Result<Vec<u8>, FitsError> {
    let terms = frame.psf.terms(band);
    let values = SIDE * SIDE * TERMS;
    let size = TableSize { row_bytes: 4 * values, rows: 1, columns: 1, heap_bytes: 0 };
    let mut cards = Cards::table(size);
    cards.add("EXTNAME", "PSF_DATA", "").add("TTYPE1", "PSF_MASK", "").add("TFORM1", format!("{values}E").as_str(), "");
    cards.add("TDIM1", format!("({SIDE},{SIDE},{TERMS})").as_str(), "");
    cards.add("LOADED", quality.psf_stars, "as ACCEPTED").add("ACCEPTED", quality.psf_stars, "stars that made it");
    cards.add("POLNAXIS", 2usize, "a polynomial in two coordinates");
    let (half_width, half_height) = frame.psf.half_size_px();
    for (axis, name, half) in [(1, "X_IMAGE", half_width), (2, "Y_IMAGE", half_height)] {
        cards.add(&format!("POLGRP{axis}"), 1usize, "").add(&format!("POLNAME{axis}"), name, "");
        // u = x / half - 1 of x from 0 is (X - (half + 1)) / half of X from 1.
        cards.add(&format!("POLZERO{axis}"), half + 1.0, "u, v = (position - POLZERO) / POLSCAL");
        cards.add(&format!("POLSCAL{axis}"), half, "");
    }
    cards.add("POLNGRP", 1usize, "").add("POLDEG1", 1usize, "terms 1, u, v");
    cards.add("PSF_FWHM", quality.fwhm_arcsec / frame.pixel_scale_arcsec, "[pix] at the centre");
    cards.add("PSF_SAMP", 1.0, "pixels of the frame for one of the image");
    cards.add("PSFNAXIS", 3usize, "").add("PSFAXIS1", SIDE, "").add("PSFAXIS2", SIDE, "").add("PSFAXIS3", TERMS, "");
    cards.add("BAND", quality.band.as_str(), "").add(
        "PSFBACK",
        quality.psf_fallback,
        "whether the bundle's PSF had to serve",
    );
    add_provenance(&mut cards, made);

    let mut bytes = Cards::primary().finish()?;
    bytes.extend(cards.finish()?);
    let sum: f64 = terms[0].iter().map(|&v| f64::from(v)).sum();
    for value in terms.iter().flatten() {
        bytes.extend(((f64::from(*value) / sum) as f32).to_be_bytes());
    }
    fill_block(&mut bytes);
    Ok(bytes)
}
