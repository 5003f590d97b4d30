//! The discrete Fourier transform of a small square image, for convolutions: radix 2, in double precision, the same
//! bits on every machine.

use std::sync::LazyLock;

/// A square of complex numbers, row by row.
#[derive(Clone, Debug, PartialEq)]
pub struct Spectrum {
    /// Side of the square: a power of two.
    pub side: usize,
    /// Real parts.
    pub re: Vec<f64>,
    /// Imaginary parts.
    pub im: Vec<f64>,
}

/// Transforms of squares of one side.
pub struct Fourier {
    side: usize,
    /// cos and sin of -2 pi k / side, k below side / 2.
    twiddles: Vec<(f64, f64)>,
    /// Index with its bits reversed.
    reversed: Vec<usize>,
}

/// Of 64 x 64 px.
pub static SIDE_64: LazyLock<Fourier> = LazyLock::new(|| Fourier::new(64));
/// Of 128 x 128 px.
pub static SIDE_128: LazyLock<Fourier> = LazyLock::new(|| Fourier::new(128));

impl Spectrum {
    /// All zero.
    pub fn zeros(side: usize) -> Self {
        Self { side, re: vec![0.0; side * side], im: vec![0.0; side * side] }
    }
}

impl Fourier {
    fn new(side: usize) -> Self {
        let angle = |k: usize| -std::f64::consts::TAU * k as f64 / side as f64;
        let bits = side.trailing_zeros();
        Self {
            side,
            twiddles: (0..side / 2).map(|k| (angle(k).cos(), angle(k).sin())).collect(),
            reversed: (0..side).map(|i| i.reverse_bits() >> (usize::BITS - bits)).collect(),
        }
    }

    /// Side of the squares, px.
    pub fn side(&self) -> usize {
        self.side
    }

    /// Replaces an image by its transform. Index k of an axis is frequency k / side cycles a pixel, or k - side from
    /// the middle on.
    ///
    /// # Panics
    /// For a square of another side.
    pub fn forward(&self, s: &mut Spectrum) {
        assert_eq!(s.side, self.side, "a transform has one side");
        for _ in 0..2 {
            self.down_columns(&mut s.re, &mut s.im, self.side);
            transpose(s);
        }
    }

    /// The way back, divided by the number of pixels.
    ///
    /// # Panics
    /// For a square of another side.
    pub fn inverse(&self, s: &mut Spectrum) {
        std::mem::swap(&mut s.re, &mut s.im);
        self.forward(s);
        std::mem::swap(&mut s.re, &mut s.im);
        let scale = 1.0 / (self.side * self.side) as f64;
        s.re.iter_mut().chain(&mut s.im).for_each(|v| *v *= scale);
    }

    /// The way back of what is needed alone: the square of side `2 reach + 1` about the first pixel, row by row, as real
    /// and imaginary parts.
    ///
    /// # Panics
    /// For a square of another side.
    pub fn inverse_about(&self, s: &mut Spectrum, reach: usize) -> (Vec<f64>, Vec<f64>) {
        assert_eq!(s.side, self.side, "a transform has one side");
        let (n, needed) = (self.side, 2 * reach + 1);
        std::mem::swap(&mut s.re, &mut s.im);
        self.down_columns(&mut s.re, &mut s.im, n);
        let place = |v: usize| (v + n - reach) % n;
        let turned = |from: &[f64]| -> Vec<f64> {
            (0..n).flat_map(|x| (0..needed).map(move |y| from[place(y) * n + x])).collect()
        };
        let (mut re, mut im) = (turned(&s.re), turned(&s.im));
        self.down_columns(&mut re, &mut im, needed);
        let scale = 1.0 / (n * n) as f64;
        let back = |from: &[f64]| -> Vec<f64> {
            (0..needed).flat_map(|y| (0..needed).map(move |x| scale * from[place(x) * needed + y])).collect()
        };
        (back(&im), back(&re))
    }

    /// All of so many columns at once: a butterfly is of two rows, so that its inner loop runs along both.
    fn down_columns(&self, re: &mut [f64], im: &mut [f64], columns: usize) {
        let n = self.side;
        for (i, &j) in self.reversed.iter().enumerate() {
            if i < j {
                for values in [&mut *re, &mut *im] {
                    let (above, below) = values.split_at_mut(j * columns);
                    above[i * columns..][..columns].swap_with_slice(&mut below[..columns]);
                }
            }
        }
        let mut half = 1;
        while half < n {
            for block in (0..n).step_by(2 * half) {
                for k in 0..half {
                    let (c, d) = self.twiddles[k * (n / (2 * half))];
                    let (upper, lower) = ((block + k) * columns, (block + k + half) * columns);
                    let (re_up, re_low) = re.split_at_mut(lower);
                    let (im_up, im_low) = im.split_at_mut(lower);
                    let rows = re_up[upper..][..columns].iter_mut().zip(&mut re_low[..columns]);
                    let im_rows = im_up[upper..][..columns].iter_mut().zip(&mut im_low[..columns]);
                    for ((a, b), (p, q)) in rows.zip(im_rows) {
                        let (r, i) = (*b * c - *q * d, *b * d + *q * c);
                        (*b, *q) = (*a - r, *p - i);
                        (*a, *p) = (*a + r, *p + i);
                    }
                }
            }
            half *= 2;
        }
    }
}

fn transpose(s: &mut Spectrum) {
    let n = s.side;
    for y in 0..n {
        for x in y + 1..n {
            s.re.swap(y * n + x, x * n + y);
            s.im.swap(y * n + x, x * n + y);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transform_is_the_sum_that_defines_it_and_comes_back() {
        let mut s = Spectrum::zeros(64);
        let value = |i: usize| ((i * 37 % 101) as f64 / 50.0 - 1.0, (i * 53 % 89) as f64 / 44.0 - 1.0);
        for i in 0..64 * 64 {
            (s.re[i], s.im[i]) = value(i);
        }
        let mut t = s.clone();
        SIDE_64.forward(&mut t);
        for (u, v) in [(0, 0), (5, 0), (17, 40), (63, 1)] {
            let (mut re, mut im) = (0.0, 0.0);
            for i in 0..64 * 64 {
                let angle = -std::f64::consts::TAU * ((u * (i % 64) + v * (i / 64)) as f64) / 64.0;
                let (a, b) = value(i);
                re += a * angle.cos() - b * angle.sin();
                im += a * angle.sin() + b * angle.cos();
            }
            assert!((t.re[v * 64 + u] - re).abs() < 1e-9 && (t.im[v * 64 + u] - im).abs() < 1e-9, "{u} {v}");
        }
        let (re, im) = SIDE_64.inverse_about(&mut t.clone(), 5);
        for i in 0..11 * 11 {
            let at = (i / 11 + 59) % 64 * 64 + (i % 11 + 59) % 64;
            assert!((re[i] - s.re[at]).abs() < 1e-12 && (im[i] - s.im[at]).abs() < 1e-12, "{i}");
        }
        SIDE_64.inverse(&mut t);
        let close = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12);
        assert!(close(&t.re, &s.re) && close(&t.im, &s.im));
    }
}
