//! Exposures of the same sky at about the same time become one field.
//!
//! Each exposure of the reference band makes a field, under its own name. An exposure of another band belongs to it
//! where the centres lie within `files.group_arcsec` and the middles of the exposures within `files.group_days`. Which
//! of two that both do is meant nobody can tell: then the fields that could have either are refused, naming both.

use std::collections::BTreeMap;
use std::path::Path;

use super::field::{Field, Given};
use super::groups::refusal;
use twinpeak_core::files::Sighting;
use twinpeak_core::frame::ImageId;
use twinpeak_core::outcome::Rejection;
use twinpeak_core::survey::Survey;

/// One band's image, and what its headers say.
pub(super) struct Exposure {
    pub image: ImageId,
    pub band: usize,
    pub given: Given,
    pub sighting: Sighting,
}

/// An exposure that has a place and a time.
struct Placed {
    exposure: Exposure,
    centre_deg: (f64, f64),
    mjd: f64,
    /// Fields that it fits, by number.
    fits: Vec<usize>,
}

/// Adds the fields that exposures make.
pub(super) fn group(exposures: Vec<Exposure>, survey: &Survey, fields: &mut BTreeMap<ImageId, Field>) {
    let mut placed = Vec::new();
    for exposure in exposures {
        match (exposure.sighting.centre_deg, exposure.sighting.midpoint_mjd_tai) {
            (Some(centre_deg), Some(mjd)) => placed.push(Placed { exposure, centre_deg, mjd, fits: Vec::new() }),
            (centre, _) => {
                let lacking = if centre.is_none() { "coordinates" } else { "time" };
                let why = refusal(
                    &exposure.given.files.image.file,
                    format!("its headers give no {lacking}, by which its field is to be found"),
                    "write the cards, or name the file in a table of fields",
                );
                fields.entry(exposure.image).or_default().refuse(why);
            }
        }
    }
    placed.sort_by(|a, b| a.mjd.total_cmp(&b.mjd).then_with(|| a.exposure.image.cmp(&b.exposure.image)));
    let (references, mut others): (Vec<Placed>, Vec<Placed>) =
        placed.into_iter().partition(|p| p.exposure.band == survey.reference());

    let files = &survey.profile().files;
    let (arcsec, days) = (files.group_arcsec.unwrap_or_default(), files.group_days.unwrap_or_default());
    for (n, reference) in references.iter().enumerate() {
        let from = others.partition_point(|p| p.mjd < reference.mjd - days);
        let to = others.partition_point(|p| p.mjd <= reference.mjd + days);
        for other in &mut others[from..to] {
            if separation_arcsec(reference.centre_deg, other.centre_deg) <= arcsec {
                other.fits.push(n);
            }
        }
    }
    let ids: Vec<ImageId> = references.iter().map(|reference| reference.exposure.image.clone()).collect();
    let paths: Vec<_> = references.iter().map(|reference| reference.exposure.given.files.image.file.clone()).collect();
    for Placed { exposure, .. } in references {
        fields.entry(exposure.image).or_default().add(exposure.band, exposure.given);
    }
    let mut chosen: BTreeMap<(usize, usize), Vec<Given>> = BTreeMap::new();
    for Placed { exposure: Exposure { image, band, given, .. }, fits, .. } in others {
        match fits[..] {
            [] => alone(image, band, given, survey, fields),
            [field] => chosen.entry((field, band)).or_default().push(given),
            [first, second, ..] => {
                let why = ambiguous(&given.files.image.file, "fits two fields", &paths[first], &paths[second]);
                fits.iter().for_each(|&n| fields.entry(ids[n].clone()).or_default().refuse(why.clone()));
            }
        }
    }
    for ((n, band), mut given) in chosen {
        let field = fields.entry(ids[n].clone()).or_default();
        if let [first, second, ..] = &given[..] {
            let says = format!("has two files of band {} near it", survey.band(band));
            field.refuse(ambiguous(&paths[n], &says, &first.files.image.file, &second.files.image.file));
        }
        given.drain(..).for_each(|given| field.add(band, given));
    }
}

/// An exposure without a reference near it: a field that lacks it.
fn alone(image: ImageId, band: usize, given: Given, survey: &Survey, fields: &mut BTreeMap<ImageId, Field>) {
    match fields.get_mut(&image) {
        None => fields.entry(image).or_default().add(band, given),
        Some(field) => field.refuse(refusal(
            &given.files.image.file,
            format!("band {} has the name of image {image}, but shows another sky or time", survey.band(band)),
            "widen files.group_arcsec or files.group_days, or name the files in a table of fields",
        )),
    }
}

fn ambiguous(file: &Path, says: &str, first: &Path, second: &Path) -> Rejection {
    let advice = "narrow files.group_arcsec or files.group_days, or name the files in a table of fields";
    refusal(file, format!("{says}: {first:?} and {second:?}"), advice)
}

/// Angle between two positions, by the haversine formula, which is exact for small ones.
fn separation_arcsec(a: (f64, f64), b: (f64, f64)) -> f64 {
    let half = |x: f64, y: f64| ((y - x).to_radians() / 2.0).sin().powi(2);
    let (cos_a, cos_b) = (a.1.to_radians().cos(), b.1.to_radians().cos());
    let h = half(a.1, b.1) + cos_a * cos_b * half(a.0, b.0);
    2.0 * h.sqrt().min(1.0).asin().to_degrees() * 3600.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn angles_are_those_of_the_sphere() {
        // astropy.coordinates.SkyCoord(a).separation(b)
        for (a, b, arcsec) in [
            ((10.0, 20.0), (10.0, 20.0), 0.0),
            ((359.9, 0.0), (0.1, 0.0), 720.0),
            ((10.0, 60.0), (10.01, 60.0), 17.999_999_9),
            ((0.0, 89.99), (180.0, 89.99), 72.0),
        ] {
            assert!((separation_arcsec(a, b) - arcsec).abs() < 1e-6, "{a:?} {b:?}: {}", separation_arcsec(a, b));
        }
    }
}
