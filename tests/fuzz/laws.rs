//! What must hold for any bytes: the bodies of the fuzz targets, which the tests also run, on the kept corpora.

pub mod headers;

use std::path::{Component, Path};
use std::sync::{Arc, LazyLock};

use twinpeak_config::{Config, Layers};
use twinpeak_core::files::{FieldFiles, Place, plain};
use twinpeak_core::frame::ImageId;
use twinpeak_core::preprocess::{Settings, prepare};
use twinpeak_core::survey::Survey;
use twinpeak_core::wcs::Wcs;
use twinpeak_formats::fits;
use twinpeak_formats::fits::NamedBytes;
use twinpeak_nets::bundle;
use twinpeak_nets::bundle::Bundle;
use twinpeak_nets::parameters::Parameters;
use twinpeak_stream::message;
use twinpeak_stream::message::{Message, Uri};

static SURVEY: LazyLock<Survey> =
    LazyLock::new(|| Survey::parse(include_str!("../../config/surveys/sdss.toml")).expect("the shipped survey"));

/// A message is understood, and what is written of it is understood the same; or it is refused in one line.
pub fn message(bytes: &[u8]) {
    message::named_image(bytes);
    match message::parse(bytes, &SURVEY) {
        Ok(Message::NewImage(image)) => {
            named_by_band(&image.bands, image.image_id.as_str());
            let again = message::parse(&image.to_json(&SURVEY), &SURVEY);
            assert_eq!(again, Ok(Message::NewImage(image)));
        }
        Ok(Message::ObjectCreated(created)) => {
            named_by_band(&created.siblings, created.image_id.as_str());
        }
        Ok(Message::Nothing) => {}
        Err(refused) => {
            let said = refused.rejection().to_string();
            assert!(said.len() < 10_000 && !said.contains(char::is_control), "{said:?}");
        }
    }
}

/// As [`message`], of the bytes and of a notification whose key they are.
pub fn notification(bytes: &[u8]) {
    message(bytes);
    let key = String::from_utf8_lossy(bytes);
    let object = serde_json::json!({"bucket": {"name": "night"}, "object": {"key": key}});
    let event = serde_json::json!({"Records": [{"eventName": "ObjectCreated:Put", "s3": object}]});
    message(event.to_string().as_bytes());
}

/// A URI is a place below where it seems to be, and is written as it is read; or it is refused in one line.
pub fn uri(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match text.parse::<Uri>() {
        Ok(uri) => sound(&uri),
        Err(refused) => {
            let said = refused.to_string();
            assert!(said.len() < 1000 && !said.contains(char::is_control), "{said:?}");
        }
    }
}

/// A configuration is understood, and what is written of it is understood the same; or it is refused in one line.
pub fn configuration(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let load = |text: &str| -> Result<Config, _> { Layers::from_text("fuzz.toml".into(), text.into()).load() };
    match load(text) {
        Ok(config) => assert_eq!(load(&config.to_toml()), Ok(config)),
        Err(refused) => assert!(!refused.to_string().contains(char::is_control), "{refused}"),
    }
}

fn sound(uri: &Uri) {
    let (root, path) = match uri {
        Uri::File(path) => (Path::new("/"), path.as_path()),
        Uri::S3 { key, .. } => (Path::new(""), Path::new(key)),
    };
    let below = path.strip_prefix(root).expect("a file's path is absolute");
    assert!(below.components().all(|c| matches!(c, Component::Normal(_))) && below.file_name().is_some(), "{uri}");
    let text = uri.to_string();
    assert!(text.bytes().all(|b| b.is_ascii_graphic()) && text.parse() == Ok(uri.clone()), "{text}");
}

/// Every file lies in a sound place, and the bands' images are called by band and image.
fn named_by_band(files: &FieldFiles<Uri>, image: &str) {
    for (band, files) in files.iter().enumerate().filter_map(|(band, files)| Some((band, files.as_ref()?))) {
        files.places().for_each(|place| sound(&place.file));
        let Place { file, hdu } = &files.image;
        let said = file.file_name().and_then(|name| SURVEY.file_name(name)).expect("a name of the survey");
        let is_ccd = hdu.as_deref().is_some_and(|ccd| said.image.of_ccd(ccd).as_str() == image);
        assert!(said.band == Some(band) && (said.image.as_str() == image || is_ccd), "{file}");
    }
}

/// Five files of these bytes are a frame no larger than the limits; or they are refused in one line.
pub fn frame(name_ending: &str, bytes: &[u8]) {
    frame_by(None, name_ending, bytes);
}

/// As [`frame`], where somebody decodes foreign codings.
pub fn frame_by(foreign: Option<Arc<dyn fits::ForeignDecoder>>, name_ending: &str, bytes: &[u8]) {
    let limits = fits::Limits { max_file_bytes: 1 << 20, max_unpacked_bytes: 1 << 21, max_pixels: 1 << 16 };
    let file = |band: usize| NamedBytes {
        name: format!("frame-{}-003918-3-0213.fits{name_ending}", SURVEY.band(band)),
        bytes: bytes.to_vec(),
    };
    let image = ImageId::new("003918-3-0213").expect("an id");
    match fits::decode(&SURVEY, &image, plain(std::array::from_fn(file)), &fits::Reader { limits, foreign }) {
        Ok(frame) => assert!(frame.bands.iter().all(|band| band.pixels.pixels().len() as u64 <= limits.max_pixels)),
        Err(refused) => one_line(&refused.to_string()),
    }
}

/// A frame with a header of these bytes is refused in one line; or every pixel has a place on the sky of its own, the same
/// in all bands and by the cards that are written of it. Prepared, it is refused in one line or has its noise.
pub fn header(bytes: &[u8]) {
    let drawn = headers::draw(bytes);
    let frame = match drawn.read(&SURVEY) {
        Ok(frame) => frame,
        Err(refused) => {
            assert!(refused.file.is_some() && !refused.advice.is_empty(), "{refused}");
            return one_line(&refused.to_string());
        }
    };
    assert!(drawn.image.is_some(), "one of two images was taken");
    let own = &frame.bands[0].wcs;
    let again = Wcs::from_cards(own.cards(), (headers::WIDTH, headers::HEIGHT)).expect("what is written is read");
    for (x, y) in headers::POINTS {
        let (ra, dec) = own.pixel_to_sky(x, y).expect("the whole frame is on the sky");
        assert!((0.0..=360.0).contains(&ra) && dec.abs() <= 90.0, "{ra} {dec}");
        assert!(frame.bands.iter().all(|band| band.wcs.pixel_to_sky(x, y) == Some((ra, dec))));
        let (back_x, back_y) = own.sky_to_pixel(ra, dec).expect("it came from there");
        assert!((back_x - x).abs() < 1e-3 && (back_y - y).abs() < 1e-3, "{back_x} {back_y} for {x} {y}");
        let (ra_again, dec_again) = again.pixel_to_sky(x, y).expect("it is the same map");
        let around = (ra - ra_again + 540.0).rem_euclid(360.0) - 180.0;
        let apart_deg = (around * dec.to_radians().cos()).hypot(dec - dec_again);
        assert!(apart_deg < 1e-9, "{apart_deg} deg between {own:?} and what is written of it");
    }
    match prepare(frame, &SURVEY, &Settings::default()) {
        Ok(prepared) => assert!(prepared.sky.iter().all(|sky| sky.sigma_nmgy > 0.0)),
        Err(refused) => one_line(&refused.to_string()),
    }
}

/// A bundle with this manifest is refused in one line: its weights are not there.
pub fn manifest(folder: &Path, bytes: &[u8]) {
    std::fs::write(folder.join(bundle::MANIFEST), bytes).expect("a folder of the test's own");
    let profile = SURVEY.profile();
    let refused = Bundle::load(folder, &profile.name, &profile.bands.planes).expect_err("there are no weights");
    one_line(&refused.to_string());
}

/// Weights are numbers by name; or they are refused in one line.
pub fn weights(bytes: &[u8]) {
    if let Err(refused) = Parameters::from_safetensors(bytes) {
        one_line(&refused.to_string());
    }
}

fn one_line(said: &str) {
    assert!(said.len() < 10_000 && !said.contains(char::is_control), "{said:?}");
}
