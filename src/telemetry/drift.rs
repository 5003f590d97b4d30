//! Drift as Prometheus and the page read it.

use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus::{GaugeVec, Opts};

use super::metrics::Metrics;
use super::register::register;
use twinpeak_core::drift::{Expected, Found, FrameFacts, Input, StarProbHistogram, WINDOWS, Watch};
use twinpeak_core::frame::PerBand;
use twinpeak_core::outcome::{BandQuality, Finished, Outcome, Products};
use twinpeak_engine::ports::{Event, Probe};

/// Unix time 0 as a modified Julian date.
const UNIX_EPOCH_MJD: f64 = 40_587.0;

/// What the distance is, as Prometheus reads it.
const DISTANCE: &str = "How far the window's frames are from what the model was made for: standard deviations, of the \
                        mixture a Jensen-Shannon distance";

/// Holds each processed frame against what the bundle in service expects.
pub struct Drift {
    /// A mutex: frames end on one thread, models change on another, and the page asks from a third.
    watch: Mutex<Option<Watch>>,
    reference: usize,
    /// Magnitudes of the objects that count in the mixture.
    mixture_mag: [f64; 2],
    distance: GaugeVec,
    threshold: GaugeVec,
}

impl Drift {
    /// `reference` is the index of the survey's reference band, `mixture_mag` its `magnitudes.drift`.
    pub fn new(metrics: &Metrics, reference: usize, mixture_mag: [f64; 2]) -> Self {
        let gauge = |name: &str, help: &str, labels: &[&str]| {
            let made = GaugeVec::new(Opts::new(format!("twinpeak_drift_{name}"), help), labels);
            register(metrics.registry(), made)
        };
        Self {
            watch: Mutex::default(),
            reference,
            mixture_mag,
            distance: gauge("distance", DISTANCE, &["input", "window"]),
            threshold: gauge("threshold", "The distance beyond which an input has drifted", &["input"]),
        }
    }

    /// From now on this is expected; `None` where the bundle does not say.
    pub fn expect(&self, expected: Option<Expected>) {
        self.distance.reset();
        self.threshold.reset();
        for input in Input::ALL {
            if let Some(expected) = &expected {
                self.threshold.with_label_values(&[input.name()]).set(expected.threshold(input));
            }
        }
        *self.watch.lock().unwrap_or_else(PoisonError::into_inner) = expected.map(Watch::new);
    }

    /// How far each input is off now; empty where nothing is expected, or nothing was seen.
    pub fn found(&self) -> Vec<Found> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map_or(Vec::new(), Watch::found)
    }

    fn facts(&self, products: &Products) -> FrameFacts {
        let objects = products.catalog.rows.iter();
        let classed = objects.filter_map(|row| Some((row.psf_mag[self.reference], row.star_prob?)));
        facts(&products.quality, classed, self.mixture_mag)
    }
}

/// What a frame was like, from its record and its objects' reference-band magnitudes and probabilities, those between `mag`: the same for a
/// bundle that learns what to expect and for a daemon that looks.
pub fn facts(
    quality: &PerBand<BandQuality>,
    objects: impl IntoIterator<Item = (f32, f32)>,
    mag: [f64; 2],
) -> FrameFacts {
    let quality = quality.each_ref();
    FrameFacts {
        // The bundle's own PSF says nothing of the night.
        fwhm_arcsec: quality.map(|q| if q.psf_fallback { f64::NAN } else { q.fwhm_arcsec }),
        sky_sigma_nmgy: quality.map(|q| q.sky_sigma_nmgy),
        sky_nmgy: quality.map(|q| q.sky_nmgy),
        mixture: StarProbHistogram::of(objects, mag),
    }
}

impl Probe for Drift {
    fn on(&self, event: &Event<'_>) {
        if let Event::Finished(finished) = *event {
            self.finished(finished);
        }
    }
}

impl Drift {
    fn finished(&self, finished: &Finished) {
        let Outcome::Processed(products) = &finished.outcome else { return };
        let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64()) / 86_400.0;
        let observed = products.catalog.provenance.midpoint_mjd_tai;
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(watch) = watch.as_mut() else { return };
        watch.add(observed, UNIX_EPOCH_MJD + now(), self.facts(products));
        let found = watch.found();
        for (input, (window, _)) in Input::ALL.into_iter().flat_map(|input| WINDOWS.map(|window| (input, window))) {
            let labels = [input.name(), window];
            match found.iter().find(|f| f.input == input && f.window == window) {
                Some(found) => self.distance.with_label_values(&labels).set(found.distance),
                // A window that became too short to be judged. The others stand all the while: a scrape that missed
                // them would end an alert.
                None => drop(self.distance.remove_label_values(&labels)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::ServiceInfo;
    use twinpeak_core::drift::Spread;
    use twinpeak_core::testing::processed;

    #[test]
    fn a_frame_unlike_those_expected_is_far_off_and_a_new_model_begins_anew() {
        let metrics = Metrics::new(&ServiceInfo::default());
        let drift = Drift::new(&metrics, 2, [15.0, 21.0]);
        drift.on(&Event::Finished(&processed()));
        assert!(!metrics.expose().contains("twinpeak_drift_distance{"), "nothing is expected yet");
        let spread = |mean: f64| [Spread { mean, deviation: 0.1 }; 5];
        let expected = Expected {
            frames: 6,
            threshold_sigma: 10.0,
            threshold_mixture: 0.5,
            ln_fwhm: spread(1.0),
            ln_noise: spread(0.0),
            sky: spread(0.0),
            mixture: [1.0 / 7.0; 7],
        };
        drift.expect(Some(expected));
        for _ in 0..twinpeak_core::drift::SEEN_MIN {
            assert!(!metrics.expose().contains("twinpeak_drift_distance{"), "one odd frame is no drift");
            drift.on(&Event::Finished(&processed()));
        }
        // ln 5 is .609 off 1.0; its first band, ln 1, is 1.0 off: 10 deviations.
        let text = metrics.expose();
        assert!(text.contains("twinpeak_drift_distance{input=\"fwhm\",window=\"hour\"} 10\n"), "{text}");
        assert!(text.contains("twinpeak_drift_threshold{input=\"mixture\"} 0.5\n"), "{text}");
        drift.expect(None);
        assert!(!metrics.expose().contains("twinpeak_drift_distance{"));
    }
}
