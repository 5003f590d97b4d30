//! How fast the stream itself is: `cargo bench --bench stream`. Images of 64x64 px whose 500 rows cost nothing to make
//! go through the real session, encoders and transactions, by one daemon and by two, on a broker of this bench's own;
//! beside them a bare consume-produce loop in transactions with the same bytes.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a bench fails")]

#[path = "../tests/integration/common/broker.rs"]
mod broker;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use broker::Broker;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use twinpeak_core::catalog::{Catalog, Provenance, Row, source_id};
use twinpeak_core::frame::{ImageId, Plane};
use twinpeak_core::outcome::*;
use twinpeak_core::survey::Survey;
use twinpeak_core::wcs::Wcs;
use twinpeak_engine::flow::Stop;
use twinpeak_engine::ports::*;
use twinpeak_formats::avro::{AvroEncoder, Framing};
use twinpeak_stream::kafka::{Incoming, Intake, Outflow, Parts, Request, Settings, Software, Stream};
use twinpeak_stream::object_store::{self, ObjectStore};
use twinpeak_stream::outflow::RecordWriter;

const ROWS: u32 = 500;
const IMAGES: usize = 2000;
const PARTITIONS: usize = 4;
const IN: &str = "new-images";

fn survey() -> Survey {
    Survey::parse(include_str!("../config/surveys/sdss.toml")).unwrap()
}

/// An image's end with 500 made-up rows.
fn finished(image: &ImageId, sequence: u64) -> Finished {
    let row = |number: u32| Row {
        number,
        source_id: source_id("sdss", image, number),
        ra: 10.0 + f64::from(number) * 1e-4,
        dec: 20.0 - f64::from(number) * 1e-4,
        x: f64::from(number % 64),
        y: f64::from(number / 64),
        psf_flux: [1.0, 2.0, 3.0, 4.0, number as f32],
        star_prob: Some(number as f32 / ROWS as f32),
        ..Row::default()
    };
    let provenance = Provenance {
        survey: "sdss".into(),
        image_id: image.clone(),
        midpoint_mjd_tai: Some(51000.0),
        input_hash: "0".repeat(64),
        model_version: "bench".into(),
        model_hash: "0".repeat(64),
        software_version: "bench".into(),
    };
    let products = Products {
        catalog: Catalog { provenance, rows: (1..=ROWS).map(row).collect() },
        segmentation: Plane::filled(64, 64, 0),
        bits: Plane::filled(64, 64, 0),
        wcs: Wcs::tangent((64, 64), (10.0, 20.0), (32.0, 32.0), [[1e-4, 0.0], [0.0, 1e-4]]).unwrap(),
        picture: [(); 3].map(|()| Plane::filled(64, 64, 0.0)),
        quality: Default::default(),
        reference: None,
        tiles: 1,
        device: "none".into(),
        requested: Default::default(),
    };
    let outcome = Outcome::Processed(Box::new(products));
    Finished { image_id: image.clone(), sequence, timings_s: BTreeMap::new(), outcome }
}

struct Named;
impl Intake for Named {
    fn take(&self, incoming: &Arc<Incoming>) -> Request {
        let image_id = ImageId::new(std::str::from_utf8(incoming.bytes()).unwrap()).unwrap();
        Request::new(image_id, || Ok(Loaded::Nothing))
    }
}

fn outflow() -> RecordWriter {
    let remote = ObjectStore::new(&object_store::Settings::default(), 1 << 20).unwrap();
    RecordWriter::new(AvroEncoder::new(&survey(), Framing::SingleObject).unwrap(), Arc::new(remote), 1 << 20, false)
}

#[derive(Default)]
struct Images(AtomicU64);
impl Probe for Images {
    fn on(&self, event: &Event<'_>) {
        if let Event::Stream(StreamEvent::Committed { images, .. }) = event {
            self.0.fetch_add(*images, Ordering::SeqCst);
        }
    }
}

fn settings(broker: &Broker, prefix: &str, state: &Path, instance: usize) -> Settings {
    let text = format!(
        "bootstrap_servers = {:?}\ntopic_prefix = {prefix:?}\ngroup = {prefix:?}\ninstance = \"{instance}\"\n\
         state_dir = {state:?}\ncreate_partitions = {PARTITIONS}\n",
        broker.bootstrap
    );
    toml::from_str(&text).unwrap()
}

/// The real source, encoders, sink and session, around an engine that makes its results out of nothing.
fn daemon(settings: Settings, stop: Stop, images: Arc<Images>) {
    let parts = Parts {
        settings,
        survey: "sdss".into(),
        intake: Box::new(Named),
        outflow: Arc::new(outflow()),
        software: Software { version: "0".into(), model_version: "m".into(), model_hash: "h".into() },
        probe: images,
        ahead: 8,
    };
    let (mut source, sink, stream) = Stream::start(parts).unwrap();
    for sequence in 0.. {
        let Some(arrival) = source.next(&stop).unwrap() else { break };
        let finished = finished(&arrival.image_id, sequence);
        let encoded = sink.encode(&finished, &arrival.receipt).unwrap();
        sink.publish(&finished, &encoded, &arrival.receipt).unwrap();
    }
    drop((source, sink));
    stream.finish().unwrap();
}

fn fill(broker: &Broker, topic: &str) {
    let names: Vec<String> = (0..IMAGES).map(|n| format!("image-{n:06}")).collect();
    broker.produce(topic, names.iter().map(|n| (n.as_str(), n.as_bytes())));
}

/// Rows a second of so many daemons, from the first commit to the last: what starting and joining take is left out.
fn daemons(broker: &Broker, count: usize) -> f64 {
    let (prefix, state) = (format!("by-{count}"), tempfile::tempdir().unwrap());
    let topics = twinpeak_stream::kafka::Topics::new(&prefix, "sdss");
    let (stop, images) = (Stop::default(), Arc::new(Images::default()));
    let started: Vec<_> = (0..count)
        .map(|n| {
            let (settings, stop, images) = (settings(broker, &prefix, state.path(), n), stop.clone(), images.clone());
            thread::spawn(move || daemon(settings, stop, images))
        })
        .collect();
    thread::sleep(Duration::from_secs(8)); // until the group is settled
    let since = Instant::now();
    fill(broker, &topics.new_images);
    while images.0.load(Ordering::SeqCst) < IMAGES as u64 {
        thread::sleep(Duration::from_millis(2));
    }
    let seconds = since.elapsed().as_secs_f64();
    stop.drain();
    started.into_iter().for_each(|t| t.join().unwrap());
    IMAGES as f64 * f64::from(ROWS) / seconds
}

/// The same bytes by the client alone: take, write, commit every 16 messages.
fn bare(broker: &Broker) -> f64 {
    let image = ImageId::new("image-000000").unwrap();
    let outgoing = outflow().records(&finished(&image, 0), "bare").unwrap();
    let topics = twinpeak_stream::kafka::Topics::new("bare", "sdss");
    // Makes the topics.
    twinpeak_stream::kafka::Producer::connect(&settings(broker, "bare", Path::new("/nowhere"), 0), "sdss").unwrap();
    let mut client = broker.client();
    client.set("group.id", "bare").set("enable.auto.commit", "false").set("auto.offset.reset", "earliest");
    let consumer: BaseConsumer = client.create().unwrap();
    let mut client = broker.client();
    client.set("transactional.id", "bare").set("compression.type", "zstd").set("linger.ms", "5");
    client.set("batch.size", "1000000").set("queue.buffering.max.messages", "1000000");
    let producer: BaseProducer = client.create().unwrap();
    producer.init_transactions(Duration::from_secs(20)).unwrap();
    consumer.subscribe(&[&topics.new_images]).unwrap();
    let until = Instant::now() + Duration::from_secs(8);
    while Instant::now() < until {
        consumer.poll(Duration::from_millis(100));
    }
    let since = Instant::now();
    fill(broker, &topics.new_images);
    let mut taken = 0;
    while taken < IMAGES {
        producer.begin_transaction().unwrap();
        let mut offsets: BTreeMap<i32, i64> = BTreeMap::new();
        let mut here = 0;
        while here < 16 && taken < IMAGES {
            let Some(message) = consumer.poll(Duration::from_millis(50)) else { break };
            let message = message.unwrap();
            offsets.insert(message.partition(), message.offset() + 1);
            let sources = outgoing.sources.iter().map(|p| (&topics.sources, p));
            let masks = outgoing.masks.iter().map(|p| (&topics.masks, p.as_slice()));
            let images = std::iter::once((&topics.images, outgoing.image.as_slice()));
            for (topic, payload) in sources.chain(masks).chain(images) {
                let mut record = BaseRecord::to(topic).key(message.payload().unwrap()).payload(payload);
                while let Err((_, back)) = producer.send(record) {
                    producer.poll(Duration::from_millis(10));
                    record = back;
                }
            }
            producer.poll(Duration::ZERO);
            (here, taken) = (here + 1, taken + 1);
        }
        let mut list = TopicPartitionList::new();
        for (partition, offset) in &offsets {
            list.add_partition_offset(&topics.new_images, *partition, Offset::Offset(*offset)).unwrap();
        }
        let group = consumer.group_metadata().unwrap();
        producer.send_offsets_to_transaction(&list, &group, Duration::from_secs(20)).unwrap();
        // As the daemon does: the client's own wait for its reports sleeps 100 ms at a time.
        while producer.in_flight_count() > 0 {
            producer.poll(Duration::from_millis(1));
        }
        producer.commit_transaction(Duration::from_secs(20)).unwrap();
    }
    IMAGES as f64 * f64::from(ROWS) / since.elapsed().as_secs_f64()
}

fn main() {
    // `cargo test --benches` asks for a list.
    if std::env::args().any(|a| a == "--list" || a == "--test") {
        return;
    }
    let broker = Broker::start(&[]);
    println!("{IMAGES} images of {ROWS} rows, {PARTITIONS} partitions of {IN}");
    let bare = bare(&broker);
    println!("bare loop     {bare:9.0} rows/s");
    for count in [1, 2] {
        let rate = daemons(&broker, count);
        println!(
            "{count} daemon{}     {rate:9.0} rows/s, {:.2} of the bare loop",
            if count == 1 { " " } else { "s" },
            rate / bare
        );
    }
}
