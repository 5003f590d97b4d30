//! How frames are treated: the parameters that nets are trained with and serve with. A survey's own come first
//! ([`Recipe::for_survey`]); training finds the rest, and a bundle's manifest holds the whole. It is the only way in which
//! parameters reach the pipeline, so that trainer, data set and daemon cannot differ.

use serde::{Deserialize, Serialize};

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
    /// Seeing to fall back on where a frame has too few stars, arcsec.
    pub fallback_fwhm_arcsec: PerBand<f64>,
    /// From what is known of an object to a probability.
    pub posterior: Posterior,
}

impl Recipe {
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
                deblend_sigma: 3.0,
                deblend_ratio: 0.05,
                max_children: extract::Settings::MAX_CHILDREN,
                max_component_px: extract::Settings::MAX_COMPONENT_PX,
            },
            fallback_fwhm_arcsec: [survey.profile().typical.fwhm_arcsec; BANDS],
            posterior: Posterior::unlearned(),
        }
    }

    /// With a segmenter's thresholds, in its own unit.
    pub fn with_thresholds(mut self, detect_threshold: f32, extent_threshold: f32) -> Self {
        self.extract = extract::Settings { detect_threshold, extent_threshold, ..self.extract };
        self
    }

    /// With the seeing of the frames that were learned from, arcsec.
    pub fn with_fallback_fwhm(mut self, fwhm_arcsec: PerBand<f64>) -> Self {
        self.fallback_fwhm_arcsec = fwhm_arcsec;
        self
    }
}
