//! The new-image message: one field, and where the files of each band lie.

use serde::{Deserialize, Serialize, Serializer};

use super::json::{self, ByBand, Places};
use super::{MessageError, Uri, excerpt};
use twinpeak_core::files::{BandFiles, FieldFiles, Place};
use twinpeak_core::frame::{FieldIds, ImageId, PerBand};
use twinpeak_core::survey::{Group, Survey};

/// The version that is written here. Any minor version of the same major is read: what a later one adds is passed
/// over.
pub const SCHEMA_VERSION: &str = "1.1";

/// The major version that is read.
pub(super) const SCHEMA_MAJOR: &str = "1";

/// One field that has come.
#[derive(Clone, Debug, PartialEq)]
pub struct NewImage {
    /// Name of the image.
    pub image_id: ImageId,
    /// When it was observed, MJD (TAI); finite.
    pub observed_mjd_tai: Option<f64>,
    /// What there is of each band, in the survey's order: the reference band, and as many as the survey requires. Where
    /// fields are told by files' names, each one's name is of that band and image.
    pub bands: FieldFiles<Uri>,
    /// Run, rerun, camera column, field, as far as the message gives them.
    pub ids: FieldIds,
}

/// As it is written in JSON.
#[derive(Deserialize)]
struct Read {
    image_id: String,
    observed_at: Option<f64>,
    bands: Places,
    run: Option<u32>,
    rerun: Option<u32>,
    camcol: Option<u32>,
    field: Option<u32>,
    weights: Option<Places>,
    masks: Option<Places>,
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
        let read_places = |field, given: Places| places(field, given.by_band(field, survey)?, survey);
        let images = read_places("bands", read.bands)?;
        let mut weights = read_places("weights", read.weights.unwrap_or_default())?;
        let mut masks = read_places("masks", read.masks.unwrap_or_default())?;
        let mut bands = FieldFiles::default();
        for (b, image) in images.into_iter().enumerate() {
            let (mask, weight) = (masks[b].take(), weights[b].take());
            let Some(image) = image else {
                let beside = mask.map(|_| "masks").or(weight.map(|_| "weights"));
                let band = survey.band(b).to_owned();
                beside.map_or(Ok(()), |field| Err(MessageError::OfNoImage { field, band }))?;
                continue;
            };
            check_name(&image, b, &image_id, survey)?;
            bands[b] = Some(BandFiles { image, mask, weight });
        }
        enough_bands(&bands, survey)?;
        Ok(Self {
            image_id,
            observed_mjd_tai: read.observed_at,
            bands,
            ids: FieldIds { run: read.run, rerun: read.rerun, camcol: read.camcol, field: read.field },
        })
    }

    /// The message's bytes; [`super::parse`] with the same survey makes of them what this is, if it is sound.
    pub fn to_json(&self, survey: &Survey) -> Vec<u8> {
        #[derive(Serialize)]
        struct Fields<'a> {
            schema_version: &'a str,
            image_id: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            observed_at: Option<f64>,
            bands: PlacesOf<'a>,
            #[serde(skip_serializing_if = "Option::is_none")]
            run: Option<u32>,
            #[serde(skip_serializing_if = "Option::is_none")]
            rerun: Option<u32>,
            #[serde(skip_serializing_if = "Option::is_none")]
            camcol: Option<u32>,
            #[serde(skip_serializing_if = "Option::is_none")]
            field: Option<u32>,
            #[serde(skip_serializing_if = "PlacesOf::is_empty")]
            weights: PlacesOf<'a>,
            #[serde(skip_serializing_if = "PlacesOf::is_empty")]
            masks: PlacesOf<'a>,
        }
        let each = |of: fn(&BandFiles<Uri>) -> Option<&Place<Uri>>| PlacesOf {
            survey,
            places: self.bands.each_ref().map(|band| band.as_ref().and_then(of)),
        };
        let written = Fields {
            schema_version: SCHEMA_VERSION,
            image_id: self.image_id.as_str(),
            observed_at: self.observed_mjd_tai,
            bands: each(|band| Some(&band.image)),
            run: self.ids.run,
            rerun: self.ids.rerun,
            camcol: self.ids.camcol,
            field: self.ids.field,
            weights: each(|band| band.weight.as_ref()),
            masks: each(|band| band.mask.as_ref()),
        };
        serde_json::to_vec(&written).expect("texts and numbers under texts are always JSON")
    }
}

/// Written as an object: band name to URI, or to an object where an HDU is named.
struct PlacesOf<'a> {
    survey: &'a Survey,
    places: PerBand<Option<&'a Place<Uri>>>,
}

impl PlacesOf<'_> {
    fn is_empty(&self) -> bool {
        self.places.iter().all(Option::is_none)
    }
}

impl Serialize for PlacesOf<'_> {
    fn serialize<S: Serializer>(&self, into: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(untagged)]
        enum One<'a> {
            Uri(String),
            Hdu { uri: String, hdu: &'a str },
        }
        let one = |place: &Place<Uri>| place.file.to_string();
        let named = self.places.iter().enumerate().filter_map(|(b, place)| Some((b, (*place)?)));
        into.collect_map(named.map(|(b, place)| {
            let written = match &place.hdu {
                None => One::Uri(one(place)),
                Some(hdu) => One::Hdu { uri: one(place), hdu },
            };
            (self.survey.band(b), written)
        }))
    }
}

fn image_id(found: &str) -> Result<ImageId, MessageError> {
    ImageId::new(found).map_err(|source| MessageError::ImageId { found: excerpt(found), source })
}

fn places(field: &'static str, given: ByBand, survey: &Survey) -> Result<PerBand<Option<Place<Uri>>>, MessageError> {
    let mut places: PerBand<Option<Place<Uri>>> = Default::default();
    for (b, given) in given.into_iter().enumerate() {
        let Some(json::WrittenPlace { uri, hdu }) = given else { continue };
        let wrong = |source| MessageError::Place { field, band: survey.band(b).to_owned(), source };
        places[b] = Some(Place { file: uri.parse().map_err(wrong)?, hdu });
    }
    Ok(places)
}

/// The reference band must be named, and as many as the survey requires.
fn enough_bands(bands: &FieldFiles<Uri>, survey: &Survey) -> Result<(), MessageError> {
    let missing = |b: usize| MessageError::MissingBand { band: survey.band(b).to_owned(), required: survey.required() };
    if bands[survey.reference()].is_none() {
        return Err(missing(survey.reference()));
    }
    let given = bands.iter().flatten().count();
    let first = survey.planes().find(|&b| bands[b].is_none()).filter(|_| given < survey.required());
    first.map_or(Ok(()), |b| Err(missing(b)))
}

/// Said here already, before anything is fetched: what the name of a band's file says must be that band, and that image
/// or the CCD of it whose HDU is named. Where names do not tell which files are one field, the message alone does.
fn check_name(place: &Place<Uri>, band: usize, image: &ImageId, survey: &Survey) -> Result<(), MessageError> {
    let said = place.file.file_name().and_then(|name| survey.file_name(name));
    let by_name = survey.group() == Group::Name;
    let fits = said.map_or(!by_name, |said| {
        let is_ccd = place.hdu.as_deref().is_some_and(|ccd| said.image.of_ccd(ccd) == *image);
        said.band.is_none_or(|said| said == band) && (!by_name || said.image == *image || is_ccd)
    });
    if fits {
        return Ok(());
    }
    let name = excerpt(place.file.file_name().unwrap_or_default());
    Err(MessageError::OtherName { band: survey.band(band).to_owned(), name, image: image.to_string() })
}
