//! Whether the bands show the same stars. World coordinates can be consistent and wrong, pixels another field's or mirrored,
//! and a shutter closed: only the stars tell.
//!
//! A bright peak of one band is asked for in the other if it must show there, were it ten times fainter than the survey's
//! ordinary object of its flux. What was measured of pairs of bands of real fields (SDSS) and stands behind the limits: of a
//! band's 19 to 91 peaks 94 to 100 % are the reference's, all of the reference's 6 to 58 show in the band, and the median of
//! their distances is at most .31 px.

use rayon::prelude::*;

use super::registration::Place;
use super::{PreprocessError, Sky};
use crate::frame::{Affine, BANDS, Band, PerBand, mask};
use crate::median::median;
use crate::survey::Survey;

/// So many times fainter than the typical object may a peak be in the other band: 2.5 mag.
const RED_OR_BLUE: f32 = 10.0;
/// Fewest peaks that tell what a band shows...
const FEWEST: usize = 8;
/// ...and that it shows nothing.
const FEWEST_DARK: usize = 5;
/// Of so many, the brightest, at most.
const MOST: usize = 200;
/// Two peaks within this are one star, px.
const SAME_PX: f64 = 2.0;
/// A smaller share of common peaks, and the band shows something else.
const SAME_SHARE: f64 = 0.5;
/// A smaller share of the other band's stars that show, and no light came in.
const LIGHT_SHARE: f64 = 0.25;
/// Farthest that the common stars may lie from where world coordinates say, in the median, px.
const OFF_PX: f64 = 0.5;
/// Farthest shift that is looked for, px.
const FARTHEST_PX: usize = 256;
/// Half of the side of the area in which a peak is the highest, and on which it needs good pixels, px.
const ALONE_PX: usize = 3;
/// Distance of the ring above which a peak stands out, px; also what is left out at the rim.
const RING_PX: usize = 8;
/// Mean of a peak's 3x3 pixels from which it counts at all, in sigma, and from which it is asked for.
const SEEN_SIGMA: f32 = 2.0;
const BRIGHT_SIGMA: f32 = 5.0;

/// A peak of a band.
#[derive(Clone, Copy, Debug)]
struct Peak {
    /// Its place, px.
    at: (f64, f64),
    /// Mean of its 3x3 pixels, nMgy.
    mean_nmgy: f32,
}

/// A band with its peaks, the brightest first.
struct Seen<'a> {
    band: &'a Band,
    sigma_nmgy: f32,
    /// Flux of the survey's ordinary object.
    typical: f32,
    peaks: Vec<Peak>,
}

/// What the stars of a band say of it, held against the reference band's.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Verdict {
    /// They are the same, or too few to tell.
    Same,
    /// The band has no light: none of so many stars of the reference band shows.
    Dark { of: usize },
    /// The reference band has none: none of so many stars of the band shows there.
    ReferenceDark { of: usize },
    /// So many of so many are common; most would be if the band lay elsewhere, by px.
    Other { common: usize, of: usize, shift_px: Option<(f64, f64)> },
}

/// Compares each band with the reference band; all are cleaned and on its grid. Returns the bands in which no light is.
///
/// # Errors
/// [`PreprocessError::OtherStars`]; [`PreprocessError::NoLight`] for the reference band, or where fewer bands than the
/// survey requires are left.
pub(super) fn compare(
    bands: &PerBand<Band>,
    present: &PerBand<bool>,
    sky: &PerBand<Sky>,
    places: &PerBand<Place>,
    survey: &Survey,
) -> Result<PerBand<bool>, PreprocessError> {
    let reference = survey.reference();
    let typical = &survey.profile().typical.object_sed;
    let see = |b: usize| present[b].then(|| Seen::of(&bands[b], sky[b].sigma_nmgy, typical[b] as f32));
    let seen: Vec<Option<Seen>> = (0..BANDS).into_par_iter().map(see).collect();
    let mut dark = [false; BANDS];
    let Some(here) = &seen[reference] else { return Ok(dark) };
    let judged: Vec<(usize, Verdict)> = (0..BANDS)
        .filter(|b| *b != reference)
        .filter_map(|b| Some((b, Pair::of(seen[b].as_ref()?, here, &places[b].to_band)?.verdict())))
        .collect();
    let name = |b: usize| survey.band(b).to_owned();
    for (b, verdict) in &judged {
        match *verdict {
            Verdict::ReferenceDark { of } => {
                return Err(PreprocessError::NoLight { band: name(reference), other: name(*b), of });
            }
            Verdict::Dark { of } => {
                dark[*b] = true;
                let left = (0..BANDS).filter(|b| present[*b] && !dark[*b]).count();
                if left < survey.required() {
                    return Err(PreprocessError::NoLight { band: name(*b), other: name(reference), of });
                }
            }
            Verdict::Same | Verdict::Other { .. } => {}
        }
    }
    let others = judged.iter().filter(|(_, verdict)| matches!(verdict, Verdict::Other { .. })).count();
    // Where no band agrees with the reference band, that one is at fault.
    let at_fault = others > 1 && judged.iter().all(|(_, verdict)| !matches!(verdict, Verdict::Same));
    for (b, verdict) in judged {
        if let Verdict::Other { common, of, shift_px } = verdict {
            let (band, other) = if at_fault { (reference, b) } else { (b, reference) };
            let shift_px = shift_px.map(|(x, y)| if at_fault { (-x, -y) } else { (x, y) });
            return Err(PreprocessError::OtherStars { band: name(band), other: name(other), common, of, shift_px });
        }
    }
    Ok(dark)
}

/// The stars of a band beside those of the reference band.
struct Pair<'a> {
    band: &'a Seen<'a>,
    reference: &'a Seen<'a>,
    /// Where in the reference band the band's stars must show.
    asked: Vec<(f64, f64)>,
    /// How far these lie from its peaks, where one is near, px.
    off: Vec<(f64, f64)>,
    /// Where in the band the reference band's stars must show.
    wanted: Vec<(f64, f64)>,
}

impl<'a> Pair<'a> {
    /// `to_band` maps pixels of the reference band; `None` where it has no way back.
    fn of(band: &'a Seen, reference: &'a Seen, to_band: &Affine) -> Option<Self> {
        let asked = band.asked_in(reference, &to_band.inverse()?);
        let off = |at: &(f64, f64)| reference.nearest(*at).map(|peak| (at.0 - peak.0, at.1 - peak.1));
        let (off, wanted) = (asked.iter().filter_map(off).collect(), reference.asked_in(band, to_band));
        Some(Self { band, reference, asked, off, wanted })
    }

    fn verdict(&self) -> Verdict {
        let few = |part: usize, of: usize, share: f64| (part as f64) < share * of as f64;
        // A band without light has no peaks of its own.
        let is_dark = |asked: &[(f64, f64)], there: &Seen| {
            asked.len() >= FEWEST_DARK
                && few(there.showing(asked), asked.len(), LIGHT_SHARE)
                && few(there.bright(), asked.len(), LIGHT_SHARE)
        };
        if is_dark(&self.wanted, self.band) {
            return Verdict::Dark { of: self.wanted.len() };
        }
        if is_dark(&self.asked, self.reference) {
            return Verdict::ReferenceDark { of: self.asked.len() };
        }
        let (common, of) = (self.off.len(), self.asked.len());
        if of >= FEWEST && few(common, of, SAME_SHARE) {
            return Verdict::Other { common, of, shift_px: self.reference.shift(&self.asked) };
        }
        match self.median_off() {
            Some(off) if off.0.hypot(off.1) > OFF_PX => {
                let common = self.off.iter().filter(|off| off.0.hypot(off.1) <= OFF_PX).count();
                Verdict::Other { common, of, shift_px: Some(off) }
            }
            _ => Verdict::Same,
        }
    }

    /// Median distance of the common stars along x and y, px; `None` of too few.
    fn median_off(&self) -> Option<(f64, f64)> {
        let middle = |axis: fn(&(f64, f64)) -> f64| median(&mut self.off.iter().map(axis).collect::<Vec<f64>>());
        (self.off.len() >= FEWEST).then_some(())?;
        Some((middle(|off| off.0)?, middle(|off| off.1)?))
    }
}

impl<'a> Seen<'a> {
    fn of(band: &'a Band, sigma_nmgy: f32, typical: f32) -> Self {
        let (width, height) = (band.pixels.width(), band.pixels.height());
        let mut seen = Self { band, sigma_nmgy, typical, peaks: Vec::new() };
        let rows = (RING_PX + 1..height.saturating_sub(RING_PX + 1)).into_par_iter();
        let peaks = rows.flat_map_iter(|y| {
            let columns = RING_PX + 1..width.saturating_sub(RING_PX + 1);
            let seen = &seen;
            columns.filter_map(move |x| seen.peak(x, y))
        });
        let mut peaks: Vec<Peak> = peaks.collect();
        peaks.sort_by(|a, b| b.mean_nmgy.total_cmp(&a.mean_nmgy)); // stable: ties stay in the frame's order
        seen.peaks = peaks;
        seen
    }

    /// Mean of the 3x3 pixels about a pixel.
    fn mean(&self, x: usize, y: usize) -> f32 {
        let rows = (y - 1..=y + 1).map(|y| self.band.pixels.row(y)[x - 1..=x + 1].iter().sum::<f32>());
        rows.sum::<f32>() / 9.0
    }

    /// Whether all pixels about one have a measurement.
    fn is_whole(&self, x: usize, y: usize) -> bool {
        let rows = (y - ALONE_PX..=y + ALONE_PX).map(|y| &self.band.mask.row(y)[x - ALONE_PX..=x + ALONE_PX]);
        rows.flatten().all(|m| m & mask::UNUSABLE == 0)
    }

    /// The peak at a pixel: the highest about, above what surrounds it, and no part of it lost.
    fn peak(&self, x: usize, y: usize) -> Option<Peak> {
        let pixels = &self.band.pixels;
        if pixels.at(x, y) <= 2.0 * SEEN_SIGMA * self.sigma_nmgy {
            return None;
        }
        let mean = self.mean(x, y);
        let is_lower = |dx: isize, dy: isize| {
            let other = self.mean(x.wrapping_add_signed(dx), y.wrapping_add_signed(dy));
            other < mean || (other == mean && (dy, dx) > (0, 0)) || (dx, dy) == (0, 0)
        };
        let beside = [(1, 0), (-1, 0), (0, 1), (0, -1)];
        if mean <= SEEN_SIGMA * self.sigma_nmgy || !beside.iter().all(|&(dx, dy)| is_lower(dx, dy)) {
            return None;
        }
        const FAR: isize = ALONE_PX as isize;
        let alone = (-FAR..=FAR).all(|dy| (-FAR..=FAR).all(|dx| is_lower(dx, dy)));
        const SLANT: isize = 6;
        const RING: isize = RING_PX as isize;
        let mut ring = [
            (RING, 0),
            (-RING, 0),
            (0, RING),
            (0, -RING),
            (SLANT, SLANT),
            (-SLANT, SLANT),
            (SLANT, -SLANT),
            (-SLANT, -SLANT),
        ]
        .map(|(dx, dy)| pixels.at(x.wrapping_add_signed(dx), y.wrapping_add_signed(dy)));
        ring.sort_by(f32::total_cmp);
        if !alone || mean < 3.0 * ring[4] || !self.is_whole(x, y) {
            return None;
        }
        let vertex = |low: f32, high: f32| {
            let bend = 2.0 * mean - low - high;
            if bend > 0.0 { f64::from((high - low) / (2.0 * bend)).clamp(-0.5, 0.5) } else { 0.0 }
        };
        let off = (vertex(self.mean(x - 1, y), self.mean(x + 1, y)), vertex(self.mean(x, y - 1), self.mean(x, y + 1)));
        Some(Peak { at: (x as f64 + off.0, y as f64 + off.1), mean_nmgy: mean })
    }

    /// Number of bright peaks.
    fn bright(&self) -> usize {
        self.peaks.iter().take_while(|peak| peak.mean_nmgy > BRIGHT_SIGMA * self.sigma_nmgy).count()
    }

    /// Where in `other` this band's peaks must show; `map` leads there.
    fn asked_in(&self, other: &Seen, map: &Affine) -> Vec<(f64, f64)> {
        let by = other.typical / self.typical / RED_OR_BLUE;
        let least = (2.0 * SEEN_SIGMA * other.sigma_nmgy / by).max(BRIGHT_SIGMA * self.sigma_nmgy);
        let bright = self.peaks.iter().take_while(|peak| peak.mean_nmgy > least);
        let there = bright.map(|peak| map.apply(peak.at.0, peak.at.1));
        there.filter(|at| other.pixel(*at).is_some_and(|(x, y)| other.is_whole(x, y))).take(MOST).collect()
    }

    /// The pixel at a place, away from the rim.
    fn pixel(&self, at: (f64, f64)) -> Option<(usize, usize)> {
        let within = |v: f64, length: usize| {
            let v = v.round();
            (v >= RING_PX as f64 + 1.0 && v < length as f64 - RING_PX as f64 - 1.0).then_some(v as usize)
        };
        Some((within(at.0, self.band.pixels.width())?, within(at.1, self.band.pixels.height())?))
    }

    /// Whether there is light at a place: three sigma of the mean of its pixels.
    fn shows(&self, at: (f64, f64)) -> bool {
        self.pixel(at).is_some_and(|(x, y)| self.mean(x, y) > self.sigma_nmgy)
    }

    /// At how many places there is.
    fn showing(&self, places: &[(f64, f64)]) -> usize {
        places.iter().filter(|at| self.shows(**at)).count()
    }

    /// The nearest peak of the same star.
    fn nearest(&self, at: (f64, f64)) -> Option<(f64, f64)> {
        let off = |peak: &Peak| (peak.at.0 - at.0).hypot(peak.at.1 - at.1);
        let near = self.peaks.iter().filter(|peak| off(peak) < SAME_PX);
        near.min_by(|a, b| off(a).total_cmp(&off(b))).map(|peak| peak.at)
    }

    /// The shift, px, that `places` have against this band's peaks, where most have one.
    fn shift(&self, places: &[(f64, f64)]) -> Option<(f64, f64)> {
        const SIDE: usize = 2 * FARTHEST_PX + 1;
        let steps: Vec<(f64, f64)> = places
            .iter()
            .flat_map(|at| self.peaks.iter().take(5 * MOST).map(|peak| (at.0 - peak.at.0, at.1 - peak.at.1)))
            .filter(|step| step.0.abs().max(step.1.abs()) < FARTHEST_PX as f64)
            .collect();
        let mut counts = vec![0u32; SIDE * SIDE];
        for step in &steps {
            let cell = |v: f64| (v.round() + FARTHEST_PX as f64) as usize;
            counts[cell(step.1) * SIDE + cell(step.0)] += 1;
        }
        let about = |x: usize, y: usize| -> u32 {
            (y - 1..=y + 1).flat_map(|y| &counts[y * SIDE + x - 1..=y * SIDE + x + 1]).sum()
        };
        let cells = (1..SIDE - 1).flat_map(|y| (1..SIDE - 1).map(move |x| (x, y)));
        let (x, y) = cells.max_by_key(|&(x, y)| about(x, y))?;
        if f64::from(about(x, y)) < SAME_SHARE * places.len() as f64 {
            return None;
        }
        let (x, y) = (x as f64 - FARTHEST_PX as f64, y as f64 - FARTHEST_PX as f64);
        let near = steps.iter().filter(|step| (step.0 - x).hypot(step.1 - y) < SAME_PX);
        let (n, sum_x, sum_y) = near.fold((0.0, 0.0, 0.0), |sum, step| (sum.0 + 1.0, sum.1 + step.0, sum.2 + step.1));
        (n > 0.0).then_some((sum_x / n, sum_y / n))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Settings, prepare, real};
    use super::*;
    use crate::frame::Frame;

    fn prepared(frame: Frame) -> Result<super::super::Prepared, PreprocessError> {
        prepare(frame, &real::sdss(), &Settings::default())
    }

    /// Every pair of every real field is far from the limits.
    #[test]
    fn real_fields_show_one_sky() {
        let Some(data) = real::data() else { return };
        let survey = real::sdss();
        for field in std::fs::read_dir(data.join("sdss")).unwrap() {
            let name = field.unwrap().file_name().into_string().unwrap();
            let Some(frame) = real::frame(&name) else { return };
            let survey = if frame.present == [true; BANDS] { survey.clone() } else { required(4) };
            let prepared = prepare(frame, &survey, &Settings::default()).unwrap();
            assert_eq!(prepared.dark, [false; BANDS]);
            let typical = survey.profile().typical.object_sed;
            let see = |b: usize| Seen::of(&prepared.frame.bands[b], prepared.sky[b].sigma_nmgy, typical[b] as f32);
            let r = see(2);
            for b in [0, 1, 3, 4].into_iter().filter(|b| prepared.frame.present[*b]) {
                let band = see(b);
                let pair = Pair::of(&band, &r, &prepared.to_band[b]).unwrap();
                let (common, of, showing, wanted) =
                    (pair.off.len(), pair.asked.len(), band.showing(&pair.wanted), pair.wanted.len());
                let off = pair.median_off();
                eprintln!("{name} {}: {common} of {of} common, {showing} of {wanted} show, {off:?} px", survey.band(b));
                assert!(of >= FEWEST && wanted >= FEWEST_DARK, "too few tell");
                assert!(common as f64 > 0.85 * of as f64 && showing as f64 > 0.9 * wanted as f64);
                assert!(off.is_some_and(|off| off.0.hypot(off.1) < 0.8 * OFF_PX), "{off:?}");
            }
        }
    }

    fn required(bands: usize) -> Survey {
        let text = include_str!("../../../config/surveys/sdss.toml");
        let table = format!(r#"bands = {{ planes = ["u", "g", "r", "i", "z"], required = {bands} }}"#);
        Survey::parse(&text.replacen(r#"bands = ["u", "g", "r", "i", "z"]"#, &table, 1)).unwrap()
    }

    #[track_caller]
    fn says(frame: Frame, words: &[&str]) {
        let line = prepared(frame).err().expect("it is refused").to_string();
        assert!(words.iter().all(|word| line.contains(word)), "{line}");
    }

    fn mirror(frame: &mut Frame, b: usize) {
        let pixels = &mut frame.bands[b].pixels;
        let width = pixels.width();
        pixels.pixels_mut().chunks_mut(width).for_each(<[f32]>::reverse);
    }

    #[test]
    fn pixels_that_are_not_where_their_header_says_are_refused() {
        let Some(frame) = real::frame(real::DEV) else { return };
        for b in [0, 1, 4] {
            let band = &format!("band {} shows other stars than band r", real::sdss().band(b));
            let mut mirrored = frame.clone();
            mirror(&mut mirrored, b);
            says(mirrored, &[band, "no shift"]);
            for px in [1, 8, 40] {
                let mut moved = frame.clone();
                let pixels = &mut moved.bands[b].pixels;
                let n = px * (pixels.width() + 1);
                pixels.pixels_mut().rotate_right(n);
                let Some(PreprocessError::OtherStars { shift_px: Some(shift), .. }) = prepared(moved).err() else {
                    panic!("{band}: not by {px} px");
                };
                assert!((shift.0 - px as f64).hypot(shift.1 - px as f64) < 0.3, "{band}: {shift:?}");
            }
        }
        let mut other = frame;
        mirror(&mut other, 2);
        says(other, &["band r shows other stars than band u"]);
    }

    #[test]
    fn a_band_without_light_counts_as_missing() {
        use rand::SeedableRng;
        use rand_distr::{Distribution, StandardNormal};
        let Some(frame) = real::frame(real::DEV) else { return };
        let sigma = prepared(frame.clone()).unwrap().sky.map(|sky| sky.sigma_nmgy);
        let closed = |b: usize| {
            let mut frame = frame.clone();
            let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(8);
            let mut noise = || -> f32 { StandardNormal.sample(&mut rng) };
            frame.bands[b].pixels.pixels_mut().iter_mut().for_each(|p| *p = sigma[b] * noise());
            frame
        };
        for b in [0, 1, 3, 4] {
            let found = prepare(closed(b), &required(4), &Settings::default()).unwrap();
            let dark: PerBand<bool> = std::array::from_fn(|c| c == b);
            assert_eq!((found.dark, found.frame.present), (dark, dark.map(|dark| !dark)));
            assert!(found.frame.bands[b].mask.pixels().iter().all(|m| m & mask::NO_DATA != 0));
            assert_eq!(found.sky[b].sigma_nmgy, f32::INFINITY);
        }
        // All five are required.
        says(closed(1), &["band g: no light came in", "of band r must show"]);
        says(closed(2), &["band r: no light came in"]);
    }
}
