//! What finds objects for a data set: the bundle's net, or the matched filter where no bundle is there yet. Neither has
//! seen a label.

use anyhow::Context;
use rayon::prelude::*;

use crate::dataset::FoundBy;
use twinpeak_config::assemble::{bundle, device};
use twinpeak_config::exit::Fault;
use twinpeak_config::{Config, DeviceChoice, SegmenterKind};
use twinpeak_core::detections::Detections;
use twinpeak_core::extract;
use twinpeak_core::frame::{Frame, PerBand};
use twinpeak_core::model::{ModelError, Segmenter};
use twinpeak_core::preprocess::{self, Prepared, PreprocessError};
use twinpeak_core::survey::Survey;
use twinpeak_learn::sample::{self, ObjectFinder};
use twinpeak_nets::bundle::SEGMENTER;
use twinpeak_nets::infer::TorchSegmenter;

/// Finds objects on frames; each worker has its own.
pub(super) struct Finder {
    segmenter: Box<dyn Segmenter>,
    preprocess: preprocess::Settings,
    overlap_px: usize,
    extract: extract::Settings,
    fallback_fwhm_arcsec: PerBand<f64>,
}

/// One for each of `workers`, as `model.segmenter` says. Always on the processor: a data set's bits are no matter of
/// the device.
pub(super) fn finders(config: &Config, survey: &Survey, workers: usize) -> anyhow::Result<(FoundBy, Vec<Finder>)> {
    if config.model.segmenter == SegmenterKind::Threshold {
        let filter = || {
            let mut filter = sample::matched_filter(survey);
            let ObjectFinder { overlap_px, settings, fallback_fwhm_arcsec, .. } = ObjectFinder::classical(&mut filter);
            Finder {
                segmenter: Box::new(filter),
                preprocess: preprocess::Settings::default(),
                overlap_px,
                extract: settings,
                fallback_fwhm_arcsec,
            }
        };
        return Ok((FoundBy::MatchedFilter, std::iter::repeat_with(filter).take(workers).collect()));
    }
    let bundle = bundle(config, survey)?;
    let (manifest, cpu) = (bundle.manifest(), device(DeviceChoice::Cpu)?);
    let net = |_| {
        let recipe = manifest.recipe.clone();
        anyhow::Ok(Finder {
            segmenter: Box::new(TorchSegmenter::new(&bundle, &cpu).context(Fault::Device)?),
            preprocess: recipe.preprocess,
            overlap_px: recipe.tile_overlap_px,
            extract: recipe.extract,
            fallback_fwhm_arcsec: recipe.fallback_fwhm_arcsec,
        })
    };
    let nets = (0..workers).into_par_iter().map(net).collect::<anyhow::Result<_>>()?;
    let segmenter_sha256 = manifest.files.get(SEGMENTER).cloned().unwrap_or_default(); // checked when it was loaded
    Ok((FoundBy::Bundle { segmenter_sha256 }, nets))
}

impl Finder {
    /// Background, noise, bad pixels, registration.
    pub(super) fn prepare(&self, frame: Frame, survey: &Survey) -> Result<Prepared, PreprocessError> {
        preprocess::prepare(frame, survey, &self.preprocess)
    }

    /// Finds the objects of a prepared frame.
    pub(super) fn find<'a>(
        &mut self,
        prepared: &'a Prepared,
        survey: &'a Survey,
    ) -> Result<Detections<'a>, ModelError> {
        let mut detector = ObjectFinder {
            segmenter: &mut *self.segmenter,
            overlap_px: self.overlap_px,
            settings: self.extract.clone(),
            fallback_fwhm_arcsec: self.fallback_fwhm_arcsec,
        };
        sample::find(prepared, survey, &mut detector)
    }
}
