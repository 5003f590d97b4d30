//! Cutouts, packed. A pixel's value v, in units of its band's sky noise, becomes the whole number
//!
//! ```text
//! q = round(4096 asinh(v / 256)),   v' = 256 sinh(q / 4096)
//! ```
//!
//! (asinh companding, as Lupton, Gunn & Szalay 1999 do for magnitudes). Its step is
//! sqrt(v^2 + 256^2) / 4096: 1/16 of the sky's noise at the sky, 1/4096 of the value far above it, so that
//! |v' - v| <= half of that (and a rounding of f32). Rounding adds (1/16)^2 / 12, three parts in ten thousand, to
//! the sky's variance, and always less than 1/50 to that of a bright pixel's photons: nothing that a measurement sees.
//! 16 bits reach 381,000 sigma, far above saturation.
//!
//! Signs are folded in (0, -1, 1, -2, ... become 0, 1, 2, 3, ...), low bytes go before high ones, and each cutout is
//! packed by itself (zstd, level 1): some 16 kB instead of 82, next to what noise of that step takes at least (15.5).
//! Deflate takes as much room and seven times as long to unpack.

use std::sync::LazyLock;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use super::Damage;
use twinpeak_core::model::TILE_LEN;

/// Steps in a factor e far above the sky.
const STEPS: f64 = 4096.0;
/// Where rounding turns from absolute to relative, sigma.
const BEND_SIGMA: f64 = 256.0;
/// Higher levels gain nothing on noise.
const LEVEL: i32 = 1;

/// Values of all folded numbers: a table, for a training unpacks every cutout once a pass.
static VALUES: LazyLock<Vec<f32>> = LazyLock::new(|| (0..=u16::MAX).map(value).collect());

fn value(folded: u16) -> f32 {
    let q = (folded >> 1) as i16 ^ -((folded & 1) as i16);
    (BEND_SIGMA * (f64::from(q) / STEPS).sinh()) as f32
}

/// One shard's cutouts, packed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cutouts(Vec<Vec<u8>>);

/// Packs a cutout of [`TILE_LEN`] values in units of sky noise, NHWC.
pub(super) fn pack(cutout: &[f32]) -> Vec<u8> {
    let whole = |&v: &f32| {
        // A float that is too large, or none, is cut to the range by `as`.
        let q = (STEPS * (f64::from(v) / BEND_SIGMA).asinh()).round() as i16;
        ((q << 1) ^ (q >> 15)) as u16
    };
    let folded: Vec<u16> = cutout.iter().map(whole).collect();
    let low = folded.iter().map(|v| *v as u8);
    let bytes: Vec<u8> = low.chain(folded.iter().map(|v| (v >> 8) as u8)).collect();
    zstd::bulk::compress(&bytes, LEVEL).expect("packing in memory, at a level that there is, does not fail")
}

impl Cutouts {
    /// Cutouts that are packed already, one an object.
    pub(super) fn new(packed: Vec<Vec<u8>>) -> Self {
        Self(packed)
    }

    /// Number of objects.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no object.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Keeps the first `objects` and drops the others.
    pub fn truncate(&mut self, objects: usize) {
        self.0.truncate(objects);
    }

    /// Unpacks one, appending [`TILE_LEN`] values in units of sky noise, NHWC.
    ///
    /// # Errors
    /// [`Damage::Cutout`]
    pub fn unpack(&self, index: usize, to: &mut Vec<f32>) -> Result<(), Damage> {
        let packed = self.0.get(index).ok_or(Damage::Cutout { index })?;
        let bytes = zstd::bulk::decompress(packed, 2 * TILE_LEN).unwrap_or_default();
        if bytes.len() != 2 * TILE_LEN {
            return Err(Damage::Cutout { index });
        }
        let (low, high) = bytes.split_at(TILE_LEN);
        to.extend(low.iter().zip(high).map(|(&low, &high)| VALUES[usize::from(u16::from_le_bytes([low, high]))]));
        Ok(())
    }

    /// As one file's content: all packed bytes, and where each cutout ends.
    pub(super) fn encode(&self) -> Vec<u8> {
        let ends = self.0.iter().scan(0u64, |end, packed| {
            *end += packed.len() as u64;
            Some(*end)
        });
        let (ends, bytes): (Vec<u8>, Vec<u8>) = (ends.flat_map(u64::to_le_bytes).collect(), self.0.concat());
        let view =
            |dtype, length, bytes| TensorView::new(dtype, vec![length], bytes).expect("as many bytes as it says");
        let arrays = [("ends", view(Dtype::U64, self.0.len(), &ends)), ("bytes", view(Dtype::U8, bytes.len(), &bytes))];
        safetensors::serialize(arrays, None).expect("names differ, and shapes fit")
    }

    /// What [`Self::encode`] wrote.
    ///
    /// # Errors
    /// [`Damage`]
    pub(super) fn decode(content: &[u8]) -> Result<Self, Damage> {
        let arrays = SafeTensors::deserialize(content)?;
        let (ends, bytes) = (arrays.tensor("ends")?, arrays.tensor("bytes")?);
        let damage = || Damage::Column { name: "ends" };
        let mut packed = Vec::with_capacity(ends.data().len() / 8);
        let mut start = 0;
        for end in ends.data().chunks_exact(8) {
            let end = end.try_into().map(u64::from_le_bytes).ok().and_then(|end| usize::try_from(end).ok());
            let end = end.ok_or_else(damage)?;
            packed.push(bytes.data().get(start..end).ok_or_else(damage)?.to_vec());
            start = end;
        }
        Ok(Self(packed))
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, StandardNormal};

    use super::*;

    fn noise(seed: u64, scale: f64) -> Vec<f32> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let normal = |_| {
            let unit: f64 = StandardNormal.sample(&mut random);
            (unit * scale) as f32
        };
        (0..TILE_LEN).map(normal).collect()
    }

    fn again(cutout: &[f32]) -> Vec<f32> {
        let mut out = Vec::new();
        Cutouts::new(vec![pack(cutout)]).unpack(0, &mut out).unwrap();
        out
    }

    #[test]
    fn a_value_is_kept_to_half_a_step() {
        for scale in [0.01, 1.0, 30.0, 1e3, 3e4, 1e5] {
            let cutout: Vec<f32> = noise(1, scale).iter().map(|v| v.clamp(-3.8e5, 3.8e5)).collect();
            for (kept, v) in again(&cutout).iter().zip(&cutout) {
                let v = f64::from(*v);
                // The step grows by a part in 8192 over its own half; 1e-6: f32.
                let half_step = v.hypot(256.0) / 8192.0 * (1.0 + 2e-4) + v.abs() * 1e-6;
                assert!((f64::from(*kept) - v).abs() <= half_step, "{kept} {v}");
            }
        }
        assert_eq!(again(&vec![0.0; TILE_LEN]), vec![0.0; TILE_LEN]);
        let mut strange = vec![0.0; TILE_LEN];
        (strange[0], strange[1], strange[2]) = (f32::NAN, f32::INFINITY, f32::NEG_INFINITY);
        let kept = again(&strange);
        assert_eq!(kept[0], 0.0);
        assert!(kept[1] > 3.8e5 && kept[2] < -3.8e5 && kept.iter().all(|v| v.is_finite()));
    }

    #[test]
    fn sky_takes_two_bytes_in_ten() {
        let (cutout, kept) = (noise(2, 1.0), again(&noise(2, 1.0)));
        let bytes = pack(&cutout).len();
        assert!((15_400..17_000).contains(&bytes), "{bytes}"); // 6.05 bits of entropy a pixel are 15,480
        let added = cutout.iter().zip(&kept).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>() / TILE_LEN as f64;
        assert!((added / (1.0 / 256.0 / 12.0) - 1.0).abs() < 0.1, "{added}");
    }

    #[test]
    fn a_file_holds_them_in_order() {
        let cutouts = Cutouts::new((0..3).map(|i| pack(&noise(i, 1.0))).collect());
        assert_eq!(Cutouts::decode(&cutouts.encode()).unwrap(), cutouts);
        assert_eq!(Cutouts::decode(&Cutouts::default().encode()).unwrap(), Cutouts::default());
        let damage = Cutouts::new(vec![vec![1, 2, 3]]).unpack(0, &mut Vec::new()).unwrap_err();
        assert_eq!(damage.to_string(), "cutout 0 cannot be unpacked");
        assert!(cutouts.unpack(3, &mut Vec::new()).is_err());
    }
}
