//! Background and object as two clusters of hypercolumns: the paper's own way from features to a mask (section 5).
//!
//! A pixel's hypercolumn is all levels' features, resized to the tile, with the net's reconstruction of the pixel itself;
//! of the four pixels of a cell the former are the same and the latter is not. Channels are standardised and turned to
//! their principal components, in which k-means or two Gaussians are fitted to some thousand pixels. The object is
//! the cluster whose pixels are the brighter ones: no label is needed.
//!
//! Standardising, turning and resizing are all linear, so a fitted clustering is a [`Head`] with as many maps as there are
//! components, and then a rule over these: a fraction of the cost of stacking 188 channels at full size. The rule's value
//! (difference of squared distances, or log-odds) is the score; the clusters part at 0, and a threshold that
//! suits the noise has to be found elsewhere.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, TchError, Tensor, no_grad};

use crate::LabError;
use crate::manifold::{KMeans, KMeansSettings, ManifoldError, Mixture, MixtureSettings, Pca, Points, Scaling};
use twinpeak_core::frame::BANDS;
use twinpeak_core::model::{ModelError, Segmenter, TILE, TILE_PIXELS, TILE_SCORES};
use twinpeak_learn::LearnError;
use twinpeak_learn::segment::TileSampler;
use twinpeak_nets::cells::{CELL, SIDE, cells};
use twinpeak_nets::device::model_error;
use twinpeak_nets::parameters::{Array, Parameters, Tensors};
use twinpeak_nets::segmentation::{Autoencoder, CELL_PIXELS, Head, Hypercolumns, Shape, with_channels_last};

/// Tiles that go through the net together.
const BATCH: usize = 16;
/// Pixels that are drawn from each tile.
const PIXELS_A_TILE: usize = 32;

/// How the clusters are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClusterRule {
    /// The nearer of two centres.
    KMeans,
    /// The likelier of two Gaussians.
    Mixture,
}

/// How pixels' hypercolumns are parted into two clusters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClusterSettings {
    /// How the two clusters are told apart.
    pub rule: ClusterRule,
    /// Principal components of the hypercolumns that the clusters are sought in.
    pub components: usize,
    /// Pixels that they are fitted to.
    pub pixels: usize,
    /// Seeds the choice of pixels and the starts.
    pub seed: u64,
}

enum Rule {
    KMeans(KMeans),
    Mixture(Mixture),
}

impl Rule {
    fn scalar(&self, points: &Points) -> Result<Vec<f64>, ManifoldError> {
        match self {
            Self::KMeans(found) => found.scalar(points),
            Self::Mixture(found) => found.scalar(points),
        }
    }
}

/// Two clusters of a net's hypercolumns.
pub struct Clusters {
    /// The way to the principal components, as [`Shape::maps`].
    maps: Parameters,
    rule: Rule,
    /// -1 where the rule's second cluster is the background.
    sign: f64,
}

/// Fits them to hypercolumns of a trained auto-encoder ([`Shape::autoencoder`]) on tiles that are drawn here.
///
/// # Errors
/// [`LabError`], a clustering that fails among them.
pub fn fit(
    sampler: &TileSampler,
    autoencoder: &Parameters,
    shape: &Shape,
    settings: &ClusterSettings,
) -> Result<Clusters, LabError> {
    twinpeak_nets::device::start();
    let torch = |source| LearnError::Torch { net: "segmenter-clusters".to_owned(), source };
    let tensors = Tensors::upload(autoencoder, Device::Cpu, Kind::Float).and_then(with_channels_last).map_err(torch)?;
    let net = Autoencoder::new(&tensors, shape).map_err(torch)?;
    let sample = sample(sampler, &net, settings).map_err(torch)?;
    let points = Points::new(width(shape), sample.columns)?;
    let scaling = Scaling::of(&points);
    let points = scaling.apply(&points)?;
    let pca = Pca::fit(&points, settings.components)?;
    let points = pca.apply(&points)?;
    let seed = settings.seed;
    let rule = match settings.rule {
        ClusterRule::KMeans => Rule::KMeans(KMeans::fit(&points, &KMeansSettings { seed, ..Default::default() })?),
        ClusterRule::Mixture => Rule::Mixture(Mixture::fit(&points, &MixtureSettings { seed, restarts: 2 })?),
    };
    let second: Vec<bool> = rule.scalar(&points)?.iter().map(|s| *s > 0.0).collect();
    let brightness = |class: bool| {
        let members = sample.brightness.iter().zip(&second).filter(|(_, s)| **s == class);
        let (sum, count) = members.fold((0.0, 0.0f64), |(sum, count), (b, _)| (sum + f64::from(*b), count + 1.0));
        sum / count.max(1.0)
    };
    let sign = if brightness(true) < brightness(false) { -1.0 } else { 1.0 };
    Ok(Clusters { maps: folded(shape, autoencoder, &scaling, &pca), rule, sign })
}

/// Channels of a pixel's hypercolumn.
fn width(shape: &Shape) -> usize {
    shape.level_widths().iter().sum::<usize>() + BANDS
}

/// Some pixels: hypercolumns, one after the other, and how bright the smoothed image is there.
struct Sample {
    columns: Vec<f64>,
    brightness: Vec<f32>,
}

fn sample(sampler: &TileSampler, net: &Autoencoder, settings: &ClusterSettings) -> Result<Sample, TchError> {
    let mut rng = ChaCha8Rng::seed_from_u64(settings.seed);
    let mut sample = Sample { columns: Vec::new(), brightness: Vec::new() };
    while sample.brightness.len() < settings.pixels {
        let (mut pixels, mut extent) = (Vec::new(), Vec::new());
        for _ in 0..BATCH {
            let place = sampler.draw(&mut rng);
            let frame = &sampler.frames[place.frame];
            place.cut_bands(&frame.planes, &mut pixels);
            place.cut(&frame.pseudo_labels.extent, &mut extent);
        }
        let (columns, made) = no_grad(|| {
            let columns = net.hypercolumns(&cells(&pixels)?)?;
            Ok::<_, TchError>((rows(&stacked(&columns)?)?, rows(&net.reconstruct(&columns)?)?))
        })?;
        let channels = columns.len() / (BATCH * SIDE * SIDE);
        for tile in 0..BATCH {
            for _ in 0..PIXELS_A_TILE {
                let (x, y) = (rng.random_range(0..TILE), rng.random_range(0..TILE));
                let cell = (tile * SIDE + y / 2) * SIDE + x / 2;
                let own = cell * CELL + BANDS * (2 * (y % 2) + x % 2);
                sample.columns.extend(columns[cell * channels..][..channels].iter().map(|&v| f64::from(v)));
                sample.columns.extend(made[own..][..BANDS].iter().map(|&v| f64::from(v)));
                sample.brightness.push(extent[(tile * TILE + y) * TILE + x]);
            }
        }
    }
    Ok(sample)
}

/// All levels at 32 px, (n, channels, 32, 32), resized as [`Head`] does it.
fn stacked(columns: &Hypercolumns) -> Result<Tensor, TchError> {
    let fine = |t: &Tensor, side: i64| t.f_upsample_bilinear2d([side, side], false, None, None);
    let [e1, e2, e3, z, d2, d1] = &columns.0;
    let twice = |t: &Tensor| fine(&fine(t, 16)?, 32);
    Tensor::f_cat(&[e1, &fine(e2, 32)?, &twice(e3)?, &twice(z)?, &fine(d2, 32)?, d1], 1)
}

/// Values of (n, channels, 32, 32), channels fastest.
fn rows(t: &Tensor) -> Result<Vec<f32>, TchError> {
    Vec::try_from(t.f_permute([0, 2, 3, 1])?.f_reshape([-1])?.f_contiguous()?)
}

/// From features to standardised principal components as one linear layer a level. The reconstruction is itself a layer
/// over the last level, so its part goes into that one's, for each pixel of a cell its own.
fn folded(shape: &Shape, autoencoder: &Parameters, scaling: &Scaling, pca: &Pca) -> Parameters {
    let mut maps = Parameters::default();
    let widths = shape.level_widths();
    let levels: usize = widths.iter().sum();
    let share = |axis: &[f64], channel: usize| axis[channel] / scaling.deviation[channel];
    let values = |name: &str| autoencoder.0.get(name).map_or(&[][..], |a| a.values.as_slice());
    let (weight, bias) = (values("y.weight"), values("y.bias"));
    let last = widths[widths.len() - 1];
    let mut from = 0;
    for ((level, name), width) in Head::level_names().enumerate().zip(widths) {
        let mut values = Vec::with_capacity(pca.components.len() * CELL_PIXELS * width);
        for axis in &pca.components {
            for pixel in 0..CELL_PIXELS {
                let through = |channel: usize| -> f64 {
                    let of_band =
                        |b: usize| share(axis, levels + b) * f64::from(weight[(BANDS * pixel + b) * last + channel]);
                    (0..BANDS).map(of_band).sum()
                };
                let own = (0..width).map(|c| share(axis, from + c));
                values.extend(
                    own.enumerate().map(|(c, v)| (v + if level + 1 == widths.len() { through(c) } else { 0.0 }) as f32),
                );
            }
        }
        maps.0.insert(name, Array { shape: vec![pca.components.len() * CELL_PIXELS, width, 1, 1], values });
        from += width;
    }
    let mut offsets = Vec::with_capacity(pca.components.len() * CELL_PIXELS);
    for axis in &pca.components {
        let mean = |c: usize| scaling.mean[c] / scaling.deviation[c] + pca.mean[c];
        let at_mean: f64 = axis.iter().enumerate().map(|(c, a)| a * mean(c)).sum();
        for pixel in 0..CELL_PIXELS {
            let of_bias: f64 = (0..BANDS).map(|b| share(axis, levels + b) * f64::from(bias[BANDS * pixel + b])).sum();
            offsets.push((of_bias - at_mean) as f32);
        }
    }
    maps.0.insert(Head::BIAS.to_owned(), Array { shape: vec![offsets.len()], values: offsets });
    maps
}

/// A net that finds objects by its clusters.
pub struct Clustered {
    net: Autoencoder,
    maps: Head,
    rule: Rule,
    sign: f64,
    batch: usize,
}

impl Clustered {
    /// Over a trained auto-encoder and its clusters, on the processor.
    ///
    /// # Errors
    /// libtorch's.
    pub fn new(autoencoder: &Parameters, shape: &Shape, clusters: Clusters, batch: usize) -> Result<Self, ModelError> {
        twinpeak_nets::device::start();
        let built = || {
            let net = Tensors::upload(autoencoder, Device::Cpu, Kind::Float).and_then(with_channels_last)?;
            let maps = Tensors::upload(&clusters.maps, Device::Cpu, Kind::Float).and_then(with_channels_last)?;
            Ok((Autoencoder::new(&net, shape)?, Head::new(&maps)?))
        };
        let (net, maps) = built().map_err(|e: TchError| model_error(DEVICE, &e))?;
        Ok(Self { net, maps, rule: clusters.rule, sign: clusters.sign, batch })
    }

    /// Principal components of each pixel of tiles, pixel after pixel.
    fn coordinates(&self, tiles: &[f32]) -> Result<(usize, Vec<f64>), TchError> {
        let _no_grad = tch::no_grad_guard();
        let maps = self.maps.maps(&self.net.hypercolumns(&cells(tiles)?)?)?;
        let components = maps.size()[1] as usize;
        let rows = maps.f_permute([0, 2, 3, 1])?.f_to_kind(Kind::Double)?.f_reshape([-1])?.f_contiguous()?;
        Ok((components, Vec::try_from(rows)?))
    }
}

const DEVICE: &str = "cpu";

impl Segmenter for Clustered {
    fn batch(&self) -> usize {
        self.batch
    }

    fn segment(&mut self, tiles: &[f32], scores: &mut [f32]) -> Result<(), ModelError> {
        twinpeak_nets::device::start();
        let (width, values) = self.coordinates(tiles).map_err(|e| model_error(DEVICE, &e))?;
        let lost = |e: ManifoldError| ModelError::DeviceLost { device: DEVICE.to_owned(), message: e.to_string() };
        let found = Points::new(width, values).and_then(|points| self.rule.scalar(&points)).map_err(lost)?;
        debug_assert_eq!(found.len(), self.batch * TILE_PIXELS);
        // One score answers both questions.
        for (scores, found) in scores.chunks_exact_mut(TILE_SCORES).zip(found.chunks_exact(TILE_PIXELS)) {
            for map in scores.chunks_exact_mut(TILE_PIXELS) {
                map.iter_mut().zip(found).for_each(|(score, value)| *score = (self.sign * value) as f32);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use twinpeak_core::model::TILE_LEN;
    use twinpeak_nets::parameters::Start;

    /// The folded layers against their definition: stack, standardise, turn.
    #[test]
    fn a_head_of_maps_gives_each_pixels_principal_components() {
        let shape = Shape::default();
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let autoencoder = Parameters::random(&shape.autoencoder(), Start::He, &mut rng);
        let tensors = Tensors::upload(&autoencoder, Device::Cpu, Kind::Float).and_then(with_channels_last).unwrap();
        let net = Autoencoder::new(&tensors, &shape).unwrap();
        let tiles: Vec<f32> = (0..TILE_LEN).map(|_| rng.random_range(-3.0..6.0)).collect();
        let columns = net.hypercolumns(&cells(&tiles).unwrap()).unwrap();
        let (stacked, made) =
            (rows(&stacked(&columns).unwrap()).unwrap(), rows(&net.reconstruct(&columns).unwrap()).unwrap());
        let channels = stacked.len() / (SIDE * SIDE);
        let pixel = |i: usize| {
            let (x, y) = (i % TILE, i / TILE);
            let cell = y / 2 * SIDE + x / 2;
            let own = cell * CELL + BANDS * (2 * (y % 2) + x % 2);
            [&stacked[cell * channels..][..channels], &made[own..][..BANDS]].concat()
        };
        let all = (0..TILE_PIXELS).flat_map(|i| pixel(i).into_iter().map(f64::from)).collect();
        let points = Points::new(width(&shape), all).unwrap();
        let scaling = Scaling::of(&points);
        let scaled = scaling.apply(&points).unwrap();
        let pca = Pca::fit(&scaled, 3).unwrap();
        let expected = pca.apply(&scaled).unwrap();

        let maps = folded(&shape, &autoencoder, &scaling, &pca);
        assert_eq!(maps.check(&shape.maps(3)), Ok(()));
        let rule = Rule::KMeans(KMeans { centres: [vec![0.0; 3], vec![1.0; 3]], inertia: 0.0 });
        let clustered = Clustered::new(&autoencoder, &shape, Clusters { maps, rule, sign: 1.0 }, 1).unwrap();
        let (components, found) = clustered.coordinates(&tiles).unwrap();
        assert_eq!((components, found.len()), (3, expected.values().len()));
        let largest = expected.values().iter().fold(0.0f64, |m, v| m.max(v.abs()));
        for (a, b) in found.iter().zip(expected.values()) {
            assert!((a - b).abs() < 1e-4 * largest, "{a} for {b}");
        }
    }
}
