//! Noise of the sky from its negative side: objects are positive, so it is the side that only noise reaches.

use rayon::prelude::*;

use crate::frame::{Plane, mask};
use crate::median::upper_median;

/// Noise of one pixel of a background-subtracted band. 0 if no usable pixel is negative.
pub(super) fn sky_sigma(pixels: &Plane<f32>, bits: &Plane<u8>) -> f64 {
    let usable = |m: u8| m & mask::UNUSABLE == 0;
    let mut sample: Vec<f32> = Vec::with_capacity(pixels.pixels().len() / 9 + 1);
    for y in (0..pixels.height()).step_by(3) {
        let row = pixels.row(y).iter().zip(bits.row(y)).step_by(3);
        sample.extend(row.filter(|(_, m)| usable(**m)).map(|(p, _)| *p));
    }
    let Some(centre) = upper_median(&mut sample, f32::total_cmp) else { return 0.0 };
    sample.iter_mut().for_each(|v| *v = (*v - centre).abs());
    // Four robust sigma: whatever lies below is a defect.
    let floor = -4.0 * 1.4826 * upper_median(&mut sample, f32::total_cmp).unwrap_or_default();
    let rows = pixels.pixels().par_chunks(pixels.width().max(1)).zip(bits.pixels().par_chunks(bits.width().max(1)));
    let sums: Vec<(f64, f64)> = rows.with_min_len(32).map(|(row, bits)| negative_side(row, bits, floor)).collect();
    let (n, square) = sums.iter().fold((0.0, 0.0), |(n, s), row| (n + row.0, s + row.1));
    if n > 0.0 { (square / n).sqrt() } else { 0.0 }
}

/// Number of usable negative pixels and the sum of their squares, none counted as lower than `floor`.
fn negative_side(row: &[f32], bits: &[u8], floor: f32) -> (f64, f64) {
    const LANES: usize = 8; // independent sums: they vectorise, and their order is fixed
    let (mut n, mut square) = ([0f32; LANES], [0f32; LANES]);
    let ((pixels, pixels_left), (flags, flags_left)) = (row.as_chunks::<LANES>(), bits.as_chunks::<LANES>());
    for (pixels, flags) in pixels.iter().zip(flags) {
        for lane in 0..LANES {
            let p = if flags[lane] & mask::UNUSABLE == 0 { pixels[lane] } else { 0.0 };
            let v = p.min(0.0).max(floor);
            n[lane] += if p < 0.0 { 1.0 } else { 0.0 };
            square[lane] += v * v;
        }
    }
    for (lane, (&p, &m)) in pixels_left.iter().zip(flags_left).enumerate() {
        let p = if m & mask::UNUSABLE == 0 { p } else { 0.0 };
        n[lane] += if p < 0.0 { 1.0 } else { 0.0 };
        square[lane] += p.min(0.0).max(floor).powi(2);
    }
    let add = |lanes: [f32; LANES]| lanes.iter().map(|&v| f64::from(v)).sum();
    (add(n), add(square))
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, StandardNormal};

    use super::*;

    #[test]
    fn objects_and_holes_hardly_change_it() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut noise = || -> f32 { StandardNormal.sample(&mut rng) };
        let mut plane = Plane::from_pixels(256, 256, (0..65536).map(|_| 0.03 * noise()).collect());
        let bits = Plane::filled(256, 256, 0);
        let clean = sky_sigma(&plane, &bits);
        assert!((clean / 0.03 - 1.0).abs() < 0.01, "{clean}");
        for i in 0..3000 {
            plane.pixels_mut()[i * 17] += 5.0;
        }
        for i in 0..30 {
            plane.pixels_mut()[i * 1999] = -50.0;
        }
        let spoilt = sky_sigma(&plane, &bits);
        assert!((spoilt / clean - 1.0).abs() < 0.02, "{spoilt}");
    }
}
