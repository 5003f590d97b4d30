//! The two small files that say how an image ended.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use twinpeak_core::frame::PerBand;
use twinpeak_core::outcome::{BandQuality, Products, Rejection, Stage};
use twinpeak_core::reference::Agreement;

/// twinpeak's version, as every record says it.
pub(super) const SOFTWARE_VERSION: &str = env!("CARGO_PKG_VERSION");
/// Version of the records' layout: MAJOR.MINOR, only additions within a major.
const SCHEMA_VERSION: &str = "1.0";

/// Version and hash of a model bundle, as records name it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelName {
    /// Version of the bundle, from its manifest.
    pub version: String,
    /// SHA-256 of the bundle, hex.
    pub hash: String,
}

/// `<id>.done.json`: all files of the image are there, and these are they.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DoneRecord {
    /// Version of the record's layout, MAJOR.MINOR.
    pub schema_version: String,
    /// Name of the image.
    pub image_id: String,
    /// Name of the survey, from its description.
    pub survey: String,
    /// Middle of the exposure, MJD TAI.
    pub midpoint_mjd_tai: Option<f64>,
    /// Rows of the catalogue.
    pub rows: usize,
    /// Rows classified as star or quasar.
    pub stars: usize,
    /// Rows classified as galaxy.
    pub galaxies: usize,
    /// Rows without a class.
    pub unclassified: usize,
    /// Tiles that went through the segmentation net.
    pub tiles: usize,
    /// The image's other files.
    pub files: Vec<DoneFile>,
    /// Seeing, noise and depth of each band.
    pub quality: PerBand<BandQuality>,
    /// How it agrees with the reference catalogue; null without one.
    #[serde(default)]
    pub reference: Option<Agreement>,
    /// Device that served it.
    pub device: String,
    /// Bundle whose nets made it.
    pub model: ModelName,
    /// Version of twinpeak that wrote the record.
    pub software_version: String,
    /// SHA-256 of the five input files, hex.
    pub input_hash: String,
    /// Seconds spent in each stage until publishing; the only thing here that differs from run to run.
    pub timings_s: BTreeMap<Stage, f64>,
}

/// One file of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DoneFile {
    /// Its name, in the same folder.
    pub name: String,
    /// Length, bytes.
    pub bytes: usize,
    /// SHA-256 of its bytes, hex.
    pub sha256: String,
}

impl DoneRecord {
    /// The record of these products and files, without timings.
    pub(super) fn new(products: &Products, files: Vec<DoneFile>) -> Self {
        let p = &products.catalog.provenance;
        let counts = products.catalog.counts();
        Self {
            schema_version: SCHEMA_VERSION.into(),
            image_id: p.image_id.to_string(),
            survey: p.survey.clone(),
            midpoint_mjd_tai: p.midpoint_mjd_tai,
            rows: counts.rows,
            stars: counts.stars,
            galaxies: counts.galaxies,
            unclassified: counts.unclassified,
            tiles: products.tiles,
            files,
            quality: products.quality.clone(),
            reference: products.reference.clone(),
            device: products.device.clone(),
            model: ModelName { version: p.model_version.clone(), hash: p.model_hash.clone() },
            software_version: p.software_version.clone(),
            input_hash: p.input_hash.clone(),
            timings_s: BTreeMap::new(),
        }
    }
}

/// `rejected/<id>.json`: why there is nothing, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectedRecord {
    /// Version of the record's layout, MAJOR.MINOR.
    pub schema_version: String,
    /// The image, or a name made from the file's where it is none of the survey's.
    pub image_id: String,
    /// Reason, stage, file, message, advice.
    #[serde(flatten)]
    pub rejection: Rejection,
    /// The bundle that would have served it.
    pub model: ModelName,
    /// Version of twinpeak that wrote the record.
    pub software_version: String,
}

impl RejectedRecord {
    pub(super) fn new(image_id: &str, rejection: Rejection, model: ModelName) -> Self {
        let (schema_version, software_version) = (SCHEMA_VERSION.into(), SOFTWARE_VERSION.into());
        Self { schema_version, image_id: image_id.to_owned(), rejection, model, software_version }
    }
}
