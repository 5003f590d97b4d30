//! The table of metrics in docs/metrics.md, held against the code: name, type, labels and help of every metric that is
//! registered. `TWINPEAK_WRITE_METRICS=1` writes it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use prometheus::core::Collector;
use prometheus::proto::{MetricFamily, MetricType};

use crate::drift::Drift;
use crate::metrics::{Metrics, ServiceInfo};
use crate::shadow::{Shadow, ShadowReport, Up};
use twinpeak_sim::evaluate::Agreement;

const BEGIN: &str = "<!-- metrics:begin -->\n";
const END: &str = "<!-- metrics:end -->";

/// The table's lines, by the metrics' names.
type Lines = BTreeMap<String, String>;

thread_local! {
    /// What was registered on this thread.
    static NOTED: RefCell<Lines> = RefCell::default();
}

/// Notes what is registered. A registry's own answer leaves out metrics that have no series yet.
pub(super) fn note(collector: &dyn Collector) {
    let labels = collector.desc().into_iter().map(|desc| (desc.fq_name.clone(), desc.variable_labels.clone()));
    let labels: BTreeMap<String, Vec<String>> = labels.collect();
    let lines = collector.collect();
    let lines = lines.iter().map(|family| (family.name().to_owned(), line(family, &labels[family.name()])));
    NOTED.with_borrow_mut(|noted| noted.extend(lines));
}

fn line(family: &MetricFamily, labels: &[String]) -> String {
    let kind = match family.get_field_type() {
        MetricType::COUNTER => "counter",
        MetricType::GAUGE => "gauge",
        MetricType::HISTOGRAM => "histogram",
        other => panic!("{} is a {other:?}, of which the documentation does not speak", family.name()),
    };
    let labels = labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(", ");
    let labels = if labels.is_empty() { " ".to_owned() } else { format!(" {labels} ") };
    format!("| `{}` | {kind} |{labels}| {} |\n", family.name(), family.help().trim_end_matches('.'))
}

/// Lines of all metrics that a daemon can have, those of the process among them.
fn lines() -> Lines {
    NOTED.take();
    let metrics = Metrics::new(&ServiceInfo { devices: vec!["cpu".into()], ..ServiceInfo::default() });
    let _drift = Drift::new(&metrics, 0, [15.0, 21.0]);
    let _up = Up::new(&metrics);
    let report = ShadowReport {
        service: String::new(),
        candidate: String::new(),
        bundle: "candidate".into(),
        agreement: Agreement::default(),
    };
    let _shadow = Shadow::new(&metrics, report, "absent.json".into(), 2.0);
    let mut lines = NOTED.take();
    for family in metrics.registry().gather() {
        let labels = family.get_metric()[0].get_label().iter().map(|label| label.name().to_owned());
        let gathered = line(&family, &labels.collect::<Vec<_>>());
        lines.entry(family.name().to_owned()).or_insert(gathered);
    }
    lines
}

#[test]
fn the_guide_s_table_is_the_metrics() {
    let lines = lines();
    let ours = lines.keys().filter(|name| name.starts_with("twinpeak_")).count();
    assert!(ours > 50 && lines.len() > ours, "metrics are missing: {:?}", lines.keys());
    let head = "\n| metric | type | labels | what |\n| --- | --- | --- | --- |\n";
    let table = format!("{head}{}\n", lines.into_values().collect::<String>());
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/metrics.md");
    let text = fs::read_to_string(&guide).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (found, after) = rest.split_once(END).unwrap();
    if found != table && std::env::var_os("TWINPEAK_WRITE_METRICS").is_some_and(|v| v == "1") {
        fs::write(&guide, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
        return;
    }
    assert!(found == table, "docs/metrics.md does not show the metrics: TWINPEAK_WRITE_METRICS=1 writes its table");
}
