use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use serde_json::Value;

use super::*;
use crate::http::Server;
use crate::metrics::{Metrics, ServiceInfo};
use twinpeak_core::outcome::{Finished, Outcome};
use twinpeak_core::testing::{processed, rejected};
use twinpeak_engine::ports::{Event, Probe};

fn serve(change: impl FnOnce(&mut Page)) -> (Server, Arc<History>) {
    let history = Arc::new(History::new(|| "1".into()));
    let mut page = Page::new(history.clone());
    change(&mut page);
    let metrics = Arc::new(Metrics::new(&ServiceInfo::default()));
    (Server::start(([127, 0, 0, 1], 0).into(), metrics, vec![], Path::new("/"), Arc::new(page)).unwrap(), history)
}

/// Status, head and body of an answer.
fn ask(server: &Server, method: &str, path: &str) -> (u16, String, Vec<u8>) {
    let mut client = TcpStream::connect(server.address()).unwrap();
    write!(client, "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(answer[..end].to_vec()).unwrap().to_lowercase();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), head, answer[end + 4..].to_vec())
}

fn json_of(server: &Server, path: &str) -> Value {
    let (status, head, body) = ask(server, "GET", path);
    assert!(status == 200 && head.contains("content-type: application/json"), "{path}: {head}");
    serde_json::from_slice(&body).unwrap()
}

#[test]
fn every_answer_is_guarded_and_only_read() {
    let (server, _) = serve(|_| ());
    for (path, kind) in [
        ("/", "text/html"),
        ("/page.css", "text/css"),
        ("/page.js", "text/javascript"),
        ("/api/now", "application/json"),
    ] {
        let (status, head, _) = ask(&server, "GET", path);
        assert!(status == 200 && head.contains(&format!("content-type: {kind}")), "{path}: {head}");
        for guard in ["content-security-policy: default-src 'none'", "x-content-type-options: nosniff"] {
            assert!(head.contains(guard), "{path}: {head}");
        }
        for method in ["POST", "PUT", "DELETE"] {
            assert_eq!(ask(&server, method, path).0, 405, "{method} {path}");
        }
    }
}

#[test]
fn the_page_asks_for_nothing_from_elsewhere() {
    for text in [include_str!("index.html"), include_str!("page.css"), include_str!("page.js")] {
        let outside = text.replace("http://www.w3.org/2000/svg", "");
        assert!(!outside.contains("http:") && !outside.contains("https:") && !outside.contains("//fonts"));
        for markup in
            ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", " style=\"", " onclick"]
        {
            assert!(!text.contains(markup), "{markup}");
        }
    }
}

#[test]
fn fields_are_listed_filtered_and_told_one_by_one() {
    let (server, history) = serve(|page| {
        page.replay = Box::new(|image| ReplayAdvice { command: format!("again {image}"), note: String::new() });
    });
    history.on(&Event::Finished(&rejected()));
    history.on(&Event::Finished(&Finished { image_id: ImageId::new("f-2").unwrap(), ..processed() }));
    let all = json_of(&server, "/api/fields?limit=1");
    assert_eq!((&all["matching"], all["fields"].as_array().unwrap().len()), (&2.into(), 1));
    let refused = json_of(&server, "/api/fields?outcome=rejected&reason=missing_band&text=F-");
    assert_eq!(refused["fields"][0]["replay"]["command"], "again f-1");
    assert_eq!(json_of(&server, "/api/fields/f-2")["ends"][0]["stars"], 2);
    history.on(&Event::Finished(&processed()));
    let ends = json_of(&server, "/api/fields/f-1");
    assert_eq!((&ends["ends"][0]["outcome"], &ends["ends"][1]["replay"]), (&"processed".into(), &Value::Null));
    assert_eq!(json_of(&server, "/api/now")["counts"]["stars"], 4);
    assert_eq!(json_of(&server, "/api/quality?hours=3&by=processed")["fields"], 2);
    assert_eq!(json_of(&server, "/api/drift"), Value::Array(vec![]));
}

#[test]
fn what_makes_no_sense_is_refused_and_not_repeated() {
    let (server, _) = serve(|_| ());
    for path in [
        "/api/fields?outcome=%3Cscript%3E",
        "/api/fields?limit=x",
        "/api/fields?%3Cb%3E=1",
        "/api/quality?by=x",
        "/api/quality?hours=x",
    ] {
        let (status, _, body) = ask(&server, "GET", path);
        assert!(status == 400 && !body.contains(&b'<'), "{path}: {status}");
    }
    for path in [
        "/api/fields/..",
        "/api/fields/none",
        "/api/fields/%2e%2e%2fetc",
        "/api/fields/a/image.gif",
        "/api/fields/%2e%2e/image.png",
        "/api/fields/a%2fb/image.png",
        "/elsewhere",
    ] {
        assert_eq!(ask(&server, "GET", path).0, 404, "{path}");
    }
}

#[test]
fn pictures_and_their_failures_are_told() {
    let (server, _) = serve(|page| {
        page.pictures = Box::new(|image, layer| match image.as_str() {
            "good" if layer == Layer::Outlines => Ok(Some(b"png".into())),
            "bad" => Err("the disk is away".into()),
            "worse" => panic!("on purpose"),
            _ => Ok(None),
        });
    });
    let (status, head, body) = ask(&server, "GET", "/api/fields/good/outlines.png");
    assert!(status == 200 && head.contains("content-type: image/png") && body == b"png", "{head}");
    assert_eq!(ask(&server, "GET", "/api/fields/good/classes.png").0, 404);
    for image in ["bad", "worse"] {
        assert_eq!(ask(&server, "GET", &format!("/api/fields/{image}/image.png")).0, 500, "{image}");
    }
    assert_eq!(ask(&server, "GET", "/api/fields/good/outlines.png").0, 200, "a failed one blocks no other");
}

#[test]
fn drift_and_configuration_are_what_they_were_asked_to_be() {
    let (server, _) = serve(|page| {
        page.configuration = Box::new(|| "[http]\nbind = \"x\"\n".into());
        page.drift = Box::new(|| {
            vec![DriftRow { input: "fwhm r".into(), window: "hour".into(), distance: 2.0, threshold: 1.5 }]
        });
    });
    let (_, head, body) = ask(&server, "GET", "/api/configuration");
    assert!(head.contains("text/plain") && body.starts_with(b"[http]"), "{head}");
    assert_eq!(json_of(&server, "/api/drift")[0]["threshold"], 1.5);
}

#[test]
fn answers_stay_short_with_ten_thousand_fields() {
    let (server, history) = serve(|_| ());
    let Outcome::Processed(products) = processed().outcome else { panic!("it is processed") };
    let past = |k: usize| super::super::history::Field {
        image: format!("f-{k}"),
        ended_unix_s: k as f64,
        midpoint_mjd_tai: None,
        timings_s: processed().timings_s,
        model_version: "1".into(),
        end: super::super::history::End::Processed((&*products).into()),
    };
    history.remember((0..10_000).map(past).collect());
    for path in ["/api/now", "/api/fields?limit=100000", "/api/fields?text=9", "/api/quality"] {
        let (status, _, body) = ask(&server, "GET", path);
        assert!(status == 200 && body.len() < 500_000, "{path}: {}", body.len());
    }
    assert_eq!(json_of(&server, "/api/fields?text=f-999")["matching"], 11);
}
