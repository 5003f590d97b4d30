//! What a net's scores mean: how often sky exceeds them, on frames in which there is nothing to find; and above which of
//! them a one-score net marks as many pixels as its teacher.

use super::TrainingFrame;
use twinpeak_core::extract::calibrate::NoiseScore;
use twinpeak_core::false_rate::FalseRate;
use twinpeak_core::frame::{PerBand, Plane};
use twinpeak_core::median::lower_median;
use twinpeak_core::model::{ModelError, Segmenter, TILE, TILE_LEN, TILE_PIXELS, TILE_SCORES};
use twinpeak_core::preprocess::Prepared;
use twinpeak_core::scores::Scores;
use twinpeak_core::sky_tiles::SkyTiles;
use twinpeak_core::tile::Tiling;

/// How many false objects of `min_area_px` the frames show above each threshold, and the threshold of each frame alone that
/// leaves `per_mpx` of them in a million pixels: how far their median can be trusted. `None` where the score has no spread.
///
/// # Errors
/// The segmenter's.
pub fn false_rate(
    segmenter: &mut dyn Segmenter,
    frames: &[TrainingFrame],
    overlap_px: usize,
    min_area_px: usize,
    per_mpx: f64,
) -> Result<Option<(FalseRate, Vec<f32>)>, ModelError> {
    let score = |frame: &TrainingFrame| Ok(score_frame(segmenter, &frame.noise_only, overlap_px)?.centre);
    let scores: Vec<Plane<f32>> = frames.iter().map(score).collect::<Result<_, ModelError>>()?;
    let noise = || frames.iter().zip(&scores).map(|(f, s)| NoiseScore::of_frame(s, &f.occupied, min_area_px));
    let by_frame = noise().filter_map(|n| n.threshold(per_mpx)).collect();
    Ok(FalseRate::of_frames(noise()).map(|rate| (rate, by_frame)))
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
        let mut scores = score_frame(segmenter, &frame.planes, overlap_px)?.extent.pixels().to_vec();
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
pub fn score_frame(
    segmenter: &mut dyn Segmenter,
    planes: &PerBand<Plane<f32>>,
    overlap_px: usize,
) -> Result<Scores, ModelError> {
    let (width, height) = (planes[0].width(), planes[0].height());
    let tiling = Tiling::new(width, height, overlap_px);
    let mut scores = Scores::filled(width, height, 0.0);
    let cut = |index: usize, tile: &mut [f32]| tiling.cut(planes, index, tile);
    in_batches(segmenter, tiling.len(), cut, |index, answer| tiling.stitch(index, answer, &mut scores))?;
    Ok(scores)
}

/// Scores of centres on tiles of a frame's own sky, as the daemon asks for them: where objects are found falsely.
///
/// # Errors
/// The segmenter's.
pub fn score_sky(
    segmenter: &mut dyn Segmenter,
    prepared: &Prepared,
) -> Result<(SkyTiles, Vec<Plane<f32>>), ModelError> {
    let tiles = SkyTiles::of(&prepared.occupied, SkyTiles::MOST);
    let mut centres = Vec::with_capacity(tiles.len());
    let cut = |index: usize, tile: &mut [f32]| tiles.cut(&prepared.registered, &prepared.occupied, index, tile);
    in_batches(segmenter, tiles.len(), cut, |_, answer| {
        centres.push(Plane::from_pixels(TILE, TILE, answer[..TILE_PIXELS].to_vec()));
    })?;
    Ok((tiles, centres))
}

/// Puts so many tiles through a segmenter, in order.
fn in_batches(
    segmenter: &mut dyn Segmenter,
    count: usize,
    cut: impl Fn(usize, &mut [f32]),
    mut take: impl FnMut(usize, &[f32]),
) -> Result<(), ModelError> {
    let mut tiles = vec![0.0; segmenter.batch() * TILE_LEN];
    let mut answers = vec![0.0; segmenter.batch() * TILE_SCORES];
    for first in (0..count).step_by(segmenter.batch()) {
        let indices = first..(first + segmenter.batch()).min(count);
        tiles.fill(0.0);
        tiles.chunks_exact_mut(TILE_LEN).zip(indices.clone()).for_each(|(tile, index)| cut(index, tile));
        segmenter.segment(&tiles, &mut answers)?;
        answers.chunks_exact(TILE_SCORES).zip(indices).for_each(|(answer, index)| take(index, answer));
    }
    Ok(())
}
