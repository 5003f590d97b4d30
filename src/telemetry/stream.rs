//! What Prometheus reads of the stream.

use std::time::{SystemTime, UNIX_EPOCH};

use prometheus::{Counter, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry};

use super::register::{counter, counters, gauge, gauges, opts, register};
use twinpeak_engine::ports::StreamEvent;

/// From a message to its commit: a field takes seconds, a backlog hours.
const LATENCY_S: [f64; 14] = [0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0, 43200.0];
/// A commit takes tens of milliseconds, or as long as the broker is away.
const COMMIT_S: [f64; 10] = [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0, 20.0];

/// Counts [`StreamEvent`]s.
pub(super) struct Stream {
    lag: IntGaugeVec,
    partitions: IntGauge,
    committed: IntCounter,
    images: IntCounter,
    aborted: IntCounter,
    rebalanced: IntCounter,
    fenced: IntCounter,
    paused: Counter,
    received: IntCounter,
    produced: IntCounter,
    failures: IntCounterVec,
    last_failure: IntGaugeVec,
    latency: Histogram,
    commit: Histogram,
}

impl Stream {
    pub fn new(r: &Registry) -> Self {
        let named = |name: &str| format!("kafka_{name}");
        let histogram = |name: &str, help: &str, buckets: &[f64]| {
            let opts = HistogramOpts::from(opts(&named(name), help)).buckets(buckets.to_vec());
            register(r, Histogram::with_opts(opts))
        };
        let held = "Time that partitions were paused because the pipeline was full";
        let paused = Counter::with_opts(opts("kafka_paused_seconds_total", held));
        Self {
            lag: gauges(
                r,
                &named("consumer_lag_messages"),
                "Messages of an assigned partition that are not committed yet",
                &["partition"],
            ),
            partitions: gauge(r, &named("assigned_partitions"), "Partitions that are assigned to this daemon"),
            committed: counter(r, &named("commits_total"), "Transactions committed"),
            images: counter(r, &named("committed_images_total"), "Images whose outputs are visible to readers"),
            aborted: counter(r, &named("aborts_total"), "Transactions aborted; their images are reprocessed"),
            rebalanced: counter(r, &named("rebalances_total"), "Times that partitions were assigned anew"),
            fenced: counter(r, &named("fenced_total"), "Times that another producer took this daemon's place"),
            paused: register(r, paused),
            received: counter(r, &named("received_bytes_total"), "Bytes of messages taken"),
            produced: counter(r, &named("committed_bytes_total"), "Bytes of records committed, before compression"),
            failures: counters(
                r,
                &named("errors_total"),
                "Failures of the Kafka client, by its own names; each is tried again",
                &["error_type"],
            ),
            last_failure: gauges(
                r,
                &named("last_error_timestamp_seconds"),
                "When a failure of this kind was last, Unix time",
                &["error_type"],
            ),
            latency: histogram("latency_seconds", "From the timestamp of an image's message to its commit", &LATENCY_S),
            commit: histogram("commit_seconds", "From the call of a commit to its answer", &COMMIT_S),
        }
    }

    pub fn count(&self, event: &StreamEvent) {
        match event {
            StreamEvent::Lag { partition, messages } => {
                let partition = partition.to_string();
                match messages {
                    Some(messages) => self.lag.with_label_values(&[&partition]).set(*messages as i64),
                    None => drop(self.lag.remove_label_values(&[&partition])),
                }
            }
            StreamEvent::Received { bytes } => self.received.inc_by(*bytes),
            StreamEvent::Committed { images, bytes, seconds } => {
                self.committed.inc();
                self.images.inc_by(*images);
                self.produced.inc_by(*bytes);
                self.commit.observe(*seconds);
            }
            StreamEvent::Latency { seconds } => self.latency.observe(*seconds),
            StreamEvent::Aborted => self.aborted.inc(),
            StreamEvent::Rebalanced { partitions } => {
                self.rebalanced.inc();
                self.partitions.set(*partitions as i64);
            }
            StreamEvent::Fenced => self.fenced.inc(),
            StreamEvent::Paused { seconds } => self.paused.inc_by(*seconds),
            StreamEvent::Failed { kind } => {
                self.failures.with_label_values(&[kind.as_str()]).inc();
                let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs() as i64);
                self.last_failure.with_label_values(&[kind.as_str()]).set(now);
            }
        }
    }
}
