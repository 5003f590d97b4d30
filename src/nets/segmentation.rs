//! The segmentation net: an auto-encoder, its hypercolumns, and a linear head over them.
//!
//! Each 2x2 cell of a 64x64x5 tile becomes one pixel of 20 channels (space to depth), so the dearest level
//! runs at 32x32, and the head gives each cell four scores, one for each of its pixels:
//!
//! ```text
//! 20@32 -> e1@32 -> e2@16 -> e3@8 -> z@8 -> (expand) -> d2@16 -> (narrow) -> d1@32 -> y: 20@32
//! score = sum over e1 e2 e3 z d2 d1 of head(level), added up from the coarsest level, bilinear in between
//! ```
//!
//! The head is *split*: each level's share is applied at the level's own size and only four channels are
//! resized, which equals a 1x1 convolution of the concatenated hypercolumn because both are linear
//! (Hariharan et al. 2015 for hypercolumns). The reconstruction `y` is linear in `d1` and so adds nothing to them.
//! Without the reconstruction as its goal a net has no `y`, and is trained end to end to say of each pixel what it is asked
//! ([`Gives::CentreAndExtent`]).
//!
//! Without a skip the net cannot copy its input, noise included; `skip_weight` lets that much of `e2` and `e1`
//! (or of one of them: [`Skips`]) past the bottleneck and trades noise for faint objects.

use serde::{Deserialize, Serialize};
use tch::{TchError, Tensor};

use super::cells::CELL;
use super::layers::{Conv, channels_last};
use crate::parameters::{Shapes, Tensors};

/// Pixels of a cell, each with a score of its own.
pub const CELL_PIXELS: usize = 4;

/// A level whose features are part of a hypercolumn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Encoder's features of 32 px.
    E1,
    /// Encoder's features of 16 px.
    E2,
    /// Encoder's features of 8 px.
    E3,
    /// Features of the bottleneck, 8 px.
    Z,
    /// Decoder's features of 16 px.
    D2,
    /// Decoder's features of 32 px.
    D1,
}

impl Level {
    /// All, in the order of [`Hypercolumns`].
    pub const ALL: [Self; 6] = [Self::E1, Self::E2, Self::E3, Self::Z, Self::D2, Self::D1];

    /// As parameters are named after it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::E1 => "e1",
            Self::E2 => "e2",
            Self::E3 => "e3",
            Self::Z => "z",
            Self::D2 => "d2",
            Self::D1 => "d1",
        }
    }
}

/// Which of the encoder's features a skip lets past the bottleneck.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Skips {
    /// Both `e2` and `e1`.
    #[default]
    Both,
    /// `e1` alone, of 32 px.
    Fine,
    /// `e2` alone, of 16 px.
    Coarse,
}

impl Skips {
    /// Whether these are the default, which manifests leave out.
    fn are_usual(&self) -> bool {
        *self == Self::default()
    }
}

/// The net's size, as the manifest says it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shape {
    /// Channels at 32, 16 and 8 px.
    pub widths: [usize; 3],
    /// Channels of the bottleneck, at 8 px.
    pub bottleneck: usize,
    /// Share of the encoder's features that is added to the decoder's; 0 is a plain auto-encoder.
    pub skip_weight: f64,
    /// Which of the encoder's features a skip adds.
    #[serde(default, skip_serializing_if = "Skips::are_usual")]
    pub skips: Skips,
}

/// 2,400 tiles/s on an AVX2 core in f32, where the same at 64x64 with twice the convolutions gives 700, and as many
/// objects at equal noise. Widths 16-16-32 gain nothing in time and lose faint objects.
impl Default for Shape {
    fn default() -> Self {
        Self { widths: [16, 32, 64], bottleneck: 8, skip_weight: 0.0, skips: Skips::Both }
    }
}

impl Shape {
    /// Channels of each of [`Level::ALL`].
    pub fn level_widths(&self) -> [usize; 6] {
        let [w1, w2, w3] = self.widths;
        [w1, w2, w3, self.bottleneck, w2, w1]
    }

    /// Names and shapes of the auto-encoder's parameters.
    pub fn autoencoder(&self) -> Shapes {
        [self.features(), Conv::shapes(Autoencoder::RECONSTRUCTION, self.widths[0], CELL, 1)].concat()
    }

    /// The same without those of the reconstruction.
    pub fn features(&self) -> Shapes {
        let [w1, w2, w3] = self.widths;
        [
            Conv::shapes("e1", CELL, w1, 3),
            Conv::shapes("e2", w1, w2, 3),
            Conv::shapes("e3", w2, w3, 3),
            Conv::shapes("z", w3, self.bottleneck, 1),
            Conv::shapes("expand", self.bottleneck, w2, 1),
            Conv::shapes("d2", w2, w2, 3),
            Conv::shapes("narrow", w2, w1, 1),
            Conv::shapes("d1", w1, w1, 3),
        ]
        .concat()
    }

    /// Parameters of the head: one score a pixel.
    pub fn head(&self) -> Shapes {
        self.maps(1)
    }

    /// Parameters of a head that gives each pixel so many numbers.
    pub fn maps(&self, maps: usize) -> Shapes {
        let outputs = maps * CELL_PIXELS;
        let levels = Head::level_names().zip(self.level_widths());
        let weights = levels.map(|(name, width)| (name, vec![outputs, width, 1, 1]));
        weights.chain([(Head::BIAS.to_owned(), vec![outputs])]).collect()
    }

    /// All parameters, as a bundle holds them.
    pub fn parameters(&self, gives: Gives) -> Shapes {
        match gives {
            Gives::Score => [self.autoencoder(), self.head()].concat(),
            Gives::CentreAndExtent => [self.features(), self.maps(gives.maps())].concat(),
        }
    }
}

/// What a net says of each pixel, which is how it was trained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gives {
    /// One score: a head over the hypercolumns of an auto-encoder (the paper's), taught by a classical rule.
    Score,
    /// Log-odds of an object's centre, and of its extent: trained end to end on injected sources.
    #[default]
    CentreAndExtent,
}

impl Gives {
    /// Numbers of each pixel.
    pub const fn maps(self) -> usize {
        match self {
            Self::Score => 1,
            Self::CentreAndExtent => 2,
        }
    }
}

/// Features of all levels, (n, channels, side, side) each, in the order of the module's picture.
#[derive(Debug)]
pub struct Hypercolumns(pub [Tensor; 6]);

/// The auto-encoder: from a tile to hypercolumns, and back to a tile.
#[derive(Debug)]
pub struct Autoencoder {
    e1: Conv,
    e2: Conv,
    e3: Conv,
    z: Conv,
    expand: Conv,
    d2: Conv,
    narrow: Conv,
    d1: Conv,
    y: Option<Conv>,
    skip_weight: f64,
    skips: Skips,
}

/// What the encoder makes of tiles, (n, channels, side, side) each.
#[derive(Debug)]
pub struct Encoded {
    /// Features of 32 px.
    pub e1: Tensor,
    /// Features of 16 px.
    pub e2: Tensor,
    /// Features of 8 px.
    pub e3: Tensor,
    /// The bottleneck, at 8 px.
    pub z: Tensor,
}

impl Autoencoder {
    /// Name of the layer that gives the input back.
    const RECONSTRUCTION: &str = "y";

    /// Over parameters of [`Shape::autoencoder`], or of [`Shape::features`]: it reconstructs nothing then.
    ///
    /// # Errors
    /// For a parameter that is not there.
    pub fn new(tensors: &Tensors, shape: &Shape) -> Result<Self, TchError> {
        let conv = |name, stride| Conv::new(tensors, name, stride);
        Ok(Self {
            e1: conv("e1", 1)?,
            e2: conv("e2", 2)?,
            e3: conv("e3", 2)?,
            z: conv("z", 1)?,
            expand: conv("expand", 1)?,
            d2: conv("d2", 1)?,
            narrow: conv("narrow", 1)?,
            d1: conv("d1", 1)?,
            y: conv(Self::RECONSTRUCTION, 1).ok(),
            skip_weight: shape.skip_weight,
            skips: shape.skips,
        })
    }

    /// (n, 20, 32, 32) of [`super::cells`] -> every level's features.
    ///
    /// # Errors
    /// libtorch's.
    pub fn hypercolumns(&self, cells: &Tensor) -> Result<Hypercolumns, TchError> {
        self.decode(self.encode(cells)?)
    }

    /// (n, 20, 32, 32) of [`super::cells`] -> the encoder's features.
    ///
    /// # Errors
    /// libtorch's.
    pub fn encode(&self, cells: &Tensor) -> Result<Encoded, TchError> {
        let e1 = self.e1.rectified(cells)?;
        let e2 = self.e2.rectified(&e1)?;
        let e3 = self.e3.rectified(&e2)?;
        let z = self.z.linear(&e3)?;
        Ok(Encoded { e1, e2, e3, z })
    }

    /// The encoder's features and the decoder's.
    ///
    /// # Errors
    /// libtorch's.
    pub fn decode(&self, encoded: Encoded) -> Result<Hypercolumns, TchError> {
        let Encoded { e1, e2, e3, z } = encoded;
        let d2 = self.joined(&self.expand.rectified(&z)?, &e2, Skips::Fine)?;
        let d2 = self.d2.rectified(&d2)?;
        let d1 = self.joined(&self.narrow.rectified(&d2)?, &e1, Skips::Coarse)?;
        let d1 = self.d1.rectified(&d1)?;
        Ok(Hypercolumns([e1, e2, e3, z, d2, d1]))
    }

    /// What the net makes of its input, (n, 20, 32, 32), to be compared with it.
    ///
    /// # Errors
    /// libtorch's, and for a net that has no reconstruction.
    pub fn reconstruct(&self, columns: &Hypercolumns) -> Result<Tensor, TchError> {
        let missing = || TchError::TensorNameNotFound(Self::RECONSTRUCTION.to_owned(), "the net".to_owned());
        self.y.as_ref().ok_or_else(missing)?.linear(&columns.0[5])
    }

    /// Twice the size, and the skip, unless its weight is 0 or there are skips `elsewhere` alone.
    fn joined(&self, coarse: &Tensor, encoded: &Tensor, elsewhere: Skips) -> Result<Tensor, TchError> {
        let side = encoded.size()[2];
        let mut fine = coarse.f_upsample_nearest2d([side, side], None, None)?;
        if self.skip_weight != 0.0 && self.skips != elsewhere {
            fine = fine.f_add(&encoded.f_mul_scalar(self.skip_weight)?)?;
        }
        Ok(fine)
    }
}

/// The linear head over hypercolumns.
#[derive(Debug)]
pub struct Head {
    weights: Vec<Tensor>,
    bias: Tensor,
}

impl Head {
    /// Name of the head's bias among the parameters.
    pub const BIAS: &str = "head.bias";

    /// Over parameters of [`Shape::head`] or [`Shape::maps`].
    ///
    /// # Errors
    /// For a parameter that is not there.
    pub fn new(tensors: &Tensors) -> Result<Self, TchError> {
        let weights = Self::level_names().map(|name| tensors.get(&name)).collect::<Result<_, _>>()?;
        Ok(Self { weights, bias: tensors.get(Self::BIAS)? })
    }

    /// Names of its weights, in the levels' order.
    pub fn level_names() -> impl Iterator<Item = String> {
        Level::ALL.iter().map(|level| format!("head.{}.weight", level.name()))
    }

    /// Scores (n, 64, 64): log-odds of belonging to an object, by the teacher's measure.
    ///
    /// # Errors
    /// libtorch's.
    pub fn scores(&self, columns: &Hypercolumns) -> Result<Tensor, TchError> {
        self.maps(columns)?.f_squeeze_dim(1)
    }

    /// Its numbers of each pixel (n, maps, 64, 64).
    ///
    /// # Errors
    /// libtorch's.
    pub fn maps(&self, columns: &Hypercolumns) -> Result<Tensor, TchError> {
        let share =
            |level: usize, bias: Option<&Tensor>| columns.0[level].f_conv2d(&self.weights[level], bias, 1, 0, 1, 1);
        let finer = |t: &Tensor, side: i64| t.f_upsample_bilinear2d([side, side], false, None, None);
        let at_8 = share(2, None)?.f_add(&share(3, None)?)?;
        let at_16 = share(1, None)?.f_add(&share(4, None)?)?.f_add(&finer(&at_8, 16)?)?;
        let at_32 = share(0, Some(&self.bias))?.f_add(&share(5, None)?)?.f_add(&finer(&at_16, 32)?)?;
        at_32.f_pixel_shuffle(2)
    }
}

/// Makes 4-D weights channels-last, in place of [`Tensors::upload`]'s layout.
///
/// # Errors
/// libtorch's.
pub fn with_channels_last(tensors: Tensors) -> Result<Tensors, TchError> {
    (tensors.0.into_iter())
        .map(|(name, t)| Ok((name, if t.dim() == 4 { channels_last(&t)? } else { t })))
        .collect::<Result<_, TchError>>()
        .map(Tensors)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use tch::{Device, Kind};

    use super::*;
    use crate::cells::cells;
    use crate::parameters::{Parameters, Start};
    use twinpeak_core::model::TILE_LEN;

    fn random_net(shape: &Shape) -> (Autoencoder, Head, Tensors) {
        crate::device::start();
        let parameters =
            Parameters::random(&shape.parameters(Gives::Score), Start::He, &mut ChaCha8Rng::seed_from_u64(3));
        let tensors = with_channels_last(Tensors::upload(&parameters, Device::Cpu, Kind::Float).unwrap()).unwrap();
        (Autoencoder::new(&tensors, shape).unwrap(), Head::new(&tensors).unwrap(), tensors)
    }

    fn tiles(n: usize) -> Tensor {
        let values: Vec<f32> = (0..n * TILE_LEN).map(|i| ((i * 7919) % 1013) as f32 / 200.0 - 2.0).collect();
        cells(&values).unwrap()
    }

    /// The split head against its definition: resize and stack all channels, then one 1x1 convolution.
    #[test]
    fn split_head_is_the_head_on_concatenated_hypercolumns() {
        let (net, head, tensors) = random_net(&Shape::default());
        let columns = net.hypercolumns(&tiles(2)).unwrap();
        let fine = |t: &Tensor, side: i64| t.upsample_bilinear2d([side, side], false, None, None);
        let [e1, e2, e3, z, d2, d1] = &columns.0;
        let column = Tensor::cat(
            &[
                e1.shallow_clone(),
                fine(e2, 32),
                fine(&fine(e3, 16), 32),
                fine(&fine(z, 16), 32),
                fine(d2, 32),
                d1.shallow_clone(),
            ],
            1,
        );
        let weight = Tensor::cat(&Head::level_names().map(|name| tensors.get(&name).unwrap()).collect::<Vec<_>>(), 1);
        let direct = column.conv2d(&weight, Some(&tensors.get("head.bias").unwrap()), 1, 0, 1, 1);
        let direct = direct.contiguous().pixel_shuffle(2).squeeze_dim(1);
        let difference = (head.scores(&columns).unwrap() - &direct).abs().max().double_value(&[]);
        assert!(difference < 1e-5 * direct.abs().max().double_value(&[]), "{difference}");
    }

    #[test]
    fn a_skip_changes_the_answer_and_none_is_the_default() {
        let tiles = tiles(1);
        let answer = |skip_weight| {
            let (net, head, _) = random_net(&Shape { skip_weight, ..Shape::default() });
            head.scores(&net.hypercolumns(&tiles).unwrap()).unwrap()
        };
        assert_eq!(answer(0.0), answer(0.0));
        assert_ne!(answer(0.0), answer(0.5));
    }

    #[test]
    fn a_skip_leaves_from_the_levels_that_it_names() {
        let decoded = |skips, skip_weight| {
            let (net, ..) = random_net(&Shape { skip_weight, skips, ..Shape::default() });
            let Hypercolumns([.., d2, d1]) = net.hypercolumns(&tiles(1)).unwrap();
            (d2, d1)
        };
        let (plain_2, plain_1) = decoded(Skips::Both, 0.0);
        let (fine_2, fine_1) = decoded(Skips::Fine, 0.5);
        let (coarse_2, _) = decoded(Skips::Coarse, 0.5);
        assert!(plain_2 == fine_2 && plain_2 != coarse_2 && plain_1 != fine_1);
        assert_eq!(decoded(Skips::Both, 0.5).0, coarse_2);
    }
}
