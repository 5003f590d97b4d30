//! Saturated cores that the survey filled with values which look sound: SDSS interpolates over them, and leaves 3,000
//! to 16,000 DN where 30,000 are asked for.
//!
//! A star's core and its wings are one PSF's. A filled core is far too faint for its wings: the light within 2.5 px
//! over that at 3.5 to 9 px is a twentieth to a fifth of an ordinary star's. What an ordinary star's is, the frame's
//! own stars tell: of its bright peaks those that are sharpest. Large galaxies have little light in their cores too,
//! so only cores above a floor in DN are asked.

use super::cosmic::TooSharp;
use crate::frame::{Band, mask};

/// The core ends here, px...
const CORE_PX: f64 = 2.5;
/// ...and the wings are between these radii, px.
const WINGS_PX: (f64, f64) = (3.5, 9.0);
/// A core with less than this share of an ordinary one's light was filled.
const FILLED: f64 = 0.5;
/// A ring with less than this share of its light belongs to the filled core.
const SHORT: f64 = 0.7;
/// Peaks that tell what an ordinary star is are brighter than this, sigma...
const ORDINARY_SIGMA: f32 = 100.0;
/// ...and at least so many.
const FEWEST: usize = 10;
/// Share of the peaks that are as sharp as a star, or sharper.
const SHARPEST: f64 = 0.25;
/// Peaks nearer than this to a brighter one are a part of it, px.
const APART_PX: usize = 8;
/// Rings of one pixel about a core.
const RINGS: usize = 10;

/// Light about a peak.
struct Profile {
    /// Mean of the pixels in each ring, nMgy; NaN where none is usable.
    rings: [f64; RINGS],
    /// Of the wings, nMgy.
    wings: f64,
    /// Light of the core over that of the wings.
    ratio: f64,
}

/// Pixels of cores that were filled, with a brightest pixel above `floor_nmgy`, in a background-subtracted band.
pub(super) fn filled_cores(band: &Band, rays: &TooSharp, sigma: f32, floor_nmgy: f32) -> Vec<(usize, usize)> {
    let peaks = peaks(band, rays, (ORDINARY_SIGMA * sigma).min(floor_nmgy));
    let (bright, ordinary): (Vec<_>, Vec<_>) = peaks.into_iter().partition(|p| p.2 > floor_nmgy);
    let sound = |profile: &Profile| profile.ratio.is_finite() && profile.wings > 0.0;
    let profiled = |(x, y, _): &(usize, usize, f32)| Profile::about(band, (*x as f64, *y as f64));
    let mut ordinary: Vec<Profile> = ordinary.iter().map(profiled).filter(sound).collect();
    if ordinary.len() < FEWEST || bright.is_empty() {
        return Vec::new();
    }
    ordinary.sort_by(|a, b| b.ratio.total_cmp(&a.ratio));
    let star = &ordinary[(SHARPEST * ordinary.len() as f64) as usize];
    let expected = star.ratio;
    let stars = || ordinary.iter().filter(|p| (p.ratio / expected - 1.0).abs() < 0.15);
    let share: [f64; RINGS] = std::array::from_fn(|r| {
        let mut of_ring: Vec<f64> = stars().map(|p| p.rings[r] / p.wings).filter(|v| v.is_finite()).collect();
        crate::median::median(&mut of_ring).unwrap_or(f64::NAN)
    });
    let mut found = Vec::new();
    for (x, y, _) in bright {
        let centre = centroid(band, (x, y));
        let profile = Profile::about(band, centre);
        if !sound(&profile) || profile.ratio >= FILLED * expected {
            continue;
        }
        let short = |r: &usize| profile.rings[*r] < SHORT * share[*r] * profile.wings;
        let radius = (0..RINGS - 1).take_while(short).count().max(2) as f64 + 0.5;
        found.extend(
            within(band, centre, radius).filter(|(x, y, _)| band.mask.at(*x, *y) & mask::SAT == 0).map(|p| (p.0, p.1)),
        );
    }
    found
}

/// Marks them as [`mask::SAT`].
pub(super) fn mark(band: &mut Band, cores: &[(usize, usize)]) {
    for &(x, y) in cores {
        band.mask.row_mut(y)[x] |= mask::SAT;
    }
}

/// Column, row and value of usable local maxima above a value, none beside a brighter one, brightest first.
fn peaks(band: &Band, rays: &TooSharp, above: f32) -> Vec<(usize, usize, f32)> {
    let (width, height) = (band.pixels.width(), band.pixels.height());
    let mut found = Vec::new();
    let margin = RINGS;
    for y in margin..height.saturating_sub(margin) {
        for x in margin..width.saturating_sub(margin) {
            let value = band.pixels.at(x, y);
            if value <= above || band.mask.at(x, y) & mask::UNUSABLE != 0 || rays.has(y * width + x) {
                continue;
            }
            let lower = (y - 1..=y + 1).all(|j| (x - 1..=x + 1).all(|i| band.pixels.at(i, j) <= value));
            if lower {
                found.push((x, y, value));
            }
        }
    }
    found.sort_by(|a, b| b.2.total_cmp(&a.2));
    let mut apart: Vec<(usize, usize, f32)> = Vec::new();
    let mut taken = std::collections::HashSet::new();
    let cell = |x: usize, y: usize| (x / APART_PX, y / APART_PX);
    for peak in found {
        let (cx, cy) = cell(peak.0, peak.1);
        let near = |(i, j): (usize, usize)| taken.contains(&(i, j));
        let alone = !(cx.saturating_sub(1)..=cx + 1).any(|i| (cy.saturating_sub(1)..=cy + 1).any(|j| near((i, j))));
        taken.insert((cx, cy));
        if alone {
            apart.push(peak);
        }
    }
    apart
}

/// Usable or saturated pixels within a radius, with their distances.
fn within(band: &Band, (x, y): (f64, f64), radius: f64) -> impl Iterator<Item = (usize, usize, f64)> {
    let range = |v: f64, length: usize| {
        (v - radius).ceil().max(0.0) as usize..((v + radius).floor() + 1.0).clamp(0.0, length as f64) as usize
    };
    let columns = range(x, band.pixels.width());
    range(y, band.pixels.height())
        .flat_map(move |j| columns.clone().map(move |i| (i, j, (i as f64 - x).hypot(j as f64 - y))))
        .filter(move |p| p.2 <= radius)
}

/// The middle of the light within 6 px of a peak: a filled core has its peak at its rim.
fn centroid(band: &Band, (x, y): (usize, usize)) -> (f64, f64) {
    const REACH_PX: f64 = 6.0;
    const STEPS: usize = 12; // from the rim inwards
    let mut centre = (x as f64, y as f64);
    for _ in 0..STEPS {
        let (mut light, mut at_x, mut at_y) = (0.0, 0.0, 0.0);
        for (i, j, _) in within(band, centre, REACH_PX) {
            let value = f64::from(band.pixels.at(i, j)).max(0.0);
            light += value;
            at_x += value * i as f64;
            at_y += value * j as f64;
        }
        if light > 0.0 {
            centre = (at_x / light, at_y / light);
        }
    }
    centre
}

impl Profile {
    fn about(band: &Band, centre: (f64, f64)) -> Self {
        let mut rings = [(0.0, 0u32); RINGS];
        let (mut core, mut wings) = ((0.0, 0u32), (0.0, 0u32));
        let add = |sum: &mut (f64, u32), value: f64| *sum = (sum.0 + value, sum.1 + 1);
        for (x, y, distance) in within(band, centre, RINGS as f64 - 0.5) {
            if band.mask.at(x, y) & mask::UNUSABLE != 0 {
                continue;
            }
            let value = f64::from(band.pixels.at(x, y));
            add(&mut rings[(distance + 0.5) as usize % RINGS], value);
            if distance <= CORE_PX {
                add(&mut core, value);
            } else if (WINGS_PX.0..=WINGS_PX.1).contains(&distance) {
                add(&mut wings, value);
            }
        }
        let mean = |(sum, n): (f64, u32)| if n > 0 { sum / f64::from(n) } else { f64::NAN };
        Self { rings: rings.map(mean), wings: mean(wings), ratio: mean(core) / mean(wings) }
    }
}

#[cfg(test)]
mod tests {
    use crate::frame::mask;
    use crate::preprocess::{prepare, real};

    #[test]
    fn filled_cores_of_a_real_field_are_found_and_few_others() {
        // Low in the Galaxy, and the development field: g, r and i have some 25 filled cores, and 6.
        for (name, filled_px) in [("008162-6-0080", 2000..4500), (real::DEV, 200..1200)] {
            let Some(frame) = real::frame(name) else { return };
            let saturated: Vec<bool> =
                frame.bands[2].pixels.pixels().iter().map(|p| f64::from(*p) > frame.bands[2].saturation_nmgy).collect();
            let by_value = saturated.iter().filter(|s| **s).count();
            let p = prepare(frame, &real::sdss(), &Default::default()).unwrap();
            for b in 1..4 {
                let n = p.frame.bands[b].mask.pixels().iter().filter(|m| **m & mask::SAT != 0).count();
                println!("{name} band {b}: {n} saturated pixels; {by_value} in r by their value");
                assert!(filled_px.contains(&n) && n > 10 * by_value, "{name} band {b}: {n}");
            }
        }
    }

    #[test]
    fn a_filled_core_is_found_to_its_rim_and_a_whole_one_is_left() {
        use rand::SeedableRng;
        use rand_distr::{Distribution, StandardNormal};
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(5);
        let side = 600;
        let cd = [[1e-4, 0.0], [0.0, 1e-4]];
        let mut band = crate::frame::Band {
            pixels: crate::frame::Plane::from_pixels(
                side,
                side,
                (0..side * side).map(|_| StandardNormal.sample(&mut rng)).collect(),
            ),
            mask: crate::frame::Plane::filled(side, side, 0),
            wcs: crate::wcs::Wcs::tangent((side, side), (10.0, 0.0), (1.0, 1.0), cd).unwrap(),
            nmgy_per_dn: 0.2,
            gain_e_per_dn: 4.0,
            dark_variance_dn2: 1.0,
            saturation_nmgy: 6000.0,
            removed_sky_nmgy: None,
            variance: None,
        };
        // Moffat stars; every fourth of the bright ones has its core filled.
        let mut stars = Vec::new();
        for i in 0..100usize {
            let (x, y) = (40 + i % 10 * 56, 40 + i / 10 * 56);
            let peak = if i < 60 { 150.0 + 3.0 * i as f64 } else { 20_000.0 };
            let filled = i >= 60 && i % 4 == 0;
            for (i, j, d) in super::within(&band, (x as f64, y as f64), 30.0).collect::<Vec<_>>() {
                let moffat = peak * (1.0 + (d / 2.6).powi(2)).powf(-2.5);
                let fill = 500.0 + 20.0 * ((i * 7 + j * 13) % 5) as f64;
                let value = if filled && d < 4.2 { fill } else { moffat };
                band.pixels.set(i, j, band.pixels.at(i, j) + value as f32);
            }
            stars.push((x, y, filled));
        }
        let cores = super::filled_cores(&band, &Default::default(), 1.0, 400.0);
        super::mark(&mut band, &cores);
        for (x, y, filled) in stars {
            let marked = |radius: f64| {
                let about = super::within(&band, (x as f64, y as f64), radius);
                about.map(|(x, y, _)| band.mask.at(x, y) & mask::SAT != 0).collect::<Vec<_>>()
            };
            assert!(marked(3.5).iter().all(|m| *m == filled), "star at {x} {y}");
            let beyond = marked(12.0).iter().filter(|m| **m).count();
            assert!(beyond <= 110, "star at {x} {y}: {beyond} pixels"); // a disc of 6 px
        }
    }
}
