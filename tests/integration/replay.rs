//! Messages sent and sent again, against a real broker: `submit` and `replay` as programs, and replays that are killed,
//! or run two at once. The daemon here has no engine and refuses every message.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use crate::common::broker::{Broker, Seen};
use crate::common::{BANDS, path_of, program, session};
use twinpeak_core::outcome::*;
use twinpeak_core::survey::Survey;
use twinpeak_engine::flow::Stop;
use twinpeak_engine::ports::*;
use twinpeak_stream::kafka::*;
use twinpeak_stream::message::{self, Message, Uri};
use twinpeak_stream::object_store::{self, ObjectStore};

/// The broker of all tests of this file; each has a survey of its own on it.
fn shared() -> Arc<Broker> {
    static SHARED: Mutex<Weak<Broker>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(|e| e.into_inner());
    let broker = shared.upgrade().unwrap_or_else(|| Arc::new(Broker::start(&[])));
    *shared = Arc::downgrade(&broker);
    broker
}

/// A topic of a survey.
fn topic(survey: &str, name: &str) -> String {
    format!("twinpeak.{survey}.{name}")
}

fn settings(broker: &Broker, survey: &str, state: &Path) -> Settings {
    let text = format!(
        "bootstrap_servers = {:?}\ngroup = {survey:?}\ninstance = \"a\"\nstate_dir = {state:?}\ncreate_partitions = 2\n\
         session_timeout_s = 6.0\n",
        broker.bootstrap
    );
    toml::from_str(&text).unwrap()
}

/// Keeps what is too large in the object store, if there is one.
struct Keep(Option<ObjectStore>);
impl Outflow for Keep {
    fn records(&self, _: &Finished, _: &str) -> Result<ImageRecords, PortError> {
        unreachable!("nothing is processed here")
    }
    fn keep(&self, bytes: &[u8], message: &str) -> Result<Option<String>, PortError> {
        Ok(self.0.as_ref().map(|remote| remote.put(bytes, &format!("{message}.message")).unwrap().uri))
    }
    fn discard(&self, _: &str) {}
}

/// Refuses everything that is on the topic of new images and was not refused yet, as too old where it says so; its key
/// is the image's name.
fn refuse(settings: Settings, survey: &str, objects: Option<ObjectStore>) {
    let intake = session::RefuseAll(|incoming| {
        let text = String::from_utf8_lossy(&incoming.bytes()[..incoming.bytes().len().min(40)]).into_owned();
        let reason = if text.contains("old") { Reason::TooOld } else { Reason::BadMessage };
        (String::from_utf8(incoming.key.clone().unwrap()).unwrap(), reason, text)
    });
    let parts = session::parts(settings, survey, intake, Arc::new(Keep(objects)));
    session::work(parts, &Stop::default(), true, Duration::ZERO);
}

/// Writes a message.
fn send(broker: &Broker, topic: &str, key: &str, payload: &[u8], headers: &[(&str, &str)]) {
    let producer: BaseProducer = broker.client().create().unwrap();
    queue(&producer, topic, key, payload, headers);
    producer.flush(Duration::from_secs(20)).unwrap();
}

/// Writes messages, each with a header of its own.
fn write(broker: &Broker, topic: &str, messages: &[(&str, &[u8])]) {
    let producer: BaseProducer = broker.client().create().unwrap();
    messages.iter().for_each(|(key, payload)| queue(&producer, topic, key, payload, &[("trace", key)]));
    producer.flush(Duration::from_secs(20)).unwrap();
}

fn queue(producer: &BaseProducer, topic: &str, key: &str, payload: &[u8], headers: &[(&str, &str)]) {
    let headers = headers
        .iter()
        .fold(OwnedHeaders::new(), |headers, (name, value)| headers.insert(Header { key: name, value: Some(*value) }));
    producer.send(BaseRecord::to(topic).key(key).payload(payload).headers(headers)).map_err(|(e, _)| e).unwrap();
}

/// Records in an order that does not depend on their partitions.
fn read(broker: &Broker, topic: &str) -> Vec<Seen> {
    let mut seen = broker.read(topic);
    seen.sort_by(|a, b| (&a.key, &a.payload).cmp(&(&b.key, &b.payload)));
    seen
}

/// How often each message is on the topic of new images.
fn copies(broker: &Broker, survey: &str) -> BTreeMap<String, usize> {
    let mut copies = BTreeMap::new();
    for seen in broker.read(&topic(survey, "new-images")) {
        assert_eq!(seen.header("trace"), Some(seen.key.as_str()));
        assert!(seen.headers.iter().all(|(name, _)| !name.starts_with("twinpeak.")), "{:?}", seen.headers);
        *copies.entry(seen.key).or_default() += 1;
    }
    copies
}

fn nothing_to_fetch(_: &str) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
    unreachable!("all is in the records")
}

/// Replays what the filter selects: the names of those sent, and what was said of those that were not.
fn replay(replay: &Replay, limit: usize) -> Result<(Vec<String>, Vec<String>), KafkaError> {
    let (mut sent, mut not_sent) = (Vec::new(), Vec::new());
    replay.run(ReplayFilter::default(), limit, &Stop::default(), &mut |rejected, why| match why {
        None => sent.push(rejected.name()),
        Some(why) => not_sent.push(why.to_string()),
    })?;
    Ok((sent, not_sent))
}

#[test]
fn what_is_submitted_and_refused_is_replayed_as_it_was_wished() {
    let (broker, state, night) = (shared(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let survey = Survey::parse(include_str!("../../config/surveys/sdss.toml")).unwrap();
    for image in ["000001-1-0001", "000001-1-0002", "000001-1-0003"] {
        BANDS.iter().for_each(|band| std::fs::write(path_of(night.path(), band, image), "").unwrap());
    }
    let incomplete = path_of(night.path(), "u", "000001-1-0004");
    std::fs::write(&incomplete, "").unwrap();
    let foreign = night.path().join("notes.txt");
    std::fs::write(&foreign, "").unwrap();
    let run = |arguments: &[&str]| {
        let common = ["--kafka", &broker.bootstrap, "--set", "kafka.create_partitions=2"];
        program::run(&[arguments, &common].concat())
    };

    let ended = run(&["submit", night.path().to_str().unwrap(), foreign.to_str().unwrap(), "--rate", "1000"]);
    let told = &ended.assert_code(3).told;
    for words in ["000001-1-0004: not sent: bands g, r, i, z", "notes.txt: not sent"] {
        assert!(told.contains(words), "{words}: {told}");
    }
    let submitted = read(&broker, &topic("sdss", "new-images"));
    let keys: Vec<_> = submitted.iter().map(|s| s.key.as_str()).collect();
    assert_eq!(keys, ["000001-1-0001", "000001-1-0002", "000001-1-0003"]);
    for Seen { key, payload, .. } in &submitted {
        let Message::NewImage(image) = message::parse(payload, &survey).unwrap() else { panic!("another message") };
        assert_eq!(image.image_id.as_str(), key);
        for (band, files) in BANDS.iter().zip(&image.bands) {
            let path = path_of(&std::fs::canonicalize(night.path()).unwrap(), band, key);
            assert_eq!(files.as_ref().map(|files| &files.image.file), Some(&Uri::File(path)));
        }
    }
    run(&["submit", incomplete.to_str().unwrap()]).assert_code(4);

    let into = topic("sdss", "new-images");
    write(&broker, &into, &[("a", b"a old"), ("b", b"b old"), ("c", b"c bad"), ("d", b"d bad")]);
    refuse(settings(&broker, "sdss", state.path()), "sdss", None);
    let count = |key: &str| broker.read(&into).iter().filter(|s| s.key == key).count();
    let counts = || ["a", "b", "c", "d"].map(count);
    let submitted = || submitted.iter().map(|s| count(&s.key)).sum::<usize>();

    run(&["replay", "--reason", "too_old", "--dry-run"]).assert_code(0);
    assert_eq!(counts(), [1, 1, 1, 1], "a rehearsal sends nothing");
    run(&["replay", "--reason", "nonsense"]).assert_code(2);
    run(&["replay", "--reason", "too_old"]).assert_code(0);
    assert_eq!(counts(), [2, 2, 1, 1]);
    run(&["replay", "--reason", "too_old"]).assert_code(0);
    run(&["replay", "--image", "a", "--image", "c"]).assert_code(0);
    assert_eq!(counts(), [2, 2, 2, 1], "each once");
    run(&["replay", "--limit", "1"]).assert_code(0);
    assert_eq!(counts().iter().sum::<usize>() + submitted(), 7 + 3 + 1);
    run(&["replay"]).assert_code(0);
    assert_eq!((counts(), submitted()), ([2, 2, 2, 2], 6));

    // What is rejected again is replayed again.
    refuse(settings(&broker, "sdss", state.path()), "sdss", None);
    run(&["replay", "--reason", "too_old"]).assert_code(0);
    assert_eq!(counts(), [3, 3, 2, 2]);
    let nowhere = program::run(&["replay", "--kafka", "127.0.0.1:1"]);
    assert!(nowhere.assert_code(9).last_words().contains("broker"), "{}", nowhere.told);
}

#[test]
fn a_replay_that_dies_or_is_cast_out_leaves_none_lost_or_doubled() {
    let (broker, state, survey) = (shared(), tempfile::tempdir().unwrap(), "killed");
    let settings = settings(&broker, survey, state.path());
    let (into, replayed) = (topic(survey, "new-images"), topic(survey, "replayed"));
    twinpeak_stream::kafka::Producer::connect(&settings, survey).unwrap(); // makes the topics
    let names: Vec<String> = (0..250).map(|n| format!("m{n:03}")).collect();
    let texts: Vec<String> = names.iter().map(|n| format!("{n} old")).collect();
    let messages: Vec<_> = names.iter().zip(&texts).map(|(n, t)| (n.as_str(), t.as_bytes())).collect();
    write(&broker, &into, &messages);
    refuse(settings.clone(), survey, None);

    // One that is as if killed between its last record and its commit, its transaction open for an hour.
    let mut client = broker.client();
    client.set("transactional.id", "twinpeak-killed-replay").set("transaction.timeout.ms", "900000");
    let dead: BaseProducer = client.create().unwrap();
    dead.init_transactions(Duration::from_secs(30)).unwrap();
    dead.begin_transaction().unwrap();
    for rejected in broker.read(&topic(survey, "rejected")).iter().take(20) {
        queue(&dead, &into, &rejected.key, &rejected.payload, &[("trace", &rejected.key)]);
    }
    for name in (0..2).flat_map(|partition| (0..200).map(move |offset| format!("{partition}-{offset}"))) {
        queue(&dead, &replayed, &name, b"{}", &[]);
    }
    dead.flush(Duration::from_secs(30)).unwrap();

    let first = Replay::begin(&settings, survey, &nothing_to_fetch).unwrap();
    assert!(dead.commit_transaction(Duration::from_secs(10)).is_err(), "it was cast out");
    let (sent, not_sent) = replay(&first, 30).unwrap();
    assert_eq!((sent.len(), not_sent.len()), (30, 0), "what the dead one wrote counts for nothing");

    let second = Replay::begin(&settings, survey, &nothing_to_fetch).unwrap();
    let (sent, not_sent) = replay(&second, 150).unwrap();
    assert_eq!((sent.len(), not_sent.len()), (150, 0));
    let told = replay(&first, 1000).unwrap_err();
    assert!(matches!(told, KafkaError::OtherReplay { .. }), "{told:?}");
    let (sent, _) = replay(&second, usize::MAX).unwrap();
    assert_eq!(sent.len(), 70);
    assert_eq!(replay(&second, usize::MAX).unwrap(), (vec![], vec![]), "nothing is left");

    let copies = copies(&broker, survey);
    assert_eq!(copies.len(), names.len());
    assert!(copies.values().all(|count| *count == 2), "{copies:?}");
    let notes = read(&broker, &replayed);
    assert_eq!(notes.len(), names.len());
    let note: serde_json::Value = serde_json::from_slice(&notes[0].payload).unwrap();
    assert!(note["reason"] == "too_old" && note["image_id"].is_string(), "{note}");
}

#[test]
fn what_was_too_large_to_reject_comes_back_whole_or_not_at_all() {
    let (broker, state, survey) = (shared(), tempfile::tempdir().unwrap(), "large");
    let store = tempfile::tempdir().unwrap();
    let objects = format!("file://{}", std::fs::canonicalize(store.path()).unwrap().display());
    let remote = || {
        ObjectStore::new(&object_store::Settings { objects: objects.clone(), ..Default::default() }, 1 << 20).unwrap()
    };
    let settings = settings(&broker, survey, state.path());
    twinpeak_stream::kafka::Producer::connect(&settings, survey).unwrap(); // makes the topics
    limit(&broker, &topic(survey, "rejected"), 20_000);

    let large = |name: &str| format!("{name} old {}", "x".repeat(50_000)).into_bytes();
    let into = topic(survey, "new-images");
    write(&broker, &into, &[("claimed", &large("claimed")), ("changed", &large("changed"))]);
    refuse(settings.clone(), survey, Some(remote()));
    write(&broker, &into, &[("cut", &large("cut"))]);
    let long = "l".repeat(30_000);
    send(&broker, &into, "bare", b"bare old", &[("trace", "bare"), ("long", &long)]);
    refuse(settings.clone(), survey, None);
    let rejected = topic(survey, "rejected");
    write(&broker, &rejected, &[("stranger", b"says nothing")]);
    // Of one only the beginning was kept, and its topic holds it no longer.
    let gone = [("topic", into.as_str()), ("partition", "0"), ("offset", "1000000"), ("payload-cut", "true")];
    let names = gone.map(|(name, _)| format!("twinpeak.{name}"));
    let headers: Vec<_> = names.iter().zip(gone).map(|(name, (_, value))| (name.as_str(), value)).collect();
    send(&broker, &rejected, "gone", b"g", &headers);
    let changed = broker.read(&rejected).into_iter().find(|s| s.key == "changed").unwrap();
    let uri: Uri = changed.header("twinpeak.payload-uri").unwrap().parse().unwrap();
    let Uri::File(path) = uri else { panic!("{uri}") };
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, "another").unwrap();

    let store = remote();
    let fetch = |uri: &str| Ok(store.get(&uri.parse::<Uri>()?)?);
    let begun = Replay::begin(&settings, survey, &fetch).unwrap();
    let (sent, mut not_sent) = replay(&begun, usize::MAX).unwrap();
    not_sent.sort();
    assert_eq!(sent.len(), 3, "{not_sent:?}");
    let whys = ["SHA-256", "does not say where it came from", "gone from its topic"];
    assert_eq!(not_sent.len(), whys.len(), "{not_sent:?}");
    for why in whys {
        assert!(not_sent.iter().any(|told| told.contains(why)), "{why}: {not_sent:?}");
    }
    let copies = copies(&broker, survey);
    assert_eq!((copies["claimed"], copies["cut"], copies["changed"], copies["bare"]), (2, 2, 1, 2));
    for seen in read(&broker, &into) {
        match seen.key.as_str() {
            "bare" => assert!(seen.payload == b"bare old" && seen.header("long") == Some(&long)),
            key => assert!(seen.payload == large(key)),
        }
    }
}

#[test]
fn a_topic_of_rejections_made_anew_is_replayed_anew() {
    let (broker, state, survey) = (shared(), tempfile::tempdir().unwrap(), "anew");
    let settings = settings(&broker, survey, state.path());
    twinpeak_stream::kafka::Producer::connect(&settings, survey).unwrap(); // makes the topics
    let (into, rejected) = (topic(survey, "new-images"), topic(survey, "rejected"));
    let before: Vec<_> = ["a", "b", "c"].map(|key| (key, &b"old"[..])).into();
    write(&broker, &into, &before);
    refuse(settings.clone(), survey, None);
    let sent = || replay(&Replay::begin(&settings, survey, &nothing_to_fetch).unwrap(), usize::MAX).unwrap().0;
    let first = sent();
    assert_eq!((first.len(), sent().len()), (3, 0));

    let admin: AdminClient<DefaultClientContext> = broker.client().create().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let gone = runtime.block_on(admin.delete_topics(&[&rejected], &AdminOptions::new())).unwrap();
    assert!(gone[0].is_ok(), "{gone:?}");
    crate::common::until("the topic can be made again", || {
        twinpeak_stream::kafka::Producer::connect(&settings, survey).is_ok()
    });
    refuse(settings.clone(), survey, None); // those that were replayed
    let second = sent();
    assert_eq!((&second, sent().len()), (&first, 0), "names of records come again, and are others");
    assert_eq!(copies(&broker, survey).into_values().collect::<Vec<_>>(), [3, 3, 3]);
}

/// Makes the longest record of a topic shorter.
fn limit(broker: &Broker, topic: &str, bytes: usize) {
    let admin: AdminClient<DefaultClientContext> = broker.client().create().unwrap();
    let bytes = bytes.to_string();
    let change = AlterConfig::new(ResourceSpecifier::Topic(topic)).set("max.message.bytes", &bytes);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let changed = runtime.block_on(admin.alter_configs([&change], &AdminOptions::new())).unwrap();
    assert!(changed[0].is_ok(), "{changed:?}");
}
