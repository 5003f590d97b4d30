//! Which objects there are, and where.

use std::f64::consts::PI;

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Poisson, StandardNormal};

use super::colour;
use super::counts::{magnitude, number, reaching};
use super::king;
use super::spec::{BLEND_ARCSEC, Counts, Spec};
use super::spiral;
use super::streams::{Purpose, stream};
use super::truth::{Class, IGNORED, Profile, SimulatedObject};
use twinpeak_core::survey::Survey;
use twinpeak_core::wcs::Wcs;

/// Objects centred so far outside the frame still send light into it, px. Bands are offset by less, and visits too.
const BORDER_PX: f64 = 40.0;
/// Number counts: (r, log10 of objects per square degree and magnitude); straight between, lasting to the ends.
const GALAXY_COUNTS: [(f64, f64); 4] = [(12.0, -1.1), (16.0, 1.3), (20.0, 3.1), (24.0, 4.62)];
const STAR_COUNTS: [(f64, f64); 2] = [(12.0, 1.71), (24.0, 3.75)];
const QUASARS_OF_POINTS: f64 = 0.015;
const DISCS_OF_GALAXIES: f64 = 0.7;
/// An object is blended with a neighbour that is no more than this fainter.
const BLEND_MAG: f64 = 2.0;

/// A thing in the sky: what is true of it, and what it consists of.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub object: SimulatedObject,
    /// Its parts, each with a light of its own; empty for what is one.
    parts: Vec<SimulatedObject>,
}

impl Source {
    /// What is to be drawn.
    pub fn lights(&self) -> &[SimulatedObject] {
        if self.parts.is_empty() { std::slice::from_ref(&self.object) } else { &self.parts }
    }
}

/// Draws all that can send light into the frame of visit 0, whose coordinates are `reference`. What is centred in it has
/// ids from 1, the rest [`IGNORED`].
pub(super) fn draw(spec: &Spec, survey: &Survey, reference: &Wcs) -> Vec<Source> {
    let scale = survey.profile().pixel_scale_arcsec;
    let size = [spec.width, spec.height].map(|n| n as f64);
    let mut objects = field(spec, survey, size);
    if let Some(cluster) = &spec.cluster {
        let reaches = |o: &SimulatedObject| is_within(o, size, BORDER_PX);
        objects.extend(king::draw(spec, cluster, scale).into_iter().filter(reaches));
    }
    let (galaxy, parts) = if spec.spiral { Some(spiral::draw(spec, scale)) } else { None }.unzip();
    objects.extend(galaxy);
    let mut next = 1;
    for o in &mut objects {
        o.id = if is_within(o, size, 0.0) { next } else { IGNORED };
        next += u32::from(o.id != IGNORED);
        on_sky(o, reference);
    }
    mark_blends(&mut objects, BLEND_ARCSEC / scale);
    let mut sources: Vec<Source> = objects.into_iter().map(|object| Source { object, parts: Vec::new() }).collect();
    if let Some((last, mut parts)) = sources.last_mut().zip(parts) {
        parts.iter_mut().for_each(|part| on_sky(part, reference));
        last.parts = parts;
    }
    sources
}

/// The same things in the frame of a later visit, whose coordinates are `wcs`. What is centred in it has its number in
/// the sky as id, from 1, the rest [`IGNORED`].
pub(super) fn visited(mut sources: Vec<Source>, spec: &Spec, wcs: &Wcs) -> Vec<Source> {
    let size = [spec.width, spec.height].map(|n| n as f64);
    let moved = |o: &mut SimulatedObject| {
        (o.x, o.y) = wcs.sky_to_pixel(o.ra_deg, o.dec_deg).unwrap_or((f64::NAN, f64::NAN));
    };
    for (k, source) in sources.iter_mut().enumerate() {
        source.parts.iter_mut().for_each(moved);
        moved(&mut source.object);
        source.object.id = if is_within(&source.object, size, 0.0) { k as u32 + 1 } else { IGNORED };
    }
    sources
}

fn on_sky(object: &mut SimulatedObject, reference: &Wcs) {
    let place = reference.pixel_to_sky(object.x, object.y);
    (object.ra_deg, object.dec_deg) = place.unwrap_or((f64::NAN, f64::NAN));
}

/// Whether an object is centred on one of the frame's pixels, or within `border` of them.
fn is_within(object: &SimulatedObject, [width, height]: [f64; 2], border: f64) -> bool {
    let [low, right, top] = [-0.5 - border, width - 0.5 + border, height - 0.5 + border];
    (low..right).contains(&object.x) && (low..top).contains(&object.y)
}

/// The sky's own objects, those in the frame first.
fn field(spec: &Spec, survey: &Survey, [width, height]: [f64; 2]) -> Vec<SimulatedObject> {
    let mut rng = stream(spec, Purpose::Objects, 0, 0);
    let flat = survey.magnitudes().flat;
    let scale = survey.profile().pixel_scale_arcsec;
    let faintest = survey.magnitudes().profiles[1];
    let faint = if spec.counts == Counts::Flat { flat[1] } else { f64::INFINITY };
    let square_degrees = width * height * (scale / 3600.0).powi(2);
    let [star_counts, galaxy_counts] = [&STAR_COUNTS[..], &GALAXY_COUNTS[..]].map(|c| reaching(c, faintest));
    let [stars, galaxies] = [&star_counts, &galaxy_counts].map(|c| number(c, faint) * square_degrees);
    let stars = if spec.counts == Counts::Galaxies { 0.0 } else { stars };
    let expected = spec.density * (stars + galaxies);
    let inside = spec.sources.unwrap_or_else(|| poisson(&mut rng, expected));
    let border = (width + 2.0 * BORDER_PX) * (height + 2.0 * BORDER_PX) / (width * height) - 1.0;
    let expected_outside = border * spec.sources.map_or(expected, |n| n as f64);
    let outside = poisson(&mut rng, expected_outside);

    let mix = Mix { counts: spec.counts, flat, star_counts, galaxy_counts, points: stars / (stars + galaxies) };
    let mut objects: Vec<SimulatedObject> = Vec::with_capacity(inside + outside);
    let in_frame = |x: f64, y: f64| (-0.5..width - 0.5).contains(&x) && (-0.5..height - 0.5).contains(&y);
    for k in 0..inside + outside {
        let is_inside = k < inside;
        let mut at = (0.0, 0.0);
        // A companion near the frame's edge may fall on the wrong side of it: draw again.
        for attempt in 0.. {
            at = (
                rng.random_range(-0.5 - BORDER_PX..width - 0.5 + BORDER_PX),
                rng.random_range(-0.5 - BORDER_PX..height - 0.5 + BORDER_PX),
            );
            // Each companion makes two blended objects.
            if k > 0 && attempt < 8 && rng.random::<f64>() < 0.5 * spec.artefacts.blend_fraction {
                let other = &objects[rng.random_range(0..k)];
                let (apart, (s, c)) =
                    (rng.random_range(0.25..1.0) * BLEND_ARCSEC / scale, rng.random_range(0.0..2.0 * PI).sin_cos());
                at = (other.x + apart * c, other.y + apart * s);
            }
            if in_frame(at.0, at.1) == is_inside {
                break;
            }
        }
        let mut object = mix.draw(&mut rng);
        (object.x, object.y) = at;
        objects.push(object);
    }
    objects
}

/// How classes and magnitudes are mixed.
struct Mix {
    counts: Counts,
    /// Range of r of flat counts.
    flat: [f64; 2],
    star_counts: Vec<(f64, f64)>,
    galaxy_counts: Vec<(f64, f64)>,
    points: f64,
}

impl Mix {
    fn draw(&self, rng: &mut ChaCha8Rng) -> SimulatedObject {
        let points = if self.counts == Counts::Flat { 0.5 } else { self.points };
        let is_point = rng.random::<f64>() < points;
        let r = match self.counts {
            Counts::Flat => rng.random_range(self.flat[0]..self.flat[1]),
            Counts::Physical | Counts::Galaxies if is_point => magnitude(&self.star_counts, rng.random()),
            Counts::Physical | Counts::Galaxies => magnitude(&self.galaxy_counts, rng.random()),
        };
        let is_quasar = is_point && rng.random::<f64>() < QUASARS_OF_POINTS;
        let is_disc = rng.random::<f64>() < DISCS_OF_GALAXIES;
        let (class, profile, mag) = match (is_point, is_quasar) {
            (_, true) => (Class::Qso, Profile::Point, colour::quasar(rng, r)),
            (true, _) => (Class::Star, Profile::Point, colour::star(rng, r)),
            (false, _) => (
                Class::Galaxy,
                if is_disc { Profile::Exponential } else { Profile::DeVaucouleurs },
                colour::galaxy(rng, r, is_disc),
            ),
        };
        let mut object = SimulatedObject { class, profile, mag, ..SimulatedObject::POINT };
        if !is_point {
            let log_r_e = 0.05 - 0.13 * (r - 20.0) + 0.2 * rng.sample::<f64, _>(StandardNormal);
            object.r_e_arcsec = 10f64.powf(log_r_e);
            object.axis_ratio = rng.random_range(0.2..1.0);
            object.theta_deg = rng.random_range(-90.0..90.0);
        }
        object
    }
}

fn poisson(rng: &mut ChaCha8Rng, mean: f64) -> usize {
    Poisson::new(mean).map_or(0, |p| p.sample(rng) as usize)
}

/// Flags every object with a neighbour nearer than `radius` px that matters to it.
fn mark_blends(objects: &mut [SimulatedObject], radius: f64) {
    let mut order: Vec<usize> = (0..objects.len()).collect();
    order.sort_by(|&a, &b| objects[a].y.total_cmp(&objects[b].y));
    for (k, &a) in order.iter().enumerate() {
        for &b in &order[k + 1..] {
            if objects[b].y - objects[a].y >= radius {
                break;
            }
            if (objects[a].x - objects[b].x).hypot(objects[a].y - objects[b].y) < radius {
                let fainter = objects[b].mag[2] - objects[a].mag[2];
                objects[a].blended |= fainter < BLEND_MAG;
                objects[b].blended |= -fainter < BLEND_MAG;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_the_skys() {
        // Per field of .0369 square degrees to r < 22: about 300 galaxies and 240 stars.
        let area = 2048.0 * 1489.0 * (0.396f64 / 3600.0).powi(2);
        let galaxies = number(&GALAXY_COUNTS, 22.0) * area;
        let stars = number(&STAR_COUNTS, 22.0) * area;
        assert!((galaxies - 297.0).abs() < 3.0, "{galaxies}");
        assert!((stars - 240.0).abs() < 5.0, "{stars}");
    }

    #[test]
    fn magnitudes_follow_the_counts() {
        for counts in [&STAR_COUNTS[..], &GALAXY_COUNTS[..]] {
            for share in [0.001, 0.02, 0.3, 0.9, 0.9999] {
                let r = magnitude(counts, share);
                let below = number(counts, r) / number(counts, 99.0);
                assert!((below / share - 1.0).abs() < 1e-9, "{share}: {below}");
            }
        }
    }
}
