//! Bytes behind URIs: against a real S3 server (moto), and against servers that misbehave.

use std::num::NonZeroU32;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::s3::{Moto, Reply, Stub};
use twinpeak_stream::message::Uri;
use twinpeak_stream::object_store::{DenyReason, ObjectStore, ObjectStoreError, Settings};

const BANDS: [&str; 5] = ["u", "g", "r", "i", "z"];
/// Whatever must happen is given so long: only a hang takes it.
const DEADLINE: Duration = Duration::from_secs(120);
const LIMIT: u64 = 1 << 20;
const KEY_ID: &str = "AKIAWHOWEARE";
const SECRET: &str = "s3cr3t/never+shown";

/// What is allowed at an endpoint: the bucket `frames`, claim checks in `kept`; one try.
fn settings(folder: &Path, endpoint: String) -> Settings {
    let file = folder.join("credentials");
    std::fs::write(&file, format!("aws_access_key_id={KEY_ID}\naws_secret_access_key={SECRET}\n")).unwrap();
    Settings {
        s3_buckets: vec!["frames".into()],
        s3_endpoint: endpoint,
        s3_allow_http: true,
        s3_credentials_file: file,
        objects: "s3://kept/v1".into(),
        retries: 0,
        ..Settings::default()
    }
}

/// [`settings`] with as many tries again, and seconds for a request.
fn remote(endpoint: String, retries: u32, request_timeout_s: u32) -> ObjectStore {
    let folder = tempfile::tempdir().unwrap();
    let request_timeout_s = NonZeroU32::new(request_timeout_s).unwrap();
    let settings = Settings { retries, request_timeout_s, ..settings(folder.path(), endpoint) };
    ObjectStore::new(&settings, LIMIT).unwrap()
}

fn s3(bucket: &str, key: &str) -> Uri {
    Uri::S3 { bucket: bucket.into(), key: key.into() }
}

fn five(night: &str) -> [Uri; 5] {
    BANDS.map(|band| s3("frames", &format!("{night}/{band}.fits")))
}

fn bytes_of(seed: u8, length: usize) -> Vec<u8> {
    (0..length).map(|i| (i % 251) as u8 ^ seed).collect()
}

/// The fault of one object, as its fetch reports it: one line, without a secret.
fn fault(remote: &ObjectStore) -> ObjectStoreError {
    let error = remote.get(&s3("frames", "n/u.fits")).unwrap_err();
    let reported = error.to_string();
    assert!(!reported.contains('\n') && reported.starts_with("s3://frames/n/u.fits: "), "{reported}");
    assert!(!format!("{reported} {error:?}").contains(SECRET) && !reported.contains(KEY_ID), "{reported}");
    error
}

#[test]
fn five_objects_come_as_they_were_stored() {
    let Some(moto) = Moto::shared() else { return };
    moto.bucket("frames");
    let files = [0, 1, 2, 3, 4].map(|band| bytes_of(band, 1_000_000 + usize::from(band)));
    for (band, bytes) in BANDS.iter().zip(&files) {
        moto.object("frames", &format!("whole/{band}.fits"), bytes);
    }
    let remote = remote(moto.endpoint(), 2, 30);
    let since = Instant::now();
    assert!(remote.fetch(five("whole")).wait().unwrap() == files);
    println!("five objects of 1 MB: {:?}", since.elapsed());

    moto.object("frames", "night%201/%2541+%C3%BC~.fits", b"odd");
    assert_eq!(remote.get(&s3("frames", "night 1/%41+ü~.fits")).unwrap(), b"odd");
    assert!(matches!(
        remote.get(&s3("frames", "night 1//x")),
        Err(ObjectStoreError::Forbidden { ban: DenyReason::OddKey, .. })
    ));

    let mut uris = five("whole");
    uris[3] = s3("frames", "whole/absent");
    uris[4] = s3("frames", "whole/absent too");
    let (band, error) = remote.fetch(uris).wait().unwrap_err();
    assert!(band == 3 && matches!(error, ObjectStoreError::NotFound { .. }), "{band}: {error}");
}

#[test]
fn a_folder_is_listed_without_those_below_it() {
    let Some(moto) = Moto::shared() else { return };
    moto.bucket("frames");
    // More than one answer of the store holds.
    let many: Vec<String> = (0..1005).map(|n| format!("listed/n%201/f{n:04}.fits")).collect();
    many.iter().for_each(|key| moto.object("frames", key, b"x"));
    moto.object("frames", "listed/n%201/deeper/f.fits", b"x");
    moto.object("frames", "listed/n%2010/f.fits", b"x");
    let remote = remote(moto.endpoint(), 2, 30);
    let mut listed = remote.list("frames", "listed/n 1/").unwrap();
    listed.sort();
    let wanted: Vec<String> = many.iter().map(|key| key.replace("%20", " ")).collect();
    assert!(listed == wanted, "{} keys, the first {:?}", listed.len(), listed.first());
    assert_eq!(remote.list("frames", "listed/none/").unwrap(), Vec::<String>::new());
    let foreign = remote.list("strangers", "").unwrap_err();
    assert!(matches!(foreign, ObjectStoreError::Forbidden { ban: DenyReason::ForeignBucket, .. }), "{foreign}");
}

#[test]
fn siblings_that_come_later_are_waited_for_until_the_deadline() {
    let Some(moto) = Moto::shared() else { return };
    moto.bucket("frames");
    for band in ["u", "g", "r", "z"] {
        moto.object("frames", &format!("later/{band}.fits"), b"x");
    }
    let remote = remote(moto.endpoint(), 2, 30);
    let all = |there: &[bool]| there.iter().all(|t| *t);
    let without_i = [true, true, true, false, true];

    let soon = Instant::now() + Duration::from_millis(300);
    assert_eq!(remote.look(five("later"), all, soon).wait().unwrap(), without_i);
    // A deadline long past, as after a restart: one look.
    assert_eq!(remote.look(five("later"), all, Instant::now()).wait().unwrap(), without_i);

    let there = std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(300));
            moto.object("frames", "later/i.fits", b"x");
        });
        remote.look(five("later"), all, Instant::now() + DEADLINE).wait().unwrap()
    });
    assert_eq!(there, [true; 5]);
    let since = Instant::now();
    assert_eq!(remote.look(five("later"), all, Instant::now() + DEADLINE).wait().unwrap(), [true; 5]);
    println!("five looks: {:?}", since.elapsed());
}

#[test]
fn an_object_is_held_to_the_limit() {
    let Some(moto) = Moto::shared() else { return };
    moto.bucket("frames");
    moto.object("frames", "n/r.fits", &bytes_of(1, LIMIT as usize));
    moto.object("frames", "n/u.fits", &bytes_of(1, LIMIT as usize + 1));
    let remote = remote(moto.endpoint(), 2, 30);
    assert_eq!(remote.get(&s3("frames", "n/r.fits")).unwrap().len() as u64, LIMIT);
    let error = fault(&remote);
    assert!(matches!(error, ObjectStoreError::TooLarge { bytes, .. } if bytes == LIMIT + 1) && !error.retryable());
}

#[test]
fn a_claim_check_is_stored_once_whoever_stores_it() {
    let Some(moto) = Moto::shared() else { return };
    moto.bucket("kept");
    let remote = remote(moto.endpoint(), 2, 30);
    let bytes = bytes_of(9, 300_000);
    let first = remote.put(&bytes, "masks.fits").unwrap();
    let again = remote.put(&bytes, "masks.fits").unwrap();
    assert!(first.created && !again.created);
    assert_eq!((&first.uri, &first.sha256), (&again.uri, &again.sha256));
    let key = format!("v1/{}/{}.masks.fits", &first.sha256[..2], first.sha256);
    assert_eq!(first.uri, format!("s3://kept/{key}"));
    assert!(moto.read("kept", &key).as_ref() == Some(&bytes));

    let uri = first.uri.parse().unwrap();
    assert!(remote.get(&uri).unwrap() == bytes);
    remote.remove(&uri).unwrap();
    remote.remove(&uri).unwrap();
    assert!(moto.read("kept", &key).is_none());
    assert!(remote.put(&bytes, "masks.fits").unwrap().created);
    let created = std::thread::scope(|scope| {
        let put = || remote.put(b"at once", "fits").unwrap().created;
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(put)).collect();
        threads.into_iter().map(|t| t.join().unwrap()).filter(|created| *created).count()
    });
    assert_eq!(created, 1);
    // Nothing else is removed, nor read from there as a frame.
    for other in [s3("kept", "v1/ab/other"), s3("frames", "n/u.fits")] {
        assert!(matches!(remote.remove(&other), Err(ObjectStoreError::Forbidden { ban: DenyReason::NotOurs, .. })));
    }
    let (_, error) = remote.fetch(BANDS.map(|_| uri.clone())).wait().unwrap_err();
    assert!(matches!(error, ObjectStoreError::Forbidden { ban: DenyReason::ForeignBucket, .. }), "{error}");
}

#[test]
fn wrong_credentials_are_refused_and_not_told() {
    let echo = format!(
        "<Error><Code>SignatureDoesNotMatch</Code><AWSAccessKeyId>{KEY_ID}</AWSAccessKeyId>\
         <StringToSign>{SECRET}</StringToSign></Error>"
    );
    let stub = Stub::start(move |_| Reply::new("403 Forbidden", "", &echo));
    let error = fault(&remote(stub.endpoint(), 3, 30));
    assert!(matches!(&error, ObjectStoreError::Refused { status: 403, code, .. } if code == "SignatureDoesNotMatch"));
    assert!(!error.retryable());
    assert_eq!(stub.asked().len(), 1, "a refusal is not asked again");

    let Some(moto) = Moto::start(&[("INITIAL_NO_AUTH_ACTION_COUNT", "0")]) else { return };
    let error = fault(&remote(moto.endpoint(), 3, 30));
    assert!(
        matches!(&error, ObjectStoreError::Refused { status: 403, code, .. } if code == "InvalidAccessKeyId"),
        "{error}"
    );
}

#[test]
fn what_is_not_allowed_is_not_even_asked_for() {
    let stub = Stub::start(|_| Reply::new("200 OK", "", "secret"));
    let remote = remote(stub.endpoint(), 3, 30);
    for uri in [s3("other", "k"), s3("kept", "k"), s3("frames", "../other/k"), s3("frames", "")] {
        let (band, error) = remote.fetch(BANDS.map(|_| uri.clone())).wait().unwrap_err();
        assert!(band == 0 && matches!(error, ObjectStoreError::Forbidden { .. }) && !error.retryable(), "{error}");
        assert!(matches!(remote.get(&uri), Err(ObjectStoreError::Forbidden { .. })));
        let uris = BANDS.map(|_| uri.clone());
        let looked = remote.look(uris.clone(), |_| true, Instant::now()).wait();
        assert!(matches!(looked, Err(ObjectStoreError::Forbidden { .. })));
    }
    let file = Uri::File("/etc/passwd".into());
    assert!(matches!(remote.get(&file), Err(ObjectStoreError::Forbidden { ban: DenyReason::OutsideRoots, .. })));
    assert_eq!(stub.asked(), [""; 0]);
}

#[test]
fn faults_that_may_pass_are_tried_again_so_often_and_no_more() {
    for status in ["500 Internal Server Error", "503 Slow Down", "429 Too Many Requests"] {
        let stub = Stub::start(move |_| Reply::new(status, "", "<Error><Code>SlowDown</Code></Error>"));
        let error = fault(&remote(stub.endpoint(), 2, 30));
        assert!(matches!(error, ObjectStoreError::Unreachable { .. }) && error.retryable(), "{error}");
        assert!(error.to_string().contains(&status[..3]), "{error}");
        assert_eq!(stub.asked().len(), 3, "{status}");
    }
    let stub = Stub::start(|number| match number {
        0 | 1 => Reply::new("503 Slow Down", "", ""),
        _ => Reply::new("200 OK", "", "frame"),
    });
    assert_eq!(remote(stub.endpoint(), 2, 30).get(&s3("frames", "k")).unwrap(), b"frame");
    let stub = Stub::start(|_| Reply::new("404 Not Found", "", ""));
    assert!(matches!(fault(&remote(stub.endpoint(), 2, 30)), ObjectStoreError::NotFound { .. }));
    assert_eq!(stub.asked().len(), 1);
}

#[test]
fn a_server_that_is_down_is_unreachable() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let remote = remote(format!("http://{nobody}"), 2, 30);
    let error = fault(&remote);
    assert!(matches!(error, ObjectStoreError::Unreachable { .. }) && error.retryable(), "{error}");
    assert!(error.to_string().contains("refused"), "{error}");
    let looked = remote.look(five("n"), |_| true, Instant::now()).wait();
    assert!(matches!(looked, Err(ObjectStoreError::Unreachable { .. })), "{looked:?}");
    assert!(matches!(remote.put(b"x", "fits"), Err(ObjectStoreError::Unreachable { .. })));
}

#[test]
fn a_server_that_never_answers_is_given_up() {
    let stub = Stub::start(|_| Reply::Silence);
    let error = fault(&remote(stub.endpoint(), 1, 1));
    assert!(
        matches!(error, ObjectStoreError::Timeout { key: "request_timeout_s", .. }) && error.retryable(),
        "{error}"
    );
    assert_eq!(stub.asked().len(), 2);
}

#[test]
fn a_server_that_drips_is_given_up() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\nETag: \"e\"\r\n\r\n";
    let stub = Stub::start(move |_| Reply::Drip(head.into()));
    let folder = tempfile::tempdir().unwrap();
    let in_all = NonZeroU32::new(1).unwrap();
    let settings = Settings { fetch_timeout_s: in_all, ..settings(folder.path(), stub.endpoint()) };
    let error = fault(&ObjectStore::new(&settings, LIMIT).unwrap());
    assert!(matches!(error, ObjectStoreError::Timeout { key: "fetch_timeout_s", .. }), "{error}");
}

#[test]
fn what_a_header_says_is_judged_before_the_body_comes() {
    // Neither body ever ends: only the header can have been what refused it.
    for length in [LIMIT + 1, 1 << 40, u64::MAX - 2] {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nETag: \"e\"\r\n\r\n");
        let stub = Stub::start(move |_| Reply::Drip(head.clone()));
        let error = fault(&remote(stub.endpoint(), 0, 100));
        assert!(matches!(error, ObjectStoreError::TooLarge { bytes, .. } if bytes == length), "{length}: {error}");
    }
}

#[test]
fn a_body_larger_than_its_header_says_is_cut_off() {
    // Chunks overrule the length.
    let chunk = format!("{:x}\r\n{}\r\n", LIMIT, "x".repeat(LIMIT as usize));
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nETag: \"e\"\r\n\r\n";
    let stub = Stub::start(move |_| Reply::Whole(format!("{head}{}0\r\n\r\n", chunk.repeat(3))));
    let error = fault(&remote(stub.endpoint(), 0, 30));
    assert!(matches!(error, ObjectStoreError::TooLarge { bytes, .. } if bytes > LIMIT), "{error}");
}

#[test]
fn a_body_that_breaks_off_is_taken_up_where_it_broke() {
    let stub = Stub::start(|number| match number {
        0 => Reply::Whole("HTTP/1.1 200 OK\r\nContent-Length: 10\r\nETag: \"e\"\r\n\r\n01234".into()),
        _ => Reply::new("206 Partial Content", "Content-Range: bytes 5-9/10\r\n", "56789"),
    });
    assert_eq!(remote(stub.endpoint(), 1, 30).get(&s3("frames", "k")).unwrap(), b"0123456789");
    assert!(stub.asked()[1].to_lowercase().contains("range: bytes=5-9"), "{:?}", stub.asked());
}

#[test]
fn a_redirect_is_not_followed() {
    let other = Stub::start(|_| Reply::new("200 OK", "", "secret"));
    let location = format!("Location: {}/frames/n/u.fits\r\n", other.endpoint());
    let stub = Stub::start(move |_| Reply::new("307 Temporary Redirect", &location, ""));
    let error = fault(&remote(stub.endpoint(), 1, 30));
    assert!(matches!(error, ObjectStoreError::Refused { status: 307, .. }), "{error}");
    assert_eq!(other.asked(), [""; 0]);
}

#[test]
fn a_store_without_conditions_is_written_to_all_the_same() {
    let stub = Stub::start(|number| match number {
        0 => Reply::new("501 Not Implemented", "", "<Error><Code>NotImplemented</Code></Error>"),
        1 => Reply::new("404 Not Found", "", ""),
        _ => Reply::new("200 OK", "", ""),
    });
    assert!(remote(stub.endpoint(), 0, 30).put(b"x", "fits").unwrap().created);
    let asked: Vec<String> = stub.asked().iter().map(|head| head.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(asked, ["PUT", "HEAD", "PUT"]);
    assert!(stub.asked()[0].to_lowercase().contains("if-none-match: *"));
}

#[test]
fn whether_we_made_an_object_is_not_claimed_in_doubt() {
    // Being made by another: tried again later, by whoever asked.
    let stub = Stub::start(|number| match number {
        0 => Reply::new("409 Conflict", "", "<Error><Code>ConditionalRequestConflict</Code></Error>"),
        _ => Reply::new("404 Not Found", "", ""),
    });
    let error = remote(stub.endpoint(), 0, 30).put(b"x", "fits").unwrap_err();
    assert!(matches!(error, ObjectStoreError::Unreachable { .. }) && error.retryable(), "{error}");
    // The answer was lost: perhaps it was stored, and others saw it.
    let stub = Stub::start(|number| match number {
        0 => Reply::Silence,
        1 => Reply::new("404 Not Found", "", ""),
        _ => Reply::new("200 OK", "", ""),
    });
    assert!(!remote(stub.endpoint(), 0, 1).put(b"x", "fits").unwrap().created);
}

/// The provider of TLS is chosen by us: without one the client would panic.
#[test]
fn an_https_store_that_speaks_no_tls_is_told() {
    let stub = Stub::start(|_| Reply::Drip("HTTP/1.1 200 OK\r\n\r\n".into()));
    let told = remote(stub.endpoint().replace("http://", "https://"), 0, 10).put(b"x", "fits").unwrap_err();
    assert!(matches!(told, ObjectStoreError::Unreachable { .. } | ObjectStoreError::Timeout { .. }), "{told}");
}

#[test]
fn dropping_cancels() {
    let stub = Stub::start(|_| Reply::Drip("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n".into()));
    let remote = remote(stub.endpoint(), 0, 1000);
    let (dropped, waited) = (remote.fetch(five("a")), remote.fetch(five("b")));
    let since = Instant::now();
    while stub.asked().len() < 10 {
        assert!(since.elapsed() < DEADLINE, "ten requests have not come");
        std::thread::sleep(Duration::from_millis(2));
    }
    drop(dropped);
    drop(remote); // neither hangs, nor does who still waits
    assert!(matches!(waited.wait(), Err((0, ObjectStoreError::Stopped { .. }))));
}

#[test]
fn files_are_fetched_and_waited_for_too() {
    let folder = tempfile::tempdir().unwrap();
    let at = |band: &str| folder.path().join(format!("{band}.fits"));
    let files = [0, 1, 2, 3, 4].map(|band| bytes_of(band, 100_000));
    let uris = BANDS.map(|band| Uri::File(at(band)));
    for (band, bytes) in BANDS.iter().zip(&files).skip(1) {
        std::fs::write(at(band), bytes).unwrap();
    }
    let objects = format!("file://{}", folder.path().join("kept").display());
    let settings = Settings { file_roots: vec![folder.path().into()], objects, ..Settings::default() };
    let remote = ObjectStore::new(&settings, LIMIT).unwrap();
    let first = |there: &[bool]| there[0];
    assert_eq!(remote.look(uris.clone(), first, Instant::now()).wait().unwrap(), [false, true, true, true, true]);
    assert!(matches!(remote.fetch(uris.clone()).wait(), Err((0, ObjectStoreError::NotFound { .. }))));
    std::fs::write(at("u"), &files[0]).unwrap();
    assert_eq!(remote.look(uris.clone(), first, Instant::now() + DEADLINE).wait().unwrap(), [true; 5]);
    assert!(remote.fetch(uris).wait().unwrap() == files);

    let stored = remote.put(b"mask", "fits").unwrap();
    assert!(stored.created && !remote.put(b"mask", "fits").unwrap().created);
    let uri = stored.uri.parse().unwrap();
    assert_eq!(remote.get(&uri).unwrap(), b"mask");
    remote.remove(&uri).unwrap();
    assert!(matches!(remote.get(&uri), Err(ObjectStoreError::NotFound { .. })));
}
