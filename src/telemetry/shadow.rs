//! What a candidate in the shadow of the model in service is found to do: metrics, and a report that is kept up to
//! date.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use prometheus::{Counter, CounterVec, Gauge, IntCounter, IntGauge};
use serde::{Deserialize, Serialize};

use super::metrics::Metrics;
use super::register::{counter, opts, register};
use twinpeak_core::atomic_write::atomic_write;
use twinpeak_sim::evaluate::{Agreement, Worked};

/// `shadow.report`: which two models, and how they agree.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShadowReport {
    /// Hash of the bundle in service.
    pub service: String,
    /// Hash of the candidate.
    pub candidate: String,
    /// Folder of the candidate's bundle.
    pub bundle: PathBuf,
    /// How the two models agree so far.
    #[serde(flatten)]
    pub agreement: Agreement,
}

/// Whether the candidate that is configured works.
pub struct Up(IntGauge);

impl Up {
    /// Not yet.
    pub fn new(metrics: &Metrics) -> Self {
        let help = "1 while the candidate of shadow.bundle works, 0 where it cannot be used or has ended";
        Self(register(metrics.registry(), IntGauge::with_opts(opts("shadow_up", help))))
    }

    /// It does, or no more.
    pub fn set(&self, up: bool) {
        self.0.set(up.into());
    }
}

/// Collects what was found.
pub struct Shadow {
    /// A mutex: the candidate's engine adds, the daemon's says which model is in service.
    report: Mutex<ShadowReport>,
    file: PathBuf,
    radius_px: f64,
    frames: IntCounter,
    skipped: IntCounter,
    agreement: Gauge,
    calibration: Gauge,
    seconds: CounterVec,
}

impl Shadow {
    /// Goes on with the report in `file` where it is of the same two models.
    pub fn new(metrics: &Metrics, begun: ShadowReport, file: PathBuf, radius_px: f64) -> Self {
        let r = metrics.registry();
        let gauge = |name: &str, help: &str| register(r, Gauge::with_opts(opts(name, help)));
        let before: Option<ShadowReport> =
            std::fs::read(&file).ok().and_then(|text| serde_json::from_slice(&text).ok());
        let same = |r: &ShadowReport| r.service == begun.service && r.candidate == begun.candidate;
        let seconds = "Seconds of all stages on the same frames; model is service or candidate";
        let seconds = CounterVec::new(opts("shadow_stage_seconds_total", seconds), &["model"]);
        let agree = "Share of objects that the model in service and the candidate call the same";
        let calibration = "Calibration error of the candidate, as if the model in service were the truth";
        Self {
            report: Mutex::new(before.filter(same).unwrap_or(begun)),
            file,
            radius_px,
            frames: counter(r, "shadow_frames_total", "Frames that the candidate did too"),
            skipped: counter(r, "shadow_skipped_frames_total", "Frames that it should have done and had no time for"),
            agreement: gauge("shadow_agreement_ratio", agree),
            calibration: gauge("shadow_calibration_error", calibration),
            seconds: register(r, seconds),
        }
    }

    /// Another model is in service: what was found of the last one is over.
    pub fn serves(&self, hash: &str) {
        let mut report = self.report.lock().unwrap_or_else(PoisonError::into_inner);
        if report.service != hash {
            report.service = hash.to_owned();
            report.agreement = Agreement::default();
        }
    }

    /// The candidate had no time for a frame.
    pub fn skipped(&self) {
        self.skipped.inc();
    }

    /// A frame that both did, while `service` was in service.
    ///
    /// # Errors
    /// Where the report cannot be written.
    pub fn add(&self, service_hash: &str, service: &Worked, candidate: &Worked) -> std::io::Result<()> {
        let mut report = self.report.lock().unwrap_or_else(PoisonError::into_inner);
        if report.service != service_hash {
            return Ok(()); // begun under the last model
        }
        report.agreement.add(service, candidate, self.radius_px);
        self.frames.inc();
        for (model, worked) in [("service", service), ("candidate", candidate)] {
            let seconds: Counter = self.seconds.with_label_values(&[model]);
            seconds.inc_by(worked.seconds);
        }
        report.agreement.same_class().into_iter().for_each(|share| self.agreement.set(share));
        report.agreement.calibration().into_iter().for_each(|error| self.calibration.set(error));
        let text = serde_json::to_vec_pretty(&*report)?;
        atomic_write(&self.file, &text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::ServiceInfo;
    use twinpeak_sim::evaluate::Object;

    #[test]
    fn a_report_goes_on_after_a_restart_and_begins_anew_with_another_model() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("shadow.json");
        let begun = |service: &str| ShadowReport {
            service: service.into(),
            candidate: "c".into(),
            bundle: "there".into(),
            agreement: Agreement::default(),
        };
        let worked =
            |p| Worked { objects: vec![Object { mag: 20.0, star_prob: Some(p), ..Object::default() }], seconds: 1.5 };
        let metrics = Metrics::new(&ServiceInfo::default());
        let shadow = Shadow::new(&metrics, begun("a"), file.clone(), 2.0);
        shadow.add("a", &worked(0.9), &worked(0.8)).unwrap();
        shadow.add("before", &worked(0.9), &worked(0.1)).unwrap();
        let text = metrics.expose();
        assert!(text.contains("twinpeak_shadow_agreement_ratio 1\n"), "{text}");
        assert!(text.contains("twinpeak_shadow_stage_seconds_total{model=\"candidate\"} 1.5\n"), "{text}");
        let read = || serde_json::from_slice::<ShadowReport>(&std::fs::read(&file).unwrap()).unwrap();
        assert_eq!(read().agreement.frames, 1);

        let shadow = Shadow::new(&Metrics::new(&ServiceInfo::default()), begun("a"), file.clone(), 2.0);
        shadow.add("a", &worked(0.9), &worked(0.1)).unwrap();
        assert_eq!((read().agreement.frames, read().agreement.same_class()), (2, Some(0.5)));
        shadow.serves("b");
        shadow.add("b", &worked(0.9), &worked(0.9)).unwrap();
        assert_eq!((read().agreement.frames, read().service), (1, "b".into()));
    }
}
