//! What finds objects for a data set: the bundle's net, or the matched filter where no bundle is there yet. Neither has
//! seen a label.

use anyhow::Context;
use rayon::prelude::*;

use crate::dataset::FoundBy;
use twinpeak_config::assemble::{bundle, device};
use twinpeak_config::exit::Fault;
use twinpeak_config::{Config, DeviceChoice, SegmenterKind};
use twinpeak_core::detections::Detections;
use twinpeak_core::frame::Frame;
use twinpeak_core::model::{ModelError, Segmenter};
use twinpeak_core::preprocess::{self, Prepared, PreprocessError};
use twinpeak_core::recipe::Recipe;
use twinpeak_core::survey::Survey;
use twinpeak_learn::sample::{self, ObjectFinder};
use twinpeak_nets::bundle::SEGMENTER;
use twinpeak_nets::infer::TorchSegmenter;

/// Finds objects on frames; each worker has its own.
pub(super) struct Finder {
    segmenter: Box<dyn Segmenter>,
    recipe: Recipe,
}

/// One for each of `workers`, as `model.segmenter` says. Always on the processor: a data set's bits are no matter of
/// the device.
pub(super) fn finders(config: &Config, survey: &Survey, workers: usize) -> anyhow::Result<(FoundBy, Vec<Finder>)> {
    if config.model.segmenter == SegmenterKind::Threshold {
        let filter = || {
            let filter = Box::new(sample::matched_filter(survey));
            Finder { segmenter: filter, recipe: Recipe::for_survey(survey) }
        };
        return Ok((FoundBy::MatchedFilter, std::iter::repeat_with(filter).take(workers).collect()));
    }
    let bundle = bundle(config, survey)?;
    let (manifest, cpu) = (bundle.manifest(), device(DeviceChoice::Cpu)?);
    let net = |_| {
        anyhow::Ok(Finder {
            segmenter: Box::new(TorchSegmenter::new(&bundle, &cpu).context(Fault::Device)?),
            recipe: manifest.recipe.clone(),
        })
    };
    let nets = (0..workers).into_par_iter().map(net).collect::<anyhow::Result<_>>()?;
    let segmenter_sha256 = manifest.files.get(SEGMENTER).cloned().unwrap_or_default(); // checked when it was loaded
    Ok((FoundBy::Bundle { segmenter_sha256 }, nets))
}

impl Finder {
    /// Background, noise, bad pixels, registration.
    pub(super) fn prepare(&self, frame: Frame, survey: &Survey) -> Result<Prepared, PreprocessError> {
        preprocess::prepare(frame, survey, &self.recipe.preprocess)
    }

    /// Finds the objects of a prepared frame.
    pub(super) fn find<'a>(
        &mut self,
        prepared: &'a Prepared,
        survey: &'a Survey,
    ) -> Result<Detections<'a>, ModelError> {
        let mut detector = ObjectFinder { segmenter: &mut *self.segmenter, recipe: &self.recipe };
        sample::find(prepared, survey, &mut detector)
    }
}
