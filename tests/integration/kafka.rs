//! The session against a real broker, without an engine: every message leads to one rejection, exactly once, whatever
//! happens to the group, the transaction or the broker.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::common::broker::Broker;
use crate::common::session;
use twinpeak_core::outcome::*;
use twinpeak_core::units::Seconds;
use twinpeak_engine::flow::Stop;
use twinpeak_engine::ports::*;
use twinpeak_stream::kafka::{ImageRecords, Outflow, Parts, Settings};

const SURVEY: &str = "sdss";
const IN: &str = "twinpeak.sdss.new-images";
const REJECTED: &str = "twinpeak.sdss.rejected";

struct NoRecords;
impl Outflow for NoRecords {
    fn records(&self, _: &Finished, _: &str) -> Result<ImageRecords, PortError> {
        unreachable!("nothing is processed here")
    }
    fn keep(&self, _: &[u8], _: &str) -> Result<Option<String>, PortError> {
        Ok(None)
    }
    fn discard(&self, _: &str) {}
}

#[derive(Default)]
struct Counts {
    aborted: AtomicUsize,
    committed: AtomicUsize,
    /// How many partitions were ours after each.
    rebalances: Mutex<Vec<usize>>,
    /// Most images, and most bytes, of one commit.
    largest: Mutex<(u64, u64)>,
    failed: Mutex<BTreeMap<String, usize>>,
}
impl Probe for Counts {
    fn on(&self, event: &Event<'_>) {
        let Event::Stream(event) = event else { return };
        match event {
            StreamEvent::Committed { images, bytes, .. } => {
                self.committed.fetch_add(1, Ordering::SeqCst);
                let mut largest = self.largest.lock().unwrap();
                *largest = (largest.0.max(*images), largest.1.max(*bytes));
            }
            StreamEvent::Aborted => drop(self.aborted.fetch_add(1, Ordering::SeqCst)),
            StreamEvent::Rebalanced { partitions } => self.rebalances.lock().unwrap().push(*partitions),
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
        let (stop, counts) = (Stop::default(), Arc::new(Counts::default()));
        let intake = session::RefuseAll(|incoming| {
            let name = format!("m{}-{}", incoming.origin.partition, incoming.origin.offset);
            (name, Reason::BadMessage, String::from_utf8_lossy(incoming.bytes()).into_owned())
        });
        let parts = session::parts(settings, SURVEY, intake, Arc::new(NoRecords));
        let (parts, asked) = (Parts { probe: counts.clone(), ..parts }, stop.clone());
        let thread = thread::spawn(move || session::work(parts, &asked, false, work));
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
    let claims = state.path().join(format!("group-{}", Settings::default().group));
    assert_eq!(std::fs::read_dir(claims).unwrap().count(), 0, "no claim is left");
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
    assert!(!counts.failed.lock().unwrap().is_empty(), "the broker's death was reported");
    assert_exactly(&broker, &all);
}

#[test]
fn work_that_outlasts_the_interval_of_polls_costs_no_partition() {
    let (broker, state) = (Broker::start(&[]), tempfile::tempdir().unwrap());
    broker.topics(SURVEY, 2);
    let all = messages(3);
    produce(&broker, &all);
    let mut settings = settings(&broker, state.path(), "a");
    settings.max_poll_interval_s = Seconds::of(6.0); // no less than the session's timeout
    let daemon = Daemon::start(settings, Duration::from_secs(8));
    wait_for(&broker, all.len());
    let counts = daemon.end();
    assert_eq!(*counts.rebalances.lock().unwrap(), [2, 0], "when it came, and when it left");
    assert_eq!(counts.aborted.load(Ordering::SeqCst), 0);
    assert!(!counts.failed.lock().unwrap().contains_key("PollExceeded"));
    assert_exactly(&broker, &all);
}

#[test]
fn more_than_a_transaction_may_hold_goes_over_several() {
    let broker = Broker::start(&[]);
    broker.topics(SURVEY, 2);
    let mut all = Vec::new();
    // Three messages by count; by bytes, two of 6000 and no third.
    for (round, (images, bytes)) in [(3, 1 << 20), (1000, 10_000)].into_iter().enumerate() {
        let state = tempfile::tempdir().unwrap();
        let long = |n: usize| (format!("k{round}-{n}"), format!("{n:06000}").into_bytes());
        let batch: Vec<_> = (0..40).map(long).collect();
        produce(&broker, &batch);
        all.extend(batch);
        let mut settings = settings(&broker, state.path(), "a");
        settings.transaction_images = NonZeroUsize::new(images).unwrap();
        settings.transaction_bytes = NonZeroUsize::new(bytes).unwrap();
        settings.transaction_s = Seconds::of(60.0);
        let daemon = Daemon::start(settings, Duration::ZERO);
        wait_for(&broker, all.len());
        let counts = daemon.end();
        let expected = [(3, 18_000), (2, 12_000)][round];
        assert_eq!(*counts.largest.lock().unwrap(), expected, "the bounds were reached, and never passed");
        assert!(counts.committed.load(Ordering::SeqCst) >= 40 / expected.0 as usize);
    }
    assert_exactly(&broker, &all);
}
