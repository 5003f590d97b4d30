//! A survey's topics on a broker, its folders, and the daemon between them.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use apache_avro::reader::datum::GenericDatumReader;
use serde_json::{Value, json};

use super::broker::{Broker, Seen, Sent};
use super::http::{get, metric};
use super::program::{Ended, Running, command, start};
use super::{BANDS, Field, path_of, until};
use twinpeak_stream::kafka::Topics;

/// As the tests' own topics take it, bytes.
pub const LONGEST_RECORD: &str = "16777216";

/// Topics with a prefix of this test's own, and a consumer group of the same name.
pub struct Site<'a> {
    broker: &'a Broker,
    prefix: &'a str,
    /// By which address the daemon finds the broker.
    servers: String,
    pub topics: Topics,
    root: tempfile::TempDir,
}

impl<'a> Site<'a> {
    /// Without topics.
    pub fn bare(broker: &'a Broker, prefix: &'a str) -> Self {
        let root = tempfile::tempdir().unwrap();
        ["frames", "objects"].iter().for_each(|name| fs::create_dir(root.path().join(name)).unwrap());
        Self { broker, prefix, servers: broker.bootstrap.clone(), topics: Topics::new(prefix, "sdss"), root }
    }

    /// With topics; that of rejected messages takes records of so many bytes.
    pub fn new(broker: &'a Broker, prefix: &'a str, partitions: i32, longest_rejected: &str) -> Self {
        let site = Self::bare(broker, prefix);
        let Topics { new_images, sources, masks, images, rejected, replayed } = &site.topics;
        for name in [new_images, sources, masks, images] {
            broker.topic(name, partitions, &[("max.message.bytes", LONGEST_RECORD)]);
        }
        broker.topic(rejected, partitions, &[("max.message.bytes", longest_rejected)]);
        broker.topic(replayed, partitions, &[("cleanup.policy", "compact")]);
        site
    }

    /// Another address for the daemon.
    pub fn by(self, servers: String) -> Self {
        Self { servers, ..self }
    }

    /// Where messages may name files.
    pub fn frames(&self) -> PathBuf {
        self.root.path().join("frames")
    }

    /// Where the daemon keeps what is too large for a topic, if it is told so with [`Self::keeps_objects`].
    pub fn objects(&self) -> PathBuf {
        self.root.path().join("objects")
    }

    /// The setting that gives the daemon the folder.
    pub fn keeps_objects(&self) -> String {
        format!("remote.objects=file://{}", self.objects().display())
    }

    /// A daemon with further settings; what finds objects is the matched filter, unless they say otherwise.
    pub fn daemon(&self, settings: &[&str]) -> Command {
        let ours = [
            "model.segmenter=threshold".to_owned(),
            "http.bind=127.0.0.1:0".to_owned(),
            "kafka.session_timeout_s=6".to_owned(),
            format!("kafka.topic_prefix={}", self.prefix),
            format!("kafka.group={}", self.prefix),
            format!("kafka.state_dir={}", self.root.path().join("state").display()),
            format!("remote.file_roots={}", self.frames().display()),
        ];
        let mut command = command(&["run", "--kafka", &self.servers]);
        for setting in ours.iter().map(String::as_str).chain(settings.iter().copied()) {
            command.args(["--set", setting]);
        }
        command
    }

    /// A daemon at work, and where it serves metrics and health.
    pub fn start(&self, settings: &[&str]) -> (Running, String) {
        let daemon = start(self.daemon(settings));
        let address = daemon.ready("http");
        (daemon, address)
    }

    /// Lets a daemon work until nothing is left to do.
    #[track_caller]
    pub fn work_off(&self, settings: &[&str]) -> Ended {
        let ended = start({
            let mut daemon = self.daemon(settings);
            daemon.arg("--until-idle");
            daemon
        })
        .wait();
        ended.assert_code(0);
        assert!(self.is_done(), "an idle daemon has committed everything: {}", ended.told);
        ended
    }

    /// Writes a field's files and sends the message that names them.
    pub fn announce(&self, field: &Field) {
        field.write(&self.frames());
        self.send(&field.id, &self.message(&field.id));
    }

    /// The message of an image whose files lie in the folder of frames.
    pub fn message(&self, id: &str) -> Value {
        let uri = |band| format!("file://{}", path_of(&self.frames(), band, id).display());
        let bands: serde_json::Map<_, _> = BANDS.iter().map(|b| ((*b).to_owned(), uri(b).into())).collect();
        json!({"schema_version": "1.0", "image_id": id, "bands": bands})
    }

    /// Sends a message.
    pub fn send(&self, key: &str, message: &Value) {
        self.send_all(&[Sent { key, payload: Some(message.to_string().as_bytes()), ..Sent::default() }]);
    }

    /// Sends messages.
    pub fn send_all(&self, messages: &[Sent]) {
        self.broker.send(&self.topics.new_images, messages);
    }

    /// Whether every message is committed.
    pub fn is_done(&self) -> bool {
        self.broker.lag(self.prefix, &self.topics.new_images).iter().all(|messages| *messages == 0)
    }

    /// Committed records: sources, masks, images, rejected.
    pub fn records(&self) -> [Vec<Seen>; 4] {
        let Topics { sources, masks, images, rejected, .. } = &self.topics;
        [sources, masks, images, rejected].map(|topic| self.broker.read(topic))
    }

    /// Messages as they lie on the topic.
    pub fn sent(&self) -> Vec<Seen> {
        self.broker.read(&self.topics.new_images)
    }

    /// Waits until so many images and rejections are visible.
    pub fn until_visible(&self, images: usize, rejected: usize) {
        let count = |topic| self.broker.read(topic).len();
        until("images are visible", || count(&self.topics.images) >= images);
        until("rejections are visible", || count(&self.topics.rejected) >= rejected);
    }
}

/// The datum of a record in single-object encoding, after its head.
pub fn datum(record: &Seen) -> &[u8] {
    assert_eq!(record.payload[..2], [0xc3, 0x01]);
    &record.payload[10..]
}

/// A record as apache-avro reads it by the published schema `deploy/schemas/NAME-v1.N.avsc` whose fingerprint it bears.
pub fn decoded(record: &Seen, name: &str) -> Value {
    let files = fs::read_dir(format!("{}/deploy/schemas", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let files = files.map(|file| file.unwrap().path());
    let mut versions = files
        .filter(|file| file.file_name().unwrap().to_str().unwrap().starts_with(&format!("{name}-v1.")))
        .map(|file| apache_avro::Schema::parse_str(&fs::read_to_string(file).unwrap()).unwrap());
    let bears = |schema: &apache_avro::Schema| {
        schema.fingerprint::<apache_avro::rabin::Rabin>().bytes[..] == record.payload[2..10]
    };
    let schema = versions.find(bears).unwrap();
    let value = GenericDatumReader::builder(&schema).build().unwrap().read_value(&mut datum(record)).unwrap();
    value.try_into().unwrap()
}

/// What `/readyz` says of the stream: whether all is well, and its words.
pub fn readiness(address: &str) -> (bool, String) {
    let (status, body) = get(address, "/readyz");
    let answer: Value = serde_json::from_str(&body).unwrap();
    (status == 200, answer["checks"]["kafka"].as_str().unwrap_or(&body).to_owned())
}

/// A series of the stream's metrics.
pub fn measured(address: &str, series: &str) -> f64 {
    metric(&get(address, "/metrics").1, &format!("twinpeak_kafka_{series}")).unwrap_or_default()
}
