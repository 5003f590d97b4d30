//! The truth as a FITS table: the columns `class`, `x`, `y` and, where it has them, magnitudes; else what `truth_files` reads.

use std::path::Path;

use anyhow::{Context, bail};
use twinpeak_cfitsio::table::Table;
use twinpeak_sim::evaluate::{TrueObject, truth_files};

/// Reads the truth from a file of any kind that is known; `band` is the reference band, whose magnitudes are taken.
///
/// # Errors
/// Where it cannot be read or makes no sense, naming the file.
pub(super) fn read(path: &Path, band: &str) -> anyhow::Result<Vec<TrueObject>> {
    if path.extension().is_none_or(|e| e != "fits") {
        return Ok(truth_files::read(path, band)?);
    }
    let mut table = Table::open(path, None)?;
    let (classes, x, y) = (table.texts("class")?, table.reals("x")?, table.reals("y")?);
    let mag = format!("mag_{band}");
    // An object without light in the band has no magnitude there.
    let mag = if table.has(&mag) { table.reals(&mag)? } else { vec![f64::NAN; table.rows()] };
    let object = |i: usize| {
        let row = || format!("{}: row {}", path.display(), i + 1);
        let class = &classes[i];
        let star = truth_files::is_star(class)
            .with_context(|| format!("{}: class {class:?} is not one of star, qso, galaxy", row()))?;
        if !x[i].is_finite() || !y[i].is_finite() {
            bail!("{}: it has no position", row());
        }
        Ok(TrueObject { x: x[i], y: y[i], star, mag: Some(mag[i]).filter(|m| m.is_finite()) })
    };
    (0..table.rows()).map(object).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fits_table_is_read_as_its_columns_say() {
        let python = Path::new(env!("CARGO_MANIFEST_DIR")).join(".venv/bin/python");
        if !python.exists() {
            eprintln!("SKIPPED: no .venv with astropy (deploy/setup.sh --tests)");
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let script = "from astropy.table import Table\n\
            t = dict(CLASS=['star', 'galaxy'], x=[1.5, 2], y=[3., 4], mag_r=[20, float('nan')])\n\
            Table(t).write('t.fits'); t['CLASS'][1] = 'planet'; Table(t).write('u.fits')";
        let done = std::process::Command::new(python).args(["-c", script]).current_dir(&folder).status().unwrap();
        assert!(done.success());
        let truth = read(&folder.path().join("t.fits"), "r").unwrap();
        assert_eq!(truth[0], TrueObject { x: 1.5, y: 3.0, star: true, mag: Some(20.0) });
        assert_eq!(truth[1], TrueObject { x: 2.0, y: 4.0, star: false, mag: None });
        let said = read(&folder.path().join("u.fits"), "r").unwrap_err().to_string();
        assert!(said.contains("u.fits: row 2: class \"planet\""), "{said}");
    }
}
