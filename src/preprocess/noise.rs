//! Noise of the sky from its negative side: objects are positive, so it is the side that only noise reaches.

use rayon::prelude::*;

use crate::frame::{Plane, mask};

/// Noise of one pixel of a background-subtracted band. 0 if no usable pixel is negative.
pub(super) fn sky_sigma(pixels: &Plane<f32>, bits: &Plane<u8>) -> f64 {
    let usable = |m: u8| m & mask::UNUSABLE == 0;
    let mut sample: Vec<f32> = Vec::with_capacity(pixels.pixels().len() / 9 + 1);
    for y in (0..pixels.height()).step_by(3) {
        let row = pixels.row(y).iter().zip(bits.row(y)).step_by(3);
        sample.extend(row.filter(|(_, m)| usable(**m)).map(|(p, _)| *p));
    }
    let Some(centre) = median(&mut sample) else { return 0.0 };
    sample.iter_mut().for_each(|v| *v = (*v - centre).abs());
    // Four robust sigma: whatever lies below is a defect.
    let floor = -4.0 * 1.4826 * median(&mut sample).unwrap_or_default();
    let rows = pixels.pixels().par_chunks(pixels.width().max(1)).zip(bits.pixels().par_chunks(bits.width().max(1)));
    let sums: Vec<(u32, f64)> = rows
        .with_min_len(32)
        .map(|(row, bits)| {
            let mut sum = (0u32, 0.0);
            for (&p, &m) in row.iter().zip(bits) {
                let counts = p < 0.0 && usable(m);
                let v = f64::from(if counts { p.max(floor) } else { 0.0 });
                sum = (sum.0 + u32::from(counts), sum.1 + v * v);
            }
            sum
        })
        .collect();
    let (n, square) = sums.iter().fold((0.0, 0.0), |(n, s), row| (n + f64::from(row.0), s + row.1));
    if n > 0.0 { (square / n).sqrt() } else { 0.0 }
}

fn median(values: &mut [f32]) -> Option<f32> {
    if values.is_empty() {
        return None;
    }
    let middle = values.len() / 2;
    Some(*values.select_nth_unstable_by(middle, f32::total_cmp).1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, StandardNormal};

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
