//! The new-image message: one field, and where the file of each band lies.

use serde::{Deserialize, Serialize, Serializer};

use super::json::{self, ByBand, Texts};
use super::{MessageError, Uri, excerpt};
use twinpeak_core::frame::{BANDS, FieldIds, ImageId, PerBand};
use twinpeak_core::survey::Survey;

/// The version that is written here. Any minor version of the same major is read: what a later one adds is passed
/// over.
pub const SCHEMA_VERSION: &str = "1.0";

/// The major version that is read.
pub(super) const SCHEMA_MAJOR: &str = "1";

/// One field that has come.
#[derive(Clone, Debug, PartialEq)]
pub struct NewImage {
    /// Name of the image.
    pub image_id: ImageId,
    /// When it was observed, MJD (TAI); finite.
    pub observed_mjd_tai: Option<f64>,
    /// Each band's file, in the survey's order; each one's name is of that band and image.
    pub bands: PerBand<Uri>,
    /// Run, rerun, camera column, field, as far as the message gives them.
    pub ids: FieldIds,
    /// Reserved: weight maps, kept but not used.
    pub weights: PerBand<Option<Uri>>,
    /// Reserved: masks, kept but not used.
    pub masks: PerBand<Option<Uri>>,
}

/// As it is written in JSON.
#[derive(Deserialize)]
struct Read {
    image_id: String,
    observed_at: Option<f64>,
    bands: Texts,
    run: Option<u32>,
    rerun: Option<u32>,
    camcol: Option<u32>,
    field: Option<u32>,
    weights: Option<Texts>,
    masks: Option<Texts>,
}

/// Whether a message of this version can be read.
pub(super) fn check_version(version: &str) -> Result<(), MessageError> {
    let number = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit()) && (s == "0" || !s.starts_with('0'));
    match version.split_once('.') {
        Some((SCHEMA_MAJOR, minor)) if number(minor) => Ok(()),
        Some((major, minor)) if number(major) && number(minor) => {
            Err(MessageError::OtherMajor { found: excerpt(version) })
        }
        _ => Err(MessageError::NoVersion { found: excerpt(version) }),
    }
}

impl NewImage {
    /// Reads the text of a message of a version that is known.
    pub(super) fn parse(text: &str, survey: &Survey) -> Result<Self, MessageError> {
        let read: Read = json::object(text)?;
        let image_id = image_id(&read.image_id)?;
        let names = &survey.profile().bands.planes;
        let uris = |field, texts: Texts| places(field, texts.by_band(field, names)?, survey);
        let given = uris("bands", read.bands)?;
        let mut bands = Vec::with_capacity(BANDS);
        for (b, uri) in given.into_iter().enumerate() {
            let uri = uri.ok_or_else(|| MessageError::MissingBand { band: survey.band(b).to_owned() })?;
            check_name(&uri, b, &image_id, survey)?;
            bands.push(uri);
        }
        Ok(Self {
            image_id,
            observed_mjd_tai: read.observed_at,
            bands: bands.try_into().unwrap_or_else(|_| unreachable!("there is one URI for each band")),
            ids: FieldIds { run: read.run, rerun: read.rerun, camcol: read.camcol, field: read.field },
            weights: uris("weights", read.weights.unwrap_or_default())?,
            masks: uris("masks", read.masks.unwrap_or_default())?,
        })
    }

    /// The message's bytes; [`super::parse`] with the same survey makes of them what this is, if it is sound.
    pub fn to_json(&self, survey: &Survey) -> Vec<u8> {
        #[derive(Serialize)]
        struct Written<'a> {
            schema_version: &'a str,
            image_id: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            observed_at: Option<f64>,
            bands: Bands<'a>,
            #[serde(skip_serializing_if = "Option::is_none")]
            run: Option<u32>,
            #[serde(skip_serializing_if = "Option::is_none")]
            rerun: Option<u32>,
            #[serde(skip_serializing_if = "Option::is_none")]
            camcol: Option<u32>,
            #[serde(skip_serializing_if = "Option::is_none")]
            field: Option<u32>,
            #[serde(skip_serializing_if = "Bands::is_empty")]
            weights: Bands<'a>,
            #[serde(skip_serializing_if = "Bands::is_empty")]
            masks: Bands<'a>,
        }
        let written = Written {
            schema_version: SCHEMA_VERSION,
            image_id: self.image_id.as_str(),
            observed_at: self.observed_mjd_tai,
            bands: Bands { survey, uris: self.bands.each_ref().map(Some) },
            run: self.ids.run,
            rerun: self.ids.rerun,
            camcol: self.ids.camcol,
            field: self.ids.field,
            weights: Bands { survey, uris: self.weights.each_ref().map(Option::as_ref) },
            masks: Bands { survey, uris: self.masks.each_ref().map(Option::as_ref) },
        };
        serde_json::to_vec(&written).expect("texts and numbers under texts are always JSON")
    }
}

/// Written as an object, band name to URI.
struct Bands<'a> {
    survey: &'a Survey,
    uris: PerBand<Option<&'a Uri>>,
}

impl Bands<'_> {
    fn is_empty(&self) -> bool {
        self.uris.iter().all(Option::is_none)
    }
}

impl Serialize for Bands<'_> {
    fn serialize<S: Serializer>(&self, into: S) -> Result<S::Ok, S::Error> {
        let named = self.uris.iter().enumerate();
        into.collect_map(named.filter_map(|(b, uri)| Some((self.survey.band(b), uri.as_ref()?.to_string()))))
    }
}

fn image_id(found: &str) -> Result<ImageId, MessageError> {
    ImageId::new(found).map_err(|source| MessageError::ImageId { found: excerpt(found), source })
}

fn places(field: &'static str, texts: ByBand, survey: &Survey) -> Result<PerBand<Option<Uri>>, MessageError> {
    let mut uris: PerBand<Option<Uri>> = Default::default();
    for (b, text) in texts.iter().enumerate() {
        let wrong = |source| MessageError::Place { field, band: survey.band(b).to_owned(), source };
        uris[b] = text.as_deref().map(|text| text.parse().map_err(wrong)).transpose()?;
    }
    Ok(uris)
}

/// Said here already, before anything is fetched: the name of a band's file must be of that band and image.
fn check_name(uri: &Uri, band: usize, image: &ImageId, survey: &Survey) -> Result<(), MessageError> {
    let said = uri.file_name().and_then(|name| survey.file_name(name));
    if said.is_some_and(|said| said.band == band && said.image == *image) {
        return Ok(());
    }
    let name = excerpt(uri.file_name().unwrap_or_default());
    Err(MessageError::OtherName { band: survey.band(band).to_owned(), name, image: image.to_string() })
}
