//! From the whole numbers of a compressed floating-point image back to fluxes: scale, zero and the
//! subtractive dither that the FITS standard defines (appendix I: Park and Miller's generator).

use std::sync::LazyLock;

/// Length of the standard's sequence of random numbers.
const RANDOMS: usize = 10_000;
/// What the second dither method stores for an exact zero.
const ZERO: i32 = -2_147_483_646;

static SEQUENCE: LazyLock<Vec<f32>> = LazyLock::new(|| {
    let (multiplier, modulus) = (16_807.0_f64, 2_147_483_647.0_f64);
    let mut seed = 1.0;
    (0..RANDOMS)
        .map(|_| {
            seed = (multiplier * seed) % modulus;
            (seed / modulus) as f32
        })
        .collect()
});

/// How an image was quantised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    /// Rounded.
    Plain,
    /// Random numbers added before rounding; they are taken off again.
    Subtractive,
    /// The same, but exact zeros were kept.
    SubtractiveKeepingZeros,
}

/// One tile's way back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quantised {
    pub method: Method,
    /// Where in the sequence the tile begins: its number from 0, plus the image's offset.
    pub seed: usize,
    pub scale: f64,
    pub zero: f64,
    /// The number that stands for no measurement.
    pub blank: Option<i32>,
}

impl Quantised {
    /// Fluxes of a tile's numbers, NaN where blank.
    pub(super) fn restore(&self, numbers: &[i32]) -> Vec<f32> {
        let mut noise = Noise::from(self.seed);
        let restore = |&n: &i32| {
            let random = if self.method == Method::Plain { 0.5 } else { f64::from(noise.next()) };
            if self.blank == Some(n) {
                f32::NAN
            } else if self.method == Method::SubtractiveKeepingZeros && n == ZERO {
                0.0
            } else {
                ((f64::from(n) - random + 0.5) * self.scale + self.zero) as f32
            }
        };
        numbers.iter().map(restore).collect()
    }
}

/// The standard's walk through its sequence.
struct Noise {
    start: usize,
    at: usize,
}

impl Noise {
    fn from(seed: usize) -> Self {
        let start = seed % RANDOMS;
        Self { start, at: Self::jump(start) }
    }

    fn jump(start: usize) -> usize {
        (SEQUENCE[start] * 500.0) as usize
    }

    fn next(&mut self) -> f32 {
        let value = SEQUENCE[self.at];
        self.at += 1;
        if self.at == RANDOMS {
            self.start = (self.start + 1) % RANDOMS;
            self.at = Self::jump(self.start);
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_ends_where_the_standard_says() {
        // The 10000th seed must be 1043618065.
        assert_eq!(SEQUENCE[RANDOMS - 1], (1_043_618_065.0 / 2_147_483_647.0) as f32);
    }
}
