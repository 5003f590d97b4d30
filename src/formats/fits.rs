//! FITS at the edge: the survey's files in, catalogue and masks out, all through memory.
//!
//! Bytes are read, unpacked and taken apart here, in safe code and under [`Limits`], so that no file name is
//! ever interpreted, no allocation follows from a header's word alone, and no sequence of bytes can do worse
//! than be refused. What is written has no time stamp: the same input gives the same bytes.

use serde::{Deserialize, Serialize};

mod band;
mod calibration_header;
mod card;
mod catalog;
mod dither;
mod file_error;
mod foreign;
mod hdu;
mod header;
mod load;
mod masks;
mod pixels;
mod provenance;
mod rice;
mod segmentation;
mod shape;
mod table;
#[cfg(test)]
mod tests;
mod tiles;
mod unpack;

pub use band::{encode_band, pack};
pub use catalog::catalog_table;
pub use foreign::{ForeignDecoder, ForeignError, Reader};
pub use load::{NamedBytes, decode, load};
pub use masks::masks;
pub use segmentation::{Masks, read_masks, read_segmentation, segmentation_file};

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
