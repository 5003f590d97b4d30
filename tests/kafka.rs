//! The session against a real broker, without an engine: every message leads to one rejection, exactly once, whatever
//! happens to the group, the transaction or the broker.

mod common;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use common::broker::Broker;
use twinpeak::frame::ImageId;
use twinpeak::kafka::{Incoming, Intake, Outflow, Outgoing, Parts, Settings, Software, Stream, Taken};
use twinpeak::pipeline::flow::Stop;
use twinpeak::pipeline::ports::*;

const SURVEY: &str = "sdss";
const IN: &str = "twinpeak.sdss.new-images";
const REJECTED: &str = "twinpeak.sdss.rejected";

/// Refuses every message, for a reason that holds its text.
struct RefuseAll;
impl Intake for RefuseAll {
    fn take(&self, incoming: &Arc<Incoming>) -> Taken {
        let message = String::from_utf8_lossy(&incoming.payload).into_owned();
        let rejection =
            Rejection { reason: Reason::BadMessage, stage: Stage::Ingest, file: None, message, advice: "none".into() };
        let name = format!("m{}-{}", incoming.origin.partition, incoming.origin.offset);
        Taken { image_id: ImageId::new(&name).unwrap(), load: Box::new(move || Err(rejection)) }
    }
}

struct NoRecords;
impl Outflow for NoRecords {
    fn records(&self, _: &Finished) -> Result<Outgoing, PortError> {
        unreachable!("nothing is processed here")
    }
    fn keep(&self, _: &[u8]) -> Result<Option<String>, PortError> {
        Ok(None)
    }
    fn discard(&self, _: &str) {}
}

#[derive(Default)]
struct Counts {
    aborted: AtomicUsize,
    committed: AtomicUsize,
    paused: AtomicUsize,
    failed: Mutex<BTreeMap<String, usize>>,
}
impl Probe for Counts {
    fn stream(&self, event: &StreamEvent) {
        match event {
            StreamEvent::Aborted => drop(self.aborted.fetch_add(1, Ordering::SeqCst)),
            StreamEvent::Committed { .. } => drop(self.committed.fetch_add(1, Ordering::SeqCst)),
            StreamEvent::Paused { .. } => drop(self.paused.fetch_add(1, Ordering::SeqCst)),
            StreamEvent::Failed { kind } => *self.failed.lock().unwrap().entry(kind.clone()).or_default() += 1,
            _ => {}
        }
    }
}

/// A daemon without an engine: a message takes `work`, one after another.
struct Daemon {
    stop: Stop,
    counts: Arc<Counts>,
    thread: JoinHandle<()>,
}

impl Daemon {
    fn start(settings: Settings, work: Duration) -> Self {
        let _ = tracing_subscriber::fmt().with_test_writer().try_init(); // shown where a test fails
        let (stop, counts) = (Stop::default(), Arc::new(Counts::default()));
        let software = Software { version: "0".into(), model_version: "m".into(), model_hash: "h".into() };
        let parts = Parts {
            settings,
            survey: SURVEY.into(),
            intake: Box::new(RefuseAll),
            outflow: Arc::new(NoRecords),
            software,
            probe: counts.clone(),
            ahead: 4,
        };
        let (mut source, sink, stream) = Stream::start(parts).unwrap();
        let asked = stop.clone();
        let thread = thread::spawn(move || {
            for sequence in 0.. {
                let Some(arrival) = source.next(&asked).unwrap() else { break };
                thread::sleep(work);
                let Err(rejection) = (arrival.load)() else { continue }; // stale
                let outcome = Outcome::Rejected(rejection);
                let finished = Finished { image_id: arrival.image_id, sequence, timings_s: BTreeMap::new(), outcome };
                let encoded = sink.encode(&finished, &arrival.receipt).unwrap();
                sink.publish(&finished, &encoded, &arrival.receipt).unwrap();
            }
            drop((source, sink));
            stream.finish().unwrap();
        });
        Self { stop, counts, thread }
    }

    fn end(self) -> Arc<Counts> {
        self.stop.drain();
        self.thread.join().unwrap();
        self.counts
    }
}

fn settings(broker: &Broker, state: &Path, instance: &str) -> Settings {
    let text = format!(
        "bootstrap_servers = {:?}\ninstance = {instance:?}\nstate_dir = {state:?}\nsession_timeout_s = 6.0\n",
        broker.bootstrap
    );
    toml::from_str(&text).unwrap()
}

fn messages(count: usize) -> Vec<(String, Vec<u8>)> {
    (0..count).map(|n| (format!("k{n}"), format!("message {n}").into_bytes())).collect()
}

fn produce(broker: &Broker, messages: &[(String, Vec<u8>)]) {
    broker.produce(IN, messages.iter().map(|(key, payload)| (key.as_str(), payload.as_slice())));
}

/// Waits until so many rejections are visible.
fn wait_for(broker: &Broker, count: usize) {
    let until = Instant::now() + Duration::from_secs(90);
    while broker.read(REJECTED).len() < count {
        assert!(Instant::now() < until, "{} of {count} after 90 s", broker.read(REJECTED).len());
        thread::sleep(Duration::from_millis(300));
    }
}

/// Every message once, as it was.
fn assert_exactly(broker: &Broker, messages: &[(String, Vec<u8>)]) {
    let mut seen: Vec<_> = broker.read(REJECTED).into_iter().map(|s| (s.key, s.payload)).collect();
    let mut wanted = messages.to_vec();
    seen.sort();
    wanted.sort();
    let doubled = seen.windows(2).filter(|w| w[0] == w[1]).count();
    assert_eq!((seen.len(), doubled), (wanted.len(), 0));
    assert!(seen == wanted);
}

#[test]
fn every_message_comes_out_once_while_daemons_come_and_go() {
    let (broker, state) = (Broker::start(&[]), tempfile::tempdir().unwrap());
    broker.topics(SURVEY, 4);
    let all = messages(400);
    produce(&broker, &all[..200]);
    let first = Daemon::start(settings(&broker, state.path(), "a"), Duration::from_millis(10));
    wait_for(&broker, 20);
    let second = Daemon::start(settings(&broker, state.path(), "b"), Duration::from_millis(10));
    produce(&broker, &all[200..]);
    wait_for(&broker, 150);
    let counts = first.end();
    assert!(counts.committed.load(Ordering::SeqCst) > 0);
    let third = Daemon::start(settings(&broker, state.path(), "a"), Duration::from_millis(10));
    wait_for(&broker, 400);
    second.end();
    third.end();
    assert_exactly(&broker, &all);
    assert_eq!(std::fs::read_dir(state.path()).unwrap().count(), 0, "no claim is left");
    let one = &broker.read(REJECTED)[0];
    assert_eq!(one.header("twinpeak.reason"), Some("bad_message"));
    assert_eq!(one.header("twinpeak.topic"), Some(IN));
}

#[test]
fn a_broker_that_dies_and_comes_back_loses_nothing() {
    let (broker, state) = (Broker::start(&[]), tempfile::tempdir().unwrap());
    broker.topics(SURVEY, 2);
    let all = messages(300);
    produce(&broker, &all);
    let daemon = Daemon::start(settings(&broker, state.path(), "a"), Duration::from_millis(10));
    for _ in 0..2 {
        thread::sleep(Duration::from_millis(1500));
        broker.kill();
        thread::sleep(Duration::from_millis(1500));
        broker.restart(&[]);
    }
    wait_for(&broker, 300);
    let counts = daemon.end();
    assert!(!counts.failed.lock().unwrap().is_empty(), "the broker's death was told");
    assert_exactly(&broker, &all);
}
