//! Figures 5 and 7: the same pieces of a real or simulated field as each net gives them back, and as each segmenter
//! cuts them out.

use std::path::PathBuf;

use super::answer::{Field, SegmentError, SegmentationContext, scores};
use super::judge::{USUAL, masks};
use super::plan::{Hypercolumn, SegmenterRow};
use crate::study::{Figure, Plan, StudyDataset};
use twinpeak_core::frame::{BANDS, PerBand, Plane};
use twinpeak_core::model::{TILE, TILE_LEN};
use twinpeak_formats::picture::{Panel, Panels, PictureError, panels};
use twinpeak_learn::Progress;
use twinpeak_learn::segment::reconstruct;

/// Pieces: those around the objects of these ranks by size, the largest being mostly saturated stars.
const RANKS: [usize; 5] = [4, 12, 30, 80, 250];
const SCALE: usize = 2;

/// Why there are no panels.
#[derive(Debug, thiserror::Error)]
pub enum PanelError {
    /// A segmenter gives no answer.
    #[error(transparent)]
    Segment(#[from] SegmentError),
    /// The picture cannot be encoded.
    #[error(transparent)]
    Picture(#[from] PictureError),
}

/// Titles and files of the panels.
pub fn panel_files(sky: &StudyDataset) -> [(String, PathBuf); 2] {
    let file = |kind: &str| PathBuf::from(format!("{}-{kind}.png", super::figure_prefix(sky)));
    [
        (format!("{}: what each net gives back", sky.name), file("reconstructions")),
        (format!("{}: objects at {USUAL} false components a field", sky.name), file("masks")),
    ]
}

/// Draws both figures of a sky, with the plan's first seed.
///
/// # Errors
/// [`PanelError`]
pub fn panel_figures(
    plan: &Plan,
    sky: &StudyDataset,
    context: &SegmentationContext,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Vec<Figure>, PanelError> {
    let Some(field) = context.fields.first() else { return Ok(Vec::new()) };
    let shown: Vec<&SegmenterRow> = plan.segmenter.iter().filter(|s| s.shown).collect();
    let net = |s: &SegmenterRow| s.how.hypercolumn().and_then(|name| plan.hypercolumn(name));
    let mut cut = Vec::new();
    for segmenter in &shown {
        let scores = scores(context, segmenter, net(segmenter), plan.seed, progress)?;
        cut.extend(masks(context, &scores)?.map(|mask| (segmenter.name.as_str(), mask)));
    }
    let Some((_, largest)) = cut.last() else { return Ok(Vec::new()) };
    let places = places(largest, field);
    let mut nets: Vec<&Hypercolumn> = Vec::new();
    for net in shown.iter().filter_map(|s| net(s)) {
        if !nets.contains(&net) {
            nets.push(net);
        }
    }
    let shape = context.survey.shape_bands();
    let mut rows: [Vec<(String, Vec<Panel>)>; 2] = Default::default();
    for (i, &place) in places.iter().enumerate() {
        let tile = field.prepared.registered.each_ref().map(|plane| crop(plane, place));
        let colours = Panel::colours(&shape.map(|b| tile[b].clone()));
        let name = format!("piece {}\nx {}, y {}", i + 1, place.0, place.1);
        let mut made = vec![colours.clone()];
        for net in &nets {
            let learned = context.learned(net, plan.seed, progress).map_err(SegmentError::from)?;
            let values =
                reconstruct(&learned.autoencoder, &net.net.shape, &interleaved(&tile)).map_err(SegmentError::from)?;
            made.push(Panel::colours(&shape.map(|b| band(&values, b))));
        }
        rows[0].push((name.clone(), made));
        let masks = cut.iter().map(|(_, mask)| Panel::objects(&crop(mask, place)));
        rows[1].push((name, std::iter::once(colours).chain(masks).collect()));
    }
    let heading = |name: &str| name.replace(" + HC, ", "\n").replace(", blind spot", "\nblind spot");
    let with_image = |names: Vec<&str>| std::iter::once("image").chain(names).map(heading).collect();
    let [made, masked] = rows;
    let of_nets = with_image(nets.iter().map(|n| n.name.as_str()).collect());
    let of_segmenters = with_image(cut.iter().map(|(name, _)| *name).collect());
    let drawn = panel_files(sky).into_iter().zip([(of_nets, made), (of_segmenters, masked)]);
    let drawn = drawn.map(|((title, file), (columns, rows))| {
        let png = panels(&Panels { title: title.clone(), columns, rows, scale: SCALE })?;
        Ok(Figure { title, file, png })
    });
    drawn.collect()
}

/// First columns and rows of the pieces.
fn places(mask: &Plane<u32>, field: &Field) -> Vec<(usize, usize)> {
    let last = mask.pixels().iter().copied().max().unwrap_or(0) as usize;
    let (mut area, mut sum) = (vec![0usize; last + 1], vec![(0usize, 0usize); last + 1]);
    for y in 0..mask.height() {
        for (x, &n) in mask.row(y).iter().enumerate() {
            area[n as usize] += 1;
            sum[n as usize] = (sum[n as usize].0 + x, sum[n as usize].1 + y);
        }
    }
    let mut by_size: Vec<usize> = (1..=last).filter(|&n| area[n] > 0).collect();
    by_size.sort_by_key(|&n| (std::cmp::Reverse(area[n]), n));
    let (width, height) = (field.prepared.frame.width(), field.prepared.frame.height());
    let start = |sum: usize, n: usize, length: usize| (sum / area[n]).saturating_sub(TILE / 2).min(length - TILE);
    let place = |&n: &usize| (start(sum[n].0, n, width), start(sum[n].1, n, height));
    RANKS.iter().filter_map(|&rank| by_size.get(rank)).map(place).collect()
}

fn crop<T: Copy>(plane: &Plane<T>, (x, y): (usize, usize)) -> Plane<T> {
    let rows = (y..y + TILE).flat_map(|y| plane.row(y)[x..x + TILE].iter().copied());
    Plane::from_pixels(TILE, TILE, rows.collect())
}

/// A tile as nets see it, band fastest.
fn interleaved(tile: &PerBand<Plane<f32>>) -> Vec<f32> {
    (0..TILE_LEN).map(|i| tile[i % BANDS].pixels()[i / BANDS]).collect()
}

fn band(values: &[f32], b: usize) -> Plane<f32> {
    Plane::from_pixels(TILE, TILE, values.iter().skip(b).step_by(BANDS).copied().collect())
}
