//! A frame between two stages: what each stage hands to the next, and the two stages that are plain functions
//! of one frame, prepare and extract, with what finishes it.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use super::flow::Permit;
use super::ports::{Event, Load, Loaded, Probe};
use super::refusals::{no_sky, refused, too_many};
use super::{Models, batch};
use twinpeak_core::catalog::{Catalog, MAX_NUMBER, Provenance, Row, class, flag};
use twinpeak_core::cutout::Measurements;
use twinpeak_core::detections::Detections;
use twinpeak_core::frame::{ImageId, PerBand, Plane};
use twinpeak_core::measure;
use twinpeak_core::outcome::{
    BandQuality, Finished, FramePsf, ModelIdentity, Outcome, Products, Reason, Rejection, Requested, Requests, Stage,
};
use twinpeak_core::posterior::{FrameShares, StarProbability, TypicalErrors};
use twinpeak_core::preprocess::{self, Prepared};
use twinpeak_core::psf::PsfQuality;
use twinpeak_core::reference::ReferenceCatalog;
use twinpeak_core::scores::Scores;
use twinpeak_core::sky_tiles::SkyTiles;
use twinpeak_core::survey::Survey;
use twinpeak_core::tile::Tiling;

/// A frame's identity, place in line and right to be in flight; it travels with the frame to the end.
pub(super) struct InFlightFrame<R> {
    pub sequence: u64,
    pub image_id: ImageId,
    pub receipt: R,
    pub permit: Permit,
    pub arrived: Instant,
    pub timings_s: BTreeMap<Stage, f64>,
    pub span: tracing::Span,
}

impl<R> InFlightFrame<R> {
    /// Notes that a stage has been worked on since `since`.
    pub fn took(&mut self, stage: Stage, since: Instant, probe: &dyn Probe) {
        let seconds = since.elapsed().as_secs_f64();
        *self.timings_s.entry(stage).or_default() += seconds;
        probe.on(&Event::StageDone { stage, seconds });
        probe.on(&Event::Passed { image: &self.image_id, stage });
        tracing::debug!(parent: &self.span, stage = stage.name(), duration_s = seconds, "stage finished");
    }
}

/// After ingest.
pub(super) struct Admitted<R> {
    pub frame: InFlightFrame<R>,
    pub load: Load,
}

/// A prepared frame, on its way to the segmenter.
pub(super) struct ToSegment<R> {
    pub frame: InFlightFrame<R>,
    pub prepared: Prepared,
    pub tiling: Tiling,
    pub sky: SkyTiles,
}

/// A measured frame, on its way to the classifier, with objects or without.
pub(super) struct ToClassify<R> {
    pub extracted: Extracted<R>,
    pub objects: batch::ObjectItems,
}

/// After the segmenter: the scores of every pixel, and those of centres on tiles of the frame's own sky.
pub(super) struct Scored<R> {
    pub frame: InFlightFrame<R>,
    pub prepared: Arc<Prepared>,
    pub scores: Scores,
    pub sky: Arc<SkyTiles>,
    pub noise: Vec<Plane<f32>>,
    pub tiles: usize,
}

/// After extraction and measurement.
pub(super) struct Extracted<R> {
    pub frame: InFlightFrame<R>,
    pub products: Box<Products>,
    /// Each object that can be classified, in order.
    pub asked: Vec<Asked>,
}

/// An object that the classifier is asked of: first as it is, then as it would be on other nights.
pub(super) struct Asked {
    /// Index of its row.
    pub row: usize,
    /// What was measured of it.
    pub known: Measurements,
    /// How the wings of a saturated star fall (see `scene`).
    pub wings_excess: Option<f64>,
    /// The same on other nights; empty where its class is sure, `None` where there were too many objects to ask of it.
    pub nights: Option<Vec<Measurements>>,
}

/// After the classifier: its answer to each object, one after another.
pub(super) struct Classified<R> {
    pub extracted: Extracted<R>,
    pub answers: Vec<f32>,
}

/// The end: published in order.
pub(super) struct Ended<R> {
    pub frame: InFlightFrame<R>,
    pub outcome: Outcome,
}

impl<R> Ended<R> {
    pub fn rejected(frame: InFlightFrame<R>, rejection: Rejection) -> Box<Self> {
        Box::new(Self { frame, outcome: Outcome::Rejected(rejection) })
    }
}

/// Runs one frame's step; a panic in it (a fault of ours) becomes that frame's rejection and harms no other.
fn guarded<T>(stage: Stage, step: impl FnOnce() -> Result<T, Rejection>) -> Result<T, Rejection> {
    catch_unwind(AssertUnwindSafe(step)).unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().cloned();
        let said = said.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default();
        Err(Rejection {
            reason: Reason::Internal,
            stage,
            file: None,
            message: format!("a fault in twinpeak: {said}"),
            advice: "report it with this image; other images are not affected".into(),
        })
    })
}

/// Reads and prepares a frame.
pub(super) fn prepare<R>(
    admitted: Admitted<R>,
    models: &Models,
    probe: &dyn Probe,
) -> Result<ToSegment<R>, Box<Ended<R>>> {
    let Admitted { mut frame, load } = admitted;
    let _in = frame.span.clone().entered();
    frame.took(Stage::Ingest, frame.arrived, probe); // what it waited for its turn
    let since = Instant::now();
    let recipe = &models.recipe;
    let prepared = guarded(Stage::Prepare, || {
        let Loaded::Frame(loaded) = load()? else { return Ok(None) };
        let (survey, files) = (&models.survey, loaded.files.clone());
        let prepared =
            preprocess::prepare(*loaded, survey, &recipe.preprocess).map_err(|e| refused(&e, survey, &files))?;
        warn(&prepared, survey);
        let tiling = Tiling::new(prepared.frame.width(), prepared.frame.height(), recipe.tile_overlap_px);
        let sky = SkyTiles::of(&prepared.occupied, SkyTiles::MOST);
        Ok(Some((prepared, tiling, sky)))
    });
    frame.took(Stage::Prepare, since, probe);
    match prepared {
        Ok(Some((prepared, tiling, sky))) => Ok(ToSegment { frame, prepared, tiling, sky }),
        Ok(None) => Err(Box::new(Ended { frame, outcome: Outcome::Nothing })),
        Err(rejection) => Err(Ended::rejected(frame, rejection)),
    }
}

/// Tells what a frame lacks that does not stop it.
fn warn(prepared: &Prepared, survey: &Survey) {
    for b in (0..prepared.dark.len()).filter(|b| prepared.dark[*b]) {
        tracing::warn!(
            band = survey.band(b),
            "no light came into this band, since the other bands' bright stars do not show: it counts as missing"
        );
    }
    if prepared.frame.midpoint_mjd_tai.is_none() {
        tracing::warn!("no card tells when the frame was taken: midpointMjdTai is null");
    }
}

/// Finds and measures a frame's objects.
pub(super) fn extract<R>(
    scored: Scored<R>,
    models: &Models,
    probe: &dyn Probe,
) -> Result<ToClassify<R>, Box<Ended<R>>> {
    let Scored { mut frame, prepared, scores, sky, noise, tiles } = scored;
    let _in = frame.span.clone().entered();
    let since = Instant::now();
    let recipe = &models.recipe;
    let measured = guarded(Stage::Extract, || {
        let fallback = &recipe.fallback_fwhm_arcsec;
        let extraction =
            recipe.extraction(scores.centre.pixels().len(), &sky.noise(&noise, recipe.extract.min_area_px));
        let detections = Detections::find(&prepared, &models.survey, &scores, &extraction, fallback);
        drop((scores, noise));
        let found = detections.footprints.objects.len();
        if found > MAX_NUMBER as usize {
            return Err(too_many(found));
        }
        let measured = detections.measure();
        if let Some(refusal) = no_sky(&prepared, &models.survey, &measured) {
            return Err(refusal);
        }
        let quality = quality(&prepared, &models.survey, &detections.quality, &detections.scene().halo_share);
        let mut bits = prepared.bits.clone();
        detections.scene().mark_cores(&mut bits);
        let requested = requested(models.requests, &prepared, &detections);
        let nights = detections.other_nights(&measured, |known| recipe.posterior.may_move(known));
        Ok((detections.footprints.segmentation, bits, (measured, nights), quality, requested))
    });
    frame.took(Stage::Extract, since, probe);
    let (segmentation, bits, (objects, nights), mut quality, requested) = match measured {
        Ok(done) => done,
        Err(rejection) => return Err(Ended::rejected(frame, rejection)),
    };
    let mut rows = Vec::with_capacity(objects.len());
    let (mut inputs, mut asked) = (Vec::new(), Vec::new());
    for (row, (object, nights)) in objects.into_iter().zip(nights).enumerate() {
        if let Some(input) = object.input {
            let wings_excess = object.scene.as_ref().and_then(|scene| scene.wings_excess);
            let on_nights = nights.as_ref().map(|nights| nights.iter().map(|night| night.measured).collect());
            asked.push(Asked { row, known: input.measured, wings_excess, nights: on_nights });
            inputs.push(input);
            inputs.extend(nights.into_iter().flatten());
        }
        rows.push(object.row);
    }
    let taken = &prepared.frame;
    let provenance = provenance(&models.identity, &models.survey.profile().name, taken);
    let wcs = taken.bands[models.survey.reference()].wcs.clone();
    let size = (taken.width(), taken.height());
    let compare = |known: &ReferenceCatalog| known.compare(&rows, &wcs, size, taken.midpoint_mjd_tai);
    let reference = models.reference.as_ref().and_then(compare);
    for (band, known) in quality.iter_mut().zip(reference.iter().flat_map(|r| r.zero_point_offset_mag)) {
        band.zero_point_offset_mag = known;
    }
    // The batcher let its share go before it handed out the frame's last tile (see batch::Queue::take).
    let shape = models.survey.shape_bands();
    let picture = match Arc::try_unwrap(prepared) {
        Ok(mut own) => shape.map(|b| std::mem::take(&mut own.registered[b])),
        Err(shared) => shape.map(|b| shared.registered[b].clone()),
    };
    let products = Box::new(Products {
        catalog: Catalog { provenance, rows },
        segmentation,
        bits,
        wcs,
        picture,
        quality,
        reference,
        tiles,
        device: models.device.clone(),
        requested,
    });
    Ok(ToClassify { extracted: Extracted { frame, products, asked }, objects: batch::ObjectItems(inputs) })
}

/// What is made on request alone.
fn requested(requests: Requests, prepared: &Prepared, detections: &Detections) -> Requested {
    let psf = || FramePsf {
        psf: detections.psf().clone(),
        pixel_scale_arcsec: prepared.pixel_scale_arcsec,
        present: prepared.frame.present,
    };
    Requested {
        psf: requests.psf.then(|| Box::new(psf())),
        scene: requests.residual.then(|| Box::new(detections.scene().images())),
    }
}

/// The record of each band.
fn quality(
    prepared: &Prepared,
    survey: &Survey,
    psf: &PerBand<PsfQuality>,
    halo_share: &PerBand<f64>,
) -> PerBand<BandQuality> {
    std::array::from_fn(|b| {
        let (band, sky, psf) = (&prepared.frame.bands[b], prepared.sky[b], &psf[b]);
        if !prepared.frame.present[b] {
            return BandQuality::absent(survey.band(b));
        }
        // A point source at S/N 5 against sky noise in the PSF's noise-equivalent area.
        let limit_nmgy = 5.0 * f64::from(sky.sigma_nmgy) * psf.noise_area_px.sqrt();
        BandQuality {
            band: survey.band(b).to_owned(),
            fwhm_arcsec: psf.fwhm_arcsec,
            ellipticity: psf.ellipticity,
            sky_nmgy: band.removed_sky_nmgy.unwrap_or(0.0) + f64::from(sky.level_nmgy),
            sky_sigma_nmgy: f64::from(sky.sigma_nmgy),
            depth_5sigma_mag: measure::magnitude(limit_nmgy, f64::MIN_POSITIVE),
            psf_stars: psf.stars,
            psf_fallback: psf.fallback,
            registration_residual_px: psf.registration_residual_px,
            zero_point_offset_mag: f64::NAN, // until it has been compared
            ap_corr: psf.ap_corr,
            halo_share: halo_share[b],
            streaks: prepared.streaks[b],
        }
    })
}

fn provenance(model: &ModelIdentity, survey: &str, frame: &twinpeak_core::frame::Frame) -> Provenance {
    Provenance {
        survey: survey.to_owned(),
        image_id: frame.id.clone(),
        midpoint_mjd_tai: frame.midpoint_mjd_tai,
        input_hash: frame.input_hash.clone(),
        model_version: model.version.clone(),
        model_hash: model.hash.clone(),
        software_version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

/// Gives every row that has a basis its probability and class.
pub(super) fn finish<R>(classified: Classified<R>, models: &Models) -> Box<Ended<R>> {
    let Classified { extracted: Extracted { frame, mut products, asked }, answers } = classified;
    let posterior = &models.recipe.posterior;
    let shares = FrameShares::learn(&posterior.profiles, asked.iter().map(|object| &object.known));
    let questions: usize = asked.iter().map(|object| 1 + object.nights.as_ref().map_or(0, Vec::len)).sum();
    let answer_len = answers.len() / questions.max(1);
    let mut answers = answers.chunks_exact(answer_len.max(1));
    let (mut typical, mut passed_over) = (TypicalErrors::default(), Vec::new());
    for object in asked {
        let row = &mut products.catalog.rows[object.row];
        let saturated = row.flags & flag::CORE_SATURATED != 0;
        let mut probability = |known: &Measurements| {
            let answer = answers.next()?;
            if saturated {
                posterior.by_wings(&shares, known, object.wings_excess)
            } else {
                posterior.star_probability_in(&shares, answer, known)
            }
        };
        let here = probability(&object.known);
        let nights = object
            .nights
            .map(|nights| -> Vec<f32> { nights.iter().filter_map(|known| Some(probability(known)?.value)).collect() });
        match (nights, here) {
            (Some(nights), Some(here)) => {
                let here = here.over_nights(&nights);
                if !nights.is_empty() {
                    typical.add(here);
                }
                classify(row, Some(here));
            }
            (None, Some(here)) => passed_over.push((object.row, here)),
            (_, None) => classify(row, None),
        }
    }
    for (row, here) in passed_over {
        classify(&mut products.catalog.rows[row], Some(typical.of(here)));
    }
    Box::new(Ended { frame, outcome: Outcome::Processed(products) })
}

fn classify(row: &mut Row, probability: Option<StarProbability>) {
    let Some(p) = probability else {
        row.flags |= flag::NO_CLASS; // a net that answers NaN is no basis
        return;
    };
    row.star_prob = Some(p.value);
    row.star_prob_err = Some(p.error);
    row.classification = Some(if p.value >= 0.5 { class::STAR } else { class::GALAXY });
}

/// What the sink gets.
pub(super) fn finished<R>(ended: Ended<R>) -> (Finished, R, Permit) {
    let Ended { frame, outcome } = ended;
    let InFlightFrame { sequence, image_id, receipt, permit, timings_s, .. } = frame;
    (Finished { image_id, sequence, timings_s, outcome }, receipt, permit)
}
