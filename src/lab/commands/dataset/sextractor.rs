//! SExtractor's star-galaxy classifier: a neural net over isophotal areas that wants to know the seeing.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::commands::sextractor::SExtractor;

/// Where distributions keep the program's files.
const SHARES: [&str; 4] = [
    "/usr/share/source-extractor",
    "/usr/share/sextractor",
    "/usr/local/share/source-extractor",
    "/usr/local/share/sextractor",
];
/// Of detection and analysis, in units of the sky's noise.
const THRESHOLD: &str = "1.2";

/// The program and its files.
pub(super) struct ClassStar {
    program: SExtractor,
    share: PathBuf,
}

/// An object that SExtractor found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Detection {
    /// Column, 0-based px.
    pub x: f64,
    /// Row, 0-based px.
    pub y: f64,
    /// 1 for a star, 0 for a galaxy.
    pub class_star: f64,
}

impl ClassStar {
    /// The installed one, if there is one.
    pub(super) fn find() -> Option<Self> {
        let program = SExtractor::find()?;
        let share = SHARES.into_iter().map(PathBuf::from).find(|s| s.join("default.nnw").exists())?;
        Some(Self { program, share })
    }

    /// Runs it on one band, a FITS file in memory, in nanomaggies.
    pub(super) fn run(&self, band: &[u8], scale_arcsec: f64, fwhm_arcsec: f64) -> anyhow::Result<Vec<Detection>> {
        let folder = tempfile::tempdir()?;
        let at = |name: &str| folder.path().join(name);
        fs::write(at("band.fits"), band)?;
        fs::write(at("columns.param"), "X_IMAGE\nY_IMAGE\nCLASS_STAR\n")?;
        let path = |p: &Path| p.display().to_string();
        let settings = [
            ("PARAMETERS_NAME", path(&at("columns.param"))),
            ("FILTER_NAME", path(&self.share.join("default.conv"))),
            ("STARNNW_NAME", path(&self.share.join("default.nnw"))),
            ("DETECT_THRESH", THRESHOLD.to_owned()),
            ("ANALYSIS_THRESH", THRESHOLD.to_owned()),
            ("PIXEL_SCALE", format!("{scale_arcsec:.5}")),
            ("SEEING_FWHM", format!("{fwhm_arcsec:.4}")),
            ("MAG_ZEROPOINT", "22.5".to_owned()),
        ];
        let found = self.program.run(folder.path(), &at("band.fits"), &settings).context("SExtractor")?;
        Ok(found.into_iter().map(|[x, y, class_star]| Detection { x, y, class_star }).collect())
    }
}
