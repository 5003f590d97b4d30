//! A real broker of this test's own, on the loopback, and plain clients to look at it with.
#![allow(dead_code, reason = "each user has its part")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

/// Stops when dropped.
pub struct Broker {
    folder: tempfile::TempDir,
    pub bootstrap: String,
}

/// A record as a reader of committed data sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub key: String,
    pub payload: Vec<u8>,
    pub headers: Vec<(String, String)>,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

impl Broker {
    pub fn start(options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut broker = Self { folder, bootstrap: String::new() };
        broker.restart(options);
        broker.bootstrap = broker.file("bootstrap");
        broker
    }

    /// Starts it, or starts it again after it was killed: same data, same address.
    pub fn restart(&self, options: &[&str]) {
        let done = self.script(&[&["start"], options].concat());
        assert!(done, "deploy/kafka.sh start failed");
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What the script has written into a file of the broker's folder.
    pub fn file(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder().join(name)).unwrap().trim().to_owned()
    }

    pub fn topics(&self, survey: &str, partitions: usize) {
        assert!(self.script(&["topics", survey, &partitions.to_string()]), "deploy/kafka.sh topics failed");
    }

    pub fn kill(&self) {
        let pid = self.file("pid").split_whitespace().next().unwrap().to_owned();
        assert!(Command::new("kill").args(["-9", &pid]).status().unwrap().success());
    }

    fn script(&self, arguments: &[&str]) -> bool {
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("deploy/kafka.sh");
        let mut command = Command::new(script);
        command.args(arguments).arg("--dir").arg(self.folder()).stdout(Stdio::null());
        command.status().unwrap().success()
    }

    pub fn client(&self) -> ClientConfig {
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", &self.bootstrap);
        client
    }

    /// Writes messages, spread over the topic's partitions.
    pub fn produce<'a>(&self, topic: &str, messages: impl IntoIterator<Item = (&'a str, &'a [u8])>) {
        let producer: BaseProducer = self.client().create().unwrap();
        for (key, payload) in messages {
            producer.send(BaseRecord::to(topic).key(key).payload(payload)).map_err(|(e, _)| e).unwrap();
            producer.poll(Duration::ZERO);
        }
        producer.flush(Duration::from_secs(20)).unwrap();
    }

    /// All committed records of a topic, from its beginning to its present end.
    pub fn read(&self, topic: &str) -> Vec<Seen> {
        let mut client = self.client();
        client.set("group.id", "a-reader").set("isolation.level", "read_committed").set("enable.auto.commit", "false");
        client.set("enable.partition.eof", "true");
        let consumer: BaseConsumer = client.create().unwrap();
        let metadata = consumer.fetch_metadata(Some(topic), Duration::from_secs(20)).unwrap();
        let partitions = metadata.topics()[0].partitions().len();
        let mut list = TopicPartitionList::new();
        for partition in 0..partitions {
            list.add_partition_offset(topic, partition as i32, Offset::Beginning).unwrap();
        }
        consumer.assign(&list).unwrap();
        let (mut seen, mut ended) = (Vec::new(), 0);
        let until = Instant::now() + Duration::from_secs(60);
        while ended < partitions {
            assert!(Instant::now() < until, "{topic} has no end: an open transaction?");
            match consumer.poll(Duration::from_millis(200)) {
                None => {}
                Some(Err(rdkafka::error::KafkaError::PartitionEOF(_))) => ended += 1,
                Some(Err(error)) => panic!("{error}"),
                Some(Ok(message)) => seen.push(Seen {
                    key: text(message.key()),
                    payload: message.payload().unwrap_or_default().to_vec(),
                    headers: message
                        .headers()
                        .map_or_else(Vec::new, |all| all.iter().map(|h| (h.key.to_owned(), text(h.value))).collect()),
                }),
            }
        }
        seen
    }
}

fn text(bytes: Option<&[u8]>) -> String {
    String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned()
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.script(&["stop"]);
    }
}
