//! SExtractor (Bertin & Arnouts 1996), the program itself, where it is installed. Its star-galaxy classifier is a neural
//! net over isophotal areas that wants to know the seeing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

/// Its names in distributions.
const NAMES: [&str; 3] = ["source-extractor", "sextractor", "sex"];
/// Where they keep its files.
const SHARES: [&str; 4] = [
    "/usr/share/source-extractor",
    "/usr/share/sextractor",
    "/usr/local/share/source-extractor",
    "/usr/local/share/sextractor",
];
/// Of detection and analysis, in units of the sky's noise.
const THRESHOLD: &str = "1.2";

/// The program and its files.
pub(super) struct SExtractor {
    program: &'static str,
    share: PathBuf,
}

/// What it found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Detection {
    /// Column, 0-based px.
    pub x: f64,
    /// Row, 0-based px.
    pub y: f64,
    /// 1 for a star, 0 for a galaxy.
    pub class_star: f64,
}

impl SExtractor {
    /// The installed one, if there is one.
    pub(super) fn find() -> Option<Self> {
        let runs = |name: &&str| Command::new(name).arg("--version").output().is_ok();
        let program = NAMES.into_iter().find(runs)?;
        let share = SHARES.into_iter().map(PathBuf::from).find(|s| s.join("default.nnw").exists())?;
        Some(Self { program, share })
    }

    /// Runs it on one band, a FITS file in memory, in nanomaggies.
    pub(super) fn run(&self, band: &[u8], scale_arcsec: f64, fwhm_arcsec: f64) -> anyhow::Result<Vec<Detection>> {
        let folder = tempfile::tempdir()?;
        let at = |name: &str| folder.path().join(name);
        fs::write(at("band.fits"), band)?;
        fs::write(at("columns.param"), "X_IMAGE\nY_IMAGE\nCLASS_STAR\n")?;
        // An empty file: all else is as the program's own defaults.
        fs::write(at("none.sex"), "")?;
        let path = |p: &Path| p.display().to_string();
        let settings = [
            ("CATALOG_NAME", path(&at("found.cat"))),
            ("CATALOG_TYPE", "ASCII".to_owned()),
            ("PARAMETERS_NAME", path(&at("columns.param"))),
            ("FILTER_NAME", path(&self.share.join("default.conv"))),
            ("STARNNW_NAME", path(&self.share.join("default.nnw"))),
            ("DETECT_THRESH", THRESHOLD.to_owned()),
            ("ANALYSIS_THRESH", THRESHOLD.to_owned()),
            ("PIXEL_SCALE", format!("{scale_arcsec:.5}")),
            ("SEEING_FWHM", format!("{fwhm_arcsec:.4}")),
            ("MAG_ZEROPOINT", "22.5".to_owned()),
            ("VERBOSE_TYPE", "QUIET".to_owned()),
        ];
        let mut command = Command::new(self.program);
        command.current_dir(folder.path()).arg(at("band.fits")).arg("-c").arg(at("none.sex"));
        for (key, value) in settings {
            command.arg(format!("-{key}")).arg(value);
        }
        let ended = command.output().with_context(|| format!("{} does not run", self.program))?;
        let told = String::from_utf8_lossy(&ended.stderr);
        ensure!(ended.status.success(), "{} failed: {}", self.program, told.trim());
        detections(&fs::read_to_string(at("found.cat"))?).with_context(|| format!("{}'s catalogue", self.program))
    }
}

/// Lines `x y class`; its pixels are counted from 1.
fn detections(text: &str) -> anyhow::Result<Vec<Detection>> {
    let line = |line: &str| -> anyhow::Result<Detection> {
        let values: Vec<f64> = line.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
        let [x, y, class_star] = values[..] else { anyhow::bail!("{line:?} has not three numbers") };
        Ok(Detection { x: x - 1.0, y: y - 1.0, class_star })
    };
    text.lines().filter(|l| !l.starts_with('#') && !l.trim().is_empty()).map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_pixels_are_counted_from_one() {
        let text = "#   1 X_IMAGE\n  101.5000   7.25  0.983\n\n 1.0 1.0 0.000\n";
        let found = detections(text).unwrap();
        assert_eq!(found[0], Detection { x: 100.5, y: 6.25, class_star: 0.983 });
        assert_eq!((found[1].x, found.len()), (0.0, 2));
        assert!(detections("1 2\n").is_err() && detections("a b c\n").is_err());
    }
}
