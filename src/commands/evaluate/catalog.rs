//! The few columns of a published catalogue that are scored.

use std::path::Path;

use twinpeak_formats::parquet::{TableError, read_columns};
use twinpeak_sim::evaluate::Object;

/// Reads the objects of a catalogue's Parquet file; `band` is the reference band.
///
/// # Errors
/// [`TableError`] naming the file.
pub(crate) fn read(file: &Path, band: &str) -> Result<Vec<Object>, TableError> {
    let mag = format!("psfMag_{band}");
    let rows = read_columns(file, ["x", "y", &mag, "starProb", "concentration", "halfLightRadius"])?;
    let object = |[x, y, mag, star_prob, concentration, half_light_radius_px]: [Option<f64>; 6]| {
        let [x, y, mag] = [x, y, mag].map(|v| v.unwrap_or(f64::NAN));
        Object { x, y, mag, star_prob, concentration, half_light_radius_px }
    };
    Ok(rows.into_iter().map(object).collect())
}

/// `003918-3-0213` of `night/003918-3-0213.catalog.parquet`.
pub(super) fn image_of(catalog: &Path) -> String {
    let name = catalog.file_name().unwrap_or_default().to_string_lossy();
    let name = name.strip_suffix(".parquet").unwrap_or(&name);
    name.strip_suffix(".catalog").unwrap_or(name).to_owned()
}

#[cfg(test)]
pub(crate) mod testing {
    use std::path::Path;

    use twinpeak_core::catalog::{Catalog, Provenance, Row, columns};
    use twinpeak_core::frame::ImageId;
    use twinpeak_core::survey::Survey;
    use twinpeak_formats::parquet::parquet_table;

    /// A catalogue of (position, magnitude, star): stars have starProb .9 and size 1, galaxies .1 and 2; what comes
    /// after the 20th has no starProb.
    pub(crate) fn write(file: &Path, rows: &[((f64, f64), f32, bool)]) {
        let survey = Survey::parse(include_str!("../../../config/surveys/sdss.toml")).unwrap();
        let row = |(i, &((x, y), mag, star)): (usize, &((f64, f64), f32, bool))| {
            let size = if star { 1.0 } else { 2.0 };
            Row {
                number: i as u32 + 1,
                x,
                y,
                psf_mag: [mag; 5],
                star_prob: (i < 20).then_some(if star { 0.9 } else { 0.1 }),
                concentration: 1.0 / size,
                half_light_radius: size,
                ..Row::default()
            }
        };
        let provenance = Provenance {
            survey: "sdss".into(),
            image_id: ImageId::new("f").unwrap(),
            midpoint_mjd_tai: None,
            input_hash: String::new(),
            model_version: String::new(),
            model_hash: String::new(),
            software_version: "0".into(),
        };
        let catalog = Catalog { provenance, rows: rows.iter().enumerate().map(row).collect() };
        std::fs::write(file, parquet_table(&catalog, &columns(&survey)).unwrap()).unwrap();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_scored_is_read() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let rows: Vec<_> = (0..21).map(|i| ((f64::from(i), 0.5), 21.25, i % 2 == 0)).collect();
        testing::write(file.path(), &rows);
        let objects = read(file.path(), "r").unwrap();
        assert_eq!(objects.len(), 21);
        let second = Object {
            x: 1.0,
            y: 0.5,
            mag: 21.25,
            star_prob: Some(f64::from(0.1_f32)),
            concentration: Some(0.5),
            half_light_radius_px: Some(2.0),
        };
        assert_eq!(objects[1], second);
        assert_eq!((objects[20].x, objects[20].star_prob), (20.0, None));
    }

    #[test]
    fn a_catalogue_is_named_after_its_image() {
        for (path, image) in [("a/f-1.catalog.parquet", "f-1"), ("f-1.parquet", "f-1"), ("f-1", "f-1")] {
            assert_eq!(image_of(Path::new(path)), image);
        }
    }
}
