//! Independent random streams, one for each thing that is drawn.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::spec::Spec;

/// What a stream is for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Purpose {
    /// Pointing, seeing and sky of the field.
    Conditions,
    /// Places, magnitudes and shapes of the objects.
    Objects,
    /// Bad columns and cosmic rays.
    Defects,
    /// Noise of photons and of read-out.
    Noise,
    /// Places and magnitudes of a cluster's stars.
    Cluster,
    /// The parts of a large spiral.
    Spiral,
    /// Trails of satellites.
    Trails,
    /// What is put in the place of saturated cores.
    Cores,
    /// How far the headers' coordinates are off.
    Astrometry,
}

impl Purpose {
    /// True of what is in the sky, which is the same at each visit.
    const fn is_sky(self) -> bool {
        matches!(self, Self::Objects | Self::Cluster | Self::Spiral)
    }
}

/// The stream `index` of one purpose and band. Seed, field, visit, purpose and band are the cipher's key itself, so no
/// two of them can share a stream.
pub(super) fn stream(spec: &Spec, purpose: Purpose, band: usize, index: u64) -> ChaCha8Rng {
    let visit = if purpose.is_sky() { 0 } else { u64::from(spec.visit) };
    let mut key = [0u8; 32];
    let words = [spec.seed, u64::from(spec.field), visit << 32 | purpose as u64, band as u64];
    for (part, word) in key.chunks_exact_mut(8).zip(words) {
        part.copy_from_slice(&word.to_le_bytes());
    }
    let mut rng = ChaCha8Rng::from_seed(key);
    rng.set_stream(index);
    rng
}
