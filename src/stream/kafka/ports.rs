//! What the session asks of its user: to understand messages, and to write records.

use std::sync::Arc;

use super::delivery::Incoming;
use super::image_records::ImageRecords;
use twinpeak_core::frame::ImageId;
use twinpeak_core::outcome::{Finished, Rejection};
use twinpeak_engine::ports::{Load, Loaded, PortError};

/// What a message turned out to ask for.
pub struct Request {
    /// The image it names, or a name made for it.
    pub image_id: ImageId,
    /// Gives the frame, or says why there is none.
    pub load: Load,
    /// Whether it may be asked for; until then the message waits outside the engine, and its partition with it.
    pub(super) ready: Option<Box<dyn Fn() -> bool + Send>>,
}

impl Request {
    /// An image to work on as soon as there is room.
    pub fn new(image_id: ImageId, load: impl FnOnce() -> Result<Loaded, Rejection> + Send + 'static) -> Self {
        Self { image_id, load: Box::new(load), ready: None }
    }

    /// But only once something has come.
    #[must_use]
    pub fn once(self, come: impl Fn() -> bool + Send + 'static) -> Self {
        Self { ready: Some(Box::new(come)), ..self }
    }

    pub(super) fn is_ready(&self) -> bool {
        self.ready.as_ref().is_none_or(|ready| ready())
    }
}

/// Reads messages: from a record to the frame it asks for.
pub trait Intake: Send {
    /// Takes one; what is wrong with it is a rejection of its `load`.
    fn take(&self, incoming: &Arc<Incoming>) -> Request;
}

/// Turns results into records, and keeps what is too large for a topic.
pub trait Outflow: Send + Sync {
    /// The records of an image's products; `message` distinguishes the message that asked for them from any other, for
    /// objects that are to be this message's own.
    ///
    /// # Errors
    /// [`PortError`]: to be tried again, or to be refused.
    fn records(&self, finished: &Finished, message: &str) -> Result<ImageRecords, PortError>;

    /// Stores bytes of `message` in the object store and gives their URI; `None` where there is no store.
    ///
    /// # Errors
    /// [`PortError::Retry`] where it cannot be done now.
    fn keep(&self, bytes: &[u8], message: &str) -> Result<Option<String>, PortError>;

    /// Removes an object that no record names; best effort.
    fn discard(&self, uri: &str);
}

/// What made the results, as rejected messages record it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Software {
    /// Version of twinpeak.
    pub version: String,
    /// Version of the model bundle, from its manifest.
    pub model_version: String,
    /// SHA-256 of the bundle, hex.
    pub model_hash: String,
}
