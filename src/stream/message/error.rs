//! Everything that can be wrong with a message, in one list.

use super::UriError;
use super::new_image::SCHEMA_MAJOR;
use twinpeak_core::frame::InvalidImageId;
use twinpeak_core::outcome::{Reason, Rejection, Stage};

/// Why a message is refused: one line, naming the place in the message. Of what was sent, only short quoted excerpts
/// are repeated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// Bytes that are not UTF-8.
    #[error("is not UTF-8 text from byte {at_byte} on: send JSON")]
    NotText {
        /// Bytes before the fault.
        at_byte: usize,
    },
    /// Nested deeper than any message needs.
    #[error("lists and objects are nested more than {limit} deep: send a flat message")]
    TooDeep {
        /// The most that is read.
        limit: usize,
    },
    /// Not JSON, a field of another type, twice, or missing.
    #[error("is not the JSON it should be: {problem}")]
    Json {
        /// The parser's message, with line and column.
        problem: String,
    },
    /// JSON, but neither of ours nor of an object store.
    #[error("has neither schema_version nor Records: send a new-image message or an S3 notification")]
    OfNoKind,
    /// A version that is none.
    #[error("schema_version {found} is not MAJOR.MINOR: write \"{known}\"", known = super::SCHEMA_VERSION)]
    NoVersion {
        /// Excerpt of the value as it was sent, quoted.
        found: String,
    },
    /// A version of which nothing can be known here.
    #[error("schema_version {found}: major version {SCHEMA_MAJOR} alone is known here; send it, or update the daemon")]
    OtherMajor {
        /// Excerpt of the value as it was sent, quoted.
        found: String,
    },
    /// A name that is no image's.
    #[error("image_id {found} is no image id: use 1 to 128 of A-Z a-z 0-9 . _ - and no leading dot")]
    ImageId {
        /// Excerpt of the value as it was sent, quoted.
        found: String,
        /// The rule that it breaks.
        source: InvalidImageId,
    },
    /// A band that the survey has is not named.
    #[error("bands has no {band}: give the reference band, and {required} bands at least")]
    MissingBand {
        /// Name of the band.
        band: String,
        /// How many the survey requires.
        required: usize,
    },
    /// A mask or weights of a band without an image.
    #[error("{field} names band {band}, of which bands has no image: give that too, or leave it out")]
    OfNoImage {
        /// The object that names it.
        field: &'static str,
        /// Name of the band.
        band: String,
    },
    /// A band that the survey does not have.
    #[error("{field} names band {name}: the survey's are {bands}")]
    UnknownBand {
        /// The object that names it.
        field: &'static str,
        /// Excerpt of the band's name as it was sent, quoted.
        name: String,
        /// Names of the survey's bands.
        bands: String,
    },
    /// A band named twice.
    #[error("{field} names band {band} twice: give it once")]
    BandTwice {
        /// The object that names it.
        field: &'static str,
        /// Name of the band.
        band: String,
    },
    /// A text that is no place to read from.
    #[error("{field}.{band}: {source}")]
    Place {
        /// The object in which it stands.
        field: &'static str,
        /// Name of the band.
        band: String,
        /// Why the text is no place to read from.
        source: UriError,
    },
    /// A file whose name is not that of this band and image.
    #[error("bands.{band}: file name {name} is not of band {band} of image {image}: give each band its own file")]
    OtherName {
        /// The band as which it is given.
        band: String,
        /// Excerpt of the file's name, quoted.
        name: String,
        /// The image that the message is about.
        image: String,
    },
    /// An event without its object.
    #[error("record {record} has no s3.bucket.name and s3.object.key: send the store's notification as it is")]
    NoObject {
        /// Its place among the records, from 0.
        record: usize,
    },
    /// A key that is not encoded as the stores do.
    #[error("the object's key {key} is not URL-encoded UTF-8: send the store's notification as it is")]
    Key {
        /// Excerpt of the key as it was sent, quoted.
        key: String,
    },
    /// A key or bucket that is not to be read from.
    #[error("the created object: {source}")]
    Object {
        /// Why the text is no place to read from.
        source: UriError,
    },
    /// A time that is none.
    #[error("eventTime {found} is no time: write it as 2026-01-30T12:00:00.000Z")]
    Time {
        /// Excerpt of the value as it was sent, quoted.
        found: String,
    },
    /// The survey's pattern does not say how the other bands' files are named.
    #[error("{name} fits the survey's file_pattern, but not with another band: let `image` not capture the band")]
    NoSibling {
        /// The name of the file that came.
        name: String,
    },
    /// A survey whose files' names do not say which are one field.
    #[error("{name} does not say of which field or band it is: send a new-image message that names each band's file")]
    NotByName {
        /// The name of the file that came.
        name: String,
    },
    /// Objects of more than one image, or of one image in more than one place.
    #[error("tells of several images, {first} and {other}: let the store send one image a message")]
    SeveralImages {
        /// A file of the one.
        first: String,
        /// A file of the other.
        other: String,
    },
    /// More events in one message than any store sends.
    #[error("has more than {limit} records: let the store send one event a message")]
    TooManyRecords {
        /// The most that are read.
        limit: usize,
    },
}

impl MessageError {
    /// The kind of refusal, as in metrics: what would be said of files in a folder is said of the same files here.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Place { source, .. } | Self::Object { source } if source.forbidden() => Reason::Forbidden,
            Self::MissingBand { .. } => Reason::MissingBand,
            Self::OtherName { .. } => Reason::BandMismatch,
            _ => Reason::BadMessage,
        }
    }

    /// The refusal as the outcome of the message.
    pub fn rejection(&self) -> Rejection {
        let advice = match self.reason() {
            Reason::Forbidden => "send URIs from which the daemon may read",
            _ => "correct the message by deploy/schemas/new-image-v1.1.json and send it again",
        };
        Rejection {
            reason: self.reason(),
            stage: Stage::Ingest,
            file: None,
            message: format!("the message {self}"),
            advice: advice.into(),
        }
    }
}
