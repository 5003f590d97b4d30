//! What goes out on the stream: Avro records of sources, of masks and of an image's end, with the schemas by which
//! they are read. Bytes only; what carries them is another's matter.
//!
//! A schema's version is MAJOR.MINOR. Within a major, whoever knows any minor reads what any other minor wrote: a
//! minor only adds fields that are null by default. `deploy/schemas/` holds every version that was published.

mod container;
mod datum;
mod image;
mod mask;
#[cfg(test)]
mod published;
mod schema;
mod source;
#[cfg(test)]
mod tests;

pub use mask::{Mask, MaskBody};
pub use schema::{IMAGE_VERSION, MASK_VERSION, RecordSchema, SOURCE_VERSION, Schemas};
pub use source::Rows;

use twinpeak_core::catalog::{self, Catalog, Column, Provenance};
use twinpeak_core::outcome::{Finished, Products};
use twinpeak_core::survey::Survey;

/// How a message begins: by what its reader finds the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Avro single-object encoding: `C3 01` and the schema's fingerprint; the schema is a published file.
    SingleObject,
    /// Confluent's wire format: a zero and, big-endian, the id that a registry gave.
    Confluent {
        /// Of the sources' schema.
        source_id: u32,
        /// Registered id of the masks' schema.
        mask_id: u32,
        /// Of the end-of-image record's.
        image_id: u32,
    },
}

/// Writes records as messages.
pub struct AvroEncoder {
    schemas: Schemas,
    columns: Vec<Column>,
    heads: Heads,
}

/// The bytes with which each kind of message begins.
struct Heads {
    source: Vec<u8>,
    mask: Vec<u8>,
    image: Vec<u8>,
}

impl AvroEncoder {
    /// For this survey's records, each beginning as `framing` says.
    ///
    /// # Errors
    /// [`AvroError::Schema`] where a name of the survey cannot stand in a schema.
    pub fn new(survey: &Survey, framing: Framing) -> Result<Self, AvroError> {
        let schemas = Schemas::new(survey)?;
        let (source, mask, image) = (&schemas.source, &schemas.mask, &schemas.image);
        let heads = match framing {
            Framing::SingleObject => Heads {
                source: single_object(source.fingerprint()),
                mask: single_object(mask.fingerprint()),
                image: single_object(image.fingerprint()),
            },
            Framing::Confluent { source_id, mask_id, image_id } => {
                Heads { source: confluent(source_id), mask: confluent(mask_id), image: confluent(image_id) }
            }
        };
        Ok(Self { schemas, columns: catalog::columns(survey), heads })
    }

    /// The schemas of what this writes.
    pub fn schemas(&self) -> &Schemas {
        &self.schemas
    }

    /// A message for each source, in the catalogue's order.
    ///
    /// # Errors
    /// [`AvroError::Cell`] where a cell is not of its column's kind.
    pub fn rows(&self, catalog: &Catalog) -> Result<Rows, AvroError> {
        source::rows(&self.heads.source, &self.columns, catalog)
    }

    /// The message that carries an image's masks, or says where they lie.
    ///
    /// # Errors
    /// [`AvroError::Record`] where the record is not its schema's.
    pub fn mask(&self, of: &Provenance, mask: &Mask) -> Result<Vec<u8>, AvroError> {
        self.schemas.mask.encode(&self.heads.mask, mask.record(of))
    }

    /// The message that ends an image: these products, and so many messages of `masks`.
    ///
    /// # Errors
    /// [`AvroError::Record`] where the record is not its schema's.
    pub fn image(&self, finished: &Finished, products: &Products, masks: usize) -> Result<Vec<u8>, AvroError> {
        self.schemas.image.encode(&self.heads.image, image::record(finished, products, masks))
    }

    /// `<id>.catalog.avro`: an Avro object container file whose rows are, byte for byte, those of [`AvroEncoder::rows`]
    /// after their heads. The same catalogue gives the same bytes.
    ///
    /// # Errors
    /// [`AvroError::Cell`] where a cell is not of its column's kind.
    pub fn container(&self, catalog: &Catalog) -> Result<Vec<u8>, AvroError> {
        let rows = source::rows(&[], &self.columns, catalog)?;
        Ok(container::file(&self.schemas.source, &catalog.provenance, &rows))
    }
}

fn single_object(fingerprint: [u8; 8]) -> Vec<u8> {
    [&[0xC3, 0x01][..], &fingerprint].concat()
}

fn confluent(id: u32) -> Vec<u8> {
    [&[0][..], &id.to_be_bytes()].concat()
}

/// Why a record could not be written.
#[derive(Debug, thiserror::Error)]
pub enum AvroError {
    /// The survey's names make no schema.
    #[error("the survey's bands make no Avro schema of {record}: {source}; use letters, digits and _ in their names")]
    Schema {
        /// The kind of record.
        record: &'static str,
        /// In the library's words.
        source: Box<apache_avro::Error>,
    },
    /// A cell that its column cannot hold.
    #[error("image {image}: a cell of column {column} is null or of another kind, and may not be")]
    Cell {
        /// Name of the image.
        image: String,
        /// Name of the column.
        column: String,
    },
    /// A record that is not what its schema says.
    #[error("a record of {record} is not its schema's: {source}")]
    Record {
        /// The kind of record.
        record: &'static str,
        /// In the library's words.
        source: Box<apache_avro::Error>,
    },
}
