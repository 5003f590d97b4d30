//! What a message and a notification name, as frames: masks and weights, HDUs, bands that are missing. The files lie in
//! a real S3 server (moto).

use std::num::NonZeroU32;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::s3::Moto;
use twinpeak_core::frame::{Frame, mask};
use twinpeak_core::outcome::{Reason, Rejection};
use twinpeak_core::survey::Survey;
use twinpeak_core::testing::like_sdss;
use twinpeak_formats::fits;
use twinpeak_stream::intake::MessageReader;
use twinpeak_stream::kafka::{self, Incoming, Intake, Origin};
use twinpeak_stream::object_store::{ObjectStore, Settings};

const SIDE: usize = 64;
/// The pixel at column 3 of row 5 is saturated, by the masks.
const SATURATED: (usize, usize) = (3, 5);

fn survey() -> Survey {
    let bands = r#"{ planes = ["u", "g", "r", "i", "z"], required = 2 }"#;
    let pattern = r"^(?P<image>.*)_(?P<band>[a-z])\.fits$";
    let beside = "[mask]\nfile = '{image}_{band}.m.fits'\nbits = { SAT = [2] }\n\
                  [weight]\nfile = '{image}_{band}.w.fits'\nrequired = false\nkind = 'variance'\nincludes_sources = false";
    like_sdss(bands, pattern, beside)
}

fn block(cards: &[String]) -> Vec<u8> {
    let mut text: String = cards.iter().map(|card| format!("{card:80}")).collect();
    text += &format!("{:80}", "END");
    let mut bytes = text.into_bytes();
    bytes.resize(bytes.len().next_multiple_of(2880), b' ');
    bytes
}

/// A primary HDU without pixels, and an extension of each name with these pixels.
fn file(names: &[&str], bitpix: i64, value: impl Fn(usize, usize) -> Vec<u8>) -> Vec<u8> {
    let card = |key: &str, value: &str| format!("{key:8}= {value:>20}");
    let mut all = block(&[card("SIMPLE", "T"), card("BITPIX", "8"), card("NAXIS", "0"), card("EXTEND", "T")]);
    for name in names {
        let cd = format!("{:e}", 0.396 / 3600.0).to_uppercase();
        let cards = [
            card("XTENSION", "'IMAGE   '"),
            card("BITPIX", &bitpix.to_string()),
            card("NAXIS", "2"),
            card("NAXIS1", &SIDE.to_string()),
            card("NAXIS2", &SIDE.to_string()),
            card("PCOUNT", "0"),
            card("GCOUNT", "1"),
            card("EXTNAME", &format!("'{name}'")),
            card("CTYPE1", "'RA---TAN'"),
            card("CTYPE2", "'DEC--TAN'"),
            card("CRPIX1", "32.5"),
            card("CRPIX2", "32.5"),
            card("CRVAL1", "10.0"),
            card("CRVAL2", "20.0"),
            card("CD1_1", &format!("-{cd}")),
            card("CD1_2", "0.0"),
            card("CD2_1", "0.0"),
            card("CD2_2", &cd),
            card("RADESYS", "'ICRS'"),
        ];
        all.extend(block(&cards));
        let pixels = (0..SIDE).flat_map(|y| (0..SIDE).map(move |x| (x, y)));
        all.extend(pixels.flat_map(|(x, y)| value(x, y)));
        all.resize(all.len().next_multiple_of(2880), 0);
    }
    all
}

fn image(names: &[&str]) -> Vec<u8> {
    file(names, -32, |x, y| (0.01 * ((7 * x + 13 * y) % 11) as f32).to_be_bytes().to_vec())
}

fn mask_file() -> Vec<u8> {
    file(&["DQ"], 16, |x, y| (if (x, y) == SATURATED { 4i16 } else { 0 }).to_be_bytes().to_vec())
}

fn weight_file() -> Vec<u8> {
    file(&["VAR"], -32, |_, _| 0.001f32.to_be_bytes().to_vec())
}

/// Reads messages, of files in the bucket `frames` alone.
fn reader(moto: &Moto) -> MessageReader {
    let folder = tempfile::tempdir().unwrap();
    let credentials = folder.path().join("credentials");
    std::fs::write(&credentials, "aws_access_key_id=me\naws_secret_access_key=s3cr3t\n").unwrap();
    let settings = Settings {
        s3_buckets: vec!["frames".into()],
        s3_endpoint: moto.endpoint(),
        s3_allow_http: true,
        s3_credentials_file: credentials,
        request_timeout_s: NonZeroU32::new(30).unwrap(),
        ..Settings::default()
    };
    let store = Arc::new(ObjectStore::new(&settings, 1 << 20).unwrap());
    MessageReader::new(&kafka::Settings::default(), Arc::new(survey()), store, fits::Reader::default())
}

fn take(reader: &MessageReader, message: &Value) -> Result<Option<Frame>, Rejection> {
    let origin = Origin { topic: "new-images".into(), partition: 0, offset: 0 };
    let payload = Some(message.to_string().into_bytes());
    let incoming = Incoming { origin, timestamp_ms: None, key: None, payload, headers: Vec::new() };
    (reader.take(&Arc::new(incoming)).load)().map(|loaded| loaded.frame())
}

/// Of an event long past: what is not there now is not waited for.
fn notice(key: &str) -> Value {
    let object = json!({"bucket": {"name": "frames"}, "object": {"key": key}});
    json!({"Records": [{"eventName": "ObjectCreated:Put", "eventTime": "2020-01-30T12:00:00Z", "s3": object}]})
}

fn is_saturated(frame: &Frame, band: usize) -> bool {
    let bits = &frame.bands[band].mask;
    assert!(bits.pixels().iter().filter(|bits| **bits & mask::SAT != 0).count() <= 1);
    bits.at(SATURATED.0, SATURATED.1) & mask::SAT != 0
}

#[test]
fn a_messages_masks_weights_and_hdus_are_read() {
    let Some(moto) = Moto::shared() else { return };
    moto.bucket("frames");
    let reader = reader(&moto);
    for (key, bytes) in [
        ("masks/a_g.fits", image(&["SCI"])),
        ("masks/a_r.fits", image(&["SCI"])),
        ("masks/a_r.mask", mask_file()),
        ("masks/a_r.weight", weight_file()),
        ("masks/b_g.fits", image(&["S1", "S2"])),
        ("masks/b_r.fits", image(&["S1", "S2"])),
    ] {
        moto.object("frames", key, &bytes);
    }
    let uri = |name: &str| format!("s3://frames/masks/{name}");
    let mut message = json!({
        "schema_version": "1.1", "image_id": "a",
        "bands": {"g": uri("a_g.fits"), "r": {"uri": uri("a_r.fits"), "hdu": 1}},
        "masks": {"g": uri("a_r.mask"), "r": {"uri": uri("a_r.mask"), "hdu": "DQ"}},
        "weights": {"r": uri("a_r.weight")},
    });
    let frame = take(&reader, &message).unwrap().unwrap();
    assert_eq!(frame.present, [false, true, true, false, false]);
    assert!(is_saturated(&frame, 1) && is_saturated(&frame, 2));
    assert!(frame.bands[1].variance.is_none() && frame.bands[2].variance.is_some());

    message["masks"]["r"] = uri("away").into();
    let refused = take(&reader, &message).unwrap_err();
    assert_eq!((refused.reason, refused.file), (Reason::MissingBand, Some(uri("away"))));
    message["masks"]["r"] = "s3://others/m.fits".into();
    assert_eq!(take(&reader, &message).unwrap_err().reason, Reason::Forbidden, "masks come from where frames may come");

    let place = |name: &str| json!({"uri": uri(name), "hdu": "S2"});
    let ccd = json!({
        "schema_version": "1.1", "image_id": "b.S2", "bands": {"g": place("b_g.fits"), "r": place("b_r.fits")},
        "masks": {"g": uri("a_r.mask"), "r": uri("a_r.mask")},
    });
    assert_eq!(take(&reader, &ccd).unwrap().unwrap().id.as_str(), "b.S2");
    let whole = json!({
        "schema_version": "1.1", "image_id": "b", "bands": {"g": uri("b_g.fits"), "r": uri("b_r.fits")},
        "masks": {"g": uri("a_r.mask"), "r": uri("a_r.mask")},
    });
    let refused = take(&reader, &whole).unwrap_err().to_string();
    assert!(
        refused.contains("S1") && refused.contains("S2"),
        "a file of several images is refused by naming them: {refused}"
    );
}

#[test]
fn a_notification_becomes_a_frame_of_enough_bands_with_their_masks() {
    let Some(moto) = Moto::shared() else { return };
    moto.bucket("frames");
    let reader = reader(&moto);
    let put = |key: &str, bytes: Vec<u8>| moto.object("frames", key, &bytes);
    put("told/a_r.fits", image(&["SCI"]));
    let of = |band: &str| take(&reader, &notice(&format!("told/a_{band}.fits")));
    let alone = of("r").unwrap_err();
    assert_eq!(alone.reason, Reason::MissingBand);
    assert_eq!(alone.message, "the files of bands u, g, i, z have not come in time");

    put("told/a_g.fits", image(&["SCI"]));
    put("told/a_g.m.fits", mask_file());
    assert!(of("g").unwrap().is_none(), "the reference band's leads");
    let unmasked = of("r").unwrap_err();
    assert_eq!(unmasked.message, "the mask of band r has not come in time");
    assert_eq!(unmasked.file.as_deref(), Some("s3://frames/told/a_r.m.fits"));

    put("told/a_r.m.fits", mask_file());
    put("told/a_g.w.fits", weight_file());
    let frame = of("r").unwrap().unwrap();
    assert_eq!(frame.present, [false, true, true, false, false]);
    assert!(is_saturated(&frame, 1) && is_saturated(&frame, 2));
    assert!(frame.bands[1].variance.is_some() && frame.bands[2].variance.is_none(), "weights may be missing here");
    assert!(take(&reader, &notice("told/a_r.m.fits")).unwrap().is_none(), "a mask's own notification asks for nothing");
}
