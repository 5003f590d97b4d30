//! The segmentation net behind its port.

use std::collections::HashMap;

use tch::{Kind, TchError};

use crate::bundle::{Bundle, SegmenterPart};
use crate::cells::cells;
use crate::device::{Chosen, Precision, model_error, start};
use crate::infer::noise_levels::{NoiseLevels, TILES, noise_tiles};
use crate::infer::{judge, pattern};
use crate::parameters::{Parameters, Tensors};
use crate::segmentation::{Autoencoder, Gives, Head, with_channels_last};
use twinpeak_core::frame::{BANDS, PerBand};
use twinpeak_core::model::{MAPS, ModelError, Segmenter, TILE, TILE_LEN, TILE_PIXELS, TILE_SCORES};
use twinpeak_core::tile::bands_seen;

/// The net on a device.
#[derive(Debug)]
pub struct TorchSegmenter {
    autoencoder: Autoencoder,
    head: Head,
    chosen: Chosen,
    gives: Gives,
    batch: usize,
    expected: Vec<f32>,
    /// What the score is on noise, by the bands that a tile has; as they are met.
    levels: HashMap<PerBand<bool>, Option<NoiseLevels>>,
}

impl TorchSegmenter {
    /// Copies the bundle's net to the device and runs one batch, so that a device that cannot serve is found now.
    ///
    /// # Errors
    /// [`ModelError`] when the device fails or answers nonsense.
    pub fn new(bundle: &Bundle, chosen: &Chosen) -> Result<Self, ModelError> {
        Self::of(bundle.segmenter(), &bundle.manifest().segmenter, chosen)
    }

    /// The same for a net that is in no bundle yet. `parameters` hold at least those of `part.shape`.
    ///
    /// # Errors
    /// [`ModelError`] when the device fails or answers nonsense.
    pub fn of(parameters: &Parameters, part: &SegmenterPart, chosen: &Chosen) -> Result<Self, ModelError> {
        let failed = |e: TchError| model_error(&chosen.name, &e);
        let kind = match chosen.precision {
            Precision::F32 => Kind::Float,
            Precision::Bf16 => Kind::BFloat16,
        };
        let _no_grad = tch::no_grad_guard();
        let tensors = Tensors::upload(parameters, chosen.device, kind).and_then(with_channels_last);
        let tensors = tensors.map_err(failed)?;
        let mut segmenter = Self {
            autoencoder: Autoencoder::new(&tensors, &part.shape).map_err(failed)?,
            head: Head::new(&tensors).map_err(failed)?,
            chosen: chosen.clone(),
            gives: part.gives,
            batch: part.batch,
            expected: part.probe.clone(),
            levels: HashMap::new(),
        };
        segmenter.probe()?;
        Ok(segmenter)
    }

    /// What the bundle's `probe` holds once this has been run on a CPU in f32.
    ///
    /// # Errors
    /// [`ModelError`] when the device fails.
    pub fn probe_answers(&mut self) -> Result<Vec<f32>, ModelError> {
        let mut scores = vec![f32::NAN; self.batch * TILE_SCORES];
        self.segment(&pattern(self.batch * TILE_LEN), &mut scores)?;
        // One pixel in 257 of both maps: some of every column, row and corner of a cell.
        Ok(scores[..TILE_SCORES].iter().step_by(257).copied().collect())
    }

    fn run(&self, tiles: &[f32], scores: &mut [f32]) -> Result<(), TchError> {
        start();
        let _no_grad = tch::no_grad_guard();
        let mut cells = cells(tiles)?.f_to_device(self.chosen.device)?;
        if self.chosen.precision == Precision::Bf16 {
            cells = cells.f_to_kind(Kind::BFloat16)?;
        }
        let columns = self.autoencoder.hypercolumns(&cells)?;
        // One score answers both questions.
        let side = TILE as i64;
        let answer = self.head.maps(&columns)?.f_expand([-1, MAPS as i64, side, side], false)?;
        let answer = answer.f_to_kind(Kind::Float)?.f_to_device(tch::Device::Cpu)?;
        answer.f_contiguous()?.f_copy_data(scores, scores.len())
    }
}

impl TorchSegmenter {
    /// The score's levels on noise in these bands.
    fn levels(&mut self, seen: PerBand<bool>) -> Result<Option<NoiseLevels>, TchError> {
        if let Some(known) = self.levels.get(&seen) {
            return Ok(*known);
        }
        let (mut scores, mut centres) = (vec![0.0; self.batch * TILE_SCORES], Vec::new());
        for number in 0..TILES.div_ceil(self.batch) as u64 {
            self.run(&noise_tiles(self.batch, number, seen), &mut scores)?;
            scores.chunks_exact(TILE_SCORES).for_each(|tile| centres.extend_from_slice(&tile[..TILE_PIXELS]));
        }
        let levels = NoiseLevels::of(centres);
        self.levels.insert(seen, levels);
        Ok(levels)
    }

    /// The net's scores, each tile's on the scale of those that have all bands.
    fn answer(&mut self, tiles: &[f32], scores: &mut [f32]) -> Result<(), TchError> {
        self.run(tiles, scores)?;
        let mut each = tiles.chunks_exact(TILE_LEN).zip(scores.chunks_exact_mut(TILE_SCORES));
        each.try_for_each(|(tile, scores)| self.rescale(tile, scores))
    }

    /// Brings the scores of a tile that lacks bands to the scale of those that have all; an empty tile stays as it is. Of
    /// two scores that of centres alone, which a threshold is set for: an extent's log-odds are what they say.
    fn rescale(&mut self, tile: &[f32], scores: &mut [f32]) -> Result<(), TchError> {
        let (seen, all) = (bands_seen(tile), [true; BANDS]);
        if seen == all || seen == [false; BANDS] {
            return Ok(());
        }
        if let (Some(here), Some(all)) = (self.levels(seen)?, self.levels(all)?) {
            let scaled = if self.gives == Gives::Score { TILE_SCORES } else { TILE_PIXELS };
            scores[..scaled].iter_mut().for_each(|score| *score = here.to(all, *score));
        }
        Ok(())
    }
}

impl Segmenter for TorchSegmenter {
    fn batch(&self) -> usize {
        self.batch
    }

    fn segment(&mut self, tiles: &[f32], scores: &mut [f32]) -> Result<(), ModelError> {
        self.answer(tiles, scores).map_err(|e| model_error(&self.chosen.name, &e))
    }

    /// The answer must be what the trainer got on a processor, within the tolerance.
    fn probe(&mut self) -> Result<(), ModelError> {
        let answers = self.probe_answers()?;
        judge(&self.chosen, &answers, &self.expected)
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use rand_distr::StandardNormal;

    use super::*;
    use crate::bundle::testing;
    use crate::device::{Wanted, choose};
    use crate::infer::BF16_TOLERANCE;

    fn noise(n: usize, rng: &mut ChaCha8Rng) -> Vec<f32> {
        (0..n).map(|_| rng.sample::<f32, _>(StandardNormal) * 2.0).collect()
    }

    fn answer(segmenter: &mut TorchSegmenter, tiles: &[f32]) -> Vec<f32> {
        let mut scores = vec![0.0; segmenter.batch() * TILE_SCORES];
        segmenter.segment(tiles, &mut scores).unwrap();
        scores
    }

    #[test]
    fn a_tile_scores_the_same_bits_in_every_slot_beside_any_neighbours() {
        let bundle = testing::bundle();
        let mut segmenter = TorchSegmenter::new(&bundle, &choose(Wanted::Cpu).unwrap()).unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let tile = noise(TILE_LEN, &mut rng);
        let mut first: Option<Vec<u32>> = None;
        for slot in 0..segmenter.batch() {
            let mut tiles = noise(segmenter.batch() * TILE_LEN, &mut rng);
            tiles[slot * TILE_LEN..][..TILE_LEN].copy_from_slice(&tile);
            let scores = answer(&mut segmenter, &tiles);
            let bits: Vec<u32> = scores[slot * TILE_SCORES..][..TILE_SCORES].iter().map(|s| s.to_bits()).collect();
            assert_eq!(first.get_or_insert_with(|| bits.clone()), &bits, "slot {slot}");
        }
    }

    #[test]
    fn a_device_that_answers_otherwise_is_not_trusted() {
        let bundle = testing::bundle();
        let cpu = choose(Wanted::Cpu).unwrap();
        let part = &bundle.manifest().segmenter;
        let mut probe = TorchSegmenter::of(bundle.segmenter(), part, &cpu).unwrap().probe_answers().unwrap();
        let with = |probe: &[f32]| {
            let part = SegmenterPart { probe: probe.to_vec(), ..part.clone() };
            TorchSegmenter::of(bundle.segmenter(), &part, &cpu)
        };
        assert!(with(&probe).is_ok());
        probe[3] += 2.0 * BF16_TOLERANCE * probe[3].abs().max(1.0); // no processor's precision explains that
        assert!(matches!(with(&probe), Err(ModelError::DeviceLost { .. })));
    }

    /// Noise without a band reaches as high as noise with all of them, and a tile without anything stays as it is.
    #[test]
    fn a_tile_that_lacks_bands_is_scored_on_the_scale_of_the_others() {
        let bundle = testing::bundle();
        let mut segmenter = TorchSegmenter::new(&bundle, &choose(Wanted::Cpu).unwrap()).unwrap();
        let mut sorted = |seen: PerBand<bool>| {
            let mut scores = Vec::new();
            for number in 100..132 {
                let answers = answer(&mut segmenter, &noise_tiles(bundle.manifest().segmenter.batch, number, seen));
                answers.chunks_exact(TILE_SCORES).for_each(|tile| scores.extend_from_slice(&tile[..TILE_PIXELS]));
            }
            scores.sort_by(f32::total_cmp);
            scores
        };
        let all = sorted([true; BANDS]);
        let at = |scores: &[f32], share: f64| scores[(share * scores.len() as f64) as usize];
        let spread = at(&all, 0.999) - at(&all, 0.5);
        for seen in [[true, true, true, false, true], [false, false, true, false, true]] {
            let fewer = sorted(seen);
            for share in [0.5, 0.999] {
                let apart = (at(&fewer, share) - at(&all, share)).abs() / spread;
                assert!(apart < 0.1, "{seen:?} at {share}: {apart}");
            }
        }
        let empty = vec![0.0; bundle.manifest().segmenter.batch * TILE_LEN];
        let mut plain = vec![0.0; bundle.manifest().segmenter.batch * TILE_SCORES];
        segmenter.run(&empty, &mut plain).unwrap();
        assert_eq!(answer(&mut segmenter, &empty), plain);
    }

    #[test]
    fn bf16_agrees_with_f32() {
        let bundle = testing::bundle();
        let cpu = choose(Wanted::Cpu).unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let with = |precision| TorchSegmenter::new(&bundle, &Chosen { precision, ..cpu.clone() }).unwrap();
        let (mut wide, mut narrow) = (with(Precision::F32), with(Precision::Bf16));
        let tiles = noise(wide.batch() * TILE_LEN, &mut rng);
        let (a, b) = (answer(&mut wide, &tiles), answer(&mut narrow, &tiles));
        let apart = |(a, b): (&f32, &f32)| (a - b).abs() / a.abs().max(1.0);
        let worst = a.iter().zip(&b).map(apart).fold(0.0, f32::max);
        println!("bf16 against f32: {worst} at worst");
        assert!(worst > 0.0 && worst < crate::infer::BF16_TOLERANCE, "{worst}");
    }
}
