//! How metrics are made and registered: every one has the program's prefix and a line of help.

use prometheus::{HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

/// Upper edges of the histograms: a batch takes milliseconds, a crowded frame a minute.
const SECONDS: [f64; 14] = [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0];
/// Names and descriptions never come from outside.
const OURS: &str = "our metric names are valid and distinct";

pub(super) fn opts(name: &str, help: &str) -> Opts {
    Opts::new(format!("twinpeak_{name}"), help)
}

/// Every metric of ours comes by here, so that the documentation's table can be made of them.
pub(super) fn register<C: prometheus::core::Collector + Clone + 'static>(
    registry: &Registry,
    made: prometheus::Result<C>,
) -> C {
    let collector = made.expect(OURS);
    registry.register(Box::new(collector.clone())).expect(OURS);
    #[cfg(test)]
    super::documented::note(&collector);
    collector
}

pub(super) fn gauge(registry: &Registry, name: &str, help: &str) -> IntGauge {
    register(registry, IntGauge::with_opts(opts(name, help)))
}

pub(super) fn gauges(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
    register(registry, IntGaugeVec::new(opts(name, help), labels))
}

pub(super) fn counter(registry: &Registry, name: &str, help: &str) -> IntCounter {
    register(registry, IntCounter::with_opts(opts(name, help)))
}

pub(super) fn counters(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    register(registry, IntCounterVec::new(opts(name, help), labels))
}

pub(super) fn histograms(registry: &Registry, name: &str, help: &str) -> HistogramVec {
    let opts = HistogramOpts::from(opts(name, help)).buckets(SECONDS.to_vec());
    register(registry, HistogramVec::new(opts, &["stage"]))
}
