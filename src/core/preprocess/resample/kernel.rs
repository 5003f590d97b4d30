//! Weights along one axis: the polynomial through the six nearest pixels (Lagrange's), tabulated by the fraction of a
//! pixel. Where the new pixels are the larger ones the kernel is as many times wider, so that every old pixel counts
//! and nothing finer than the new grid folds back.
//!
//! Lagrange's kernel is nil to the sixth order about the frequency of the old grid, so that a star keeps its flux to
//! some 1e-4 wherever it falls between pixels. Lanczos's of as many pixels is not, and loses or gains up to .5 % of a
//! star's flux where the scales differ by a few per cent.

/// Reach on each side, px.
const REACH: usize = 3;
/// Fractions of a pixel in the table: the nearest is at most 1/4096 px off.
const PHASES: usize = 2048;
/// A scale up to this needs no wider kernel: a PSF holds nothing that fine.
const WIDER_FROM: f64 = 1.05;
/// Weights of a fraction are padded with zeros to a multiple of this, so that they vectorise.
pub(super) const LANES: usize = 8;

/// Weights along one axis.
pub(super) struct Kernel {
    taps: usize,
    padded: usize,
    /// `PHASES + 1` times `padded` weights.
    table: Vec<f32>,
}

impl Kernel {
    /// The kernel for new pixels that are `scale` old ones wide.
    pub(super) fn new(scale: f64) -> Self {
        let stretch = if scale > WIDER_FROM { scale } else { 1.0 };
        let half = (REACH as f64 * stretch).ceil() as usize;
        let taps = 2 * half;
        let padded = taps.next_multiple_of(LANES);
        let mut table = Vec::with_capacity((PHASES + 1) * padded);
        for phase in 0..=PHASES {
            let fraction = phase as f64 / PHASES as f64;
            let distance = |k: usize| (k as f64 - (half as f64 - 1.0) - fraction).abs();
            // Not normalised to a sum of 1, which it is anyway but for a wider kernel's ripple of 1e-3: what a pixel of
            // the old grid gives to all of the new one must be 1, and is only so.
            table.extend((0..taps).map(|k| (lagrange(distance(k) / stretch) / stretch) as f32));
            table.extend(std::iter::repeat_n(0.0, padded - taps));
        }
        Self { taps, padded, table }
    }

    /// Number of pixels along the axis that have a weight.
    pub(super) fn taps(&self) -> usize {
        self.taps
    }

    /// The first pixel that has a weight for position `at`, and the weights from there on, padded with zeros.
    pub(super) fn at(&self, at: f64) -> (isize, &[f32]) {
        let floor = at.floor();
        let phase = ((at - floor) * PHASES as f64).round() as usize;
        (floor as isize - (self.taps as isize / 2 - 1), &self.table[phase * self.padded..][..self.padded])
    }
}

/// The weight of a pixel at a distance: it is 1 at 0 and 0 at the other whole numbers, exactly.
fn lagrange(distance: f64) -> f64 {
    if distance >= REACH as f64 {
        return 0.0;
    }
    let (own, t) = (-distance.floor(), distance.fract());
    let others = (1 - REACH as i32..=REACH as i32).map(f64::from).filter(|node| *node != own);
    others.map(|node| (t - node) / (own - node)).product()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polynomials_pass_unchanged_and_a_whole_pixel_is_itself() {
        let kernel = Kernel::new(1.0);
        for at in [7.0, 7.25, 7.5, 7.875, -0.375] {
            let (first, weights) = kernel.at(at);
            for power in 0..=5 {
                let value = |x: f64| (x / 5.0 - 1.0).powi(power);
                let sum: f64 =
                    weights.iter().zip(first as i32..).map(|(w, i)| f64::from(*w) * value(f64::from(i))).sum();
                assert!((sum - value(at)).abs() < 1e-5, "{at} to the {power}: {sum}");
            }
        }
        let (first, weights) = kernel.at(7.0);
        assert_eq!((first, weights), (5, &[0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0][..]));
    }

    #[test]
    fn an_old_pixel_gives_all_of_itself_to_a_coarser_grid() {
        for scale in [1.2, 1.7, 3.0] {
            let kernel = Kernel::new(scale);
            for shift in [0.0, 0.3, 0.71] {
                let given: f64 = (0..60)
                    .map(|j| {
                        let (first, weights) = kernel.at(shift + f64::from(j) * scale);
                        let pixel = usize::try_from(30 - first).ok().and_then(|i| weights.get(i));
                        scale * f64::from(*pixel.unwrap_or(&0.0))
                    })
                    .sum();
                assert!((given - 1.0).abs() < 2e-3, "{scale} {shift}: {given}");
            }
        }
    }
}
