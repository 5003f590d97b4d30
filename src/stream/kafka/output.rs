//! An outcome on its way from the engine into the transaction.

use std::sync::Arc;

use rdkafka::message::OwnedHeaders;

use super::delivery::Delivery;
use super::image_records::ImageRecords;
use super::rejected::Original;
use twinpeak_core::frame::ImageId;

/// An outcome on its way into the transaction.
pub(super) struct PendingOutput {
    pub delivery: Arc<Delivery>,
    pub image: ImageId,
    pub content: Arc<Output>,
}

/// What is written for an outcome.
pub enum Output {
    Image(ImageRecords),
    /// `addressed`: with the message's own key and headers, which may be too large.
    Rejected {
        headers: OwnedHeaders,
        addressed: bool,
        original: Original,
    },
    Nothing,
}
