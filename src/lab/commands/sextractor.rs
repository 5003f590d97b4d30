//! SExtractor (Bertin & Arnouts 1996), the program itself, where it is installed: found, run on one image, its table
//! read. Whoever asks says with which settings.

use std::io;
use std::path::Path;
use std::process::Command;

/// Its names: Debian's, others', its author's.
const NAMES: [&str; 3] = ["source-extractor", "sextractor", "sex"];

/// SExtractor as it is installed here: the name under which it runs.
pub(super) struct SExtractor(&'static str);

/// Why SExtractor gave no catalogue.
#[derive(Debug, thiserror::Error)]
pub(super) enum SExtractorError {
    /// It does not start, or its table cannot be read.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It ended with an error.
    #[error("{0}")]
    Failed(String),
    /// Its table is not what was asked for.
    #[error("{line:?} is no line of its catalogue")]
    Line {
        /// The line as it stands in the catalogue.
        line: String,
    },
}

impl SExtractor {
    /// The first of its names that runs.
    pub(super) fn find() -> Option<Self> {
        let runs = |name: &&str| Command::new(name).arg("-v").output().is_ok();
        NAMES.into_iter().find(runs).map(Self)
    }

    /// Runs it in `folder` on `image`; all that `settings` do not say is as the program has it built in. Each object's
    /// numbers, in the order of its parameter file, of which the first two are pixels: 0-based.
    ///
    /// # Errors
    /// [`SExtractorError`]
    pub(super) fn run<const N: usize>(
        &self,
        folder: &Path,
        image: &Path,
        settings: &[(&str, String)],
    ) -> Result<Vec<[f64; N]>, SExtractorError> {
        let catalog = image.with_extension("cat");
        let mut command = Command::new(self.0);
        // No file of settings: it must not find one by chance.
        command.current_dir(folder).arg(image).args(["-c", "/dev/null", "-CATALOG_TYPE", "ASCII"]);
        command.args(["-VERBOSE_TYPE", "QUIET", "-CATALOG_NAME"]).arg(&catalog);
        for (key, value) in settings {
            command.arg(format!("-{key}")).arg(value);
        }
        let ended = command.output()?;
        if !ended.status.success() {
            return Err(SExtractorError::Failed(String::from_utf8_lossy(&ended.stderr).trim().to_owned()));
        }
        table(&std::fs::read_to_string(&catalog)?)
    }
}

/// The numbers of each line; its pixels are counted from 1.
fn table<const N: usize>(text: &str) -> Result<Vec<[f64; N]>, SExtractorError> {
    let line = |line: &str| {
        let numbers: Vec<f64> = line.split_whitespace().filter_map(|cell| cell.parse().ok()).collect();
        let whole = numbers.len() == line.split_whitespace().count();
        let numbers: Option<[f64; N]> = numbers.try_into().ok().filter(|_| whole);
        let mut numbers = numbers.ok_or_else(|| SExtractorError::Line { line: line.to_owned() })?;
        numbers.iter_mut().take(2).for_each(|pixel| *pixel -= 1.0);
        Ok(numbers)
    };
    text.lines().filter(|l| !l.starts_with('#') && !l.trim().is_empty()).map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_pixels_are_counted_from_one() {
        let text = "#   1 X_IMAGE\n  101.5000   7.25  0.983\n\n 1.0 1.0 0.000\n";
        let found: Vec<[f64; 3]> = table(text).unwrap();
        assert_eq!(found[0], [100.5, 6.25, 0.983]);
        assert_eq!((found[1][0], found.len()), (0.0, 2));
        assert!(table::<3>("1 2\n").is_err() && table::<3>("a b c\n").is_err());
    }

    #[test]
    fn a_catalogue_is_read_from_0() {
        let read: Vec<[f64; 2]> = table("# 1 X_IMAGE\n   10.5  1.0\n\n 3 4\n").unwrap();
        assert_eq!(read, [[9.5, 0.0], [2.0, 3.0]]);
        assert!(table::<2>("1 a\n").is_err() && table::<2>("1\n").is_err());
    }
}
