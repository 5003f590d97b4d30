//! The record of an image's masks: the file itself where it is small, else a claim check.

use apache_avro::types::Value;

use twinpeak_core::catalog::Provenance;

/// The masks of an image, as a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mask<'a> {
    /// SHA-256 of the file, hex.
    pub sha256: &'a str,
    /// Length of the file, bytes.
    pub size_bytes: usize,
    /// The file, or where it is.
    pub body: MaskBody<'a>,
}

/// How masks are delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaskBody<'a> {
    /// The file's bytes, in the message.
    Inline(&'a [u8]),
    /// URI of the file in the object store.
    Claim(&'a str),
}

impl Mask<'_> {
    pub(super) fn record(&self, of: &Provenance) -> Value {
        let (bytes, uri) = match self.body {
            MaskBody::Inline(bytes) => (Some(bytes), None),
            MaskBody::Claim(uri) => (None, Some(uri)),
        };
        let text = |value: &str| Value::from(value);
        Value::Record(vec![
            ("imageId".into(), text(of.image_id.as_str())),
            ("sha256".into(), text(self.sha256)),
            ("sizeBytes".into(), Value::Long(self.size_bytes as i64)),
            ("format".into(), text("fits")),
            ("bytes".into(), bytes.into()),
            ("uri".into(), uri.into()),
            ("modelVersion".into(), text(&of.model_version)),
            ("modelHash".into(), text(&of.model_hash)),
            ("inputHash".into(), text(&of.input_hash)),
        ])
    }
}
