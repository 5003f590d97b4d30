//! FITS at the edge: the survey's files in, catalogue and masks out, all through memory.
//!
//! Bytes are read, unpacked and taken apart here, in safe code and under [`Limits`], so that no file name is
//! ever interpreted, no allocation follows from a header's word alone, and no sequence of bytes can do worse
//! than be refused. What is written has no time stamp: the same input gives the same bytes.

use serde::{Deserialize, Serialize};
use twinpeak_core::survey::TextTable;

mod band;
mod calibration_header;
mod card;
mod catalog;
mod choose;
mod coordinates;
mod describe;
mod dither;
mod file_error;
mod foreign;
mod hdu;
mod header;
mod load;
mod masks;
mod pixels;
mod planes;
mod provenance;
mod psfex;
mod rice;
mod scene;
mod segmentation;
mod shape;
mod sighting;
mod table;
#[cfg(test)]
mod tests;
mod tiles;
mod time_cards;
mod unpack;
mod write_tiles;
mod zero_point;

pub use band::{encode_band, encode_companion, pack};
pub use catalog::catalog_table;
pub use choose::{ccds, ccds_in};
pub use describe::{HduKind, HduSummary, describe};
pub use foreign::{ForeignDecoder, ForeignError, Reader};
pub use load::{NamedBytes, decode, load};
pub use masks::masks;
pub use psfex::psfex;
pub use scene::scene_images;
pub use segmentation::{Masks, read_masks, read_segmentation, segmentation_file};
pub use sighting::sightings;

/// How much one file may ask of us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Largest file as stored, bytes.
    pub max_file_bytes: u64,
    /// Largest file once unpacked, bytes.
    pub max_unpacked_bytes: u64,
    /// Most pixels in one band.
    pub max_pixels: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_file_bytes: 256 << 20, max_unpacked_bytes: 512 << 20, max_pixels: 64 << 20 }
    }
}

/// The first binary table of a file, as text; `Err` says why there is none.
pub(crate) fn first_table(bytes: &[u8]) -> Result<TextTable, String> {
    let read = || {
        let bytes = unpack::unpack(bytes, &Limits::default())?;
        let hdus = hdu::Hdu::split(&bytes)?;
        let mut tables = hdus.iter().filter_map(|hdu| table::Table::of(hdu).transpose());
        let Some(table) = tables.next().transpose()? else { return Ok(None) };
        let columns: Vec<String> = table.names().map(str::to_owned).collect();
        let cells = |row| (0..columns.len()).map(|c| table.text(row, c).unwrap_or_default()).collect();
        let rows = (0..table.rows()).map(cells).collect();
        Ok(Some(TextTable { columns, rows }))
    };
    let found: Result<Option<TextTable>, file_error::FileError> = read();
    found.map_err(|error| error.to_string())?.ok_or_else(|| "it holds no binary table".to_owned())
}

/// Why something cannot be written as FITS, or a file of ours not be read back.
#[derive(Debug, thiserror::Error)]
pub enum FitsError {
    /// FITS headers and text columns hold printable ASCII only.
    #[error("{what}: {text:?} has characters that FITS cannot hold")]
    NotAscii {
        /// The card or column.
        what: String,
        /// The text that was to be written.
        text: String,
    },
    /// Frames whose zero points stand in a table beside them cannot be written without it.
    #[error("band {band} has no zero point to write it with: give calibration.zero_point_mag in the survey file")]
    NoZeroPoint {
        /// Name of the band.
        band: String,
    },
    /// A packer (bzip2, gzip) failed.
    #[error("cannot pack {name:?}: {source}")]
    Pack {
        /// What was to be packed: a file, or a tile of the masks.
        name: String,
        /// The packer's error.
        source: std::io::Error,
    },
    /// A file without a plane of sources' numbers as this program writes it.
    #[error("no SEGMENTATION of this program can be read from it: {problem}")]
    NoSegmentation {
        /// What is wrong.
        problem: String,
    },
}
