//! SExtractor itself (Bertin & Arnouts 1996), on the reference band as people run it: default filter, 5 px, a threshold.
//! The band's sky is taken off already, so SExtractor is told not to.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::evaluate::Rules;
use crate::fits::encode_band;
use crate::frame::Plane;
use crate::store::write_file;
use crate::study::segmentation::{Field, Findings, Ground, Known, Mark, SegmentError, SegmentMarks, USUAL};

/// Names of the program: Debian's, and its author's.
const PROGRAMS: [&str; 2] = ["source-extractor", "sex"];
const SEXTRACTOR: &str = "SExtractor";
/// Numbers of false components a field at which it is compared.
const ASKED: [f64; 2] = [USUAL, 30.0];
/// Its own threshold, sigma.
const DEFAULT_SIGMA: f64 = 1.5;
/// Between these a threshold is sought, sigma, in so many halvings.
const RANGE_SIGMA: (f64, f64) = (0.7, 6.0);
const HALVINGS: usize = 9;

/// The program and where it works.
struct Program {
    name: &'static str,
    folder: PathBuf,
}

/// Its marks on a ground's fields.
///
/// # Errors
/// Where the program is not there or ends with an error.
pub(super) fn marks(ground: &Ground, known: &[Known]) -> Result<SegmentMarks, SegmentError> {
    let program = Program::new(&ground.work)?;
    let fields = ground.fields.iter().enumerate().map(|(i, field)| program.images(ground, field, i));
    let fields = fields.collect::<Result<Vec<_>, _>>()?;
    let rules = Rules::for_scale(ground.survey.profile().pixel_scale_arcsec);
    let mark = |asked: Option<f64>| -> Result<Mark, SegmentError> {
        let findings = fields.iter().map(|images| {
            let threshold = asked.map_or(Ok(DEFAULT_SIGMA), |asked| program.threshold(images, asked))?;
            let objects = program.objects(&images.field, threshold)?;
            Ok(Findings { false_components: program.false_objects(images, threshold)?, objects, pixels: None })
        });
        Ok(Mark::measure(asked, &findings.collect::<Result<Vec<_>, SegmentError>>()?, known, &rules))
    };
    let at = ASKED.iter().map(|&asked| mark(Some(asked))).collect::<Result<_, _>>()?;
    Ok(SegmentMarks { at, own: Some(mark(None)?), pixels: None })
}

/// A field's reference band, and the same without objects, as files.
struct Images {
    field: PathBuf,
    noise: PathBuf,
    share: f64,
}

fn problem(problem: impl ToString) -> SegmentError {
    SegmentError::Program { program: SEXTRACTOR, problem: problem.to_string() }
}

impl Program {
    fn new(work: &Path) -> Result<Self, SegmentError> {
        let there = |name: &&&str| Command::new(name).arg("-v").output().is_ok();
        let name = PROGRAMS.iter().find(there).ok_or_else(|| problem("it is not on this machine"))?;
        // It runs in this folder, so that its default files are not found by chance.
        let folder = std::path::absolute(work.join("sextractor")).map_err(problem)?;
        std::fs::create_dir_all(&folder).map_err(problem)?;
        let write = |file: &str, text: &str| write_file(&folder, file, text.as_bytes()).map_err(problem);
        write("own.param", "X_IMAGE\nY_IMAGE\n")?;
        write("own.conv", "CONV NORM\n1 2 1\n2 4 2\n1 2 1\n")?;
        Ok(Self { name, folder })
    }

    fn images(&self, ground: &Ground, field: &Field, number: usize) -> Result<Images, SegmentError> {
        let band = ground.survey.reference();
        let write = |kind: &str, plane: &Plane<f32>| -> Result<PathBuf, SegmentError> {
            let mut frame = field.prepared.frame.clone();
            frame.bands[band].pixels = plane.clone();
            let (name, bytes) =
                (format!("{kind}-{number}.fits"), encode_band(ground.survey, &frame, band).map_err(problem)?);
            write_file(&self.folder, &name, &bytes).map_err(problem)?;
            Ok(self.folder.join(name))
        };
        Ok(Images {
            field: write("field", &field.prepared.registered[band])?,
            noise: write("noise", &field.noise.planes[band])?,
            share: field.noise.share,
        })
    }

    fn false_objects(&self, images: &Images, threshold: f64) -> Result<f64, SegmentError> {
        Ok(self.objects(&images.noise, threshold)?.len() as f64 / images.share.max(f64::MIN_POSITIVE))
    }

    /// The threshold that leaves so many objects on the field without any.
    fn threshold(&self, images: &Images, false_objects: f64) -> Result<f64, SegmentError> {
        let (mut low, mut high) = RANGE_SIGMA;
        for _ in 0..HALVINGS {
            let middle = 0.5 * (low + high);
            if self.false_objects(images, middle)? > false_objects { low = middle } else { high = middle }
        }
        Ok(high)
    }

    /// Positions of the objects of an image, 0-based px.
    fn objects(&self, image: &Path, threshold: f64) -> Result<Vec<(f64, f64)>, SegmentError> {
        let (catalog, sigma) = (image.with_extension("cat"), threshold.to_string());
        let fixed = "-c /dev/null -PARAMETERS_NAME own.param -FILTER Y -FILTER_NAME own.conv -DETECT_MINAREA 5 \
                     -BACK_TYPE MANUAL -BACK_VALUE 0.0 -MEMORY_PIXSTACK 3000000 -CATALOG_TYPE ASCII -VERBOSE_TYPE QUIET";
        let output = Command::new(self.name)
            .current_dir(&self.folder)
            .arg(image)
            .args(fixed.split_whitespace())
            .args(["-DETECT_THRESH", &sigma, "-ANALYSIS_THRESH", &sigma])
            .arg("-CATALOG_NAME")
            .arg(&catalog)
            .output()
            .map_err(problem)?;
        if !output.status.success() {
            return Err(problem(String::from_utf8_lossy(&output.stderr).trim()));
        }
        positions(&std::fs::read_to_string(&catalog).map_err(problem)?).map_err(problem)
    }
}

/// x and y of each line, 1-based as SExtractor counts.
fn positions(catalog: &str) -> io::Result<Vec<(f64, f64)>> {
    let line = |line: &str| {
        let mut cells = line.split_whitespace().map(|cell| cell.parse::<f64>());
        match (cells.next(), cells.next()) {
            (Some(Ok(x)), Some(Ok(y))) => Ok((x - 1.0, y - 1.0)),
            _ => Err(io::Error::new(io::ErrorKind::InvalidData, format!("{line:?} is no line of its catalogue"))),
        }
    };
    catalog.lines().filter(|l| !l.trim().is_empty() && !l.starts_with('#')).map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_catalogue_is_read_from_0() {
        let read = positions("# 1 X_IMAGE\n   10.5  1.0\n\n 3 4\n").unwrap();
        assert_eq!(read, [(9.5, 0.0), (2.0, 3.0)]);
        assert!(positions("1 a\n").is_err() && positions("1\n").is_err());
    }
}
