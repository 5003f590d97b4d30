//! Figure 8: segmentation and classification together. The product itself runs on a field; pieces of what it would
//! publish are painted, gray sky, red stars and quasars, orange galaxies, beside the classes of the catalogue.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;

use crate::study::segmentation::{Fields, Known, figure_prefix};
use crate::study::{Figure, Plan, StudyDataset};
use twinpeak_config::Config;
use twinpeak_config::assemble::{assemble, file_list, limits};
use twinpeak_core::catalog::{Row, class};
use twinpeak_core::frame::Plane;
use twinpeak_core::outcome::{Finished, Outcome, Products};
use twinpeak_core::survey::Survey;
use twinpeak_engine::flow::Stop;
use twinpeak_engine::ports::{CatalogSink, FrameSource, PortError, PublishOutcome};
use twinpeak_formats::picture::{Panel, Panels, panels};
use twinpeak_sim::evaluate::{Rules, nearest};
use twinpeak_store::FileList;
use twinpeak_telemetry::progress::FrameProgress;

/// Side of a piece, px, and picture pixels for each of its pixels.
const SIDE_PX: usize = 160;
const SCALE: usize = 2;
/// Where pieces begin, as shares of the field.
const PLACES: [(f64, f64); 3] = [(0.37, 0.43), (0.55, 0.3), (0.75, 0.7)];

/// The figure's title and file.
pub(super) fn file(sky: &StudyDataset) -> (String, PathBuf) {
    let title = format!("{}: segmented, then classified (red: stars, quasars; orange: galaxies)", sky.name);
    (title, format!("{}-combination.png", figure_prefix(sky)).into())
}

/// What the product would publish of one frame, kept instead.
#[derive(Default)]
struct Kept {
    picture: [Plane<f32>; 3],
    segmentation: Plane<u32>,
    rows: Vec<Row>,
}

/// Keeps the products of the last frame. The lock is for the engine's sake, whose sinks are shared; one thread
/// publishes.
#[derive(Default)]
struct Keeper(Mutex<Option<Kept>>);

impl CatalogSink for Keeper {
    type Receipt = <FileList as FrameSource>::Receipt;
    type Encoded = ();

    fn encode(&self, _: &Finished, _: &Self::Receipt) -> Result<(), PortError> {
        Ok(())
    }

    fn publish(&self, finished: &Finished, (): &(), _: &Self::Receipt) -> Result<PublishOutcome, PortError> {
        if let Outcome::Processed(products) = &finished.outcome {
            let Products { catalog, segmentation, picture, .. } = &**products;
            let kept =
                Kept { picture: picture.clone(), segmentation: segmentation.clone(), rows: catalog.rows.clone() };
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(kept);
        }
        Ok(PublishOutcome::Accepted)
    }
}

/// Draws the figure from a sky's first test frame on disk; `None` for a simulated sky.
///
/// # Errors
/// Where the product cannot run.
pub(super) fn figure(
    plan: &Plan,
    sky: &StudyDataset,
    survey: &Arc<Survey>,
    known: &[Known],
) -> anyhow::Result<Option<Figure>> {
    let Some(Fields::Frames { folder, test }) = &sky.fields else { return Ok(None) };
    let (Some(image), Some(known)) = (test.first(), known.first()) else { return Ok(None) };
    let mut config = Config::default();
    config.survey.file = plan.survey.clone();
    config.model.bundle = plan.bundle.clone();
    let files = super::fields::files(folder, image, survey)?;
    let mut source = file_list(&config, survey, &files);
    let (assembly, keeper) = (assemble(&config)?, Keeper::default());
    let (stop, progress) = (Stop::default(), FrameProgress::new(1));
    twinpeak_engine::run(&mut source, &assembly.models, assembly.devices, &keeper, &limits(&config), &stop, &progress)?;
    progress.end();
    let kept = keeper.0.into_inner().unwrap_or_else(PoisonError::into_inner);
    let kept = kept.with_context(|| format!("{image}: the product gave nothing"))?;

    let listed = listed(&kept, known, Rules::for_scale(survey.profile().pixel_scale_arcsec).label_radius_px);
    let rows = PLACES.iter().enumerate().map(|(i, share)| {
        let start = |share: f64, length: usize| ((share * length as f64) as usize).min(length.saturating_sub(SIDE_PX));
        let (width, height) = (kept.segmentation.width(), kept.segmentation.height());
        let place = (start(share.0, width), start(share.1, height));
        let (picture, mask) = (kept.picture.each_ref().map(|p| crop(p, place)), crop(&kept.segmentation, place));
        let name = format!("piece {}\nx {}, y {}", i + 1, place.0, place.1);
        let classes = [&kept.rows, &listed].map(|rows| Panel::classes(&mask, rows));
        (name, [vec![Panel::colours(&picture), Panel::objects(&mask)], classes.to_vec()].concat())
    });
    let (title, file) = file(sky);
    let all = Panels {
        title: title.clone(),
        columns: ["image", "objects", "classes, label-free", "classes by the catalogue\n(pale: not in it)"]
            .map(str::to_owned)
            .to_vec(),
        rows: rows.collect(),
        scale: SCALE,
    };
    Ok(Some(Figure { title, file, png: panels(&all)? }))
}

/// The rows with the catalogue's classes, those that it does not list without one.
fn listed(kept: &Kept, known: &Known, radius_px: f64) -> Vec<Row> {
    let ours: Vec<_> = kept.rows.iter().map(|r| (r.x, r.y)).collect();
    let theirs: Vec<_> = known.objects.iter().map(|o| (o.x, o.y)).collect();
    let class_of = |t: usize| if known.objects[t].star { class::STAR } else { class::GALAXY };
    let row = |(row, partner): (&Row, Option<usize>)| Row { classification: partner.map(class_of), ..row.clone() };
    kept.rows.iter().zip(nearest(&ours, &theirs, radius_px)).map(row).collect()
}

fn crop<T: Copy>(plane: &Plane<T>, (x, y): (usize, usize)) -> Plane<T> {
    let (width, height) = (SIDE_PX.min(plane.width()), SIDE_PX.min(plane.height()));
    let rows = (y..y + height).flat_map(|y| plane.row(y)[x..x + width].iter().copied());
    Plane::from_pixels(width, height, rows.collect())
}
