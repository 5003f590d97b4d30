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
}

/// The stream `index` of one purpose and band. Seed, field, purpose and band are the cipher's key itself, so no
/// two of them can share a stream.
pub(super) fn stream(spec: &Spec, purpose: Purpose, band: usize, index: u64) -> ChaCha8Rng {
    let mut key = [0u8; 32];
    let words = [spec.seed, u64::from(spec.field), purpose as u64, band as u64];
    for (part, word) in key.chunks_exact_mut(8).zip(words) {
        part.copy_from_slice(&word.to_le_bytes());
    }
    let mut rng = ChaCha8Rng::from_seed(key);
    rng.set_stream(index);
    rng
}
