//! A frame between two stages: what each stage hands to the next, and the two stages that are plain functions
//! of one frame, prepare and extract, with what finishes it.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use super::flow::Permit;
use super::ports::{Event, Load, Loaded, PortError, Probe};
use super::{Models, batch};
use twinpeak_core::catalog::{Catalog, MAX_NUMBER, Provenance, Row, class, flag};
use twinpeak_core::cutout::Measurements;
use twinpeak_core::detections::Detections;
use twinpeak_core::frame::{ImageId, PerBand, Plane, mask};
use twinpeak_core::measure::{self, Measured};
use twinpeak_core::outcome::{BandQuality, Finished, ModelIdentity, Outcome, Products, Reason, Rejection, Stage};
use twinpeak_core::posterior::StarProbability;
use twinpeak_core::preprocess::{self, Prepared, PreprocessError};
use twinpeak_core::psf::PsfQuality;
use twinpeak_core::reference::ReferenceCatalog;
use twinpeak_core::star_images::StarImages;
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
}

/// A measured frame, on its way to the classifier, with objects or without.
pub(super) struct ToClassify<R> {
    pub extracted: Extracted<R>,
    pub objects: batch::ObjectItems,
}

/// After the segmenter: the score of every pixel.
pub(super) struct Scored<R> {
    pub frame: InFlightFrame<R>,
    pub prepared: Arc<Prepared>,
    pub score: Plane<f32>,
    pub tiles: usize,
}

/// After extraction and measurement.
pub(super) struct Extracted<R> {
    pub frame: InFlightFrame<R>,
    pub products: Box<Products>,
    /// For each object that can be classified, in order: its row, and what was measured of it.
    pub measured: Vec<(usize, Measurements)>,
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
        Ok(Some((prepared, tiling)))
    });
    frame.took(Stage::Prepare, since, probe);
    match prepared {
        Ok(Some((prepared, tiling))) => Ok(ToSegment { frame, prepared, tiling }),
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

/// The refusal of a frame, of these `files`, that cannot be prepared.
pub fn refused(error: &PreprocessError, survey: &Survey, files: &PerBand<String>) -> Rejection {
    let (reason, advice) = match error {
        PreprocessError::TooSmall { .. } => (Reason::TooSmall, "give frames of at least 64x64 px"),
        PreprocessError::NoSignal { .. } => (Reason::NoSignal, "check the exposure and the file's pixels"),
        PreprocessError::AboveSaturation { .. } => {
            (Reason::BadUnits, "check unit, calibration card and bias of this band")
        }
        PreprocessError::Noise { .. } => {
            (Reason::BadUnits, "check BUNIT, the calibration card, and the survey's zero_point_mag and gain_e_per_dn")
        }
        PreprocessError::Variance { .. } => {
            (Reason::BadUnits, "check weight.kind and weight.includes_sources in the survey file")
        }
        PreprocessError::SamePixels { .. } => (Reason::BadImage, "deliver each band's own exposure"),
        PreprocessError::Negative { .. } => (Reason::BadImage, "deliver the image with light as positive numbers"),
        PreprocessError::OutOfFocus { .. } => (Reason::BadImage, "look at the frame: the telescope's focus"),
        PreprocessError::Undersampled { .. } => (Reason::BadImage, "give frames whose stars are at least 1.6 px wide"),
        PreprocessError::Misregistered { .. } => {
            (Reason::BandMismatch, "check that all files show the same field and have the right coordinates")
        }
        PreprocessError::OtherGrid { .. } => (
            Reason::BandMismatch,
            "resample the band onto the reference band's grid, or let the survey's `resample` do it",
        ),
        PreprocessError::OtherStars { shift_px: Some(_), .. } => {
            (Reason::BandMismatch, "correct the band's world coordinates: its CRPIX is off by so much")
        }
        PreprocessError::OtherStars { .. } => (
            Reason::BandMismatch,
            "see whether its pixels are another field's, mirrored or turned, or its coordinates wrong",
        ),
        PreprocessError::NoLight { .. } => (Reason::NoSignal, "check shutter and exposure, or leave the band out"),
        PreprocessError::OffTheSky { .. } => (Reason::BadWcs, "solve the frame's astrometry"),
        PreprocessError::OtherScale { .. } => {
            (Reason::BadWcs, "describe a survey with such pixels, or correct the frame's world coordinates")
        }
    };
    let at_fault = error.band().and_then(|band| (0..files.len()).find(|&b| survey.band(b) == band));
    let file = at_fault.map(|b| files[b].clone()).filter(|file| !file.is_empty());
    Rejection { reason, stage: Stage::Prepare, file, message: error.to_string(), advice: advice.into() }
}

/// Finds and measures a frame's objects.
pub(super) fn extract<R>(
    scored: Scored<R>,
    models: &Models,
    probe: &dyn Probe,
) -> Result<ToClassify<R>, Box<Ended<R>>> {
    let Scored { mut frame, prepared, score, tiles } = scored;
    let _in = frame.span.clone().entered();
    let since = Instant::now();
    let recipe = &models.recipe;
    let measured = guarded(Stage::Extract, || {
        let fallback = &recipe.fallback_fwhm_arcsec;
        let detections = Detections::find(&prepared, &models.survey, &score, &recipe.extract, fallback);
        drop(score);
        let found = detections.footprints.objects.len();
        if found > MAX_NUMBER as usize {
            return Err(too_many(found));
        }
        let measured = detections.measure();
        if let Some(refusal) = no_sky(&prepared, &models.survey, &measured) {
            return Err(refusal);
        }
        let quality = quality(&prepared, &models.survey, &detections.quality);
        Ok((detections.footprints.segmentation, measured, quality))
    });
    frame.took(Stage::Extract, since, probe);
    let (segmentation, objects, mut quality) = match measured {
        Ok(done) => done,
        Err(rejection) => return Err(Ended::rejected(frame, rejection)),
    };
    let mut rows = Vec::with_capacity(objects.len());
    let (mut inputs, mut measured) = (Vec::new(), Vec::new());
    for (index, object) in objects.into_iter().enumerate() {
        if let Some(known) = object.input {
            measured.push((index, known.measured));
            inputs.push(known);
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
    let (bits, picture) = match Arc::try_unwrap(prepared) {
        Ok(mut own) => (own.bits, shape.map(|b| std::mem::take(&mut own.registered[b]))),
        Err(shared) => (shared.bits.clone(), shape.map(|b| shared.registered[b].clone())),
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
    });
    Ok(ToClassify { extracted: Extracted { frame, products, measured }, objects: batch::ObjectItems(inputs) })
}

/// A source's id has room for so many numbers; more objects are no field of the sky.
fn too_many(found: usize) -> Rejection {
    Rejection {
        reason: Reason::TooLarge,
        stage: Stage::Extract,
        file: None,
        message: format!("{found} objects were found, and ids go up to {MAX_NUMBER}"),
        advice: "check the frame, or cut it into smaller ones".into(),
    }
}

/// The refusal of a frame whose objects are not those of a sky: trailed, doubled, or none where there are always some.
fn no_sky(prepared: &Prepared, survey: &Survey, measured: &[Measured]) -> Option<Rejection> {
    let rows: Vec<Row> = measured.iter().map(|m| m.row.clone()).collect();
    let refusal = |reason, message: String, advice: &str| {
        Some(Rejection { reason, stage: Stage::Extract, file: None, message, advice: advice.to_owned() })
    };
    if let Some(problem) = StarImages::problem(&rows, survey.reference()) {
        return refusal(
            Reason::BadImage,
            problem.to_string(),
            "look at the frame: tracking, focus, or a telescope that was moved",
        );
    }
    let fewest = survey.profile().typical.fewest_objects_deg2?;
    let seen = prepared.bits.pixels().iter().filter(|m| **m & mask::NO_DATA == 0).count() as f64;
    let area_deg2 = seen * (prepared.pixel_scale_arcsec / 3600.0).powi(2);
    let expected = fewest * area_deg2;
    const ENOUGH: f64 = 20.0; // of which chance makes a fifth once in 10^6 frames
    (expected >= ENOUGH && (rows.len() as f64) < 0.2 * expected).then(|| {
        refusal(
            Reason::NoSignal,
            format!(
                "{} objects in {area_deg2:.4} square degrees, where the emptiest sky shows {expected:.0}",
                rows.len()
            ),
            "look at the frame: a closed cover, clouds, or typical.fewest_objects_deg2 that is not this survey's",
        )
    })?
}

/// The record of each band.
fn quality(prepared: &Prepared, survey: &Survey, psf: &PerBand<PsfQuality>) -> PerBand<BandQuality> {
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
    let Classified { extracted: Extracted { frame, mut products, measured }, answers } = classified;
    let answer_len = answers.len() / measured.len().max(1);
    for ((index, measured), answer) in measured.into_iter().zip(answers.chunks_exact(answer_len.max(1))) {
        let probability = models.recipe.posterior.star_probability(answer, &measured);
        classify(&mut products.catalog.rows[index], probability);
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

/// The refusal of an image whose products cannot be encoded.
pub(super) fn not_encodable(finished: Finished, error: PortError) -> Finished {
    let rejection = match error {
        PortError::Refused(rejection) => *rejection,
        error => Rejection {
            reason: Reason::Internal,
            stage: Stage::Publish,
            file: None,
            message: error.to_string(),
            advice: "report it with this image; other images are not affected".into(),
        },
    };
    Finished { outcome: Outcome::Rejected(rejection), ..finished }
}

/// What the sink gets.
pub(super) fn finished<R>(ended: Ended<R>) -> (Finished, R, Permit) {
    let Ended { frame, outcome } = ended;
    let InFlightFrame { sequence, image_id, receipt, permit, timings_s, .. } = frame;
    (Finished { image_id, sequence, timings_s, outcome }, receipt, permit)
}
