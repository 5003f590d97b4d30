//! What an image's products become: rows, masks and the record of its end.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::kafka::{ImageRecords, Outflow};
use crate::message::Uri;
use crate::object_store::{ObjectStore, ObjectStoreError};
use twinpeak_core::causes::causes;
use twinpeak_core::hex::hex;
use twinpeak_core::outcome::{Finished, Outcome, Reason, Rejection, Stage};
use twinpeak_engine::ports::PortError;
use twinpeak_formats::avro::{AvroEncoder, Mask, MaskBody};
use twinpeak_formats::fits;

/// Writes records, and keeps what is too large for a topic in the object store.
pub struct RecordWriter {
    encoder: AvroEncoder,
    store: Arc<ObjectStore>,
    inline_mask_bytes: usize,
    has_objects: bool,
}

impl RecordWriter {
    /// With masks above `inline_mask_bytes` in the object store, where there is one.
    pub fn new(encoder: AvroEncoder, store: Arc<ObjectStore>, inline_mask_bytes: usize, has_objects: bool) -> Self {
        Self { encoder, store, inline_mask_bytes, has_objects }
    }
}

fn fatal(error: impl std::error::Error + Send + Sync + 'static) -> PortError {
    PortError::Fatal(Box::new(error))
}

/// A store that is away comes back; what it never takes is that image's refusal.
fn not_kept(error: ObjectStoreError) -> PortError {
    if error.retryable() {
        return PortError::Retry(Box::new(error));
    }
    let reason = if matches!(error, ObjectStoreError::TooLarge { .. }) { Reason::TooLarge } else { Reason::Internal };
    PortError::Refused(Box::new(Rejection {
        reason,
        stage: Stage::Publish,
        file: None,
        message: error.to_string(),
        advice: "see remote.objects, then replay the message".into(),
    }))
}

impl Outflow for RecordWriter {
    fn records(&self, finished: &Finished, message: &str) -> Result<ImageRecords, PortError> {
        let Outcome::Processed(products) = &finished.outcome else {
            return Err(PortError::Fatal("only results have records".into()));
        };
        let catalog = &products.catalog;
        let masks = fits::masks(products).map_err(fatal)?;
        let (sha256, stored);
        let body = if masks.len() > self.inline_mask_bytes && self.has_objects {
            stored = self.store.put(&masks, &format!("{message}.masks.fits")).map_err(not_kept)?;
            sha256 = stored.sha256.clone();
            MaskBody::Claim(&stored.uri)
        } else {
            sha256 = hex(&Sha256::digest(&masks));
            MaskBody::Inline(&masks)
        };
        let objects = match body {
            MaskBody::Claim(uri) => vec![uri.to_owned()],
            MaskBody::Inline(_) => Vec::new(),
        };
        let mask = Mask { sha256: &sha256, size_bytes: masks.len(), body };
        Ok(ImageRecords {
            sources: self.encoder.rows(catalog).map_err(fatal)?,
            masks: vec![self.encoder.mask(&catalog.provenance, &mask).map_err(fatal)?],
            image: self.encoder.image(finished, products, 1).map_err(fatal)?,
            objects,
        })
    }

    fn keep(&self, bytes: &[u8], message: &str) -> Result<Option<String>, PortError> {
        if !self.has_objects {
            return Ok(None);
        }
        self.store.put(bytes, &format!("{message}.message")).map(|stored| Some(stored.uri)).map_err(not_kept)
    }

    fn discard(&self, uri: &str) {
        let removed = match uri.parse::<Uri>() {
            Ok(uri) => self.store.remove(&uri).map_err(|error| causes(&error).to_string()),
            Err(error) => Err(causes(&error).to_string()),
        };
        if let Err(error) = removed {
            tracing::warn!(uri, error, "orphaned object could not be deleted");
        }
    }
}
