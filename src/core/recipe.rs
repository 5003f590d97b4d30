//! How frames are treated: the parameters that nets are trained with and serve with. A survey's own come first
//! ([`Recipe::for_survey`]); training finds the rest, and a bundle's manifest holds the whole. It is the only way in which
//! parameters reach the pipeline, so that trainer, data set and daemon cannot differ.

use serde::{Deserialize, Serialize};

use crate::extract::Parting;
use crate::extract::calibrate::NoiseScore;
use crate::false_rate::FalseRate;
use crate::frame::{BANDS, PerBand};
use crate::posterior::Posterior;
use crate::survey::Survey;
use crate::threshold::ThresholdSegmenter;
use crate::{extract, preprocess};

/// Parameters pinned by a bundle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Parameters of background, noise and masks.
    pub preprocess: preprocess::Settings,
    /// Overlap of neighbouring tiles, px.
    pub tile_overlap_px: usize,
    /// Thresholds and parameters of deblending.
    pub extract: extract::Settings,
    /// How many false objects a frame may have.
    pub false_per_field: f64,
    /// Which threshold leaves so many.
    pub false_rate: FalseRate,
    /// Seeing to fall back on where a frame has too few stars, arcsec.
    pub fallback_fwhm_arcsec: PerBand<f64>,
    /// From what is known of an object to a probability.
    pub posterior: Posterior,
}

impl Recipe {
    /// False objects in a frame, unless said otherwise.
    pub const FALSE_PER_FIELD: f64 = 10.0;
    /// Pixels of a field of SDSS, millions: what `extract.detect_threshold` holds for, where no frame says its own.
    pub const USUAL_FIELD_MPX: f64 = 3.05;

    /// What holds before anything is learned: the matched filter's thresholds, the survey's usual seeing, and a posterior that
    /// gives no object a probability.
    pub fn for_survey(survey: &Survey) -> Self {
        Self {
            preprocess: preprocess::Settings::default(),
            // Each pixel's answer comes from a tile that sees 8 px beyond it.
            tile_overlap_px: 16,
            extract: extract::Settings {
                detect_threshold: ThresholdSegmenter::DETECT_SIGMA,
                extent_threshold: ThresholdSegmenter::DETECT_SIGMA,
                min_area_px: 5,
                parting: Parting::BRIGHTNESS,
                max_children: extract::Settings::MAX_CHILDREN,
                max_component_px: extract::Settings::MAX_COMPONENT_PX,
            },
            false_per_field: Self::FALSE_PER_FIELD,
            false_rate: ThresholdSegmenter::false_rate(),
            fallback_fwhm_arcsec: [survey.profile().typical.fwhm_arcsec; BANDS],
            posterior: Posterior::unlearned(),
        }
    }

    /// For a segmenter whose scores have these false objects, an extent above this threshold, and are parted so.
    pub fn with_scores(mut self, false_rate: FalseRate, extent_threshold: f32, parting: Parting) -> Self {
        let detect_threshold = false_rate.threshold(Self::FALSE_PER_FIELD / Self::USUAL_FIELD_MPX);
        self.extract = extract::Settings { detect_threshold, extent_threshold, parting, ..self.extract };
        self.false_rate = false_rate;
        self
    }

    /// How objects are extracted from a frame of so many pixels, whose own `noise` was scored: its detection threshold is
    /// the one that leaves as many false objects as are wanted.
    pub fn extraction(&self, frame_px: usize, noise: &NoiseScore) -> extract::Settings {
        let per_mpx = 1e6 * self.false_per_field / frame_px.max(1) as f64;
        let detect_threshold = self.false_rate.threshold_of(per_mpx, noise);
        let extent_threshold = match self.extract.parting {
            Parting::Centres { .. } => self.extract.extent_threshold,
            Parting::Brightness { .. } => self.extract.extent_threshold.max(detect_threshold),
        };
        extract::Settings { detect_threshold, extent_threshold, ..self.extract.clone() }
    }

    /// With the seeing of the frames that were learned from, arcsec.
    pub fn with_fallback_fwhm(mut self, fwhm_arcsec: PerBand<f64>) -> Self {
        self.fallback_fwhm_arcsec = fwhm_arcsec;
        self
    }
}
