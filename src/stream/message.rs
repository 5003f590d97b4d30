//! What comes in on the stream: the bytes of one message, understood and checked. Pure: nothing is opened, fetched
//! or timed here, and what a message says is a name or a place, never yet a fact.
//!
//! Two kinds are understood. A *new-image message* (`deploy/schemas/new-image-v1.1.json`) names the files of one field:
//! images, and masks and weights where there are some. A *notification* of an object store (S3's and MinIO's
//! `ObjectCreated`) names one file; the others of the field have its name but for the band, or one made of it.

mod error;
mod json;
mod new_image;
mod notification;
mod percent;
mod time;
mod uri;

pub use error::MessageError;
pub use new_image::{NewImage, SCHEMA_VERSION};
pub use notification::ObjectCreated;
pub use uri::{Uri, UriError};

use serde::Deserialize;
use serde::de::IgnoredAny;

use twinpeak_core::frame::ImageId;
use twinpeak_core::survey::Survey;

/// One message of the topic `new-images`, understood.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// A field and where its files lie.
    NewImage(Box<NewImage>),
    /// One band's file has come into a bucket.
    ObjectCreated(Box<ObjectCreated>),
    /// A notification of no interest: of a sidecar, a foreign key, another event, a test. It is acknowledged.
    Nothing,
}

/// As much of a message as its kind is recognised by, whatever its version.
#[derive(Deserialize)]
struct Kind {
    schema_version: Option<String>,
    #[serde(rename = "Records")]
    records: Option<IgnoredAny>,
    #[serde(rename = "Event")]
    event: Option<String>,
}

/// Understands the bytes of one message.
///
/// Work and memory are bounded by a small multiple of the input, whatever it holds; how large that may be is the
/// caller's business. The image id of a message that is refused may still be had by [`named_image`].
///
/// # Errors
/// [`MessageError`]: the first fault.
pub fn parse(bytes: &[u8], survey: &Survey) -> Result<Message, MessageError> {
    let text = json::text(bytes)?;
    let kind: Kind = json::object(text)?;
    match kind {
        Kind { schema_version: Some(version), .. } => {
            new_image::check_version(&version)?;
            Ok(Message::NewImage(Box::new(NewImage::parse(text, survey)?)))
        }
        Kind { records: Some(_), .. } => {
            let created = ObjectCreated::parse(text, survey)?.map(Box::new);
            Ok(created.map_or(Message::Nothing, Message::ObjectCreated))
        }
        Kind { event: Some(event), .. } if event == "s3:TestEvent" => Ok(Message::Nothing),
        Kind { .. } => Err(MessageError::OfNoKind),
    }
}

/// The image id that a new-image message gives, whatever else is wrong with it: under it the message is refused.
pub fn named_image(bytes: &[u8]) -> Option<ImageId> {
    #[derive(Deserialize)]
    struct Named {
        image_id: String,
    }
    let named: Named = json::object(json::text(bytes).ok()?).ok()?;
    ImageId::new(&named.image_id).ok()
}

/// The beginning of a text of unknown length, quoted on one line.
fn excerpt(text: &str) -> String {
    const CHARS: usize = 80;
    match text.char_indices().nth(CHARS) {
        Some((end, _)) => format!("{:?}...", &text[..end]),
        None => format!("{text:?}"),
    }
}

#[cfg(test)]
mod tests;
