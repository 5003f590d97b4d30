//! The daemon as its operators see it: fields that arrive band by band, are processed once each whenever the
//! process dies, and are counted; signals, a second daemon, and an output folder that goes away.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

use crate::common::http::{get, metric};
use crate::common::program::{Running, command, start};
use crate::common::{BANDS, Field, frames, night, path_of, results, simulate, until};

/// An inbox and its folder of results.
struct Post {
    inbox: PathBuf,
    out: PathBuf,
    _root: tempfile::TempDir,
}

impl Post {
    fn new(fields: &[&Field]) -> Self {
        let root = tempfile::tempdir().unwrap();
        let post = Self { inbox: root.path().join("inbox"), out: root.path().join("out"), _root: root };
        fs::create_dir(&post.inbox).unwrap();
        fields.iter().for_each(|field| field.write(&post.inbox));
        post
    }

    /// A daemon that is quick to look and to take.
    fn daemon(&self, further: &[&str]) -> Command {
        let paths = ["--inbox", self.inbox.to_str().unwrap(), "--out", self.out.to_str().unwrap()];
        let quick = ["--set", "input.poll_interval_s=0.02", "--set", "input.settle_s=0.05"];
        let mut command = command(&[&["run"], &paths[..], &quick, further].concat());
        command.env("TWINPEAK__HTTP__BIND", "127.0.0.1:0");
        command
    }

    fn start(&self, further: &[&str]) -> Running {
        start(self.daemon(further))
    }

    fn is_done(&self, id: &str) -> bool {
        self.out.join(format!("{id}.done.json")).exists()
    }

    /// How often a field was begun, by its claim.
    fn attempts(&self, id: &str) -> u64 {
        let claim = fs::read(self.out.join(format!(".twinpeak/claims/{id}.json")));
        claim.map_or(0, |text| serde_json::from_slice::<Value>(&text).unwrap()["attempts"].as_u64().unwrap())
    }

    /// Images whose claims lie there.
    fn claims(&self) -> Vec<String> {
        let claims = self.out.join(".twinpeak/claims");
        let names = if claims.exists() { results::names(&claims) } else { Vec::new() };
        names.iter().filter_map(|n| n.strip_suffix(".json").filter(|id| !id.starts_with('.'))).map(Into::into).collect()
    }
}

/// What the night gives when nothing disturbs it: the bytes of its files.
fn undisturbed() -> &'static BTreeMap<String, Vec<u8>> {
    static FILES: OnceLock<BTreeMap<String, Vec<u8>>> = OnceLock::new();
    FILES.get_or_init(|| {
        let (frames, out) = (frames(3), tempfile::tempdir().unwrap());
        let paths = ["process", frames.path().to_str().unwrap(), "--out", out.path().to_str().unwrap()];
        start(command(&paths)).wait().assert_code(0);
        results::whole(out.path())
    })
}

/// A field large enough to be caught at work.
fn large() -> &'static Field {
    static LARGE: OnceLock<Vec<Field>> = OnceLock::new();
    &LARGE.get_or_init(|| simulate(&["--width", "1400", "--height", "1400", "--seed", "8"]))[0]
}

/// Waits until so many frames have ended, and nothing of them is left to do.
fn until_counted(address: &str, frames: f64) {
    until("frames are counted", || metric(&get(address, "/metrics").1, "twinpeak_frames_total") == Some(frames));
}

#[test]
fn a_field_waits_for_its_last_band_and_for_that_to_be_whole() {
    let [late, early, _] = [0, 1, 2].map(|n| &night()[n]);
    let post = Post::new(&[]);
    let mut daemon = post.start(&["--set", "input.settle_s=3"]);
    let last = path_of(&post.inbox, "z", &late.id);
    late.write(&post.inbox);
    fs::remove_file(&last).unwrap();
    early.write(&post.inbox);
    until("a complete field passes one that waits", || post.is_done(&early.id));
    assert!(!post.is_done(&late.id) && results::rejected(&post.out).is_empty());
    // The last band comes in pieces: too few bytes for a FITS file at any time but the last.
    let mut file = fs::File::create(&last).unwrap();
    for piece in late.bands[4].chunks(late.bands[4].len().div_ceil(10)) {
        file.write_all(piece).unwrap();
        std::thread::sleep(Duration::from_millis(100));
    }
    until("the last band is whole", || post.is_done(&late.id) || !results::rejected(&post.out).is_empty());
    assert!(results::rejected(&post.out).is_empty(), "{:?}", results::rejected(&post.out));
    daemon.signal("-TERM");
    daemon.wait().assert_code(0);
    let mut expected = undisturbed().clone();
    expected.retain(|name, _| !name.starts_with(&night()[2].id));
    results::assert_same(&results::whole(&post.out), &expected, "late and in pieces");
}

#[test]
fn an_incomplete_field_is_given_up_and_its_missing_bands_named() {
    let field = &night()[0];
    let post = Post::new(&[field]);
    ["g", "z"].iter().for_each(|band| fs::remove_file(path_of(&post.inbox, band, &field.id)).unwrap());
    let mut daemon = post.start(&["--set", "input.incomplete_after_s=0.3"]);
    let address = daemon.ready("http");
    let rejection = post.out.join(format!("rejected/{}.json", field.id));
    until("the incomplete field is given up", || rejection.exists());
    let record = &results::rejected(&post.out)[&field.id];
    assert_eq!((&record["reason"], &record["stage"]), (&"missing_band".into(), &"ingest".into()));
    assert!(record["message"].as_str().unwrap().contains("bands g, z"), "{record}");
    let series = "twinpeak_rejected_frames_total{reason=\"missing_band\",stage=\"ingest\"}";
    until("it is counted", || metric(&get(&address, "/metrics").1, series) == Some(1.0));
    // Whoever delivers them after all takes the rejection away, and the field is taken like any other.
    field.write(&post.inbox);
    fs::remove_file(&rejection).unwrap();
    until("the completed field", || post.is_done(&field.id));
    daemon.signal("-INT");
    daemon.wait().assert_code(0);
}

#[test]
fn each_field_comes_out_once_however_often_the_process_is_killed() {
    let fields: Vec<&Field> = night().iter().collect();
    let post = Post::new(&fields);
    let mut random = ChaCha8Rng::seed_from_u64(13);
    // More fields to be killed on: the same pixels under other names.
    for n in 1..=4 {
        night()[n % 3].write_as(&post.inbox, &format!("900002-1-{n:04}"));
    }
    let mut kept = BTreeMap::new();
    for _ in 0..6 {
        // A field that killed us twice is given up: one that did once is let through before the next blow.
        let begun = post.claims();
        let daemon = post.start(&[]);
        until("fields that were begun before are done", || begun.iter().all(|id| post.is_done(id)));
        std::thread::sleep(Duration::from_millis(random.random_range(0..700)));
        assert_eq!(daemon.kill().code, None);
        if !post.out.exists() {
            continue; // before it had begun
        }
        for id in results::done(&post.out) {
            let record = fs::read(post.out.join(format!("{id}.done.json"))).unwrap();
            assert!(*kept.entry(id.clone()).or_insert_with(|| record.clone()) == record, "{id} was done twice");
        }
    }
    start(post.daemon(&["--until-idle"])).wait().assert_code(0);
    assert!(post.claims().is_empty() && results::rejected(&post.out).is_empty());
    assert_eq!(results::done(&post.out).len(), 7);
    for (id, record) in kept {
        assert!(fs::read(post.out.join(format!("{id}.done.json"))).unwrap() == record, "{id} was done twice");
    }
    let mut files = results::whole(&post.out);
    files.retain(|name, _| !name.starts_with("900002"));
    results::assert_same(&files, undisturbed(), "killed again and again");
}

#[test]
fn a_field_that_kills_the_process_twice_is_rejected_on_the_third_start() {
    let post = Post::new(&[large()]);
    let id = &large().id;
    let mut deaths = 0;
    while deaths < 2 {
        let daemon = post.start(&[]);
        until("the field is begun", || post.attempts(id) == deaths + 1 || post.is_done(id));
        daemon.kill();
        if post.is_done(id) {
            // Too late: it was done in spite of us. Once more.
            fs::remove_file(post.out.join(format!("{id}.done.json"))).unwrap();
        }
        deaths = post.attempts(id);
    }
    night()[0].write(&post.inbox);
    start(post.daemon(&["--until-idle"])).wait().assert_code(0);
    let rejected = results::rejected(&post.out);
    assert_eq!((rejected.len(), &rejected[id]["reason"]), (1, &"crashed".into()), "{rejected:?}");
    assert!(rejected[id]["message"].as_str().unwrap().contains("died 2 times"), "{rejected:?}");
    assert_eq!(results::done(&post.out), [night()[0].id.as_str()]);
    assert!(post.claims().is_empty());
}

#[test]
fn the_first_signal_finishes_what_is_in_flight_and_begins_nothing() {
    let post = Post::new(&[large()]);
    let mut daemon = post.start(&["--set", "pipeline.frames_in_flight=1"]);
    until("the field is begun", || post.attempts(&large().id) == 1 || post.is_done(&large().id));
    daemon.signal("-TERM");
    daemon.wait().assert_code(0);
    assert_eq!(results::done(&post.out), [large().id.as_str()]);
    assert!(post.claims().is_empty());
    results::whole(&post.out);
}

#[test]
fn a_second_signal_ends_at_once_and_is_not_held_against_the_field() {
    let post = Post::new(&[large()]);
    let id = &large().id;
    // Twice, as a hurried operator does: these are no deaths, so that the third start must not reject it.
    for _ in 0..2 {
        let mut daemon = post.start(&[]);
        until("the field is begun", || post.attempts(id) == 1 || post.is_done(id));
        daemon.signal("-TERM");
        daemon.until_told("a second signal exits immediately");
        daemon.signal("-TERM");
        let ended = daemon.wait();
        // On a busy machine the field may have been done before the second signal came.
        assert!(ended.code == Some(130) || (ended.code == Some(0) && post.is_done(id)), "{ended:?}");
    }
    assert!(post.claims().is_empty(), "{:?}", post.claims());
    start(post.daemon(&["--until-idle"])).wait().assert_code(0);
    assert_eq!((results::done(&post.out), results::rejected(&post.out).len()), (vec![id.clone()], 0));
    results::whole(&post.out);
}

#[test]
fn a_second_daemon_on_the_same_output_refuses() {
    let post = Post::new(&[]);
    let mut first = post.start(&[]);
    first.ready("http");
    let second = post.start(&[]).wait();
    second.assert_code(8);
    assert!(second.last_words().contains("in use by another twinpeak"), "{}", second.last_words());
    let process = ["process", post.inbox.to_str().unwrap(), "--out", post.out.to_str().unwrap()];
    start(command(&process)).wait().assert_code(8);
    // The first is none the worse for it.
    night()[0].write(&post.inbox);
    until("the first daemon goes on", || post.is_done(&night()[0].id));
    first.signal("-TERM");
    first.wait().assert_code(0);
}

#[test]
fn a_taken_address_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ended = Post::new(&[]).start(&["--http", &address]).wait();
    ended.assert_code(5);
    assert!(ended.last_words().contains(&address), "{}", ended.last_words());
}

#[test]
fn metrics_say_what_was_done() {
    let post = Post::new(&[&night()[0], &night()[1]]);
    night()[2].write(&post.inbox);
    fs::write(path_of(&post.inbox, "r", &night()[2].id), "not a FITS").unwrap();
    let mut daemon = post.start(&["--set", "pipeline.frames_in_flight=2"]);
    let address = daemon.ready("http");
    assert_eq!(get(&address, "/healthz").0, 200);
    assert_eq!(get(&address, "/elsewhere").0, 404);
    let mut text = String::new();
    until("three frames are counted and nothing waits", || {
        text = get(&address, "/metrics").1;
        let sums = ["twinpeak_frames_total", "twinpeak_queue_depth_messages"].map(|series| metric(&text, series));
        sums == [Some(3.0), Some(0.0)]
    });
    let records: Vec<_> = results::done(&post.out).iter().map(|id| results::record(&post.out, id)).collect();
    let sum = |key: &str| records.iter().map(|r| r[key].as_f64().unwrap()).sum::<f64>();
    for (series, expected) in [
        ("twinpeak_arrived_frames_total", 3.0),
        ("twinpeak_frames_total{outcome=\"processed\"}", 2.0),
        ("twinpeak_frames_total{outcome=\"rejected\"}", 1.0),
        ("twinpeak_rejected_frames_total{reason=\"not_fits\",stage=\"prepare\"}", 1.0),
        ("twinpeak_pixels_total", 2.0 * 5.0 * 256.0 * 200.0),
        ("twinpeak_tiles_total", sum("tiles")),
        ("twinpeak_sources_total{class=\"star\"}", sum("stars")),
        ("twinpeak_sources_total{class=\"galaxy\"}", sum("galaxies")),
        ("twinpeak_sources_total{class=\"none\"}", sum("unclassified")),
        ("twinpeak_permits_limit_frames", 2.0),
        ("twinpeak_stage_seconds_count{stage=\"extract\"}", 2.0),
        ("twinpeak_device_info{device=\"cpu\"}", 1.0),
        ("twinpeak_device_failures_total", 0.0),
    ] {
        assert_eq!(metric(&text, series), Some(expected), "{series}");
    }
    // Beside its own tiles a frame has those of its sky, in which the false rate is found.
    let filled = metric(&text, "twinpeak_batch_slots_filled_total{stage=\"segment\"}").unwrap();
    assert!(filled > sum("tiles") && filled <= 2.0 * sum("tiles"), "{filled} slots for {} tiles", sum("tiles"));
    for stage in ["ingest", "prepare", "segment", "extract", "classify", "publish"] {
        assert_eq!(metric(&text, &format!("twinpeak_queue_depth_messages{{stage=\"{stage}\"}}")), Some(0.0), "{stage}");
        let seconds = metric(&text, &format!("twinpeak_stage_seconds_sum{{stage=\"{stage}\"}}"));
        assert!(seconds.is_some_and(|s| s > 0.0), "{stage}: {seconds:?}");
    }
    for band in BANDS {
        let fwhm = metric(&text, &format!("twinpeak_frame_fwhm_arcsec{{band=\"{band}\"}}"));
        assert!(fwhm.is_some_and(|f| (0.5..4.0).contains(&f)), "{band}: {fwhm:?}");
    }
    let (slots, filled) = ("twinpeak_batch_slots_total", "twinpeak_batch_slots_filled_total");
    assert!(metric(&text, slots) >= metric(&text, filled) && metric(&text, "twinpeak_model_info{") == Some(1.0));
    let model = &records[0]["model"];
    assert!(text.contains(&format!("hash={},version={}", model["hash"], model["version"])), "{text}");
    daemon.signal("-TERM");
    let ended = daemon.wait();
    ended.assert_code(0);
    // Without a terminal, logs are for a machine: one object a line.
    assert!(ended.told.lines().all(|l| serde_json::from_str::<Value>(l).is_ok()), "{}", ended.told);
}

#[test]
fn readiness_follows_the_output_folder() {
    // One look at the inbox and no more, so that the daemon lives on while the folder is away.
    let post = Post::new(&[&night()[0]]);
    let mut daemon = post.start(&["--set", "input.poll_interval_s=600"]);
    let address = daemon.ready("http");
    let (status, body) = get(&address, "/readyz");
    assert_eq!(status, 200, "{body}");
    let answers: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        answers["checks"],
        serde_json::json!({"inbox": "ok", "inference": "ok", "output": "ok", "progress": "ok"})
    );
    until_counted(&address, 1.0);
    let away = post.out.with_extension("away");
    fs::rename(&post.out, &away).unwrap();
    let (status, body) = get(&address, "/readyz");
    let answers: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &answers["checks"]["inference"]), (503, &"ok".into()), "{body}");
    assert!(answers["checks"]["output"].as_str().unwrap().contains("has vanished"), "{body}");
    assert_eq!(get(&address, "/healthz").0, 200, "the process itself is well");
    fs::rename(&away, &post.out).unwrap();
    assert_eq!(get(&address, "/readyz").0, 200);
    daemon.signal("-TERM");
    daemon.wait().assert_code(0);
}

#[test]
fn an_output_folder_that_vanishes_ends_the_run_and_is_not_made_anew() {
    let post = Post::new(&[&night()[0]]);
    let daemon = post.start(&[]);
    until_counted(&daemon.ready("http"), 1.0);
    let away = post.out.with_extension("away");
    fs::rename(&post.out, &away).unwrap();
    night()[1].write(&post.inbox);
    let ended = daemon.wait();
    ended.assert_code(8);
    assert!(ended.last_words().contains("out\" has vanished"), "{}", ended.last_words());
    assert!(!post.out.exists());
    assert_eq!(results::done(&away), [night()[0].id.as_str()]);
    results::whole(&away);
    // Its disk is back: the next start goes on.
    fs::rename(&away, &post.out).unwrap();
    start(post.daemon(&["--until-idle"])).wait().assert_code(0);
    assert_eq!(results::done(&post.out).len(), 2);
}

#[test]
fn an_inbox_that_is_away_is_waited_for_and_named() {
    let post = Post::new(&[&night()[0]]);
    let away = post.inbox.with_extension("away");
    fs::rename(&post.inbox, &away).unwrap();
    let ended = post.start(&["--until-idle"]).wait();
    ended.assert_code(5);
    let named = format!("input.dir {}", post.inbox.display());
    assert!(ended.last_words().contains(&named), "{}", ended.last_words());

    let mut daemon = post.start(&[]);
    let address = daemon.ready("http");
    until("the inbox is missed", || get(&address, "/readyz").0 == 503);
    assert!(get(&address, "/readyz").1.contains("inbox"), "{}", get(&address, "/readyz").1);
    fs::rename(&away, &post.inbox).unwrap();
    until_counted(&address, 1.0);
    // It goes away and comes back with more.
    fs::rename(&post.inbox, &away).unwrap();
    until("the inbox is missed again", || get(&address, "/readyz").0 == 503);
    night()[1].write(&away);
    fs::rename(&away, &post.inbox).unwrap();
    until_counted(&address, 2.0);
    assert_eq!(get(&address, "/readyz").0, 200);
    daemon.signal("-TERM");
    daemon.wait().assert_code(0);
}
