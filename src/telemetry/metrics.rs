//! What Prometheus reads: a [`Probe`] that counts. Names are `twinpeak_<name>_<unit>[_total]`; every label's
//! values are bounded (stages, reasons, bands, classes, devices).

use std::time::{SystemTime, UNIX_EPOCH};

use prometheus::process_collector::ProcessCollector;
use prometheus::{HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry, TextEncoder};

use super::quality::Quality;
use super::reference::Reference;
use super::register::{counter, counters, gauge, gauges, histograms};
use super::stream::Stream;
use twinpeak_core::frame::BANDS;
use twinpeak_core::model::ModelError;
use twinpeak_core::outcome::{Finished, Outcome, Stage};
use twinpeak_engine::ports::{Event, PortError, Probe};

/// Facts that do not change while the program runs.
#[derive(Clone, Debug, Default)]
pub struct ServiceInfo {
    /// Version of the model bundle, from its manifest.
    pub model_version: String,
    /// SHA-256 of the bundle, hex.
    pub model_hash: String,
    /// Names of the devices that own nets.
    pub devices: Vec<String>,
}

/// All metrics, in a registry of their own.
pub struct Metrics {
    registry: Registry,
    queue: IntGaugeVec,
    permits_used: IntGauge,
    permits_limit: IntGauge,
    arrived: IntCounter,
    frames: IntCounterVec,
    rejected: IntCounterVec,
    pixels: IntCounter,
    tiles: IntCounter,
    streaks: IntCounterVec,
    sources: IntCounterVec,
    stage_seconds: HistogramVec,
    batch_filled: IntCounterVec,
    batch_slots: IntCounterVec,
    batch_seconds: HistogramVec,
    device_failures: IntCounterVec,
    retries: IntCounterVec,
    quality: Quality,
    reference: Reference,
    stream: Stream,
    model: IntGaugeVec,
    reloads: IntCounterVec,
    last_finished: IntGauge,
    check_ok: IntGaugeVec,
    free_bytes: IntGauge,
}

impl Metrics {
    /// Registers all, with zeros where a label's values are known, so that rates exist from the first scrape.
    pub fn new(facts: &ServiceInfo) -> Self {
        let r = Registry::new();
        let metrics = Self {
            queue: gauges(&r, "queue_depth_messages", "Messages that wait before a stage", &["stage"]),
            permits_used: gauge(&r, "permits_used_frames", "Frames in flight"),
            permits_limit: gauge(&r, "permits_limit_frames", "Most frames in flight"),
            arrived: counter(&r, "arrived_frames_total", "Frames that entered"),
            frames: counters(&r, "frames_total", "Frames that ended, by outcome", &["outcome"]),
            rejected: counters(&r, "rejected_frames_total", "Rejected frames", &["stage", "reason"]),
            pixels: counter(&r, "pixels_total", "Pixels of processed frames, all bands"),
            tiles: counter(&r, "tiles_total", "Tiles through the segmentation net"),
            streaks: counters(&r, "streaks_total", "Trails of satellites and aeroplanes that were masked", &["band"]),
            sources: counters(&r, "sources_total", "Published sources, by class", &["class"]),
            stage_seconds: histograms(&r, "stage_seconds", "Seconds of a frame in a stage"),
            batch_filled: counters(&r, "batch_slots_filled_total", "Slots of batches that held work", &["stage"]),
            batch_slots: counters(&r, "batch_slots_total", "Slots of batches, filled or not", &["stage"]),
            batch_seconds: histograms(&r, "batch_seconds", "Seconds of a batch on a device"),
            device_failures: counters(
                &r,
                "device_failures_total",
                "Batches that failed on a device; each is tried once more",
                &["device", "error_type"],
            ),
            retries: counters(
                &r,
                "retries_total",
                "Failures of reading and publishing that are tried again or end the run",
                &["stage", "error_type"],
            ),
            quality: Quality::new(&r),
            reference: Reference::new(&r),
            stream: Stream::new(&r),
            model: gauges(&r, "model_info", "The model bundle in service; always 1", &["version", "hash"]),
            reloads: counters(&r, "model_reloads_total", "Model bundles that were looked at", &["outcome"]),
            last_finished: gauge(&r, "last_finished_timestamp_seconds", "When a frame last ended, Unix time"),
            check_ok: gauges(
                &r,
                "check_ok",
                "1 where a condition for readiness holds, 0 where not; asked every 15 s",
                &["check"],
            ),
            free_bytes: gauge(&r, "output_free_bytes", "Space left where results or the stream's state are written"),
            registry: r,
        };
        for stage in Stage::ALL.map(Stage::name) {
            metrics.queue.with_label_values(&[stage]).set(0);
            metrics.stage_seconds.with_label_values(&[stage]);
        }
        for outcome in ["processed", "rejected"] {
            metrics.frames.with_label_values(&[outcome]);
        }
        metrics.info("build_info", "The program; always 1", &[("version", env!("CARGO_PKG_VERSION"))]);
        metrics.serves(&facts.model_version, &facts.model_hash);
        for outcome in ["taken", "refused"] {
            metrics.reloads.with_label_values(&[outcome]);
        }
        // The process itself: memory, descriptors, threads, start.
        let _ = metrics.registry.register(Box::new(ProcessCollector::for_self()));
        for device in &facts.devices {
            for error_type in ["device_lost", "out_of_memory"] {
                metrics.device_failures.with_label_values(&[device.as_str(), error_type]);
            }
        }
        let devices = gauges(&metrics.registry, "device_info", "Devices that own nets; always 1", &["device"]);
        facts.devices.iter().for_each(|d| devices.with_label_values(&[d]).set(1));
        metrics
    }

    /// The exposition that Prometheus scrapes.
    pub fn expose(&self) -> String {
        TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap_or_else(|e| format!("# {e}\n"))
    }

    /// This model is in service, and no other.
    pub fn serves(&self, version: &str, hash: &str) {
        self.model.reset();
        self.model.with_label_values(&[version, hash]).set(1);
    }

    /// A model bundle was looked at.
    pub fn reloaded(&self, taken: bool) {
        self.reloads.with_label_values(&[if taken { "taken" } else { "refused" }]).inc();
    }

    /// A condition for readiness was asked.
    pub fn checked(&self, check: &str, ok: bool) {
        self.check_ok.with_label_values(&[check]).set(ok.into());
    }

    /// So much can still be written.
    pub fn free(&self, bytes: u64) {
        self.free_bytes.set(bytes.try_into().unwrap_or(i64::MAX));
    }

    /// For those who count by themselves.
    pub(super) fn registry(&self) -> &Registry {
        &self.registry
    }

    fn info(&self, name: &str, help: &str, labels: &[(&str, &str)]) {
        let (names, values): (Vec<&str>, Vec<&str>) = labels.iter().copied().unzip();
        gauges(&self.registry, name, help, &names).with_label_values(&values).set(1);
    }
}

impl Probe for Metrics {
    fn on(&self, event: &Event<'_>) {
        match *event {
            Event::Arrived(_) => self.arrived.inc(),
            Event::StageDone { stage, seconds } => {
                self.stage_seconds.with_label_values(&[stage.name()]).observe(seconds)
            }
            Event::Queue { stage, depth } => self.queue.with_label_values(&[stage.name()]).set(depth as i64),
            Event::Permits { used, of } => {
                self.permits_used.set(used as i64);
                self.permits_limit.set(of as i64);
            }
            Event::Batch { stage, filled, of, seconds } => {
                self.batch_filled.with_label_values(&[stage.name()]).inc_by(filled as u64);
                self.batch_slots.with_label_values(&[stage.name()]).inc_by(of as u64);
                self.batch_seconds.with_label_values(&[stage.name()]).observe(seconds);
            }
            Event::DeviceFailed { device, error } => self.device_failed(device, error),
            Event::Finished(finished) => self.finished(finished),
            Event::Retrying { stage, error } => self.retrying(stage, error),
            Event::Stream(event) => self.stream.count(event),
            Event::Passed { .. } | Event::DeviceAlive(_) | Event::Dropped(_) => {}
        }
    }
}

impl Metrics {
    fn device_failed(&self, device: &str, error: &ModelError) {
        let error_type = error.kind();
        self.device_failures.with_label_values(&[device, error_type]).inc();
    }

    fn finished(&self, finished: &Finished) {
        self.last_finished.set(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs() as i64));
        match &finished.outcome {
            Outcome::Processed(products) => {
                self.frames.with_label_values(&["processed"]).inc();
                self.pixels.inc_by((products.segmentation.pixels().len() * BANDS) as u64);
                self.tiles.inc_by(products.tiles as u64);
                let counts = products.catalog.counts();
                for (class, count) in
                    [("star", counts.stars), ("galaxy", counts.galaxies), ("none", counts.unclassified)]
                {
                    self.sources.with_label_values(&[class]).inc_by(count as u64);
                }
                for band in &products.quality {
                    self.quality.set(band);
                    self.streaks.with_label_values(&[&band.band]).inc_by(band.streaks as u64);
                }
                products.reference.iter().for_each(|known| self.reference.set(known));
            }
            Outcome::Rejected(rejection) => {
                self.frames.with_label_values(&["rejected"]).inc();
                self.rejected.with_label_values(&[rejection.stage.name(), rejection.reason.name()]).inc();
            }
            Outcome::Nothing => {}
        }
    }

    fn retrying(&self, stage: Stage, error: &PortError) {
        let error_type = match error {
            PortError::Retry(_) => "retry",
            PortError::Refused(_) => "refused",
            PortError::EndSession(_) => "end_session",
            PortError::Fatal(_) => "fatal",
        };
        self.retries.with_label_values(&[stage.name(), error_type]).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use twinpeak_core::testing::{processed, rejected};
    use twinpeak_engine::ports::StreamEvent;

    fn value(text: &str, series: &str) -> f64 {
        let line = text.lines().find(|l| l.strip_prefix(series).is_some_and(|rest| rest.starts_with(' ')));
        line.unwrap_or_else(|| panic!("no {series} in\n{text}")).rsplit(' ').next().unwrap().parse().unwrap()
    }

    #[test]
    fn what_happens_is_counted() {
        let facts = ServiceInfo {
            model_version: "1".into(),
            model_hash: "ab".into(),
            devices: vec!["cpu".into(), "cuda:0".into()],
        };
        let metrics = Metrics::new(&facts);
        metrics.on(&Event::Finished(&processed()));
        metrics.on(&Event::Finished(&processed()));
        metrics.on(&Event::Finished(&rejected()));
        metrics.on(&Event::StageDone { stage: Stage::Extract, seconds: 0.3 });
        metrics.on(&Event::Queue { stage: Stage::Extract, depth: 4 });
        metrics.on(&Event::Permits { used: 2, of: 3 });
        metrics.on(&Event::Batch { stage: Stage::Segment, filled: 5, of: 8, seconds: 0.1 });
        metrics.on(&Event::Batch { stage: Stage::Segment, filled: 8, of: 8, seconds: 0.1 });
        let lost = ModelError::DeviceLost { device: "cuda:0".into(), message: "gone".into() };
        metrics.on(&Event::DeviceFailed { device: "cuda:0", error: &lost });
        metrics.on(&Event::Retrying { stage: Stage::Publish, error: &PortError::Retry("full".into()) });
        metrics.on(&Event::Stream(&StreamEvent::Lag { partition: 3, messages: Some(17) }));
        metrics.on(&Event::Stream(&StreamEvent::Lag { partition: 4, messages: Some(1) }));
        metrics.on(&Event::Stream(&StreamEvent::Lag { partition: 4, messages: None }));
        metrics.on(&Event::Stream(&StreamEvent::Committed { images: 4, bytes: 1000, seconds: 0.03 }));
        metrics.on(&Event::Stream(&StreamEvent::Latency { seconds: 0.3 }));
        metrics.on(&Event::Stream(&StreamEvent::Paused { seconds: 1.5 }));
        metrics.on(&Event::Stream(&StreamEvent::Failed { kind: "Fenced".into() }));
        let text = metrics.expose();
        for (series, expected) in [
            ("twinpeak_frames_total{outcome=\"processed\"}", 2.0),
            ("twinpeak_frames_total{outcome=\"rejected\"}", 1.0),
            ("twinpeak_rejected_frames_total{reason=\"missing_band\",stage=\"ingest\"}", 1.0),
            ("twinpeak_pixels_total", 2.0 * 5.0 * 80.0),
            ("twinpeak_tiles_total", 14.0),
            ("twinpeak_streaks_total{band=\"g\"}", 2.0),
            ("twinpeak_sources_total{class=\"star\"}", 4.0),
            ("twinpeak_sources_total{class=\"galaxy\"}", 2.0),
            ("twinpeak_sources_total{class=\"none\"}", 2.0),
            ("twinpeak_stage_seconds_sum{stage=\"extract\"}", 0.3),
            ("twinpeak_stage_seconds_bucket{stage=\"extract\",le=\"0.2\"}", 0.0),
            ("twinpeak_stage_seconds_bucket{stage=\"extract\",le=\"0.5\"}", 1.0),
            ("twinpeak_queue_depth_messages{stage=\"extract\"}", 4.0),
            ("twinpeak_permits_used_frames", 2.0),
            ("twinpeak_permits_limit_frames", 3.0),
            ("twinpeak_batch_slots_filled_total{stage=\"segment\"}", 13.0),
            ("twinpeak_batch_slots_total{stage=\"segment\"}", 16.0),
            ("twinpeak_device_failures_total{device=\"cuda:0\",error_type=\"device_lost\"}", 1.0),
            ("twinpeak_device_failures_total{device=\"cpu\",error_type=\"device_lost\"}", 0.0),
            ("twinpeak_device_info{device=\"cuda:0\"}", 1.0),
            ("twinpeak_model_info{hash=\"ab\",version=\"1\"}", 1.0),
            ("twinpeak_retries_total{error_type=\"retry\",stage=\"publish\"}", 1.0),
            ("twinpeak_kafka_consumer_lag_messages{partition=\"3\"}", 17.0),
            ("twinpeak_kafka_commits_total", 1.0),
            ("twinpeak_kafka_committed_images_total", 4.0),
            ("twinpeak_kafka_latency_seconds_bucket{le=\"0.5\"}", 1.0),
            ("twinpeak_kafka_paused_seconds_total", 1.5),
            ("twinpeak_kafka_errors_total{error_type=\"Fenced\"}", 1.0),
            ("twinpeak_frame_fwhm_arcsec{band=\"r\"}", 3.0),
        ] {
            assert_eq!(value(&text, series), expected, "{series}");
        }
    }

    #[test]
    fn every_name_is_ours_and_counters_end_in_total() {
        let metrics = Metrics::new(&ServiceInfo::default());
        metrics.on(&Event::Finished(&processed()));
        for family in metrics.registry.gather() {
            // Those of the process have the names that every program gives them.
            let ours = ["twinpeak_", "process_"].iter().any(|start| family.name().starts_with(start));
            assert!(ours && !family.help().is_empty(), "{}", family.name());
            let counts = family.get_field_type() == prometheus::proto::MetricType::COUNTER;
            assert_eq!(family.name().ends_with("_total"), counts, "{}", family.name());
        }
    }
}
