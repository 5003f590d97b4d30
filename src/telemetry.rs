//! Watching the program: logs, metrics, health, a page, progress, and the signals that ask it to stop.

pub mod ask;
pub mod drift;
pub mod health;
pub mod history;
pub mod http;
pub mod kept;
pub mod log;
pub mod metrics;
pub mod notify;
pub mod page;
pub mod progress;
mod quality;
pub mod shadow;
pub mod signals;
mod stream;

use std::sync::Arc;

use crate::frame::ImageId;
use crate::model::ModelError;
use crate::pipeline::ports::{Finished, PortError, Probe, Stage, StreamEvent};

/// Several watchers as one.
pub struct Probes(pub Vec<Arc<dyn Probe>>);

impl Probe for Probes {
    fn arrived(&self, image: &ImageId) {
        self.0.iter().for_each(|p| p.arrived(image));
    }

    fn stage(&self, stage: Stage, seconds: f64) {
        self.0.iter().for_each(|p| p.stage(stage, seconds));
    }

    fn passed(&self, image: &ImageId, stage: Stage) {
        self.0.iter().for_each(|p| p.passed(image, stage));
    }

    fn queue(&self, stage: Stage, depth: usize) {
        self.0.iter().for_each(|p| p.queue(stage, depth));
    }

    fn permits(&self, used: usize, of: usize) {
        self.0.iter().for_each(|p| p.permits(used, of));
    }

    fn batch(&self, stage: Stage, filled: usize, of: usize, seconds: f64) {
        self.0.iter().for_each(|p| p.batch(stage, filled, of, seconds));
    }

    fn device_alive(&self, device: &str) {
        self.0.iter().for_each(|p| p.device_alive(device));
    }

    fn device_failed(&self, device: &str, error: &ModelError) {
        self.0.iter().for_each(|p| p.device_failed(device, error));
    }

    fn finished(&self, finished: &Finished) {
        self.0.iter().for_each(|p| p.finished(finished));
    }

    fn dropped(&self, image: &ImageId) {
        self.0.iter().for_each(|p| p.dropped(image));
    }

    fn retrying(&self, stage: Stage, error: &PortError) {
        self.0.iter().for_each(|p| p.retrying(stage, error));
    }

    fn stream(&self, event: &StreamEvent) {
        self.0.iter().for_each(|p| p.stream(event));
    }
}

#[cfg(test)]
pub(crate) mod testing {
    //! Finished frames to watch.

    use std::collections::BTreeMap;

    use crate::catalog::{Catalog, Provenance, Row, class};
    use crate::frame::{ImageId, Plane};
    use crate::pipeline::ports::{BandQuality, Finished, Outcome, Products, Reason, Rejection, Stage};
    use crate::wcs::Wcs;

    fn finished(outcome: Outcome) -> Finished {
        let timings_s = BTreeMap::from([(Stage::Prepare, 0.25), (Stage::Segment, 0.5)]);
        Finished { image_id: ImageId::new("f-1").unwrap(), sequence: 0, timings_s, outcome }
    }

    /// 10x8 px, two stars, one galaxy, one without a class; each band's FWHM is 1 + its index.
    pub(crate) fn processed() -> Finished {
        let row = |classification| Row { classification, ..Row::default() };
        let rows = vec![row(Some(class::STAR)), row(Some(class::STAR)), row(Some(class::GALAXY)), row(None)];
        let provenance = Provenance {
            survey: "s".into(),
            image_id: ImageId::new("f-1").unwrap(),
            midpoint_mjd_tai: None,
            input_hash: String::new(),
            model_version: "v".into(),
            model_hash: "h".into(),
            software_version: "0".into(),
        };
        let band = |b: usize| BandQuality {
            band: ["u", "g", "r", "i", "z"][b].into(),
            fwhm_arcsec: 1.0 + b as f64,
            ..BandQuality::default()
        };
        finished(Outcome::Processed(Box::new(Products {
            catalog: Catalog { provenance, rows },
            segmentation: Plane::filled(10, 8, 0),
            bits: Plane::filled(10, 8, 0),
            wcs: Wcs::tangent((10, 8), (10.0, 0.0), (5.0, 4.0), [[1e-4, 0.0], [0.0, 1e-4]]).unwrap(),
            picture: [(); 3].map(|()| Plane::filled(10, 8, 0.0)),
            quality: [0, 1, 2, 3, 4].map(band),
            tiles: 7,
            device: "cpu".into(),
        })))
    }

    /// A band is not there.
    pub(crate) fn rejected() -> Finished {
        finished(Outcome::Rejected(Rejection {
            reason: Reason::MissingBand,
            stage: Stage::Ingest,
            file: None,
            message: "band z is missing".into(),
            advice: "add it".into(),
        }))
    }
}
