//! How the last processed frame agrees with the reference catalogue. Without one these have no series.

use prometheus::{GaugeVec, Registry};

use super::register::{opts, register};
use twinpeak_core::reference::Agreement;

pub(super) struct Reference {
    stars: GaugeVec,
    matched: GaugeVec,
    offset: GaugeVec,
    scatter: GaugeVec,
}

impl Reference {
    pub(super) fn new(registry: &Registry) -> Self {
        let made = |name: &str, help: &str, labels: &[&str]| {
            let opts = opts(&format!("frame_reference_{name}"), &format!("{help}; the last processed frame's"));
            register(registry, GaugeVec::new(opts, labels))
        };
        Self {
            stars: made("stars", "Stars of the reference catalogue that lie on the frame", &[]),
            matched: made("matched_stars", "Stars of the reference catalogue that are a source of the frame", &[]),
            offset: made(
                "offset_arcsec",
                "Median of source minus reference position, along `axis` ra or dec",
                &["axis"],
            ),
            scatter: made("scatter_arcsec", "Robust scatter of one coordinate about the offset", &[]),
        }
    }

    pub(super) fn set(&self, agreement: &Agreement) {
        let none: [&str; 0] = [];
        self.stars.with_label_values(&none).set(agreement.stars as f64);
        self.matched.with_label_values(&none).set(agreement.matched as f64);
        self.offset.with_label_values(&["ra"]).set(agreement.offset_ra_arcsec);
        self.offset.with_label_values(&["dec"]).set(agreement.offset_dec_arcsec);
        self.scatter.with_label_values(&none).set(agreement.scatter_arcsec);
    }
}
