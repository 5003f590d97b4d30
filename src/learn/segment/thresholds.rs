//! The net's two thresholds: detection from frames in which there is nothing to find, extent from the teacher's area.

use super::TrainingFrame;
use twinpeak_core::extract::calibrate::NoiseScore;
use twinpeak_core::frame::{PerBand, Plane};
use twinpeak_core::median::lower_median;
use twinpeak_core::model::{ModelError, Segmenter, TILE_LEN, TILE_PIXELS};
use twinpeak_core::tile::Tiling;

/// What a bundle's recipe takes over.
#[derive(Clone, Debug, PartialEq)]
pub struct Thresholds {
    /// Score above which a pixel is detected: median of `by_frame`.
    pub detect: f32,
    /// Median score above which the net marks as many pixels of a frame as the teacher; not below `detect`.
    pub extent: f32,
    /// Each training frame's own detection threshold: how far the median can be trusted.
    pub by_frame: Vec<f32>,
}

/// Calibrates thresholds: detection so that a frame without objects shows `false_objects` of `min_area_px`, extent
/// so that objects get as many pixels as the teacher gives them.
///
/// # Errors
/// The segmenter's.
pub fn thresholds(
    segmenter: &mut dyn Segmenter,
    frames: &[TrainingFrame],
    overlap_px: usize,
    false_objects: f64,
    min_area_px: usize,
) -> Result<Thresholds, ModelError> {
    let mut by_frame = Vec::new();
    for frame in frames {
        let score = &score_plane(segmenter, &frame.noise_only, overlap_px)?;
        let noise = NoiseScore { score, share: frame.sky_share, min_area_px };
        by_frame.extend(noise.detect_threshold(false_objects));
    }
    let (detect, extent) = (
        lower_median(&mut by_frame.clone(), f32::total_cmp).unwrap_or(0.0),
        extent_threshold(segmenter, frames, overlap_px)?,
    );
    Ok(Thresholds { detect, extent: extent.max(detect), by_frame })
}

/// The median over frames of the score above which as many pixels are marked as the teacher marks.
///
/// # Errors
/// The segmenter's.
pub fn extent_threshold(
    segmenter: &mut dyn Segmenter,
    frames: &[TrainingFrame],
    overlap_px: usize,
) -> Result<f32, ModelError> {
    let mut extents = Vec::new();
    for frame in frames {
        let mut scores = score_plane(segmenter, &frame.planes, overlap_px)?.pixels().to_vec();
        let area = frame.pseudo_labels.object.pixels().iter().filter(|&&object| object).count();
        let rank = scores.len().saturating_sub(area + 1);
        extents.push(*scores.select_nth_unstable_by(rank, f32::total_cmp).1);
    }
    Ok(lower_median(&mut extents, f32::total_cmp).unwrap_or(0.0))
}

/// Scores of a whole frame.
///
/// # Errors
/// The segmenter's.
pub fn score_plane(
    segmenter: &mut dyn Segmenter,
    planes: &PerBand<Plane<f32>>,
    overlap_px: usize,
) -> Result<Plane<f32>, ModelError> {
    let (width, height) = (planes[0].width(), planes[0].height());
    let tiling = Tiling::new(width, height, overlap_px);
    let mut scores = Plane::filled(width, height, 0.0);
    let mut tiles = vec![0.0; segmenter.batch() * TILE_LEN];
    let mut answers = vec![0.0; segmenter.batch() * TILE_PIXELS];
    for first in (0..tiling.len()).step_by(segmenter.batch()) {
        let indices = first..(first + segmenter.batch()).min(tiling.len());
        tiles.fill(0.0);
        for (tile, index) in tiles.chunks_exact_mut(TILE_LEN).zip(indices.clone()) {
            tiling.cut(planes, index, tile);
        }
        segmenter.segment(&tiles, &mut answers)?;
        for (answer, index) in answers.chunks_exact(TILE_PIXELS).zip(indices) {
            tiling.stitch(index, answer, &mut scores);
        }
    }
    Ok(scores)
}
