//! An outcome on its way from the engine into the transaction.

use std::sync::Arc;

use rdkafka::message::OwnedHeaders;

use super::delivery::Delivery;
use super::records::Outgoing;
use super::rejected::Original;
use twinpeak_core::frame::ImageId;

/// An outcome on its way into the transaction.
pub(super) struct Ready {
    pub delivery: Arc<Delivery>,
    pub image: ImageId,
    pub content: Arc<Content>,
}

/// What is written for an outcome.
pub enum Content {
    Image(Outgoing),
    /// `addressed`: with the message's own key and headers, which may be too large.
    Rejected {
        headers: OwnedHeaders,
        addressed: bool,
        original: Original,
    },
    Nothing,
}
