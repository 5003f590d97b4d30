//! The few columns of a published catalogue that are scored, from its Parquet or its FITS file.

use std::path::Path;

use twinpeak_cfitsio::table::Table;
use twinpeak_formats::parquet::read_columns;
use twinpeak_sim::evaluate::Object;

/// Reads the objects of a catalogue's file; `band` is the reference band.
///
/// # Errors
/// Where it cannot be read or lacks a column, naming the file.
pub(crate) fn read(file: &Path, band: &str) -> anyhow::Result<Vec<Object>> {
    let mag = format!("psfMag_{band}");
    let names = ["x", "y", &mag, "starProb", "concentration", "halfLightRadius"];
    let rows = if file.extension().is_some_and(|e| e == "fits") {
        let mut table = Table::open(file, None)?;
        let columns = names.map(|name| table.reals(name));
        let mut rows = vec![[None; 6]; table.rows()];
        for (c, column) in columns.into_iter().enumerate() {
            // FITS writes what is missing as NaN.
            rows.iter_mut().zip(column?).for_each(|(row, value)| row[c] = Some(value).filter(|v| !v.is_nan()));
        }
        rows
    } else {
        read_columns(file, names)?
    };
    let object = |[x, y, mag, star_prob, concentration, half_light_radius_px]: [Option<f64>; 6]| {
        let [x, y, mag] = [x, y, mag].map(|v| v.unwrap_or(f64::NAN));
        Object { x, y, mag, star_prob, concentration, half_light_radius_px }
    };
    Ok(rows.into_iter().map(object).collect())
}

/// `003918-3-0213` of `night/003918-3-0213.catalog.parquet`.
pub(super) fn image_of(catalog: &Path) -> String {
    let name = catalog.file_name().unwrap_or_default().to_string_lossy();
    let name = name.strip_suffix(".parquet").or_else(|| name.strip_suffix(".fits")).unwrap_or(&name);
    name.strip_suffix(".catalog").unwrap_or(name).to_owned()
}

#[cfg(test)]
pub(crate) mod testing {
    use std::path::Path;

    use twinpeak_core::catalog::{Catalog, Provenance, Row, columns};
    use twinpeak_core::frame::{ImageId, PerBand};
    use twinpeak_core::survey::Survey;
    use twinpeak_formats::fits;
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
        let columns = columns(&survey);
        let bytes = if file.extension().is_some_and(|e| e == "fits") {
            fits::catalog_table(&catalog, &columns, &survey, &PerBand::default()).unwrap()
        } else {
            parquet_table(&catalog, &columns, &Default::default()).unwrap()
        };
        std::fs::write(file, bytes).unwrap();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_scored_is_read_from_either_file() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["f.catalog.parquet", "f.catalog.fits"] {
            is_read(&folder.path().join(name));
        }
        let said = read(&folder.path().join("g.fits"), "r").unwrap_err().to_string();
        assert!(said.contains("g.fits"), "{said}");
        let said = read(&folder.path().join("f.catalog.fits"), "q").unwrap_err().to_string();
        assert!(said.contains("no column \"psfMag_q\""), "{said}");
    }

    fn is_read(file: &Path) {
        let rows: Vec<_> = (0..21).map(|i| ((f64::from(i), 0.5), 21.25, i % 2 == 0)).collect();
        testing::write(file, &rows);
        let objects = read(file, "r").unwrap();
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
        for (path, image) in
            [("a/f-1.catalog.parquet", "f-1"), ("f-1.parquet", "f-1"), ("a/f-1.catalog.fits", "f-1"), ("f-1", "f-1")]
        {
            assert_eq!(image_of(Path::new(path)), image);
        }
    }
}
