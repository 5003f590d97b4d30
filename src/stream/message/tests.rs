use std::path::Path;
use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use twinpeak_core::files::{BandFiles, FieldFiles, Place};
use twinpeak_core::frame::{BANDS, FieldIds};
use twinpeak_core::outcome::Reason;

static SURVEY: LazyLock<Survey> =
    LazyLock::new(|| Survey::parse(include_str!("../../../config/surveys/sdss.toml")).unwrap());

const IMAGE: &str = "003918-3-0213";

fn name(band: &str) -> String {
    format!("frame-{band}-{IMAGE}.fits.bz2")
}

fn sound() -> Value {
    let uri = |band| format!("s3://night/{}", name(band));
    json!({
        "schema_version": "1.0", "image_id": IMAGE, "observed_at": 53240.123456789,
        "bands": {"u": uri("u"), "g": uri("g"), "r": uri("r"), "i": uri("i"), "z": uri("z")},
        "run": 3918, "rerun": 301, "camcol": 3, "field": 213,
        "weights": {"r": "file:///w/r.fits"}, "masks": {},
    })
}

fn in_night(key: &str) -> Uri {
    Uri::S3 { bucket: "night".into(), key: key.into() }
}

fn event(kind: &str, key: &str) -> Value {
    json!({
        "eventVersion": "2.1", "eventSource": "aws:s3", "eventName": kind, "eventTime": "2026-01-30T12:00:00.000Z",
        "s3": {"bucket": {"name": "night", "arn": "arn:aws:s3:::night"}, "object": {"key": key, "size": 7}},
    })
}

fn put(key: &str) -> Value {
    event("ObjectCreated:Put", key)
}

fn read(message: &Value) -> Result<Message, MessageError> {
    parse(message.to_string().as_bytes(), &SURVEY)
}

fn created(records: &[Value]) -> ObjectCreated {
    match read(&json!({"Records": records})) {
        Ok(Message::ObjectCreated(created)) => *created,
        other => panic!("{other:?}"),
    }
}

/// What is said of a message that is refused.
fn refusal(bytes: &[u8]) -> (Reason, String) {
    let refused = parse(bytes, &SURVEY).expect_err(&String::from_utf8_lossy(bytes));
    let said = refused.rejection().to_string();
    assert!(said.len() < 600 && !said.contains(char::is_control), "{said}");
    (refused.reason(), said)
}

/// The sound message with `field` (`a` or `a.b`) changed to `value`; without one, left out.
fn changed(field: &str, value: Option<Value>) -> Vec<u8> {
    let mut message = sound();
    let (object, key) = match field.split_once('.') {
        Some((object, key)) => (&mut message[object], key),
        None => (&mut message, field),
    };
    let object = object.as_object_mut().unwrap();
    match value {
        Some(value) => object.insert(key.to_owned(), value),
        None => object.remove(key),
    };
    message.to_string().into_bytes()
}

#[test]
fn a_new_image_is_read_whole() {
    let Ok(Message::NewImage(image)) = read(&sound()) else { panic!() };
    assert_eq!((image.image_id.as_str(), image.observed_mjd_tai), (IMAGE, Some(53240.123456789)));
    assert_eq!(image.ids, FieldIds { run: Some(3918), rerun: Some(301), camcol: Some(3), field: Some(213) });
    let mut expected = ["u", "g", "r", "i", "z"].map(|b| Some(BandFiles::from(in_night(&name(b)))));
    expected[2].as_mut().unwrap().weight = Some(Uri::File("/w/r.fits".into()).into());
    assert_eq!(image.bands, expected);
}

#[test]
fn what_a_later_minor_version_adds_is_passed_over() {
    let mut message = sound();
    message["schema_version"] = "1.17".into();
    message["airmass"] = json!({"u": [1.0, {"deep": true}]});
    assert_eq!(read(&message), read(&sound()));
}

#[test]
fn optional_fields_may_be_absent_or_null() {
    for field in ["observed_at", "run", "rerun", "camcol", "field", "weights", "masks"] {
        for value in [None, Some(Value::Null)] {
            assert!(matches!(parse(&changed(field, value), &SURVEY), Ok(Message::NewImage(_))), "{field}");
        }
    }
}

#[test]
fn each_fault_of_a_new_image_is_told_by_name() {
    use Reason::{BadMessage, BandMismatch, Forbidden, MissingBand};
    let of_g = Some(json!("s3://night/frame-g-003918-3-0213.fits"));
    for (field, value, reason, says) in [
        ("schema_version", Some(json!("2.0")), BadMessage, "\"2.0\": major version 1 alone is known"),
        ("schema_version", Some(json!("1")), BadMessage, "not MAJOR.MINOR"),
        ("schema_version", Some(json!("01.0")), BadMessage, "not MAJOR.MINOR"),
        ("schema_version", Some(json!("1.0.0")), BadMessage, "not MAJOR.MINOR"),
        ("schema_version", Some(json!("1.-1")), BadMessage, "not MAJOR.MINOR"),
        ("schema_version", Some(json!(1.0)), BadMessage, "floating point `1.0`, expected a string"),
        ("schema_version", None, BadMessage, "neither schema_version nor Records"),
        ("image_id", None, BadMessage, "missing field `image_id`"),
        ("image_id", Some(json!("../../etc")), BadMessage, "image_id \"../../etc\""),
        ("image_id", Some(json!("x".repeat(1_000_000))), BadMessage, "is no image id"),
        ("image_id", Some(json!("other")), BandMismatch, "of band u of image other"),
        ("observed_at", Some(json!("yesterday")), BadMessage, "expected f64"),
        ("bands", None, BadMessage, "missing field `bands`"),
        ("bands", Some(json!([])), BadMessage, "an object with a URI for each band"),
        ("bands", Some(json!("https://me:hush@host/")), BadMessage, "an object with a URI for each band"),
        ("bands.g", None, MissingBand, "bands has no g"),
        ("bands.g", Some(Value::Null), BadMessage, "null, expected a string"),
        ("bands.y", of_g.clone(), BadMessage, "bands names band \"y\": the survey's are u g r i z"),
        ("bands.r", of_g, BandMismatch, "bands.r: file name \"frame-g-003918-3-0213.fits\" is not of band r"),
        ("bands.r", Some(json!("file:///a/b.fits")), BandMismatch, "file name \"b.fits\""),
        ("bands.r", Some(json!("frame-r.fits")), BadMessage, "bands.r: is no URI"),
        ("bands.r", Some(json!("http://host/a?hush")), Forbidden, "bands.r: scheme \"http\""),
        ("bands.r", Some(json!("file://host/../a")), Forbidden, "bands.r: host \"host\""),
        ("bands.r", Some(json!("s3://me:hush@night/a")), Forbidden, "bands.r: credentials"),
        ("bands.r", Some(json!("file:///a/%2e%2e/b")), Forbidden, "bands.r: part \"..\""),
        ("bands.r", Some(json!("s3://b4d/a%00")), Forbidden, "bands.r: a control character"),
        ("run", Some(json!(-1)), BadMessage, "integer `-1`"),
        ("field", Some(json!(4294967296u64)), BadMessage, "integer `4294967296`"),
        ("weights", Some(json!({"r": "gs://a/b"})), Forbidden, "weights.r: scheme \"gs\""),
        ("masks", Some(json!({"ir": "file:///a"})), BadMessage, "masks names band \"ir\""),
        ("bands.r", Some(json!({"hdu": 1})), BadMessage, "missing field `uri`"),
        ("bands.r", Some(json!({"uri": "file:///a", "hdu": -1})), BadMessage, "an HDU's name or number"),
        ("bands.r", Some(json!({"uri": "file:///a", "hdu": 1.5})), BadMessage, "an HDU's name or number"),
        ("bands.r", Some(json!({"uri": "http://host"})), Forbidden, "bands.r: scheme \"http\""),
    ] {
        let (found, said) = refusal(&changed(field, value));
        assert_eq!(found, reason, "{said}");
        assert!(said.contains(says), "{says} | {said}");
        assert!(!said.contains("hush"), "{said}");
    }
}

#[test]
fn the_image_of_a_refused_message_is_known_where_it_can_be() {
    assert_eq!(named_image(&changed("bands", None)), ImageId::new(IMAGE).ok());
    for nameless in [changed("image_id", Some(json!("a/b"))), b"{\"image_id\": \"a\"".to_vec(), b"\xff".to_vec()] {
        assert_eq!(named_image(&nameless), None);
    }
}

#[test]
fn hostile_json_is_refused() {
    let text = sound().to_string();
    let deep = |open: &str, close: &str| format!("{}{}", open.repeat(100_000), close.repeat(100_000));
    let unknown = |value: &str| text.replacen('{', &format!("{{\"new\": {value}, "), 1);
    for (hostile, says) in [
        (String::new(), "EOF"),
        ("null".into(), "expected an object"),
        ("[\"1.0\", null, null]".into(), "expected an object"),
        (text.replace("\"u\":", "\"g\":"), "bands names band g twice"),
        (text.replace("\"run\":", "\"camcol\":"), "duplicate field `camcol`"),
        (text.replacen('{', "{\"schema_version\": \"1.0\", ", 1), "duplicate field `schema_version`"),
        (text.replace("53240.123456789", "1e999"), "number out of range"),
        (text.replace("53240.123456789", "NaN"), "expected value"),
        (text.replace(IMAGE, "\\ud800"), "hex escape"),
        (text.replace(IMAGE, "\\udc00"), "surrogate"),
        (text.clone() + "x", "trailing characters"),
        (format!("\u{feff}{text}"), "expected value"),
        (text[..text.len() / 2].to_owned(), "EOF"),
        (deep("[", "]"), "more than 64 deep"),
        (deep("[", ""), "more than 64 deep"),
        (unknown(&deep("[", "]")), "more than 64 deep"),
        (unknown(&deep("{\"a\":", "}")), "more than 64 deep"),
        ("]".repeat(100_000), "expected value"),
    ] {
        let (reason, said) = refusal(hostile.as_bytes());
        assert!(reason == Reason::BadMessage && said.contains(says), "{says} | {said}");
    }
    assert!(refusal(b"{\"a\": \"\xc3\x28\"}").1.contains("from byte 7 on"));
    assert!(refusal(&[0x80; 1000]).1.contains("from byte 0 on"));
    let harmless = unknown(&format!("\"\\\\\\\"{}\"", "[".repeat(1000)));
    assert!(parse(harmless.as_bytes(), &SURVEY).is_ok(), "brackets in a text are no nesting");
    let shallow = unknown(&format!("[{}]", vec!["[]"; 1000].join(",")));
    assert!(parse(shallow.as_bytes(), &SURVEY).is_ok(), "many lists are not deep ones");
}

#[test]
fn many_bands_and_records_are_refused_and_not_kept() {
    let many: serde_json::Map<String, Value> = (0..100_000).map(|n| (n.to_string(), json!("a"))).collect();
    assert!(refusal(&changed("bands", Some(many.into()))).1.contains("names band \"0\""));
    let records = vec![put(&name("r")); 101];
    assert!(refusal(json!({"Records": records}).to_string().as_bytes()).1.contains("more than 100 records"));
    assert_eq!(created(&records[..100]).band, 2);
}

#[test]
fn a_created_object_names_its_siblings() {
    let made = created(&[put(&format!("2026/day%3D1/a+b%2F{}", name("i")))]);
    assert_eq!((made.image_id.as_str(), made.band), (IMAGE, 3));
    assert_eq!(made.event_time_unix_ms, Some(1_769_774_400_000));
    let key = |band| format!("2026/day=1/a b/{}", name(band));
    assert_eq!(made.siblings, ["u", "g", "r", "i", "z"].map(|b| Some(in_night(&key(b)).into())));
}

#[test]
fn other_stores_wrappers_and_names_of_events_are_read() {
    let plain = Message::ObjectCreated(created(&[put(&name("r"))]).into());
    for kind in ["ObjectCreated:CompleteMultipartUpload", "s3:ObjectCreated:Put", "s3:ObjectCreated:Copy"] {
        let wrapped = json!({
            "EventName": kind, "Key": format!("night/{}", name("r")), "Records": [event(kind, &name("r"))],
        });
        assert_eq!(read(&wrapped).unwrap(), plain);
    }
    let mut timeless = put(&name("r"));
    timeless.as_object_mut().unwrap().remove("eventTime");
    assert_eq!(created(&[timeless]).event_time_unix_ms, None);
}

#[test]
fn what_is_not_ours_is_nothing() {
    for records in [
        json!([]),
        json!([put("frame-r-003918-3-0213.json")]),
        json!([put(&format!("{}.json", name("r")))]),
        json!([put("README"), put(""), put("folder/"), put("a/../b"), put("%00")]),
        json!([event("ObjectRemoved:Delete", &name("r")), event("s3:ObjectAccessed:Get", &name("r"))]),
        json!([event("ObjectCreatedNot:Put", &name("r"))]),
        json!([{"eventName": "ObjectRemoved:Delete"}]),
    ] {
        assert_eq!(read(&json!({"Records": records})), Ok(Message::Nothing), "{records}");
    }
    assert_eq!(read(&json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"})), Ok(Message::Nothing));
}

#[test]
fn of_several_bands_the_reference_leads_else_the_first() {
    let records = |bands: &[&str]| -> Vec<Value> { bands.iter().map(|b| put(&name(b))).collect() };
    for (bands, lead) in [(&["z", "r", "u"][..], 2), (&["z", "i", "g"], 1), (&["i", "i"], 3)] {
        assert_eq!(created(&records(bands)).band, lead, "{bands:?}");
    }
    let with_others = [put("README"), put(&name("z")), event("ObjectRemoved:Delete", &name("r"))];
    assert_eq!(created(&with_others).band, 4);
}

#[test]
fn each_fault_of_a_notification_is_told() {
    use Reason::{BadMessage, Forbidden};
    let field = |field: &str, value: Value| {
        let mut record = put(&name("r"));
        *record.pointer_mut(field).unwrap() = value;
        json!([record])
    };
    let several = |second: &str| json!([put(&name("r")), put(second)]);
    for (records, reason, says) in [
        (json!({}), BadMessage, "expected a list of records"),
        (json!([[]]), BadMessage, "expected an object"),
        (json!([{}]), BadMessage, "missing field `eventName`"),
        (json!([{"eventName": "ObjectCreated:Put"}]), BadMessage, "record 0 has no s3.bucket.name"),
        (field("/s3", json!(["night", "key"])), BadMessage, "expected an object"),
        (field("/s3/object", json!({})), BadMessage, "missing field `key`"),
        (field("/s3/object/key", json!("%zz")), BadMessage, "key \"%zz\" is not URL-encoded"),
        (field("/s3/object/key", json!("%ff")), BadMessage, "is not URL-encoded UTF-8"),
        (field("/s3/object/key", json!(format!("../{}", name("r")))), Forbidden, "part \"..\""),
        (field("/s3/object/key", json!(format!("a%2F..%2f{}", name("r")))), Forbidden, "part \"..\""),
        (field("/s3/object/key", json!(format!("//{}", name("r")))), Forbidden, "part \"\""),
        (field("/s3/object/key", json!(format!("a%00/{}", name("r")))), Forbidden, "control character"),
        (field("/s3/object/key", json!(format!("{}/{}", "a".repeat(2000), name("r")))), BadMessage, "S3 allows 1024"),
        (field("/s3/bucket/name", json!("..")), BadMessage, "\"..\" is no bucket's name"),
        (field("/eventTime", json!("today")), BadMessage, "eventTime \"today\" is no time"),
        (several("frame-r-003918-3-0214.fits.bz2"), BadMessage, "0213.fits.bz2 and s3://night/frame-r-003918-3-0214"),
        (several(&format!("copy/{}", name("g"))), BadMessage, "and s3://night/copy/frame-g-003918-3-0213.fits.bz2"),
    ] {
        let (found, said) = refusal(json!({"Records": records}).to_string().as_bytes());
        assert_eq!(found, reason, "{said}");
        assert!(said.contains(says), "{says} | {said}");
    }
}

/// A survey of three bands, two of which are enough, whose masks lie beside the images.
fn of_three(more: &str) -> Survey {
    let bands = r#"{ planes = ["", "g", "r", "i", ""], required = 2, aliases = { "HSC-G" = "g" } }"#;
    twinpeak_core::testing::like_sdss(bands, r"^(?P<image>.*)_(?P<band>[A-Za-z-]+)\.fits$", more)
}

const MASKS: &str = "[mask]\nfile = '{image}_{band}.mask.fits'\nbits = { SAT = [1] }";

fn image_of(message: &Value, survey: &Survey) -> Result<NewImage, MessageError> {
    match parse(message.to_string().as_bytes(), survey) {
        Ok(Message::NewImage(image)) => Ok(*image),
        Err(refused) => Err(refused),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_message_names_as_many_bands_as_the_survey_requires() {
    let survey = of_three("");
    let with = |bands: Value| json!({"schema_version": "1.1", "image_id": "a_x20b", "bands": bands});
    let image =
        image_of(&with(json!({"HSC-G": "s3://night/a%20b_HSC-G.fits", "r": "s3://night/a%20b_r.fits"})), &survey);
    let image = image.unwrap();
    assert_eq!(image.bands.each_ref().map(Option::is_some), [false, true, true, false, false]);
    assert_eq!(image_of(&serde_json::from_slice(&image.to_json(&survey)).unwrap(), &survey), Ok(image));
    for (bands, says) in [
        (json!({"g": "s3://night/a%20b_g.fits", "i": "s3://night/a%20b_i.fits"}), "bands has no r: give the reference"),
        (json!({"r": "s3://night/a%20b_r.fits"}), "bands has no g: give the reference band, and 2 bands at least"),
        (
            json!({"r": "s3://night/a%20b_r.fits", "u": "s3://night/u"}),
            "bands names band \"u\": the survey's are g r i",
        ),
    ] {
        let said = image_of(&with(bands), &survey).unwrap_err().to_string();
        assert!(said.contains(says), "{says} | {said}");
    }
}

#[test]
fn places_may_name_an_hdu_and_masks_go_with_their_bands() {
    let mut message = sound();
    message["image_id"] = format!("{IMAGE}.S21").into();
    for band in ["u", "g", "r", "i", "z"] {
        message["bands"][band] = json!({"uri": format!("s3://night/{}", name(band)), "hdu": "S21", "later": [1]});
    }
    message["masks"] = json!({"r": {"uri": "s3://night/m.fits", "hdu": 1}});
    let image = image_of(&message, &SURVEY).unwrap();
    let r = image.bands[2].as_ref().unwrap();
    assert_eq!(r.image, Place { file: in_night(&name("r")), hdu: Some("S21".into()) });
    assert_eq!(r.mask, Some(Place { file: in_night("m.fits"), hdu: Some("1".into()) }));
    assert!(r.weight.is_some());
    message["bands"]["g"]["hdu"] = "S22".into();
    assert!(image_of(&message, &SURVEY).unwrap_err().to_string().contains("is not of band g of image"), "another CCD");

    let message = json!({
        "schema_version": "1.1", "image_id": "a", "bands": {"g": "file:///a_g.fits", "r": "file:///a_r.fits"},
        "masks": {"i": "file:///m.fits"},
    });
    let said = image_of(&message, &of_three("")).unwrap_err().to_string();
    assert!(said.contains("masks names band i, of which bands has no image"), "{said}");
}

#[test]
fn where_names_do_not_group_files_the_message_does() {
    let survey = of_three("[files]\ngroup = 'table'");
    let bands = json!({"g": "file:///n/e1_g.fits", "r": {"uri": "file:///n/one.fits", "hdu": 2}});
    let message = json!({"schema_version": "1.1", "image_id": "N26", "bands": bands});
    assert!(image_of(&message, &survey).is_ok());
    assert!(
        image_of(&message, &of_three(""))
            .unwrap_err()
            .to_string()
            .contains("\"e1_g.fits\" is not of band g of image N26")
    );
    let mut swapped = message.clone();
    swapped["bands"]["r"] = "file:///n/e1_i.fits".into();
    let said = image_of(&swapped, &survey).unwrap_err().to_string();
    assert!(said.contains("bands.r: file name \"e1_i.fits\" is not of band r"), "{said}");
    let notice = json!({"Records": [put("e1_g.fits")]}).to_string();
    let said = parse(notice.as_bytes(), &survey).unwrap_err().to_string();
    assert!(said.contains("does not say of which field or band it is: send a new-image message"), "{said}");
}

#[test]
fn a_created_object_has_masks_beside_its_siblings() {
    let notice = json!({"Records": [put("n/a_HSC-G.fits")]}).to_string();
    let Ok(Message::ObjectCreated(made)) = parse(notice.as_bytes(), &of_three(MASKS)) else { panic!() };
    let band = |image: &str, mask: &str| {
        Some(BandFiles { image: in_night(image).into(), mask: Some(in_night(mask).into()), weight: None })
    };
    let expected: FieldFiles<Uri> = [
        None,
        band("n/a_HSC-G.fits", "n/a_HSC-G.mask.fits"),
        band("n/a_r.fits", "n/a_r.mask.fits"),
        band("n/a_i.fits", "n/a_i.mask.fits"),
        None,
    ];
    assert_eq!((made.band, &made.siblings), (1, &expected));
    let of_another = json!({"Records": [put("n/a_y.fits"), put("n/a_g.mask.fits")]}).to_string();
    assert_eq!(parse(of_another.as_bytes(), &of_three(MASKS)), Ok(Message::Nothing));

    let pattern = r"^(?P<image>.*)\.fits$";
    let one = twinpeak_core::testing::like_sdss(r#"["u", "g", "r", "i", "z"]"#, pattern, "[image]\nhdu = '{band}'");
    let notice = json!({"Records": [put("a.fits")]}).to_string();
    let Ok(Message::ObjectCreated(made)) = parse(notice.as_bytes(), &one) else { panic!() };
    assert_eq!((made.band, made.siblings), (2, [(); BANDS].map(|()| Some(in_night("a.fits").into()))));
}

prop_compose! {
    fn new_images()(
        number in (0u32..999_999, 1u32..7, 0u32..9999),
        folder in "/[a-z %é]{1,8}", bucket in "[a-z]{3,9}",
        in_bucket in any::<[bool; BANDS]>(), has_weight in any::<[bool; BANDS]>(), has_mask in any::<[bool; BANDS]>(),
        hdus in prop::array::uniform5(prop::option::of("[ -~é]{1,6}")),
        observed in prop::option::of(prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL | prop::num::f64::ZERO),
        run in any::<Option<u32>>(), rerun in any::<Option<u32>>(), camcol in any::<Option<u32>>(),
        field in any::<Option<u32>>(),
    ) -> NewImage {
        let image_id = ImageId::new(&format!("{:06}-{}-{:04}", number.0, number.1, number.2)).unwrap();
        let uri = |b: usize| {
            let path = format!("{folder}/{}", SURVEY.file_for(b, &image_id));
            if in_bucket[b] { Uri::s3(&bucket, &path[1..]).unwrap() } else { Uri::file(Path::new(&path)).unwrap() }
        };
        let place = |b: usize| Place { file: uri(b), hdu: hdus[b].clone() };
        let bands = std::array::from_fn(|b| {
            let (mask, weight) = (has_mask[b].then(|| place(b)), has_weight[b].then(|| uri(b).into()));
            Some(BandFiles { image: place(b), mask, weight })
        });
        let ids = FieldIds { run, rerun, camcol, field };
        NewImage { image_id, observed_mjd_tai: observed, bands, ids }
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(image in new_images()) {
        prop_assert_eq!(parse(&image.to_json(&SURVEY), &SURVEY), Ok(Message::NewImage(Box::new(image))));
    }

    #[test]
    fn nothing_panics(damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let notification = json!({"Records": [put(&name("r"))]});
        for whole in [sound().to_string(), notification.to_string()] {
            let mut bytes = whole.into_bytes();
            for (at, byte) in &damage {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            if let Err(refused) = parse(&bytes, &SURVEY) {
                prop_assert!(!refused.to_string().contains('\n'));
            }
        }
    }
}
