//! Damaged bytes by the thousand: real files, bundles and requests with bits turned, numbers blown up, blocks moved and
//! ends cut off. Nothing panics, no answer is longer than a line, and memory stays bounded whatever a header claims.
//!
//! `DAMAGED=1000000 cargo test --release --test integration damaged` tries so many of each kind; a few thousand otherwise.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use twinpeak_cfitsio::decoder::Decoder;
use twinpeak_config::assemble::DecoderProcess;
use twinpeak_core::survey::Survey;
use twinpeak_formats::fits;
use twinpeak_sim::{self, Spec};
use twinpeak_telemetry::history::History;
use twinpeak_telemetry::http::Server;
use twinpeak_telemetry::metrics::{Metrics, ServiceInfo};
use twinpeak_telemetry::page::Page;

/// What one process may need beyond what it needed before, bytes.
const MEMORY_MAX_BYTES: u64 = 512 << 20;
/// A FITS card and a FITS block.
const CARD: usize = 80;
const BLOCK: usize = 2880;

fn inputs(usual: usize) -> usize {
    std::env::var("DAMAGED").map_or(usual, |n| n.parse().expect("DAMAGED is a number"))
}

/// The most memory that this process has held, bytes.
fn most_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

/// Some damage, small or large.
fn damaged(sound: &[u8], rng: &mut ChaCha8Rng) -> Vec<u8> {
    let mut bytes = sound.to_vec();
    for _ in 0..rng.random_range(1..6) {
        if bytes.is_empty() {
            break;
        }
        // Half of the damage lies where the structure is.
        let reach = if rng.random_bool(0.5) { bytes.len().min(2 * BLOCK) } else { bytes.len() };
        let at = rng.random_range(0..reach);
        match rng.random_range(0..8) {
            0 => bytes[at] ^= 1 << rng.random_range(0..8),
            1 => bytes[at] = rng.random(),
            2 => bytes.truncate(at),
            // A number where one may stand: too large, negative, none.
            3 => {
                let card = at / CARD * CARD;
                let number =
                    ["9999999999999999999", "-1", "0", "2147483648", "NaN", "1e400", "'"][rng.random_range(0..7)];
                let value = format!("{number:>20}");
                if let Some(place) = bytes.get_mut(card + 10..card + 30) {
                    place.copy_from_slice(&value.as_bytes()[..20]);
                }
            }
            4 => {
                let digits: Vec<usize> = (at..reach).filter(|&i| bytes[i].is_ascii_digit()).take(1).collect();
                digits.into_iter().for_each(|i| bytes[i] = b'0' + rng.random_range(0..10));
            }
            5 => {
                let block = bytes[at / BLOCK * BLOCK..].iter().take(BLOCK).copied().collect::<Vec<u8>>();
                let to = rng.random_range(0..=bytes.len() / BLOCK) * BLOCK;
                bytes.splice(to..to, block);
            }
            6 => {
                let long = at.saturating_add(rng.random_range(1..200)).min(bytes.len());
                bytes.drain(at..long);
            }
            _ => {
                let value = [0, 0xff, 0x7f][rng.random_range(0..3)];
                bytes[at..].iter_mut().take(8).for_each(|byte| *byte = value);
            }
        }
    }
    bytes
}

fn try_all(name: &str, sound: &[Vec<u8>], count: usize, law: impl Fn(usize, &[u8])) {
    let before = most_memory();
    sound.iter().enumerate().for_each(|(kind, bytes)| law(kind, bytes));
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for i in 0..count {
        let bytes = damaged(&sound[i % sound.len()], &mut rng);
        law(i % sound.len(), &bytes);
    }
    let more = most_memory() - before;
    println!("{name}: {count} damaged inputs, {} MB more", more >> 20);
    assert!(more < MEMORY_MAX_BYTES, "{name} needed {more} bytes more");
}

#[test]
fn frames_plain_and_packed() {
    let survey = Survey::parse(include_str!("../../config/surveys/sdss.toml")).unwrap();
    let spec = Spec { seed: 3, width: 96, height: 80, ..Spec::default() };
    let made = twinpeak_sim::simulate(&spec, &survey).unwrap();
    let plain = fits::encode_band(&survey, &made.frame, 2).unwrap();
    let rice = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/frame-r-rice.fits.fz")).unwrap();
    let endings = ["", ".bz2", ".fz"];
    let sound = [plain.clone(), fits::pack("f.bz2", plain).unwrap(), rice];
    try_all("frames", &sound, inputs(3000), |kind, bytes| crate::laws::frame(endings[kind], bytes));
}

#[test]
fn headers_of_any_kind() {
    let seed: Vec<u8> = (0..600u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let sound: Vec<Vec<u8>> = (0..8).map(|layout| [&[layout], &seed[..]].concat()).collect();
    try_all("headers", &sound, inputs(400), |_, bytes| crate::laws::header(bytes));
}

/// Each input is five children of the program, of which the damage may kill as many as it likes.
#[test]
fn frames_that_a_child_decodes() {
    let child = Decoder::by(Path::new(env!("CARGO_BIN_EXE_twinpeak")));
    let child: Arc<dyn fits::ForeignDecoder> = Arc::new(DecoderProcess(child));
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/frame-r-hcompress.fits.fz");
    let sound = std::fs::read(file).unwrap();
    let read = crate::laws::frame_by;
    try_all("frames of a foreign coding", &[sound], inputs(20), |_, bytes| read(Some(child.clone()), ".fz", bytes));
}

#[test]
fn bundles() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/model");
    let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
    let own = tempfile::tempdir().unwrap();
    try_all("manifests", &[read("manifest.toml")], inputs(1000), |_, bytes| crate::laws::manifest(own.path(), bytes));
    try_all("weights", &[read("segmenter.safetensors")], inputs(1000), |_, bytes| crate::laws::weights(bytes));
}

#[test]
fn requests() {
    let metrics = Arc::new(Metrics::new(&ServiceInfo::default()));
    let page = Arc::new(Page::new(Arc::new(History::new(String::new))));
    let server = Server::start(([127, 0, 0, 1], 0).into(), metrics, vec![], Path::new("/"), page).unwrap();
    let ask = |bytes: &[u8]| {
        let mut client = TcpStream::connect(server.address()).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        // A server that has heard enough may hang up.
        let _ = client.write_all(bytes).and_then(|()| client.shutdown(Shutdown::Write));
        let mut answer = Vec::new();
        let _ = client.take(1 << 20).read_to_end(&mut answer);
        answer
    };
    let request = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").into_bytes();
    let sound =
        ["/", "/metrics", "/readyz", "/api/fields?text=a&before=3&limit=9", "/api/fields/f-1/classes.png"].map(request);
    try_all("requests", &sound, inputs(500), |_, bytes| {
        let answer = ask(bytes);
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1."), "{}", String::from_utf8_lossy(bytes));
        assert!(!answer.starts_with(b"HTTP/1.1 5"), "{}", String::from_utf8_lossy(bytes));
    });
    assert!(ask(&request("/healthz")).starts_with(b"HTTP/1.1 200"));
}
