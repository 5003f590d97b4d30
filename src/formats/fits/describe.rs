//! What a file holds, HDU by HDU, as its headers say: for somebody who looks at frames of a survey that is not described
//! yet.

use std::path::Path;

use super::choose::extname;
use super::hdu::{Hdu, axes};
use super::{Limits, unpack};
use serde::Serialize;
use twinpeak_core::outcome::Rejection;

/// One HDU, by its header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HduSummary {
    /// Number, the primary being 0.
    pub number: usize,
    /// EXTNAME, where it has one.
    pub name: Option<String>,
    /// Image, table, or nothing.
    pub kind: HduKind,
    /// Lengths of the axes: of an image its width and height first.
    pub axes: Vec<u64>,
    /// BITPIX of an image's pixels: negative for real numbers.
    pub bitpix: Option<i64>,
    /// How an image is compressed by tiles, where it is.
    pub coding: Option<String>,
    /// BUNIT, where it says one.
    pub unit: Option<String>,
}

/// What kind of data an HDU has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HduKind {
    /// Pixels.
    Image,
    /// Rows and columns.
    Table,
    /// A header alone.
    Empty,
}

/// The HDUs of a file, packed or not, in its order.
///
/// # Errors
/// [`Rejection`] where the file cannot be read or is no FITS file.
pub fn describe(file: &Path, limits: &Limits) -> Result<Vec<HduSummary>, Rejection> {
    let summaries = || {
        let packed = unpack::read(file, "", limits)?;
        let bytes = unpack::unpack(&packed, limits)?;
        Ok(Hdu::split(&bytes)?.iter().enumerate().map(|(number, hdu)| summary(number, hdu)).collect())
    };
    summaries().map_err(|fault: super::file_error::FileError| fault.reject(&file.display().to_string()))
}

fn summary(number: usize, hdu: &Hdu) -> HduSummary {
    let (header, compressed) = (&hdu.header, hdu.is_compressed());
    let kind = match () {
        () if hdu.is_image() => HduKind::Image,
        () if hdu.data.is_empty() => HduKind::Empty,
        () => HduKind::Table,
    };
    HduSummary {
        number,
        name: extname(hdu).map(str::to_owned),
        kind,
        axes: axes(header, if compressed { "ZNAXIS" } else { "NAXIS" }).unwrap_or_default(),
        bitpix: (kind == HduKind::Image)
            .then(|| header.integer(if compressed { "ZBITPIX" } else { "BITPIX" }))
            .flatten(),
        coding: compressed.then(|| header.text("ZCMPTYPE").unwrap_or("unknown").to_owned()),
        unit: header.text("BUNIT").filter(|unit| !unit.is_empty()).map(str::to_owned),
    }
}
