//! What is remembered of a field, and what can be asked of many.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use twinpeak_core::frame::PerBand;
use twinpeak_core::outcome::{BandQuality, Products, Reason, Rejection, Stage};
use twinpeak_core::reference::Agreement;

/// Longest text of a rejection that is remembered, characters: some repeat what a file or a message says.
pub(super) const MOST_CHARACTERS: usize = 600;

/// A field that ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Field {
    /// Name of the image.
    pub image: String,
    /// When it ended, Unix time.
    pub ended_unix_s: f64,
    /// Middle of its exposure, MJD TAI.
    pub midpoint_mjd_tai: Option<f64>,
    /// Seconds spent in each stage.
    pub timings_s: BTreeMap<Stage, f64>,
    /// The bundle that served it.
    pub model_version: String,
    /// Its results, or why it was rejected.
    #[serde(flatten)]
    pub end: End,
}

/// How a field ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum End {
    /// Processed, with these results.
    Processed(Results),
    /// Rejected, for this reason.
    Rejected(Rejection),
}

/// What came of a processed field.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Results {
    /// Sources classified as star or quasar.
    pub stars: usize,
    /// Sources classified as galaxy.
    pub galaxies: usize,
    /// Sources without a class.
    pub unclassified: usize,
    /// Seeing, noise and depth of each band.
    pub quality: Box<PerBand<BandQuality>>,
    /// How it agrees with the reference catalogue.
    pub reference: Option<Agreement>,
    /// Device that served it.
    pub device: String,
}

impl From<&Products> for Results {
    fn from(products: &Products) -> Self {
        let counts = products.catalog.counts();
        Self {
            stars: counts.stars,
            galaxies: counts.galaxies,
            unclassified: counts.unclassified,
            quality: Box::new(products.quality.clone()),
            reference: products.reference.clone(),
            device: products.device.clone(),
        }
    }
}

impl Field {
    pub(super) fn rejected(&self) -> Option<&Rejection> {
        match &self.end {
            End::Rejected(rejection) => Some(rejection),
            End::Processed(_) => None,
        }
    }

    /// What came of it, where it was processed.
    pub fn results(&self) -> Option<&Results> {
        match &self.end {
            End::Processed(results) => Some(results),
            End::Rejected(_) => None,
        }
    }
}

/// Which fields are listed: all, where nothing is set.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FieldFilter {
    /// Only those processed (true), or those rejected.
    pub processed: Option<bool>,
    /// Only those rejected for this.
    pub reason: Option<Reason>,
    /// Only those in whose names this stands, in any case.
    pub text: String,
    /// Only those that ended before this number's.
    pub before: Option<i64>,
}

/// A field of the ring.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// Number in the order in which fields ended; for paging.
    pub number: i64,
    /// What is remembered of the field.
    #[serde(flatten, serialize_with = "inner")]
    pub field: Arc<Field>,
    /// Of a rejected one: whether its image was processed later.
    pub processed_since: bool,
}

fn inner<S: serde::Serializer>(field: &Arc<Field>, to: S) -> Result<S::Ok, S::Error> {
    field.as_ref().serialize(to)
}

/// Sums over the fields of the ring.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct OutcomeCounts {
    /// Fields that were processed.
    pub processed: usize,
    /// Fields that were rejected.
    pub rejected: usize,
    /// Fields by what they were rejected for.
    pub reasons: BTreeMap<Reason, usize>,
    /// Sources classified as star or quasar.
    pub stars: usize,
    /// Sources classified as galaxy.
    pub galaxies: usize,
    /// Sources without a class.
    pub unclassified: usize,
}

/// A rejection whose texts have a bounded length.
pub fn shortened(mut rejection: Rejection) -> Rejection {
    let cut = |text: &mut String| {
        if let Some((at, _)) = text.char_indices().nth(MOST_CHARACTERS) {
            text.truncate(at);
            text.push('…');
        }
    };
    cut(&mut rejection.message);
    cut(&mut rejection.advice);
    rejection.file.as_mut().map(cut);
    rejection
}
