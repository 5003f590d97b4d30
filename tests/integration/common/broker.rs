//! A real broker of this test's own, on the loopback, and plain clients to look at it with.
#![allow(dead_code, reason = "each user has its part")]

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
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
    pub partition: i32,
    pub offset: i64,
    pub key: String,
    pub payload: Vec<u8>,
    /// It has no value, not even an empty one.
    pub tombstone: bool,
    pub headers: Vec<(String, String)>,
}

/// A message to write.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sent<'a> {
    pub key: &'a str,
    /// None: a tombstone.
    pub payload: Option<&'a [u8]>,
    pub headers: &'a [(&'a str, &'a str)],
    /// So many seconds ago.
    pub age_s: i64,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/kafka.sh");
const TIMEOUT: Duration = Duration::from_secs(20);

impl Broker {
    /// The one that all tests share which want these options. It stops with this process, however that ends.
    pub fn shared(options: &[&str]) -> &'static Self {
        type Shared = Mutex<BTreeMap<String, &'static Broker>>; // a mutex: who comes second waits for the start
        static SHARED: Shared = Mutex::new(BTreeMap::new());
        let mut shared = SHARED.lock().unwrap_or_else(|e| e.into_inner());
        let key = options.join(" ");
        if let Some(broker) = shared.get(&key) {
            return broker;
        }
        let broker = Self::start(options);
        let stop = r#"cat; "$0" stop --dir "$1"; rm -rf "$1""#;
        let mut watcher = Command::new("setsid");
        watcher.args(["sh", "-c", stop, SCRIPT]).arg(broker.folder());
        let watcher = watcher.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        std::mem::forget(watcher.unwrap().stdin); // closed by our end, whatever that is
        let broker: &Self = Box::leak(Box::new(broker));
        shared.insert(key, broker);
        broker
    }

    pub fn start(options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut broker = Self { folder, bootstrap: String::new() };
        broker.restart(options);
        broker.bootstrap = broker.file("bootstrap");
        broker
    }

    /// One that does not run yet; `restart` with its port starts it.
    pub fn to_come() -> Self {
        // The port is free now; whoever takes it in the meantime makes the start fail.
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
        Self { folder: tempfile::tempdir().unwrap(), bootstrap: free.to_string() }
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
        let mut command = Command::new(SCRIPT);
        command.args(arguments).arg("--dir").arg(self.folder()).stdout(Stdio::null());
        command.status().unwrap().success()
    }

    pub fn client(&self) -> ClientConfig {
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", &self.bootstrap);
        client
    }

    /// Makes a topic.
    pub fn topic(&self, name: &str, partitions: i32, settings: &[(&str, &str)]) {
        let admin: AdminClient<DefaultClientContext> = self.client().create().unwrap();
        let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        let topic = settings.iter().fold(topic, |topic, (key, value)| topic.set(key, value));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let options = AdminOptions::new().operation_timeout(Some(TIMEOUT));
        let made = runtime.block_on(admin.create_topics(&[topic], &options)).unwrap();
        made[0].as_ref().unwrap();
    }

    /// Messages of a topic that a group has not committed yet, by partition.
    pub fn lag(&self, group: &str, topic: &str) -> Vec<i64> {
        let consumer: BaseConsumer = self.client().set("group.id", group).create().unwrap();
        let metadata = consumer.fetch_metadata(Some(topic), TIMEOUT).unwrap();
        let mut list = TopicPartitionList::new();
        for partition in metadata.topics()[0].partitions() {
            list.add_partition(topic, partition.id());
        }
        let committed = consumer.committed_offsets(list, TIMEOUT).unwrap();
        let lag = |partition, offset| {
            let (low, high) = consumer.fetch_watermarks(topic, partition, TIMEOUT).unwrap();
            high - if let Offset::Offset(at) = offset { at } else { low }
        };
        committed.elements().iter().map(|e| lag(e.partition(), e.offset())).collect()
    }

    /// Writes messages one after another, each in a batch of its own.
    pub fn send(&self, topic: &str, messages: &[Sent]) {
        let mut client = self.client();
        client.set("compression.type", "zstd").set("message.max.bytes", "100000000");
        let producer: BaseProducer = client.create().unwrap();
        for Sent { key, payload, headers, age_s } in messages {
            let headers = headers
                .iter()
                .fold(OwnedHeaders::new(), |all, (name, value)| all.insert(Header { key: name, value: Some(*value) }));
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
            let mut record = BaseRecord::to(topic).key(*key).headers(headers);
            record = record.timestamp(now.as_millis() as i64 - 1000 * age_s);
            if let Some(payload) = payload {
                record = record.payload(*payload);
            }
            producer.send(record).map_err(|(e, _)| e).unwrap();
            producer.flush(TIMEOUT).unwrap();
        }
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

    /// All committed records of a topic by partition and offset, from its beginning to its present end.
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
                    partition: message.partition(),
                    offset: message.offset(),
                    key: text(message.key()),
                    payload: message.payload().unwrap_or_default().to_vec(),
                    tombstone: message.payload().is_none(),
                    headers: message
                        .headers()
                        .map_or_else(Vec::new, |all| all.iter().map(|h| (h.key.to_owned(), text(h.value))).collect()),
                }),
            }
        }
        seen.sort_by_key(|s| (s.partition, s.offset));
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
