//! Noise by pixel, where the survey gives variances: made those of the sky alone, and held against the pixels.

use rayon::prelude::*;

use super::background::Dither;
use crate::frame::{Band, Plane, mask};
use crate::median::upper_median;

/// The sky's variance is taken to be at least this share of its median over the frame: what is below, where a source was
/// taken off, is the noise of taking off.
const LEAST_SHARE: f32 = 0.25;
/// Variances whose noise is farther than this factor from that of the pixels are those of something else. Resampling
/// correlates the pixels, which then have up to a quarter less noise each than their variances say.
const FACTOR: f32 = 1.3;
/// Side of the squares in which both are compared, px: a frame may have several noises, one beside the other.
const SQUARE_PX: usize = 32;
/// Squares that are looked at, about.
const SQUARES: usize = 256;

/// Takes the sources' own photons off a background-subtracted band's variances, where they are in them. Their variance
/// is what a pixel is above the sky, over the gain, whether the survey took it from the pixel itself or from a model:
/// so what is left is smooth in the first case and has the noise of one pixel, a small part of it, in the second.
///
/// # Errors
/// What is wrong: no sky to compare with, or a noise that is not the pixels'.
pub(super) fn leave_sky(band: &mut Band, includes_sources: bool) -> Result<(), String> {
    let per_flux = if includes_sources { band.nmgy_per_electron() as f32 } else { 0.0 };
    let ratio = ratio(band, per_flux);
    let Some(variance) = &mut band.variance else { return Ok(()) };
    let median = sky_median(variance, band.pixels.pixels(), per_flux, &band.mask);
    let median = median.ok_or("no usable pixel has a variance")?;
    if let Some(ratio) = ratio.filter(|ratio| !(1.0 / FACTOR..FACTOR).contains(ratio)) {
        return Err(format!("the sky's noise by the survey's variances is {ratio:.3} times that of its pixels"));
    }
    let least = LEAST_SHARE * median;
    let rows = variance.pixels_mut().par_chunks_mut(1 << 16).zip(band.pixels.pixels().par_chunks(1 << 16));
    rows.for_each(|(variance, pixels)| {
        variance.iter_mut().zip(pixels).for_each(|(v, p)| *v = (*v - per_flux * p).max(least));
    });
    Ok(())
}

/// Noise by the survey's variances over the noise of the pixels, where the frame is blank; `None` where there is no
/// variance, or too little of the frame to tell. 1 where both are right; above 1 also where resampling has correlated the
/// pixels.
pub fn noise_ratio(band: &Band) -> Option<f32> {
    ratio(band, 0.0)
}

/// One square: the variances' mean over the square of the pixels' noise, and the share of its pixels that stand out.
struct Square {
    ratio: f32,
    bright: f32,
}

/// The same, with the photons of sources in the variances: `per_flux` times the pixels. The median of the squares that
/// hold the least light, since sources are noise to the eye that looks at pixels.
fn ratio(band: &Band, per_flux: f32) -> Option<f32> {
    band.variance.as_ref()?;
    let (across, down) = (band.pixels.width() / SQUARE_PX, band.pixels.height() / SQUARE_PX);
    let squares: Vec<usize> = (0..across * down).step_by((across * down).div_ceil(SQUARES).max(1)).collect();
    let made = squares
        .into_par_iter()
        .filter_map(|i| square(band, (i % across * SQUARE_PX, i / across * SQUARE_PX), per_flux));
    let mut squares: Vec<Square> = made.collect();
    squares.sort_by(|a, b| a.bright.total_cmp(&b.bright));
    squares.truncate(squares.len().div_ceil(2));
    let mut ratios: Vec<f32> = squares.iter().map(|square| square.ratio).collect();
    upper_median(&mut ratios, f32::total_cmp).map(|ratio| ratio.max(0.0).sqrt())
}

/// The square at (x, y); `None` where a third of it has no measurement.
fn square(band: &Band, (x, y): (usize, usize), per_flux: f32) -> Option<Square> {
    let variance = band.variance.as_ref()?;
    let mut pixels = Vec::with_capacity(SQUARE_PX * SQUARE_PX);
    let mut sum = 0.0;
    for y in y..y + SQUARE_PX {
        let columns = x..x + SQUARE_PX;
        let row = band.pixels.row(y)[columns.clone()].iter().zip(&variance.row(y)[columns.clone()]);
        for ((p, v), m) in row.zip(&band.mask.row(y)[columns]) {
            if v.is_finite() && m & mask::UNUSABLE == 0 {
                pixels.push(*p);
                sum += v - per_flux * p;
            }
        }
    }
    if 3 * pixels.len() < 2 * SQUARE_PX * SQUARE_PX {
        return None;
    }
    let n = pixels.len() as f32;
    // Counts are whole numbers, of whose deviations the median is one as well: 2 or 3 for a noise of 3.6, which is 20 % off.
    let step = band.nmgy_per_dn as f32;
    let rough = scatter(&mut pixels)?.1;
    let dither = Dither { key: 0, width: if rough > 0.0 { step.min(rough) } else { step } };
    (0..).zip(&mut pixels).for_each(|(i, p)| *p += dither.at(i));
    let (centre, scatter) = scatter(&mut pixels)?;
    let sigma = (scatter * scatter - dither.width * dither.width / 12.0).max(0.0).sqrt();
    let bright = pixels.iter().filter(|p| **p - centre > 3.0 * sigma).count() as f32 / n;
    (sigma > 0.0).then_some(Square { ratio: sum / n / (sigma * sigma), bright })
}

/// Median, and scaled median deviation from it.
fn scatter(pixels: &mut [f32]) -> Option<(f32, f32)> {
    let centre = upper_median(pixels, f32::total_cmp)?;
    let mut off: Vec<f32> = pixels.iter().map(|p| (p - centre).abs()).collect();
    Some((centre, 1.4826 * upper_median(&mut off, f32::total_cmp)?))
}

/// Median over usable pixels, every third row and column, of the variances less `per_flux` times the pixels.
fn sky_median(variance: &Plane<f32>, pixels: &[f32], per_flux: f32, bits: &Plane<u8>) -> Option<f32> {
    let width = variance.width();
    let mut sample: Vec<f32> = Vec::with_capacity(variance.pixels().len() / 9 + 1);
    for y in (0..variance.height()).step_by(3) {
        let row = variance.row(y).iter().zip(&pixels[y * width..]).zip(bits.row(y)).step_by(3);
        let usable = row.filter(|((v, _), m)| v.is_finite() && **m & mask::UNUSABLE == 0);
        sample.extend(usable.map(|((v, p), _)| v - per_flux * p));
    }
    upper_median(&mut sample, f32::total_cmp)
}

/// A band's pixels over their own sigma; over `sigma_nmgy` where a pixel has no variance.
pub(super) fn in_sigma(band: &Band, sigma_nmgy: f32) -> Option<Plane<f32>> {
    let variance = band.variance.as_ref()?;
    let mut out = band.pixels.clone();
    let rows = out.pixels_mut().par_chunks_mut(1 << 16).zip(variance.pixels().par_chunks(1 << 16));
    rows.for_each(|(pixels, variance)| {
        for (p, &v) in pixels.iter_mut().zip(variance) {
            *p /= if v.is_finite() { v.sqrt() } else { sigma_nmgy };
        }
    });
    Some(out)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, StandardNormal};

    use super::super::{Settings, prepare};
    use crate::frame::Plane;
    use crate::psf::scene;
    use crate::survey::Survey;

    const WIDTH: usize = 300;
    const HEIGHT: usize = 200;
    const SIGMA: f64 = 0.02;

    fn survey(includes_sources: bool) -> Survey {
        let weight = format!("[weight]\nhdu = 2\nkind = \"variance\"\nincludes_sources = {includes_sources}\n");
        let text = include_str!("../../../config/surveys/sdss.toml");
        Survey::parse(&text.replacen("[cards]", &format!("{weight}[cards]"), 1)).unwrap()
    }

    /// A frame whose right third is 1.3 times as noisy as the rest: where all is blank, a part quieter than the loudest by
    /// 1.6 may be a dead one (`super::super::dead`).
    fn frame(variance_factor: f32, with_sources: bool) -> crate::frame::Frame {
        let mut frame = scene::simulate(WIDTH, HEIGHT, &[], 5).prepared.frame;
        for (b, band) in frame.bands.iter_mut().enumerate() {
            let mut random = ChaCha8Rng::seed_from_u64(b as u64);
            let sigma = |x: usize| if x < 2 * WIDTH / 3 { SIGMA } else { 1.3 * SIGMA };
            let pixels = (0..WIDTH * HEIGHT).map(|i| {
                let unit: f64 = StandardNormal.sample(&mut random);
                (sigma(i % WIDTH) * unit) as f32
            });
            let mut pixels: Vec<f32> = pixels.collect();
            if with_sources {
                pixels[100 * WIDTH + 60] += 50.0;
            }
            band.dark_variance_dn2 = (SIGMA / band.nmgy_per_dn).powi(2); // noise that the detector may have
            let per_flux = band.nmgy_per_electron() as f32;
            let variance = pixels.iter().enumerate().map(|(i, p)| {
                let source = if with_sources { per_flux * p } else { 0.0 };
                variance_factor * ((sigma(i % WIDTH) as f32).powi(2) + source)
            });
            band.variance = Some(Plane::from_pixels(WIDTH, HEIGHT, variance.collect()));
            band.pixels = Plane::from_pixels(WIDTH, HEIGHT, pixels);
        }
        frame
    }

    #[test]
    fn registered_pixels_have_unit_noise_wherever_they_are() {
        let prepared = prepare(frame(1.0, false), &survey(false), &Settings::default()).unwrap();
        for plane in &prepared.registered {
            for columns in [20..190, 210..280] {
                let part: Vec<f64> =
                    (20..180).flat_map(|y| plane.row(y)[columns.clone()].iter().map(|v| f64::from(*v))).collect();
                let sigma = (part.iter().map(|v| v * v).sum::<f64>() / part.len() as f64).sqrt();
                assert!((sigma - 1.0).abs() < 0.03, "{columns:?}: {sigma}");
            }
        }
    }

    #[test]
    fn photons_of_sources_are_taken_off() {
        let prepared = prepare(frame(1.0, true), &survey(true), &Settings::default()).unwrap();
        let band = &prepared.frame.bands[2];
        let at = |x, y| (band.variance.as_ref().unwrap().at(x, y) / (SIGMA * SIGMA) as f32).sqrt();
        assert!((at(60, 100) - 1.0).abs() < 0.1 && (at(30, 30) - 1.0).abs() < 0.1, "{} {}", at(60, 100), at(30, 30));
        let ratio = super::noise_ratio(band).unwrap();
        assert!((0.96..1.04).contains(&ratio), "{ratio}, though a third of the frame has another noise");
    }

    #[test]
    fn the_noise_of_whole_counts_is_told() {
        let mut band = frame(1.0, false).bands[2].clone();
        for counts in [0.8, 1.3, 2.6, 3.63, 4.5, 40.0] {
            let step = (SIGMA / counts) as f32;
            let mut random = ChaCha8Rng::seed_from_u64(9);
            let pixels = (0..WIDTH * HEIGHT).map(|_| {
                let unit: f64 = StandardNormal.sample(&mut random);
                step * (counts * unit).round() as f32
            });
            band.pixels = Plane::from_pixels(WIDTH, HEIGHT, pixels.collect());
            band.variance = Some(Plane::filled(WIDTH, HEIGHT, (SIGMA * SIGMA) as f32 + step * step / 12.0));
            band.nmgy_per_dn = f64::from(step);
            let ratio = super::noise_ratio(&band).unwrap();
            assert!((ratio - 1.0).abs() < 0.05, "a noise of {counts} counts: {ratio}");
        }
    }

    #[test]
    fn variances_of_something_else_are_refused() {
        for factor in [1e3, 2.0, 0.5, 1e-3, -1.0] {
            let error = prepare(frame(factor, false), &survey(false), &Settings::default()).err().unwrap();
            assert!(error.to_string().contains("variance"), "{error}");
        }
    }
}
